"""A network that listens: sound comes in blocks, answers go out step by step."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._checks import explained
from .._typing import FloatArray, PyTree
from ..datasets import MelEvents
from ..hardware import xylo
from ..hardware.xylo.frontend import Audio3
from ..nn import Network


class Heard(NamedTuple):
    """The result of one step of a stream.

    Attributes:
        counts: event counts that went into the network.
        spikes: spikes of its readout.
        totals: spikes of the readout that count for the answer.
        answer: the class with most of them, the first of them on a tie.
    """

    counts: Float[np.ndarray, " bands"]
    spikes: Float[np.ndarray, " classes"]
    totals: Float[np.ndarray, " classes"]
    answer: int


@explained
def listen(
    blocks: Iterable[Float[np.ndarray, " samples"]],
    front: MelEvents | Audio3,
    network: Network | xylo.Spec,
    *,
    late: int = 0,
    memory: int | None = None,
) -> Iterator[Heard]:
    """Feed sound to a network as it comes: as soon as a step's samples are there, so is its answer.

    A recording gives what it gives as a whole: the same event counts and, in the simulator, the
    same spikes, to the bit. So does a network in floating-point numbers whose sums are exact, such
    as one with `quant.Int(scale="power_of_two")` for its weights; see `Layer.step`.

    Args:
        blocks: samples from -1 to 1 at the front end's rate, in blocks of any size, as a sound card
            gives them. What does not fill a step waits for the next block.
        front: makes events of sound: `MelEvents`, whose `gain` must be "running", or a chip's own.
            The last step of `Audio3` counts even if the sound ends within it.
        network: a network, which runs without dropout, or the integers of one.
        late: steps by which the integers lag, `xylo.latency(model)`. The first of the readout's
            steps do not count, and as many silent ones follow the last block.
        memory: steps whose spikes count for the answer, the latest ones; None for all.

    Yields:
        What each step gave.

    Raises:
        ValueError: if a block is not of one channel, or not of finite floating-point numbers, if
            `memory` is not above 0 or `late` below 0, or if the front end, network or integers
            refuse what they are given.
    """
    if memory is not None and memory < 1:
        raise ValueError(f"`memory` must be above 0; got {memory}")
    if late < 0:
        raise ValueError(f"`late` must be at least 0; got {late}")
    state: PyTree
    if isinstance(network, xylo.Spec):
        # Nothing is run: the values are checked, once, and the state is that at rest.
        state = xylo.simulate(network, np.zeros((0, network.n_inputs), np.int32)).state
    else:
        state = network.initial_state()
    network = eqx.nn.inference_mode(network)
    counted: deque[np.ndarray] = deque(maxlen=memory)
    totals: Any = 0
    for step, counts in enumerate(_events(blocks, front, late)):
        out, state = _advance(network, counts, state)
        spikes = np.asarray(out)
        heard = spikes if step >= late else np.zeros_like(spikes)
        gone = counted[0] if len(counted) == memory else 0
        counted.append(heard)
        totals = totals + heard - gone
        yield Heard(np.asarray(counts), spikes, totals, int(totals.argmax()))


def _events(
    blocks: Iterable[np.ndarray], front: MelEvents | Audio3, silent: int
) -> Iterator[FloatArray]:
    state: Any = front.initial_state()
    if isinstance(front, Audio3):
        channels = front.channels
        for block in _checked(blocks):
            events, state = front.step(block, state)
            yield from events.astype(float)
        yield from front.flush(state).astype(float)
    else:
        channels = front.bands
        for samples in _hops(_checked(blocks), front.hop):
            counts, state = front.step(jnp.asarray(samples), state)
            yield counts
    for _ in range(silent):
        yield jnp.zeros(channels)


def _checked(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in map(np.asarray, blocks):
        if block.ndim != 1 or not np.issubdtype(block.dtype, np.floating):
            raise ValueError(
                "`blocks` must be of one channel, (samples,), in floating-point numbers from -1 to "
                f"1; got {block.dtype} of the shape {block.shape}"
            )
        if not np.isfinite(block).all():
            # One of them would stay in the automatic gain for good.
            raise ValueError("`blocks` must hold finite samples; got NaN or infinity")
        yield block.astype(np.float32)


def _hops(blocks: Iterable[np.ndarray], hop: int) -> Iterator[np.ndarray]:
    """Blocks of any size, cut into hops; what does not fill the last one is left out."""
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        whole = len(waiting) // hop * hop
        yield from waiting[:whole].reshape(-1, hop)
        waiting = waiting[whole:]


@eqx.filter_jit
def _advance(
    network: Network | xylo.Spec, counts: FloatArray, state: PyTree
) -> tuple[FloatArray, PyTree]:
    if isinstance(network, xylo.Spec):
        trace = xylo.simulate(network, counts[None].astype(jnp.int32), state=state)
        return trace.spikes_out[0].astype(counts.dtype), trace.state
    return network.step(counts, state)
