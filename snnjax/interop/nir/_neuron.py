"""Layers of NIR's neurons, for the dialects that no layer of the zoo follows."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..._typing import FloatArray, Key, PyTree
from ...neurons._mechanics import Reset, after_reset, bounded
from ...nn import Layer
from ...nn._layer import Records
from ...params import param
from ...scan import scan
from ...surrogate import PiecewiseLinear, Surrogate
from ._affine import (
    Coefficients,
    Membrane,
    State,
    Synapse,
    advance,
    with_synapse,
    without_synapse,
)
from ._firing import fire_once

Start: TypeAlias = Literal["zero", "v_reset", "v_leak"]


class NIRNeuron(Layer):
    """NIR's neurons with the discretisation of a dialect; `_affine` has the equations.

    Input and output `(time, *shape)`. Without a threshold the output is vmem.

    Attributes:
        shape: shape of the population.
        dt: length of a step in seconds.
        membrane: discretisation of the membrane.
        synapse: discretisation of the synapse.
        strict: fire where vmem > threshold, not where vmem >= threshold.
        start: the resting potential: 0, v_reset or v_leak.
        max_spikes: most spikes of a neuron in one step; infinity for no cap.
        reset: effect of a spike on vmem: "subtract" a threshold, or "zero" for v_reset.
        surrogate: spike function.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    membrane: Membrane = eqx.field(static=True)
    synapse: Synapse = eqx.field(static=True)
    strict: bool = eqx.field(static=True)
    start: Start = eqx.field(static=True)
    max_spikes: float = eqx.field(static=True)
    reset: Reset = eqx.field(static=True)
    surrogate: Surrogate
    r: FloatArray
    v_leak: FloatArray
    v_reset: FloatArray | None
    min_vmem: FloatArray | None
    tau_mem: FloatArray | None = param(family="taus")
    tau_syn: FloatArray | None = param(family="taus")
    w_in: FloatArray | None = param(family="weights")
    threshold: FloatArray | None = param(family="thresholds")

    def __init__(
        self,
        shape: Sequence[int],
        *,
        dt: float,
        tau_mem: ArrayLike | None = None,
        tau_syn: ArrayLike | None = None,
        r: ArrayLike = 1.0,
        v_leak: ArrayLike = 0.0,
        w_in: ArrayLike = 1.0,
        threshold: ArrayLike | None = None,
        v_reset: ArrayLike | None = None,
        min_vmem: ArrayLike | None = None,
        membrane: Membrane = "euler",
        synapse: Synapse = "euler",
        strict: bool = True,
        start: Start = "zero",
        max_spikes: float = 1,
        reset: Reset = "zero",
        surrogate: Surrogate | None = None,
    ):
        """Make a layer; the arguments are the attributes, arrays of a shape that broadcasts.

        `tau_mem` None is an integrator, `tau_syn` None has no synapse, `threshold` None never
        fires.
        """

        def array(value: ArrayLike | None) -> FloatArray | None:
            return None if value is None else jnp.asarray(value, float)

        self.shape, self.dt = tuple(shape), dt
        self.membrane, self.synapse = membrane, synapse
        self.strict, self.start = strict, start
        self.max_spikes, self.reset = max_spikes, reset
        self.surrogate = PiecewiseLinear() if surrogate is None else surrogate
        self.r, self.v_leak = jnp.asarray(r, float), jnp.asarray(v_leak, float)
        self.v_reset, self.min_vmem = array(v_reset), array(min_vmem)
        self.tau_mem, self.tau_syn = array(tau_mem), array(tau_syn)
        self.w_in = None if tau_syn is None else array(w_in)
        self.threshold = array(threshold)

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

    def initial_state(self) -> State:
        """The resting state: zeros, or v_reset."""
        start = {"v_reset": self.v_reset, "v_leak": self.v_leak}.get(self.start)
        vmem = jnp.full(self.shape, 0 if start is None else start, self.r.dtype)
        return State(vmem, None if self.tau_syn is None else jnp.zeros_like(vmem))

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records `vmem`, `isyn`, `spikes` and `output`."""
        params = self.params()

        def step(before: State, x_t: FloatArray) -> tuple[State, FloatArray]:
            vmem, isyn = advance(params, before.vmem, before.isyn, x_t)
            threshold = self.threshold
            if threshold is None:
                return State(bounded(vmem, self.min_vmem), isyn), vmem
            spikes = self._fire(vmem, threshold)
            vmem = after_reset(vmem, spikes, threshold, reset=self.reset, v_reset=self.v_reset)
            return State(bounded(vmem, self.min_vmem), isyn), spikes

        before = self.initial_state() if state is None else state
        after, y, states = scan(step, before, x, record=record)
        if states is None:
            return y, after, {}
        found = {name: value for name, value in states._asdict().items() if value is not None}
        fired = {} if self.threshold is None else {"spikes": y}
        return y, after, {**found, **fired, "output": y}

    def _fire(self, vmem: FloatArray, threshold: FloatArray) -> FloatArray:
        if self.max_spikes == 1:
            return fire_once(vmem, threshold, self.surrogate, strict=self.strict)
        return self.surrogate(vmem, threshold, self.max_spikes)
