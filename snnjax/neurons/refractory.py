r"""An absolute refractory period around any kernel that fires.

For `steps` steps after a spike the neuron cannot fire: its spike function gives 0, so nothing that
follows from spikes (reset, adaptation, recurrence) happens either. Currents go on. The membrane is
held where it is, after a reset that is still to come, or integrates on if `hold` is unset.

    blocked   = remaining > 0
    spikes    = 0 where blocked, else as the kernel says
    vmem      = as before the step where blocked and `hold`, else as the kernel says
    remaining = steps where there are spikes, else max(remaining - 1, 0)

`steps` counts time steps: a refractory period of 5 ms at dt = 1 ms is 5. Source: Norse,
`lif_refrac_step`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

from .._checks import explained
from .._typing import FloatArray, PyTree
from ._mechanics import Firing, Shape


class RefractoryState(NamedTuple):
    """The kernel's own state, and how many steps each neuron still has to wait."""

    inner: Any
    remaining: Int[Array, "..."]


@explained
def init(inner: PyTree, shape: Shape) -> RefractoryState:
    """Every neuron of `shape` ready, around the resting state `inner` of a kernel."""
    return RefractoryState(inner, jnp.zeros(shape, jnp.int32))


@explained
def step(
    kernel: Callable[..., tuple[Any, FloatArray]],
    state: RefractoryState,
    x: FloatArray,
    *,
    fire: Firing,
    steps: int | Int[Array, "..."],
    hold: bool = True,
    held: FloatArray | None = None,
) -> tuple[RefractoryState, FloatArray]:
    """One time step.

    Args:
        kernel: (state, input, fire=) -> (state, spikes), such as `functools.partial(iaf.step,
            params)`; its state has a field `vmem`.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        fire: spikes and reset. A neuron that cannot fire passes no gradient through its spikes.
        steps: number of steps after a spike during which a neuron cannot fire. An array broadcasts
            against the neurons.
        hold: hold vmem meanwhile.
        held: potentials at which vmem is held; None for those of `state`. For a delayed reset,
            those after it, as `leaky.settled` gives them.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    blocked = state.remaining > 0

    def unless_blocked(vmem: FloatArray, threshold: FloatArray, max_spikes: float, /) -> FloatArray:
        return jnp.where(blocked, 0, fire.surrogate(vmem, threshold, max_spikes))

    ready = Firing(unless_blocked, fire.max_spikes, fire.reset, fire.detach_reset)
    inner, spikes = kernel(state.inner, x, fire=ready)
    if hold:
        held = state.inner.vmem if held is None else held
        inner = inner._replace(vmem=jnp.where(blocked, held, inner.vmem))
    waiting = jnp.maximum(state.remaining - 1, 0)
    return RefractoryState(inner, jnp.where(spikes > 0, steps, waiting)), spikes
