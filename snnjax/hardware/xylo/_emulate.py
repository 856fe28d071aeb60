"""The chip's integers as a differentiable function of the network that they come from."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from ..._checks import explained
from ..._mesh import error_if, is_there as is_mesh, varying_as
from ..._typing import FloatArray
from ...nn import Chain
from .._describe import describe_trace
from .._family import is_known
from .._inputs import batch_of, in_batch, require_known_counts, require_shape, require_state
from . import _gradient
from ._arithmetic import share
from ._chips import Chip, get_chip
from ._course import Inputs, Parameters, Spiking, States, later
from ._integers import Bits, Group, Method, PerNeuron, Settings, rounded, scales, settings
from ._map_network import lay_out, require_known, warn_of_caps
from ._nodes import Node, read, readout_group
from ._simulate import SimState, registers

_OUT_OF_RANGE = (
    "`model` has a weight or bias that is not finite, a bias on a chip without, a threshold that "
    "is not above 0, or a decay that no time constant has: a factor must stay from 0 to below 1, a "
    "time constant or shift above 0. Train with a smaller rate, or hold these parameters with "
    "`frozen`"
)


class Emulation(NamedTuple):
    """Every spike and state over time: whole numbers in float32, named as in a `Trace`.

    Those of the hidden neurons, and `isyn_out`, are None unless recorded.
    """

    spikes_out: Float[Array, "*batch time outputs"]
    vmem_out: Float[Array, "*batch time outputs"]
    isyn_out: Float[Array, "*batch time outputs"] | None
    spikes: Float[Array, "*batch time hidden"] | None
    vmem: Float[Array, "*batch time hidden"] | None
    isyn: Float[Array, "*batch time hidden synapses"] | None
    state: SimState

    def __repr__(self) -> str:
        return describe_trace(self)


class _Layer(eqx.Module):
    """One population: its integers, and the indices of those that feed it and that it repeats."""

    parameters: Parameters
    spiking: Spiking
    sources: tuple[int | None, ...] = eqx.field(static=True)
    skips: tuple[int, ...] = eqx.field(static=True)


class Emulator(eqx.Module):
    """A network in the integers of a chip; `emulate` makes it. Call it with a raster.

    Attributes:
        layers: the hidden populations and the readout.
        latency: steps by which the readout lags behind that of the network.
        n_inputs: number of input channels.
        checked: look at the values of rasters.
        wrong: on a mesh, whether a parameter is out of its range; all results are then NaN.
    """

    layers: tuple[_Layer, ...]
    latency: int = eqx.field(static=True)
    n_inputs: int = eqx.field(static=True)
    checked: bool = eqx.field(static=True)
    wrong: Bool[Array, ""] | None

    @explained
    def __call__(
        self, raster: ArrayLike, *, state: SimState | None = None, record: bool = True
    ) -> Emulation:
        """Run the network.

        Args:
            raster: numbers of events, `(time, inputs)` or `(batch, time, inputs)`, whole and at
                least 0. More than 15 in a step and channel count as 15, as on the chip. Under
                `jax.jit` the values are not looked at.
            state: the state to start from, of `simulate` or of an earlier call; rest if None.
            record: keep the spikes and states of all hidden neurons over time.

        Returns:
            Spikes and states over time.

        Raises:
            ValueError: if `raster` or `state` has another shape, or known values that are none.
        """
        chip, shape = self.layers[0].spiking.chip, (self.n_inputs,)
        require_shape(raster, shape)
        if self.checked and not isinstance(raster, jax.core.Tracer):
            require_known_counts("raster", raster)
        if state is not None:
            held = registers(*self._sizes(), chip)
            require_state(state, held, batch_of(raster, shape), floats=True)
            state = jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.float32), state)
        counts = jnp.minimum(jnp.asarray(raster, jnp.float32), chip.max_spikes_in)

        def run(emulator: Emulator, counts: FloatArray, state: SimState | None) -> Emulation:
            return _gather(emulator._traces(counts, state), record)

        found = in_batch(run, self, counts, state, shape)
        return found if self.wrong is None else error_if(found, self.wrong, _OUT_OF_RANGE)

    def _sizes(self) -> tuple[int, int, int]:
        """Number of hidden neurons, their synapses, and output neurons."""
        parts = [layer.parameters.part_syn for layer in self.layers]
        *hidden, (outputs,) = [[len(part) for part in of_layer] for of_layer in parts]
        return sum(sizes[0] for sizes in hidden), max(map(len, hidden)), outputs

    def _traces(
        self, counts: Float[Array, "batch time inputs"], state: SimState | None
    ) -> list[tuple[States, States]]:
        """The first state of each population, and those after each step."""
        events = jnp.swapaxes(counts, 0, 1)
        traces: list[tuple[States, States]] = []
        before = varying_as(self._start(counts.shape[0], state), counts)
        for layer, start in zip(self.layers, before, strict=True):
            fed = [
                events if i is None else later(traces[i][1].spikes, before[i].spikes)
                for i in layer.sources
            ]
            handed = None
            if layer.skips:
                handed = jnp.minimum(
                    sum(traces[i][1].spikes for i in layer.skips), layer.spiking.cap
                )
            inputs = Inputs(jnp.concatenate(fed, axis=-1), handed, start)
            traces.append((start, _gradient.run((layer.parameters, inputs, layer.spiking))))
        return traces

    def _start(self, batch: int, state: SimState | None) -> list[States]:
        """The first state of each population."""
        parts = [layer.parameters.part_syn for layer in self.layers]
        if state is None:
            none = [tuple(jnp.zeros((batch, len(part))) for part in each) for each in parts]
            return [States(isyn, isyn[0], isyn[0]) for isyn in none]
        ends = np.cumsum([len(each[0]) for each in parts[:-1]]).tolist()
        found = []
        for each, end in zip(parts[:-1], ends, strict=True):
            own = slice(end - len(each[0]), end)
            isyn = _by_synapse(state.isyn[:, own, : len(each)])
            found.append(States(isyn, state.vmem[:, own], state.spikes[:, own]))
        out = States((state.isyn_out,), state.vmem_out, jnp.zeros_like(state.vmem_out))
        return [*found, out]


@explained
def emulate(
    model: Chain,
    *,
    chip: Chip | str = "audio3",
    method: Method = "channel",
    bits: Bits | None = None,
    checked: bool = True,
) -> Emulator:
    """Run a network as its chip will, with gradients to its parameters: train through the integers.

        def loss(model, events, labels):
            run = xylo.emulate(model, chip="audio3")
            return task_loss(run(events).spikes_out, labels)

    Going forward, `emulate(model)(raster)` is `simulate(quantize(map_network(model)), raster)` to
    the bit, with the same settings: the same whole numbers, saturation, delays, aliases, caps.
    Going backward, every rounding passes the gradient straight through, a spike has the gradient of
    its layer's surrogate at the unscaled potential, a shifted decay that of the real one down to
    the time constants, and a state that saturates passes none on. The scale of the integers is held
    in the gradient.

    The readout lags by `latency(model)` steps, as on the chip. Dropout is left out. A `jax.vmap`
    around a run gives the same, but adds up in the slow way for every sequence as soon as something
    may saturate in one of them; a batch does not.

    Args:
        model: a network that `map_network` takes.
        chip: a chip or its short name.
        method: how weights are scaled; see `quantize`.
        bits: bits of the weights; see `quantize`. An integer array to sweep over with `jax.vmap`,
            within which its value is not looked at.
        checked: look at values within `jax.jit`, and at those of known rasters. Without, a program
            can be exported.

    Returns:
        A function of a raster, `run(raster, *, state=None, record=True)`; see `Emulator`.

    Raises:
        ValueError: as `map_network` and `quantize` do.
        RuntimeError: under `jax.jit`, when the program runs, if a parameter is not finite, or
            training took a threshold or a decay out of its range. On a mesh, all results are NaN
            instead.
    """
    chip = get_chip(chip)
    how, nodes = settings(chip, method, bits, traced=True), read(model)
    warn_of_caps(nodes, chip)
    groups = [*(node.group() for node in nodes[:-1]), readout_group(nodes[-1], chip)]
    wrong = None
    if is_known(groups):
        require_known(nodes, lay_out(nodes, chip))
    elif checked:
        wrong = _out_of_range(groups, chip)
        groups = error_if(groups, wrong, _OUT_OF_RANGE)
    caps = [*[chip.max_spikes_hidden] * (len(nodes) - 1), chip.max_spikes_out]
    scale = scales(groups[:-1], groups[-1], how)
    layers = (
        _layer(i, *each, how) for i, each in enumerate(zip(nodes, groups, scale, caps, strict=True))
    )
    inputs = len(nodes[0].feeds[None])
    return Emulator(tuple(layers), nodes[-1].lag, inputs, checked, wrong if is_mesh() else None)


def _out_of_range(groups: Sequence[Group], chip: Chip) -> Bool[Array, ""]:
    """Whether a chip can hold nothing like the groups, as a compiled program sees it.

    Where values are known, `require_known` looks at all of them.
    """
    bad = [~((x >= 0) & jnp.isfinite(x)).all() for g in groups for x in (g.dash_mem, g.dash_syn)]
    bad += [~(g.threshold > 0).all() for g in groups]
    bad += [~jnp.isfinite(g.weight).all() for g in groups]
    for bias in (g.bias for g in groups if g.bias is not None):
        bad.append(~jnp.isfinite(bias).all() if chip.has_bias else (bias != 0).any())
    return jnp.stack(bad).any()


def _layer(
    index: int, node: Node, group: Group, scale: PerNeuron, cap: int, how: Settings
) -> _Layer:
    whole = rounded(group, scale, how)
    weights = _by_synapse(whole.weight * how.unit)
    own = len(group.weight) - node.size if node.recurrent else len(group.weight)
    parameters = Parameters(
        feed=tuple(weight[:own] for weight in weights),
        loop=tuple(weight[own:] for weight in weights) if node.recurrent else None,
        part_syn=_by_synapse(share(whole.dash_syn)),
        part_mem=share(whole.dash_mem),
        threshold=whole.threshold,
        bias=whole.bias,
    )
    spiking = Spiking(how.chip, cap, node.neurons.settings.surrogate, scale)
    return _Layer(parameters, spiking, tuple(i for i in node.feeds if i != index), node.skips)


def _gather(traces: list[tuple[States, States]], record: bool) -> Emulation:
    """Batch first, and the hidden populations side by side."""
    over_time = [jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), states) for _, states in traces]
    last = [
        jax.tree.map(lambda x, first: x[-1] if x.shape[0] != 0 else first, states, start)
        for start, states in traces
    ]
    out = over_time[-1]
    isyn, vmem, spikes = _side_by_side(over_time[:-1]) if record else (None, None, None)
    return Emulation(
        spikes_out=out.spikes,
        vmem_out=out.vmem,
        isyn_out=out.isyn[0] if record else None,
        spikes=spikes,
        vmem=vmem,
        isyn=isyn,
        state=SimState(*_side_by_side(last[:-1]), last[-1].isyn[0], last[-1].vmem),
    )


def _side_by_side(hidden: Sequence[States]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """isyn, vmem and spikes of all hidden neurons, synapses after neurons, as in a Spec."""
    synapses = max(len(states.isyn) for states in hidden)

    def of_all(isyn: Sequence[FloatArray]) -> FloatArray:
        spare = [jnp.zeros_like(isyn[0])] * (synapses - len(isyn))
        return jnp.stack([*isyn, *spare], axis=-1)

    return (
        jnp.concatenate([of_all(states.isyn) for states in hidden], axis=-2),
        jnp.concatenate([states.vmem for states in hidden], axis=-1),
        jnp.concatenate([states.spikes for states in hidden], axis=-1),
    )


def _by_synapse(x: FloatArray) -> tuple[FloatArray, ...]:
    """The numbers of each synapse, which are along the last axis."""
    return tuple(x[..., i] for i in range(x.shape[-1]))
