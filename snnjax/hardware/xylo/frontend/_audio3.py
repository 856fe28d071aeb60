"""The digital front end of Xylo Audio 3: from sound, or samples of 14 bits, to event counts."""

from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from ...._checks import explained
from . import _chain, _events, _stream
from ._filters import BandPass, require_fit
from ._settings import (
    of_channels,
    require_above_zero,
    require_among,
    require_state,
    require_whole,
)
from ._sound import BITS, CLOCK, SoundState, to_samples
from ._stream import Audio3State, Audio3Trace

PerChannel: TypeAlias = int | tuple[int, ...]

COEFFICIENT_BITS = 16
REGISTER_BITS = 29

AUDIO_3_FILTERS = tuple(
    BandPass(a1=a1, a2=a2, a_shift=a_shift, b_shift=b_shift)
    for a1, a2, a_shift, b_shift in (
        (-32694, 16313, 6, 8),
        (-32663, 16284, 6, 8),
        (-32617, 16244, 7, 7),
        (-32551, 16188, 7, 7),
        (-32453, 16110, 8, 6),
        (-32305, 16000, 8, 6),
        (-32077, 15848, 9, 5),
        (-31718, 15638, 9, 5),
        (-31139, 15347, 10, 4),
        (-30185, 14947, 10, 4),
        (-28582, 14402, 10, 4),
        (-25862, 13666, 11, 3),
        (-21262, 12687, 11, 3),
        (-27375, 22803, 13, 2),
        (-4180, 19488, 13, 2),
        (25566, 15280, 14, 1),
    )
)
"""The chip's 16 bands, a third of their centres wide, from 105 Hz to 16.6 kHz."""


@explained
def audio3_filter(low: float, high: float) -> BandPass:
    """The filter of Audio 3 for the band from `low` to `high` in Hz; see `BandPass.design`."""
    return BandPass.design(low, high, CLOCK, bits=COEFFICIENT_BITS)


class Audio3(eqx.Module):
    """Audio 3's front end, integer for integer.

    Sound is resampled to the chip's clock, `CLOCK` = 48,828.125 Hz, and quantised to 14 bits; 16
    band-pass filters, divisive normalisation and integrate-and-fire neurons follow, and a step of
    the core takes the spikes of `window` clocks, at most 15. One clock:

        y = w[n-1] - w[n-3], then the next w as `BandPass` has it
        a = |y|, low = high >> k, high = high - low + a, level = max(low, eps)
        threshold = (level << b1) - (level << b2), jointly the largest of all channels
        charge += a; a spike where charge >= threshold, which then takes off threshold

    The analogue amplifier, which the chip also has, is left out: there is no exact model of it.
    Bits of a digital microphone become samples by `Decimation`. Nothing is differentiated.

    Source: Rockpool 3.1, `syns65302.afe`, whose integers these are. Rockpool starts with the
    reversed recording, once before the filters and once before the normalisation, which a chip
    cannot: `warm_up="mirrored"` does so too.

    Attributes:
        rate: samples per second of sound; None for the chip's own clock.
        scale: factor of the sound before quantisation. What reaches 1 is out of range.
        filters: up to 16 bands, one channel each.
        normalise: whether each channel's threshold follows the sound.
        joint: whether the largest of all thresholds counts for all.
        k: the mean of the sound goes over 2^k clocks.
        b1: the threshold is (2^b1 - 2^b2) times the mean, one spike in as many clocks at least.
        b2: see `b1`.
        eps: least mean that counts; what is below it fires more rarely.
        threshold: the thresholds where they are fixed.
        window: clocks per step of the core.
        warm_up: "rest", as the chip starts, or "mirrored".
    """

    rate: float | None = eqx.field(default=None, static=True)
    scale: float = eqx.field(default=1.0, static=True)
    filters: tuple[BandPass, ...] = eqx.field(default=AUDIO_3_FILTERS, static=True)
    normalise: bool | tuple[bool, ...] = eqx.field(default=True, static=True)
    joint: bool = eqx.field(default=True, static=True)
    k: PerChannel = eqx.field(default=12, static=True)
    b1: PerChannel = eqx.field(default=6, static=True)
    b2: PerChannel = eqx.field(default=0, static=True)
    eps: PerChannel = eqx.field(default=1, static=True)
    threshold: PerChannel = eqx.field(default=1 << 27, static=True)
    window: int = eqx.field(default=50, static=True)
    warm_up: Literal["rest", "mirrored"] = eqx.field(default="rest", static=True)

    @explained
    def __check_init__(self) -> None:
        _check(self)

    @property
    def dt(self) -> float:
        """Seconds per step of the core."""
        return self.window / CLOCK

    @property
    def channels(self) -> int:
        """Number of filters."""
        return len(self.filters)

    @explained
    def __call__(
        self, signal: ArrayLike, state: Audio3State | None = None, *, checked: bool = True
    ) -> tuple[Int[Array, "*batch steps channels"], Audio3State]:
        """Event counts of a whole recording, or batch of them, and the state at its end.

        The last window counts even if the recording ends within it; the state still has it open.

        Args:
            signal: sound at `rate`, floating-point numbers between -1 and 1 after `scale`, or
                samples of 14 bits at the chip's clock, integers; `(time,)` or `(batch, time)`.
            state: where to continue; rest if None.
            checked: look for values out of range inside of a program, where only running it tells
                them. Outside they are always looked for.

        Raises:
            ValueError: if `signal` is of another shape or type, or out of range, or `state` does
                not fit. Under jit what is out of range raises when the program runs.
        """
        if self.warm_up == "mirrored":
            return self._mirrored(signal, state, checked)
        events, state = self.step(signal, state, checked=checked)
        if isinstance(state.clock, jax.core.Tracer):
            return events, state
        return jnp.concatenate([events, self.flush(state)], axis=-2), state

    @explained
    def step(
        self, block: ArrayLike, state: Audio3State | None = None, *, checked: bool = True
    ) -> tuple[Int[Array, "*batch steps channels"], Audio3State]:
        """Event counts of the windows that end within a block of a stream, of any length.

        Blocks give the same integers as all of the sound at once. Inside of a program the number
        of windows that end must not hang on a value: there `block` holds whole windows of samples
        at the chip's clock.

        Args:
            block: as `signal` of a call.
            state: the state before the block; rest if None.
            checked: as of a call.

        Raises:
            ValueError: as a call does, or if `warm_up` is "mirrored", which needs the whole sound.
        """
        if self.warm_up == "mirrored":
            raise ValueError("`warm_up` is 'mirrored', which needs the whole recording at once")
        batch = np.shape(block)[:-1]
        if state is None:
            state = _stream.start(self.channels, batch)
        require_state(state, _stream.start(self.channels, batch))
        samples, sound = self._samples(block, state, checked)
        return _stream.advance(self._chip, samples, state._replace(sound=sound), checked)

    def flush(self, state: Audio3State) -> Int[Array, "*batch steps channels"]:
        """Events of the window that is still open: of one step, or of none at a window's end."""
        return _stream.flush(state)

    def initial_state(self, batch: int | None = None) -> Audio3State:
        """A chip that was just switched on, or as many as `batch`."""
        return _stream.start(self.channels, () if batch is None else (batch,))

    def trace(self, signal: ArrayLike) -> Audio3Trace:
        """Every stage of a whole recording, or batch of them, at every clock."""
        samples, _ = self._samples(signal, None, True)
        x, batch = _stream.clocks_first(samples)
        registers = _chain.rest(self.channels, x.shape[1])
        mirrored = self.warm_up == "mirrored"
        stages = _chain.run_stages(self._chip, registers, x, mirrored=mirrored)
        return Audio3Trace(samples, *(_stream.steps_last(stage, batch) for stage in stages))

    @property
    def by_channel(self) -> dict[str, tuple[int, ...]]:
        """The settings of each channel's normalisation by their names, one number for each."""
        return {name: of_channels(self, name) for name in _RANGES}

    @property
    def _chip(self) -> _chain.Chip:
        each: Any = self.by_channel
        encoder = _events.Encoder(**each, joint=self.joint)
        return _chain.Chip(self.filters, encoder, self.window)

    def _mirrored(
        self, signal: ArrayLike, state: Audio3State | None, checked: bool
    ) -> tuple[Int[Array, "*batch steps channels"], Audio3State]:
        if state is not None:
            raise ValueError("`warm_up` is 'mirrored', which starts at rest; leave `state` out")
        samples, sound = self._samples(signal, None, checked)
        x, batch = _stream.clocks_first(samples)
        registers = _chain.rest(self.channels, x.shape[1])
        made = _chain.run_mirrored(self._chip, registers, x)
        clock = np.int32(len(x) % self.window)
        events, state = _stream.results(made, batch, clock, sound)
        return jnp.concatenate([events, self.flush(state)], axis=-2), state

    def _samples(
        self, signal: ArrayLike, state: Audio3State | None, checked: bool
    ) -> tuple[Int[Array, "*batch clocks"], SoundState | None]:
        sound = None if state is None else state.sound
        return to_samples(signal, self.rate, self.scale, sound, checked)


def _check(front_end: Audio3) -> None:
    filters = front_end.filters
    if not isinstance(filters, tuple) or not 1 <= len(filters) <= len(AUDIO_3_FILTERS):
        raise ValueError(f"`filters` must be a tuple of 1 to 16 BandPass; got {filters!r}")
    require_fit(filters, inputs=BITS, coefficients=COEFFICIENT_BITS, registers=REGISTER_BITS)
    require_above_zero(front_end, "scale", *(["rate"] if front_end.rate is not None else []))
    require_whole(front_end, _RANGES)
    pairs = zip(of_channels(front_end, "b1"), of_channels(front_end, "b2"), strict=True)
    if not all(b1 > b2 for b1, b2 in pairs):
        raise ValueError(
            "`b1` must be above `b2`, so that thresholds are above 0; got "
            f"{front_end.b1} and {front_end.b2}"
        )
    if not isinstance(front_end.window, int) or front_end.window < 1:
        raise ValueError(f"`window` must be a whole number above 0; got {front_end.window!r}")
    require_among(front_end, {"warm_up": ("rest", "mirrored")})


_RANGES = {
    "k": (0, 31),
    "b1": (1, 31),
    "b2": (0, 30),
    "eps": (0, (1 << 16) - 1),
    "threshold": (1, (1 << 42) - 1),
    "normalise": (0, 1),
}
"""EPS has 16 bits and thresholds 42. No shift up to 31 takes 28 bits beyond 64."""
