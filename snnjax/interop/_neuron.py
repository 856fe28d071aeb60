"""Layers of NIR's neurons, for the dialects that no layer of the zoo follows."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray
from ..neurons import Firing, Hook, Reset, bounded
from ..nn import Neuron, optional, per_neuron
from ..params import param
from ._affine import (
    Coefficients,
    Membrane,
    State,
    Synapse,
    advance,
    with_synapse,
    without_synapse,
)
from ._firing import above

Start: TypeAlias = Literal["zero", "v_reset", "v_leak"]


class NIRNeuron(Neuron):
    """NIR's neurons that fire, with the discretisation of a dialect; `_affine` has the equations.

    Attributes:
        dt: length of a step in seconds.
        membrane: discretisation of the membrane.
        synapse: discretisation of the synapse.
        strict: fire where vmem > threshold, not where vmem >= threshold.
        start: the resting potential: 0, v_reset or v_leak.
    """

    dt: float = eqx.field(static=True)
    membrane: Membrane = eqx.field(static=True)
    synapse: Synapse = eqx.field(static=True)
    strict: bool = eqx.field(static=True)
    start: Start = eqx.field(static=True)
    r: FloatArray
    v_leak: FloatArray
    v_reset: FloatArray | None
    min_vmem: FloatArray | None
    tau_mem: FloatArray | None = param(family="taus")
    tau_syn: FloatArray | None = param(family="taus")
    w_in: FloatArray | None = param(family="weights")
    threshold: FloatArray | None = param(family="thresholds")

    hookable: ClassVar = ("vmem", "isyn")

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        dt: float,
        tau_mem: ArrayLike | None = None,
        tau_syn: ArrayLike | None = None,
        r: ArrayLike = 1.0,
        v_leak: ArrayLike = 0.0,
        w_in: ArrayLike = 1.0,
        threshold: ArrayLike | None = 1.0,
        v_reset: ArrayLike | None = None,
        min_vmem: ArrayLike | None = None,
        membrane: Membrane = "euler",
        synapse: Synapse = "euler",
        strict: bool = True,
        start: Start = "zero",
        reset: Reset = "zero",
        max_spikes: float | None = 1,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        `tau_mem` None is an integrator, and `tau_syn` None has no synapse. Thresholds may have any
        sign where `max_spikes` is 1. The other arguments are the attributes, `recurrent`, `w_rec`
        and `key` of `Neuron`, and those of `Settings`.
        """
        super().__init__(shape, reset=reset, max_spikes=max_spikes, **settings)
        self.dt, self.membrane, self.synapse = dt, membrane, synapse
        self.strict, self.start = strict, start
        self.r = per_neuron("r", r, self.shape)
        self.v_leak = per_neuron("v_leak", v_leak, self.shape)
        self.v_reset = optional("v_reset", v_reset, self.shape)
        self.min_vmem = optional("min_vmem", min_vmem, self.shape)
        self.tau_mem = optional("tau_mem", tau_mem, self.shape)
        self.tau_syn = optional("tau_syn", tau_syn, self.shape)
        self.w_in = None if tau_syn is None else per_neuron("w_in", w_in, self.shape)
        self.threshold = optional("threshold", threshold, self.shape)

    def params(self) -> Coefficients:
        """The coefficients of a step."""
        if self.tau_mem is None or self.tau_syn is None or self.w_in is None:
            return without_synapse(self.dt, self.membrane, self.r, self.v_leak, self.tau_mem)
        return with_synapse(
            self.dt,
            self.membrane,
            self.synapse,
            self.r,
            self.v_leak,
            self.tau_mem,
            self.tau_syn,
            self.w_in,
        )

    def kernel(
        self, params: Coefficients, state: State, x: FloatArray, *, fire: Firing, hook: Hook
    ) -> tuple[State, FloatArray]:
        """One step."""
        vmem, isyn = advance(params, state.vmem, state.isyn, x)
        isyn = None if isyn is None else hook("isyn", isyn)
        vmem, y = self._fired(hook("vmem", vmem), fire)
        vmem = bounded(vmem, self.min_vmem)
        return State(vmem, isyn), y if self.fires else vmem

    def _fired(self, vmem: FloatArray, fire: Firing) -> tuple[FloatArray, FloatArray]:
        if self.threshold is None:
            return vmem, vmem
        threshold = above(self.threshold) if self.strict else self.threshold
        once = self.settings.max_spikes == 1
        unit = jnp.ones_like(vmem) if once else None
        return fire(vmem, threshold, self.v_reset, unit=unit)

    def rest(self) -> State:
        """The resting state: zeros, v_reset or v_leak."""
        start = {"v_reset": self.v_reset, "v_leak": self.v_leak}.get(self.start)
        vmem = jnp.full(self.shape, 0 if start is None else start, self.r.dtype)
        return State(vmem, None if self.tau_syn is None else jnp.zeros_like(vmem))


class NIRIntegrator(NIRNeuron):
    """NIR's neurons without a threshold: the output is vmem."""

    fires: ClassVar = False

    def __init__(self, shape: int | Sequence[int], *, dt: float, **settings: Any):
        """Make a layer; the arguments are those of `NIRNeuron` without a threshold."""
        super().__init__(shape, dt=dt, threshold=None, **settings)


def neuron(
    shape: Sequence[int], *, threshold: ArrayLike | None = None, **settings: Any
) -> NIRNeuron:
    """The layer for neurons with a threshold, or with none."""
    if threshold is None:
        return NIRIntegrator(shape, **settings)
    return NIRNeuron(shape, threshold=threshold, **settings)
