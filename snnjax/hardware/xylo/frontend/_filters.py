"""Band-pass filters of second order in integer arithmetic, as Xylo's front ends have them."""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class BandPass:
    """Registers of a filter, and what it makes of them.

        w[n] = ((x[n] << w_shift) + ((-a1*w[n-1] - a2*w[n-2]) >> a_shift)) >> b_shift
        y[n] = w[n] - w[n-2]

    >> rounds down. But for that, y = 2^(w_shift - b_shift) * (1 - z^-2)/(1 + A1*z^-1 + A2*z^-2) * x
    with a1 = A1*2^(a_shift + b_shift) and a2 likewise.

    Attributes:
        a1: coefficient of w[n-1].
        a2: coefficient of w[n-2].
        a_shift: bits by which the sum of products is shifted.
        b_shift: bits by which w is shifted.
        w_shift: bits of w behind the binary point of x.
    """

    a1: int
    a2: int
    a_shift: int
    b_shift: int
    w_shift: int = 8

    @classmethod
    def design(
        cls,
        low: float,
        high: float,
        rate: float,
        *,
        bits: int,
        point: int | None = None,
        w_shift: int = 8,
    ) -> "BandPass":
        """The filter nearest to a Butterworth band-pass of first order.

        With k = tan(pi*high/rate) - tan(pi*low/rate) and m = tan(pi*high/rate)*tan(pi*low/rate),
        A1 = 2*(m - 1)/(1 + k + m), A2 = (1 - k + m)/(1 + k + m) and b = k/(1 + k + m). `b_shift` is
        the largest that does not make the gain less than b; the coefficients are truncated towards
        zero. Source: Rockpool 3.1, by its results.

        Args:
            low: lower cut-off frequency in Hz.
            high: upper cut-off frequency in Hz.
            rate: samples per second.
            bits: bits of a coefficient, with its sign.
            point: how many of them are behind the binary point; None for as many as can be.
            w_shift: see the class.

        Raises:
            ValueError: if the frequencies are not between 0 and half of the rate, in this order.
        """
        if not 0 < low < high < rate / 2:
            raise ValueError(
                f"`low` and `high` must be between 0 and half of the rate, {rate / 2} Hz, the "
                f"lower one first; got {low} and {high}"
            )
        wide, narrow = math.tan(math.pi * high / rate), math.tan(math.pi * low / rate)
        k, m = wide - narrow, wide * narrow
        a1, a2 = 2 * (m - 1) / (1 + k + m), (1 - k + m) / (1 + k + m)
        b_shift = int(math.log2((1 + k + m) / k))
        if point is None:
            point = bits - 2 if max(abs(a1), abs(a2)) >= 1 else bits - 1
        return cls(
            a1=int(a1 * 2**point),
            a2=int(a2 * 2**point),
            a_shift=point - b_shift,
            b_shift=b_shift,
            w_shift=w_shift,
        )

    @property
    def _point(self) -> int:
        """Bits of a coefficient behind its binary point."""
        return self.a_shift + self.b_shift

    @property
    def gain(self) -> float:
        """Gain at the centre of the band: 2^(w_shift - b_shift)*2/(1 - A2), but for roundings."""
        return 2.0 ** (self.w_shift - self.b_shift) * 2 / (1 - self.a2 / 2**self._point)

    def peaks(self, largest: int) -> tuple[float, float]:
        """Bounds of |w| and |y| for inputs up to `largest`, whatever they are, roundings included.

        They are the sums of the absolute impulse responses, times the largest that goes in.
        """
        if not self._is_stable():
            return math.inf, math.inf
        first, second = np.roots([1.0, *np.array([self.a1, self.a2]) * 2.0**-self._point])
        steps = np.arange(3, 3 + math.ceil(-40 / math.log(max(abs(first), 1e-9))))
        if first == second:
            w = (steps - 2) * first ** (steps - 3.0)
        else:
            w = (first ** (steps - 2) - second ** (steps - 2)) / (first - second)
        w = np.concatenate([np.zeros(2), w.real])
        y = w[2:] - w[:-2]
        # Both roundings together take off less than 1 + 2^-b_shift.
        driven = largest * 2.0 ** (self.w_shift - self.b_shift) + 1 + 2.0**-self.b_shift
        return driven * float(np.abs(w).sum()) + 1, driven * float(np.abs(y).sum()) + 1

    def _is_stable(self) -> bool:
        one = 1 << self._point
        return abs(self.a2) < one and abs(self.a1) < one + self.a2


def require_fit(
    filters: Sequence[BandPass], *, inputs: int, coefficients: int, registers: int
) -> None:
    """Refuse filters that do not fit into registers, or whose values may not.

    Args:
        filters: the filters.
        inputs: bits of an input, with its sign.
        coefficients: bits of a coefficient, with its sign.
        registers: bits of w and y, with their signs.

    Raises:
        ValueError: if there is one; the message says which and why.
    """
    for number, band in enumerate(filters):
        for name in ("a1", "a2"):
            value, limit = getattr(band, name), 1 << (coefficients - 1)
            if not -limit <= value < limit:
                raise ValueError(
                    f"`filters[{number}].{name}` must fit into {coefficients} bits, from {-limit} "
                    f"to {limit - 1}; got {value}"
                )
        for name in ("a_shift", "b_shift", "w_shift"):
            if not 0 <= getattr(band, name) <= 15:
                raise ValueError(
                    f"`filters[{number}].{name}` must be from 0 to 15; got {getattr(band, name)}"
                )
        peak = max(band.peaks((1 << (inputs - 1)) - 1))
        if not peak < 2 ** (registers - 1):
            raise ValueError(
                f"`filters[{number}]` can reach {peak:.3g}, which {registers} bits cannot hold; "
                "take a wider or a higher band"
            )


def recursion(
    filters: Sequence[BandPass],
    x: Int[Array, "filters batch"],
    w1: Int[Array, "filters batch"],
    w2: Int[Array, "filters batch"],
) -> Int[Array, "filters batch"]:
    """The next w of every filter, in 64 bits."""
    a1, a2, a_shift, b_shift, w_shift = (
        jnp.array([[getattr(band, name)] for band in filters], jnp.int64)
        for name in ("a1", "a2", "a_shift", "b_shift", "w_shift")
    )
    return ((x << w_shift) + ((-a1 * w1 - a2 * w2) >> a_shift)) >> b_shift
