r"""Integrate-and-fire neuron: no leak, several spikes per step.

One step is, in this order:

    vmem  <- vmem + x
    spikes = min(floor(vmem/threshold), max_spikes)    where vmem >= threshold, else 0
    vmem  <- vmem - spikes * threshold                 or v_reset where there are spikes
    vmem  <- max(vmem, min_vmem)                       if there is a lower bound

Without a lower bound and without a cap, and with reset by subtraction, the spikes have a closed
form in time. The number of spikes up to step t is the highest count of whole thresholds that the
sum of all input so far has reached:

    total_t = max over s <= t of floor((vmem_0 + x_1 + ... + x_s) / threshold),  at least 0
    spikes_t = total_t - total_(t-1)

So a cumulative sum and a running maximum replace the loop. Their gradient is that of the loop, as
an associative scan. vmem and x are in the unit of the threshold. Nothing leaks, so no dt enters.
Source: sinabs, `IAF`; the closed form is our own.
"""

from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from ..surrogate import Surrogate, whole_thresholds
from ._mechanics import Firing, Hook, Shape, bounded, later, unchanged


class IAFParams(NamedTuple):
    """Parameters of a step. Each broadcasts against the neurons."""

    threshold: FloatArray
    v_reset: FloatArray | None = None
    min_vmem: FloatArray | None = None


class IAFState(NamedTuple):
    """Membrane potential after the reset and the lower bound."""

    vmem: FloatArray


@explained
def init(shape: Shape, dtype: jnp.dtype | None = None) -> IAFState:
    """The resting state: everything zero."""
    return IAFState(jnp.zeros(shape, dtype))


@explained
def step(
    params: IAFParams,
    state: IAFState,
    x: FloatArray,
    *,
    fire: Firing,
    hook: Hook = unchanged,
) -> tuple[IAFState, FloatArray]:
    """One time step.

    Args:
        params: threshold, reset potential and lower bound.
        state: the state before the step.
        x: input to each neuron, weights already applied.
        fire: spikes and reset.
        hook: transform of "vmem" before the neuron fires.

    Returns:
        The state after the step, and the number of spikes of each neuron.
    """
    vmem, spikes = fire(hook("vmem", state.vmem + x), params.threshold, params.v_reset)
    return IAFState(bounded(vmem, params.min_vmem)), spikes


@explained
def closed_form(
    threshold: FloatArray, state: IAFState, x: FloatArray, *, surrogate: Surrogate
) -> tuple[IAFState, FloatArray, FloatArray]:
    """All time steps at once: no cap, no lower bound, reset by subtraction.

    The spikes and gradients are those of `step` in a loop, but for rounding: the sums are taken in
    another order. In float32 the sum of all input so far holds 24 bits, so vmem, its remainder, is
    as precise as the last digit of the largest such sum.

    Args:
        threshold: firing thresholds, which broadcast against the neurons.
        state: the state before the first step.
        x: input to each neuron, weights already applied, time first.
        surrogate: spike function.

    Returns:
        The state after the last step; the spikes; vmem after each reset, both time first.
    """
    spikes, before = _closed_form(threshold, state.vmem, x, surrogate)
    vmem = before - spikes * threshold
    return IAFState(vmem[-1]), spikes, vmem


@eqx.filter_custom_jvp
def _closed_form(
    threshold: FloatArray, start: FloatArray, x: FloatArray, surrogate: Surrogate
) -> tuple[FloatArray, FloatArray]:
    """The spikes, and the membrane potentials that they come from."""
    received = start + jnp.cumsum(x, axis=0)
    reached = jnp.maximum(whole_thresholds(received, threshold), 0)
    total = jax.lax.cummax(reached, axis=0)
    earlier = later(total)
    return total - earlier, received - earlier * threshold


@_closed_form.def_jvp
def _closed_form_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    # With g_t = d spikes_t/d vmem_t, and own_t the part of d spikes_t that is not through vmem_t:
    #   d vmem_t = (1 - threshold*g_(t-1)) * d vmem_(t-1)
    #              + d x_t - threshold*own_(t-1) - spikes_(t-1) * d threshold
    # which is linear in d vmem, so the steps combine associatively.
    threshold, start, x, surrogate = primals
    threshold_dot, start_dot, x_dot, surrogate_dot = tangents
    spikes, vmem = _closed_form(threshold, start, x, surrogate)

    def count(vmem, threshold, surrogate):  # type: ignore[no-untyped-def]
        return surrogate(vmem, threshold, jnp.inf)

    at = (vmem, threshold, surrogate)
    none = jax.tree.map(lambda _: None, surrogate)
    _, slope = eqx.filter_jvp(count, at, (jnp.ones_like(vmem), None, none))
    _, own = eqx.filter_jvp(count, at, (None, threshold_dot, surrogate_dot))

    new = jnp.zeros_like(vmem) if x_dot is None else x_dot
    if start_dot is not None:
        new = new.at[0].add(start_dot)
    taken = jnp.zeros_like(vmem) if own is None else threshold * own
    if threshold_dot is not None:
        taken = taken + spikes * threshold_dot
    new = new - later(taken)
    vmem_dot = _linear_recurrence(later(1 - threshold * slope), new)
    spikes_dot = slope * vmem_dot if own is None else slope * vmem_dot + own
    return (spikes, vmem), (spikes_dot, vmem_dot)


_Affine: TypeAlias = tuple[FloatArray, FloatArray]
"""An affine function of a tangent: factor and summand."""


def _linear_recurrence(a: FloatArray, b: FloatArray) -> FloatArray:
    """y_t = a_t * y_(t-1) + b_t along the first axis, from 0."""

    def combine(first: _Affine, second: _Affine) -> _Affine:
        return first[0] * second[0], first[1] * second[0] + second[1]

    return jax.lax.associative_scan(combine, (a, b))[1]
