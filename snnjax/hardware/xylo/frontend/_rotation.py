"""Rotation removal of Xylo IMU: principal axes of motion by Jacobi's method in fixed point.

Arrays have the batch last, in 64 bits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from ...._mesh import as_spread

Matrix = Int[Array, "3 3 batch"]

ROTATION_BITS = 32
"""A rotation has 1.0 at 2^31; a product with it is shifted by 32, so motion is halved."""

_POINT = 16
"""Bits of the table behind the binary point."""

_ANGLES = 64
_ROUNDS = 4
_PAIRS = ((0, 1), (0, 2), (1, 2))


class Table(NamedTuple):
    """Rows of the table, for angles from 0 to 45 degrees.

    Attributes:
        sin: sine of the angle.
        cos: cosine.
        tan2: tangent of twice the angle, of the rows below 22.5 degrees.
        cot2: its inverse, of the rows above.
        half: 1/(2*cos) of twice the angle below 22.5 degrees, 1/(2*sin) above.
    """

    sin: Int[np.ndarray, " rows"]
    cos: Int[np.ndarray, " rows"]
    tan2: Int[np.ndarray, " low"]
    cot2: Int[np.ndarray, " high"]
    half: Int[np.ndarray, " rows"]


def _table() -> Table:
    angle = np.linspace(0, np.pi / 4, _ANGLES)
    low, high = angle[angle <= np.pi / 8], angle[angle > np.pi / 8]
    one, most = 2.0**_POINT, 2.0**_POINT - 1
    half = np.concatenate([1 / (2 * np.cos(2 * low)), 1 / (2 * np.sin(2 * high))])
    columns = (
        most * np.sin(angle),
        most * np.cos(angle),
        one * np.tan(2 * low),
        one / np.tan(2 * high),
        one * half,
    )
    return Table(*(np.trunc(column).astype(np.int64) for column in columns))


TABLE = _table()
_LOW = len(TABLE.tan2)


def principal_axes(covariance: Matrix) -> Matrix:
    """Rotation whose columns are the axes of motion, the one with most of it first.

    Four rounds over the pairs of axes (0, 1), (0, 2), (1, 2). Each turns a pair by the angle of the
    table that takes most off their covariance b, with the variances a and c:

        a, c = ((a + c)*2^15 +- correction) >> 16, at least 0, and b = 0

    where the correction is (a - c)/(2*cos) for angles up to 22.5 degrees and 2*b/(2*sin) above,
    of twice the angle. Of equal variances the later axis comes first.
    """
    one = (1 << (ROTATION_BITS - 1)) - 1
    start = jnp.broadcast_to(one * jnp.eye(3, dtype=jnp.int64)[..., None], covariance.shape)

    def each_round(_: int, both: tuple[Matrix, Matrix]) -> tuple[Matrix, Matrix]:
        for pair in _PAIRS:
            both = _turn(pair, *both)
        return both

    start = as_spread(start, jax.typeof(covariance))
    d, rotation = lax.fori_loop(0, _ROUNDS, each_round, (covariance, start))
    order = jnp.argsort(jnp.stack([d[i, i] for i in range(3)]), axis=0, stable=True)[::-1]
    return jnp.take_along_axis(rotation, order[None], axis=1)


def _turn(pair: tuple[int, int], d: Matrix, rotation: Matrix) -> tuple[Matrix, Matrix]:
    i, j = pair
    other = 3 - i - j
    a, b, c = d[i, i], d[i, j], d[j, j]
    wide = jnp.abs(2 * b) > jnp.abs(a - c)
    row = _row(jnp.abs(2 * b), jnp.abs(a - c), wide)
    sin, cos, half = (_looked_up(column, row) for column in (TABLE.sin, TABLE.cos, TABLE.half))
    sign = jnp.where(a == c, jnp.sign(b), jnp.sign(b) * jnp.sign(a - c))
    sin = sign * sin
    correction = jnp.where(wide, 2 * b * sign, a - c) * half
    middle = (a + c) << (_POINT - 1)
    a = jnp.maximum((middle + correction) >> _POINT, 0)
    c = jnp.maximum((middle - correction) >> _POINT, 0)

    def turned(x: Array, y: Array) -> tuple[Array, Array]:
        return (cos * x + sin * y) >> _POINT, (cos * y - sin * x) >> _POINT

    first, second = turned(d[i, other], d[j, other])
    made = d.at[i, i].set(a).at[j, j].set(c)
    for at, value in (((i, j), jnp.zeros_like(b)), ((i, other), first), ((j, other), second)):
        made = made.at[at].set(value).at[at[::-1]].set(value)
    columns = [rotation[:, n] for n in range(3)]
    columns[i], columns[j] = turned(columns[i], columns[j])
    skipped = b == 0
    return (
        jnp.where(skipped, d, made),
        jnp.where(skipped, rotation, jnp.stack(columns, axis=1)),
    )


def _looked_up(column: Int[np.ndarray, " rows"], row: Array) -> Array:
    return jnp.asarray(column).at[row].get(out_sharding=jax.typeof(row).sharding)


def _row(twice_b: Array, difference: Array, wide: Array) -> Array:
    """The row after the last one whose tangent is not too large, as far as there is one."""
    tan, cot = jnp.asarray(TABLE.tan2)[:, None], jnp.asarray(TABLE.cot2)[:, None]
    low = jnp.sum(tan * difference <= twice_b << _POINT, axis=0)
    high = jnp.sum(cot * twice_b >= difference << _POINT, axis=0)
    narrow = jnp.minimum(low, _LOW - 1)
    row = jnp.where(wide, jnp.minimum(_LOW + high, _ANGLES - 1), narrow)
    return jnp.where(difference == 0, _ANGLES - 1, row)


def aligned(new: Matrix, old: Matrix, *, zero: int) -> Matrix:
    """`new`, with each axis that points away from that of `old` turned round.

    Args:
        new: a rotation.
        old: the rotation before it.
        zero: the sign where both are at a right angle.
    """
    sign = jnp.sign(jnp.sum(new * old, axis=0))
    return new * jnp.where(sign == 0, zero, sign)


def rotate(rotation: Matrix, x: Int[Array, "3 batch"]) -> Int[Array, "3 batch"]:
    """Motion along the axes: the sum of (rotation*x) >> 32, each product shifted by itself."""
    return jnp.sum((rotation * x[:, None]) >> ROTATION_BITS, axis=0)


def updated(h: Matrix, x: Int[Array, "3 batch"], k: int) -> Matrix:
    """The running covariance, h - (h >> k) + x*x^T."""
    return h - (h >> k) + x[:, None] * x[None, :]


def hold(h: Matrix, old: Matrix, k: int, due: Array, zero: int) -> Matrix:
    """The rotation of a step: a new one where it is due, else the old one."""
    old = as_spread(old, jax.typeof(h))

    def renew() -> Matrix:
        return aligned(principal_axes(h >> k), old, zero=zero)

    return jax.lax.cond(due, renew, lambda: old)
