"""The chip's integers as a differentiable function of the network that they come from."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ..._typing import PyTree
from ...nn import Network
from ...params import stop_frozen
from ._chips import SPECK_2F, Chip
from ._graph import read
from ._raster import require_counts, require_shape
from ._sensor import Sensor
from ._through import Rules, follow, in_integers
from .map import map_network
from .quantize import discretize_layers, with_values
from .simulate import arriving, gather, over_time, run_layers
from .spec import Shape, Spec

_OUT_OF_RANGE = (
    "`model` has a weight or bias that is not finite, or a threshold that is not above 0. Train "
    "with a smaller rate, or hold these parameters with `frozen`"
)


class Emulation(NamedTuple):
    """What a network did, in float32, named as in a `Trace`. Tuples have an entry for each layer.

    All numbers are whole. `saturated` is in int32 and has no gradient.
    """

    spikes_out: Float[Array, "*batch time out y x"]
    spikes: tuple[Float[Array, "*batch time out y x"], ...]
    vmem: tuple[Float[Array, "*batch time out y x"], ...]
    counts: tuple[Float[Array, "*batch out y x"], ...]
    arrived: tuple[Float[Array, "*batch height width"], ...]
    saturated: tuple[Int[Array, "*batch"], ...]


def emulate(
    model: Network,
    chip: Chip | str = SPECK_2F,
    *,
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    state: PyTree = None,
    percentile: float | Sequence[float] = 100.0,
) -> Callable[[ArrayLike], Emulation]:
    """Run a network as its chip will, with gradients to its parameters: train through the integers.

        def loss(model, events, labels):
            run = dynapcnn.emulate(model, "speck2f", input_shape=(1, 28, 28))
            return task_loss(run(events).spikes_out, labels)

    Going forward, `emulate(model, ...)(raster)` is `simulate(quantize(map_network(model, ...)),
    raster)` to the bit, because that is what runs: the same integers in weights, biases, thresholds
    and lower bounds, the same sums, pools and cuts to 16 bits. Going backward, every rounding
    passes the gradient straight through, and a spike has the gradient of its layer's surrogate at
    the unscaled potential. A potential that is cut to 16 bits, or held at its lower bound, passes
    none on. The scale of the integers is held in the gradient.

    `plan` makes a network of float layers whose spikes are those of the integers as long as no
    potential is cut. Here they always are, the potentials too.

    Args:
        model: what `map_network` takes.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        state: that of the network, for the running statistics of batch norms, which are folded.
            Membrane potentials in it are those that the chip starts with; leave them out by
            `snnjax.nn.statistics(state)`.
        percentile: see `quantize`.

    Returns:
        A function of numbers of events, as `simulate` takes them, `(time, channels, height, width)`
        or with a batch before that. Under `jax.jit` its values are not looked at, and may be floats
        with whole values; otherwise what is no number of events is a ValueError, as is another
        shape.

    Raises:
        TypeError, ValueError: as `map_network` and `quantize` do.
        RuntimeError: under `jax.jit`, when the program runs, if a weight or bias is not finite, or
            a threshold is not above 0.
    """
    model = stop_frozen(model)
    mapped = _require_values(
        map_network(model, chip, input_shape=input_shape, sensor=sensor, state=state)
    )
    found = discretize_layers(mapped, percentile, to_int=False)
    spec = with_values(mapped, found)
    integers = dataclasses.replace(spec, layers=tuple(map(in_integers, spec.layers)))
    rules = [
        Rules(
            surrogate=node.neurons.settings.surrogate,
            scale=values.scale,
            size=node.neurons.shape,
            reset=node.neurons.settings.reset,
            detach_reset=node.neurons.settings.detach_reset,
            max_spikes=node.neurons.settings.max_spikes,
            state_bits=spec.chip.state_bits,
        )
        for node, values in zip(read(model, spec.fed_shape, state), found, strict=True)
    ]

    def run(raster: ArrayLike) -> Emulation:
        require_shape(raster, spec)
        if not isinstance(raster, jax.core.Tracer):
            require_counts("raster", np.asarray(raster))
        events = jnp.asarray(raster, jnp.float32)
        if events.ndim == 5:
            return _run(spec, integers, rules, events)
        return jax.tree.map(lambda x: x[0], _run(spec, integers, rules, events[None]))

    return run


def _require_values(spec: Spec) -> Spec:
    """The spec, once a program that is compiled has seen that a chip can hold something like it.

    Where values are known, `map_network` has looked at all of them.
    """
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(spec)):
        return spec
    bad = [~(core.threshold > 0).all() for core in spec.layers]
    for core in spec.layers:
        bad += [~jnp.isfinite(x).all() for x in (core.weight, core.bias) if x is not None]
    return eqx.error_if(spec, jnp.stack(bad).any(), _OUT_OF_RANGE)


def _run(
    spec: Spec,
    integers: Spec,
    rules: Sequence[Rules],
    raster: Float[Array, "batch time channels height width"],
) -> Emulation:
    """Layer after layer what the simulator finds, linked by its gradients."""
    fed = arriving(spec, raster)
    exact = arriving(spec, raster.astype(jnp.int32))
    courses = run_layers(integers, exact, None, record=True)
    counts: list[Array] = []
    spikes: list[Array] = []
    vmem: list[Array] = []
    for i, (core, course) in enumerate(zip(spec.layers, courses, strict=True)):
        counts.append(gather(spec, i, fed, spikes))
        states = follow((core, counts[i], rules[i]), course)
        spikes.append(states.spikes)
        vmem.append(states.vmem)
    saturated = [course.saturated for course in courses]
    return Emulation(**over_time(counts, spikes, vmem, saturated))
