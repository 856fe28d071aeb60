"""Adaptive exponential integrate-and-fire layer."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import above, explained, positive
from .._typing import FloatArray
from ..neurons import Firing, Hook, adex
from ..params import param
from ._neuron import Neuron
from ._settings import per_neuron


class AdEx(Neuron):
    r"""Adaptive exponential integrate-and-fire neurons, in millivolts and picoamperes.

    Per step: vmem += dt/tau_mem*(v_leak - vmem + delta_t*exp((vmem - v_rheo)/delta_t) +
    r*(x - adaptation)); adaptation += dt/tau_adapt*(a*(vmem - v_leak) - adaptation), with vmem
    before the step; a spike where vmem >= threshold; there, vmem = v_reset and adaptation += b.
    `snnjax.neurons.adex` has the kernel and the units. A surrogate sees vmem with v_reset at 0 and
    the threshold at 1.

    The defaults are those of the paper, cut off at v_rheo + 5*delta_t. The upswing lasts a fraction
    of a millisecond: dt = 0.1 ms follows it, 1 ms jumps over it.

    Input and output `(time, *shape)`. Source: Brette and Gerstner (2005), doi
    10.1152/jn.00686.2005.
    """

    dt: float = eqx.field(static=True)
    r: FloatArray
    a: FloatArray
    b: FloatArray
    v_leak: FloatArray
    v_rheo: FloatArray
    delta_t: FloatArray
    v_reset: FloatArray
    tau_mem: FloatArray = param(family="taus")
    tau_adapt: FloatArray = param(family="taus")
    threshold: FloatArray = param(family="thresholds", valid=(-math.inf, math.inf))

    hookable: ClassVar = ("vmem", "adaptation")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau_mem: ArrayLike = 9.37e-3,
        tau_adapt: ArrayLike = 144e-3,
        r: ArrayLike = 1 / 30,
        a: ArrayLike = 4.0,
        b: ArrayLike = 80.5,
        v_leak: ArrayLike = -70.6,
        v_rheo: ArrayLike = -50.4,
        delta_t: ArrayLike = 2.0,
        threshold: ArrayLike = -40.4,
        v_reset: ArrayLike = -70.6,
        frozen: Sequence[str] = ("r", "a", "b", "v_leak", "v_rheo", "delta_t", "v_reset"),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants of the membranes in seconds.
            tau_adapt: time constants of the adaptation in seconds.
            r: resistances in gigaohms.
            a: adaptation to vmem, in nanosiemens.
            b: adaptation to a spike, in picoamperes.
            v_leak: potentials that vmem leaks to, in millivolts.
            v_rheo: potentials at which the upswing begins, in millivolts.
            delta_t: sharpness of the upswing, in millivolts.
            threshold: potentials at which a neuron fires, in millivolts.
            v_reset: potentials after a spike, below the threshold, in millivolts.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings` but
                `max_spikes` and `reset`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        super().__init__(shape, max_spikes=1, reset="zero", frozen=frozen, **settings)
        positive("dt", dt)
        self.tau_mem = per_neuron("tau_mem", tau_mem, self.shape, above=0)
        self.tau_adapt = per_neuron("tau_adapt", tau_adapt, self.shape, above=0)
        self.r = per_neuron("r", r, self.shape)
        self.a = per_neuron("a", a, self.shape)
        self.b = per_neuron("b", b, self.shape)
        self.v_leak = per_neuron("v_leak", v_leak, self.shape)
        self.v_rheo = per_neuron("v_rheo", v_rheo, self.shape)
        self.delta_t = per_neuron("delta_t", delta_t, self.shape, above=0)
        self.threshold = per_neuron("threshold", threshold, self.shape)
        self.v_reset = per_neuron("v_reset", v_reset, self.shape)
        above("threshold", self.threshold, "v_reset", self.v_reset)
        self.dt = dt

    def params(self) -> adex.AdExParams:
        return adex.AdExParams(
            tau_mem=self.tau_mem,
            tau_adapt=self.tau_adapt,
            r=self.r,
            a=self.a,
            b=self.b,
            v_leak=self.v_leak,
            v_rheo=self.v_rheo,
            delta_t=self.delta_t,
            threshold=self.threshold,
            v_reset=self.v_reset,
        )

    def kernel(
        self,
        params: adex.AdExParams,
        state: adex.AdExState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[adex.AdExState, FloatArray]:
        return adex.step(params, state, x, dt=self.dt, fire=fire, hook=hook)

    def rest(self) -> adex.AdExState:
        return adex.init(self.v_leak, self.shape, self.threshold.dtype)
