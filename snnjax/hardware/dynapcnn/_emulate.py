"""The chip's integers as a differentiable function of the network that they come from."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from ..._checks import explained
from ..._mesh import error_if, is_there as is_mesh, varying_as
from ..._typing import PyTree
from ...nn import Network
from ...params import stop_frozen
from .._describe import describe_trace
from .._family import is_known
from .._inputs import batch_of, in_batch, require_known_counts, require_shape, require_state
from . import _kernel
from ._chips import Chip
from ._gradient import Rules, follow
from ._map_network import lay_out
from ._quantize import discretize_layers, with_values
from ._sensor import Sensor
from ._simulate import (
    MAX_EVENTS,
    Beyond,
    SimState,
    arriving,
    beyond_of,
    gather,
    over_time,
    refuse_beyond,
    registers,
    require_synchronous,
    run_layers,
)
from ._spec import Shape, Spec

_OUT_OF_RANGE = (
    "`model` has a weight or bias that is not finite, or a threshold that is not above 0. Train "
    "with a smaller rate, or hold these parameters with `frozen`"
)


class Emulation(NamedTuple):
    """Result of an emulation, in float32, named as in a `Trace`. Tuples have an entry per layer.

    All numbers are integers. `saturated` is in int32 and has no gradient.
    """

    spikes_out: Float[Array, "*batch time out y x"]
    spikes: tuple[Float[Array, "*batch time out y x"], ...] | None
    vmem: tuple[Float[Array, "*batch time out y x"], ...] | None
    counts: tuple[Float[Array, "*batch out y x"], ...]
    arrived: tuple[Float[Array, "*batch height width"], ...]
    saturated: tuple[Int[Array, "*batch"], ...]
    state: SimState

    def __repr__(self) -> str:
        return describe_trace(self)


class Emulate(Protocol):
    """A function that runs an emulated network on a raster."""

    def __call__(
        self, raster: ArrayLike, *, state: SimState | None = None, record: bool = True
    ) -> Emulation:
        """Run the network; the arguments are those of `simulate`."""


@explained
def emulate(
    model: Network,
    *,
    chip: Chip | str = "speck2f",
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    statistics: PyTree = None,
    percentile: float | Sequence[float] = 100.0,
    checked: bool = True,
) -> Emulate:
    """Run a network as its chip will, with gradients to its parameters: train through the integers.

        def loss(model, events, labels):
            run = dynapcnn.emulate(model, chip="speck2f", input_shape=(1, 28, 28))
            return task_loss(run(events).spikes_out, labels)

    Forward, `emulate(model, ...)(raster)` equals `simulate(quantize(map_network(model, ...)),
    raster)` bit for bit, because it is the same computation: the same integers in weights, biases,
    thresholds and lower bounds, the same sums, pools and cuts to 16 bits. Backward, every rounding
    passes the gradient straight through, and a spike has the gradient of its layer's surrogate at
    the unscaled potential. A potential that is cut to 16 bits, or held at its lower bound, passes
    none. The scale of the integers is held constant in the gradient.

    `plan` makes a network of float layers whose spikes are those of the integers as long as no
    potential is cut. Here they always are, and the potentials too.

    Args:
        model: a network that `map_network` takes.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        statistics: state of the network with the running statistics of batch norms, as for
            `map_network`.
        percentile: see `quantize`.
        checked: look at values within `jax.jit`, and at those of known rasters. Without, a program
            can be exported.

    Returns:
        A function `run(raster, *, state=None, record=True)` with the arguments of `simulate`. Under
        `jax.jit` it does not look at the values of the raster, which may be floats with integer
        values.

    Raises:
        TypeError, ValueError: as `map_network` and `quantize` do.
        RuntimeError: under `jax.jit`, when the program runs, if a weight or bias is not finite, a
            threshold is not above 0, or the sum of a step is beyond 2^24. On a mesh, all results
            are NaN instead.
    """
    model = stop_frozen(model)
    laid_out, nodes = lay_out(model, chip, input_shape, sensor, statistics)
    wrong = _out_of_range(laid_out) if checked and not is_known(laid_out) else None
    mapped = laid_out if wrong is None else error_if(laid_out, wrong, _OUT_OF_RANGE)
    require_synchronous(mapped)
    found = discretize_layers(mapped, percentile, to_int=False)
    spec = with_values(mapped, found)
    layers = jax.tree.map(lambda x: x.astype(jnp.int32), spec.layers)
    integers = dataclasses.replace(spec, layers=layers)
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
        for node, values in zip(nodes, found, strict=True)
    ]

    def run(raster: ArrayLike, *, state: SimState | None = None, record: bool = True) -> Emulation:
        require_shape(raster, spec.input_shape)
        if checked and not isinstance(raster, jax.core.Tracer):
            require_known_counts("raster", raster, most=MAX_EVENTS)
        if state is not None:
            batch = batch_of(raster, spec.input_shape)
            require_state(state, registers(spec), batch, floats=True)
        events = jnp.asarray(raster, jnp.float32)

        def in_batches(
            network: tuple[Spec, Spec, list[Rules]], events: Array, state: SimState | None
        ) -> tuple[Emulation, Beyond]:
            return _run(*network, events, state, record)

        network = spec, integers, rules
        emulation, beyond = in_batch(in_batches, network, events, state, spec.input_shape)
        if wrong is not None and is_mesh():
            emulation = error_if(emulation, wrong, _OUT_OF_RANGE)
        return refuse_beyond(emulation, beyond, spec) if checked else emulation

    return run


def _out_of_range(spec: Spec) -> Bool[Array, ""]:
    """Whether a chip cannot hold the values of a spec, which `map_network` has checked if known."""
    bad = [~(core.threshold > 0).all() for core in spec.layers]
    for core in spec.layers:
        bad += [~jnp.isfinite(x).all() for x in (core.weight, core.bias) if x is not None]
    return jnp.stack(bad).any()


def _run(
    spec: Spec,
    integers: Spec,
    rules: Sequence[Rules],
    raster: Float[Array, "batch time channels height width"],
    state: SimState | None,
    record: bool,
) -> tuple[Emulation, Beyond]:
    """The courses of the simulator, layer after layer, linked by their gradients."""
    fed = arriving(spec, raster)
    exact = arriving(spec, raster.astype(jnp.int32).clip(0, MAX_EVENTS))
    start = None if state is None else jax.tree.map(lambda x: x.astype(jnp.int32), state)
    courses = run_layers(integers, exact, start, record=True)
    counts: list[Array] = []
    spikes: list[Array] = []
    vmem: list[Array] = []
    end: list[Array] = []
    for i, (core, course) in enumerate(zip(spec.layers, courses, strict=True)):
        counts.append(gather(spec, i, fed, spikes))
        before = _kernel.rest(core, fed.shape[1:2]) if state is None else state.vmem[i]
        before = varying_as(jnp.asarray(before, jnp.float32), counts[i])
        states = follow((core, counts[i], before, rules[i]), course)
        spikes.append(states.spikes)
        vmem.append(states.vmem)
        end.append(states.vmem[-1] if states.vmem.shape[0] != 0 else before)
    saturated = [course.saturated for course in courses]
    found = over_time(counts, spikes, vmem, saturated, record=record)
    return Emulation(**found, state=SimState(tuple(end))), beyond_of(courses)
