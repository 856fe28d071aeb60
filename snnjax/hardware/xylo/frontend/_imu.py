"""The front end of Xylo IMU: from motion along three axes to event counts."""

from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ...._checks import explained
from ...._mesh import scan
from . import _rotation
from ._exact import exact, from_halves, to_halves
from ._filters import BandPass, recursion, require_fit
from ._samples import as_array, integers_of
from ._settings import (
    of_channels,
    require_above_zero,
    require_among,
    require_state,
    require_whole,
)

PerChannel: TypeAlias = int | tuple[int, ...]

IMU_RATE = 200.0
"""Samples per second of the motion sensor, and steps per second of the core."""

AXES = 3
INPUT_BITS = 16
COEFFICIENT_BITS = 17
REGISTER_BITS = 33
MOST_EVENTS = 15


@explained
def imu_filter(low: float, high: float) -> BandPass:
    """The filter of Xylo IMU for the band from `low` to `high` in Hz; see `BandPass.design`."""
    point = INPUT_BITS - 1
    return BandPass.design(low, high, IMU_RATE, bits=COEFFICIENT_BITS, point=point)


IMU_FILTERS = AXES * tuple(imu_filter(2.0**n, 2.0 ** (n + 1)) for n in range(5))
"""The vendor's bands, one octave each from 1 to 32 Hz, for every axis."""


class ImuState(NamedTuple):
    """State of the front end between two blocks; pass it to the next call to continue.

    Integers of 64 bits are two of 32 each, so that JAX's default settings keep them whole.

    Attributes:
        h: running covariance of the axes, times 2^k.
        rotation: the rotation that is held.
        clock: samples since it was renewed.
        w: the last two values of each filter's recursion, the newest first.
        charge: charge of each channel's integrate-and-fire neuron.
    """

    h: Int[Array, "*batch 3 3 2"]
    rotation: Int[Array, "*batch 3 3"]
    clock: Int[Array, ""]
    w: Int[Array, "*batch channels 2 2"]
    charge: Int[Array, "*batch channels"]


class ImuTrace(NamedTuple):
    """Every stage at every step, for pictures and comparisons.

    Attributes:
        samples: what the rotation takes.
        rotated: what the filters take, half as large.
        filtered: what they give.
        events: event counts.
    """

    samples: Int[Array, "*batch time 3"]
    rotated: Int[Array, "*batch time 3"]
    filtered: Int[Array, "*batch time channels"]
    events: Int[Array, "*batch time channels"]


class Imu(eqx.Module):
    """Xylo IMU's front end, integer for integer, at 200 samples per second.

    Motion is quantised to 16 bits. A running covariance of its three axes, h - (h >> k) + x*x^T,
    is held every `period` samples; the rotation to its principal axes (see `principal_axes` in
    this module's `_rotation`), each turned the way the last one pointed, is taken off the motion.
    Five band-pass filters follow for each axis, of which 8 bits behind the binary point are
    dropped, and one of two encoders:

        "scale": events = min(|y| >> shift, 15)
        "iaf": charge += |y|; an event where charge >= threshold; charge = charge mod threshold

    Source: Rockpool 3.1, `syns63300.imuif`. Where an axis stands at a right angle to what it was,
    Rockpool makes it 0 for good, and it takes covariance and rotation over from one recording of a
    batch to the next; `compat="rockpool"` does so too, recording by recording, of whose `state` it
    keeps only those two. Here such an axis is kept, and every recording starts at rest.
    `warm_up="mirrored"` begins the filters with the reversed recording, as Rockpool does, for which
    the whole is needed.

    Attributes:
        scale: factor of motion before quantisation. What reaches 1 is out of range.
        remove_rotation: whether motion is turned to its principal axes.
        k: the covariance goes over 2^k samples.
        period: samples between rotations.
        filters: bands, as many for each axis, those of the first axis first.
        encoder: "scale" or "iaf".
        shift: bits taken off by the scale encoder.
        threshold: of the integrate-and-fire encoder.
        warm_up: "rest", as the chip starts, or "mirrored".
        compat: "chip", or "rockpool".
    """

    scale: float = eqx.field(default=1.0, static=True)
    remove_rotation: bool = eqx.field(default=True, static=True)
    k: int = eqx.field(default=4, static=True)
    period: int = eqx.field(default=10, static=True)
    filters: tuple[BandPass, ...] = eqx.field(default=IMU_FILTERS, static=True)
    encoder: Literal["scale", "iaf"] = eqx.field(default="scale", static=True)
    shift: PerChannel = eqx.field(default=5, static=True)
    threshold: PerChannel = eqx.field(default=1024, static=True)
    warm_up: Literal["rest", "mirrored"] = eqx.field(default="rest", static=True)
    compat: Literal["chip", "rockpool"] = eqx.field(default="chip", static=True)

    @explained
    def __check_init__(self) -> None:
        _check(self)

    @property
    def dt(self) -> float:
        """Seconds per step of the core."""
        return 1 / IMU_RATE

    @property
    def channels(self) -> int:
        """Number of filters."""
        return len(self.filters)

    @explained
    def __call__(
        self, signal: ArrayLike, state: ImuState | None = None, *, checked: bool = True
    ) -> tuple[Int[Array, "*batch time channels"], ImuState]:
        """Event counts of a recording or a batch of them, one step for each sample.

        Args:
            signal: motion, floating-point numbers between -1 and 1 after `scale`, or integers of
                16 bits; `(time, 3)` or `(batch, time, 3)`.
            state: where to continue; rest if None.
            checked: look for values out of range inside of a program, where only running it tells
                them. Outside they are always looked for.

        Raises:
            ValueError: if `signal` is of another shape or type, or out of range, or `state` does
                not fit. Under jit what is out of range raises when the program runs.
        """
        if self.warm_up == "mirrored" and state is not None and self.compat != "rockpool":
            raise ValueError("`warm_up` is 'mirrored', which starts at rest; leave `state` out")
        trace, state = self._run(signal, state, checked)
        return trace.events, state

    @explained
    def step(
        self, block: ArrayLike, state: ImuState | None = None, *, checked: bool = True
    ) -> tuple[Int[Array, "*batch time channels"], ImuState]:
        """A call on a block of a stream, of any length; blocks give the same as all at once.

        Raises:
            ValueError: as a call does, or if `warm_up` is "mirrored" or `compat` "rockpool", which
                need whole recordings.
        """
        for name, value in (("warm_up", "mirrored"), ("compat", "rockpool")):
            if getattr(self, name) == value:
                raise ValueError(f"`{name}` is {value!r}, which needs whole recordings")
        return self(block, state, checked=checked)

    def trace(self, signal: ArrayLike) -> ImuTrace:
        """Every stage of a recording, or batch of them, at every step."""
        return self._run(signal, None, True)[0]

    def initial_state(self, batch: int | None = None) -> ImuState:
        """A chip that was just switched on, or as many as `batch`."""
        return _start(self.channels, () if batch is None else (batch,))

    def _run(
        self, signal: ArrayLike, state: ImuState | None, checked: bool
    ) -> tuple[ImuTrace, ImuState]:
        batch = np.shape(signal)[:-2]
        rest = _start(self.channels, batch)
        state = rest if state is None else state
        require_state(state, rest)
        if self.compat == "rockpool":
            if batch:
                raise ValueError(
                    "`compat` is 'rockpool', which takes the recordings of a batch one after "
                    "another; give one recording, and the `state` after the one before"
                )
            state = rest._replace(h=state.h, rotation=state.rotation)
        samples = _to_samples(signal, self.scale, checked)
        if batch:
            return _run(self, samples, state)
        trace, after = _run(self, samples[None], _with_batch(state))
        return jax.tree.map(lambda x: x[0], trace), _without_batch(after)


def _start(channels: int, batch: tuple[int, ...]) -> ImuState:
    def zeros(*shape: int) -> Array:
        return jnp.zeros((*batch, *shape), jnp.int32)

    eye = jnp.broadcast_to(jnp.eye(AXES, dtype=jnp.int32), (*batch, AXES, AXES))
    charge = zeros(channels)
    return ImuState(zeros(3, 3, 2), eye, jnp.int32(0), zeros(channels, 2, 2), charge)


def _with_batch(state: ImuState) -> ImuState:
    return jax.tree.map(lambda x: x[None], state)._replace(clock=state.clock)


def _without_batch(state: ImuState) -> ImuState:
    return jax.tree.map(lambda x: x[0], state._replace(clock=state.clock[None]))


@exact
@eqx.filter_jit
def _run(
    imu: Imu, samples: Int[Array, "batch time 3"], state: ImuState
) -> tuple[ImuTrace, ImuState]:
    x = jnp.transpose(samples, (1, 2, 0))
    rotated, h, rotation, clock = _rotated(imu, x, state)
    last = from_halves(jnp.moveaxis(state.w, 0, 1))
    w: Any = last[..., 0], last[..., 1]
    if imu.warm_up == "mirrored":
        w, _ = _filtered(imu, rotated[::-1], w)
    w, filtered = _filtered(imu, rotated, w)
    charge, events = _encoded(imu, filtered, state.charge.T)
    trace = ImuTrace(*(jnp.transpose(y, (2, 0, 1)) for y in (x, rotated, filtered, events)))
    halves = jnp.moveaxis(to_halves(jnp.stack(w, axis=-1)), 1, 0)
    return trace, ImuState(h, rotation, clock, halves, charge.T)


def _rotated(imu: Imu, x: Int[Array, "time 3 batch"], state: ImuState) -> tuple[Any, ...]:
    if not imu.remove_rotation:
        return x, state.h, state.rotation, state.clock
    zero = 0 if imu.compat == "rockpool" else 1

    def clock(before, sample):  # type: ignore[no-untyped-def]
        h, rotation, done = before
        wide = sample.astype(jnp.int64)
        h = _rotation.updated(h, wide, imu.k)
        rotation = _rotation.hold(h, rotation, imu.k, done == 0, zero)
        turned = _rotation.rotate(rotation, wide).astype(jnp.int32)
        return (h, rotation, (done + 1) % imu.period), turned

    h = jnp.moveaxis(from_halves(state.h), 0, -1)
    rotation = jnp.moveaxis(state.rotation, 0, -1).astype(jnp.int64)
    (h, rotation, done), turned = scan(clock, (h, rotation, state.clock), x)
    h = to_halves(jnp.moveaxis(h, -1, 0))
    return turned, h, jnp.moveaxis(rotation, -1, 0).astype(jnp.int32), done


def _filtered(imu: Imu, x: Int[Array, "time 3 batch"], w: Any) -> tuple[Any, Any]:
    """Filter outputs of all channels, without the bits behind the binary point."""
    axis = np.repeat(np.arange(AXES), imu.channels // AXES)
    w_shift = jnp.array([band.w_shift for band in imu.filters], jnp.int64)[:, None]

    def clock(w, sample):  # type: ignore[no-untyped-def]
        newest = recursion(imu.filters, sample[axis].astype(jnp.int64), w[0], w[1])
        return (newest, w[0]), ((newest - w[1]) >> w_shift).astype(jnp.int32)

    return scan(clock, w, x)


def _encoded(imu: Imu, y: Int[Array, "time channels batch"], charge: Array) -> tuple[Array, Array]:
    size = jnp.abs(y)
    if imu.encoder == "scale":
        shift = jnp.array(of_channels(imu, "shift"), jnp.int32)[:, None]
        return charge, jnp.minimum(size >> shift, MOST_EVENTS)
    threshold = jnp.array(of_channels(imu, "threshold"), jnp.int64)[:, None]

    def clock(charge, a):  # type: ignore[no-untyped-def]
        charge = charge + a.astype(jnp.int64)
        return charge % threshold, (charge >= threshold).astype(jnp.int32)

    charge, events = scan(clock, charge.astype(jnp.int64), size)
    return charge.astype(jnp.int32), events


def _to_samples(signal: ArrayLike, scale: float, checked: bool) -> Int[Array, "*batch time 3"]:
    array = as_array(signal)
    if array.ndim not in (2, 3) or array.shape[-1] != AXES:
        raise ValueError(f"`signal` must be (time, 3) or (batch, time, 3); got {array.shape}")
    return integers_of(array, scale, INPUT_BITS, checked)


def _check(imu: Imu) -> None:
    filters = imu.filters
    if not isinstance(filters, tuple) or len(filters) not in range(AXES, 16, AXES):
        raise ValueError(
            f"`filters` must be a tuple of up to 15 BandPass, as many for each of {AXES} axes; got "
            f"{filters!r}"
        )
    require_fit(filters, inputs=INPUT_BITS, coefficients=COEFFICIENT_BITS, registers=REGISTER_BITS)
    require_above_zero(imu, "scale")
    require_whole(imu, _RANGES)
    require_among(imu, _CHOICES)


_RANGES = {
    "k": (0, 31),
    "period": (1, (1 << 11) - 1),
    "shift": (0, 31),
    "threshold": (1, (1 << 31) - 1),
}
_CHOICES = {
    "encoder": ("scale", "iaf"),
    "warm_up": ("rest", "mirrored"),
    "compat": ("chip", "rockpool"),
}
