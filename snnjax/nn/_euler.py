"""Leaky integrate-and-fire layers stepped by forward Euler, as NIR defines them."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import explained, positive
from .._typing import FloatArray
from ..neurons import Firing, Hook, Reset, cubalif, lif_euler
from ..params import param
from ._neuron import Neuron
from ._settings import per_neuron, reset_potential


class LIFEuler(Neuron):
    r"""Leaky integrate-and-fire neurons stepped by forward Euler: NIR's LIF.

    Per step: vmem += dt/tau_mem*(v_leak - vmem + r*x); spikes = floor(vmem/threshold), at least 0
    and at most `max_spikes`; vmem = v_reset where there are spikes. `snnjax.neurons.lif_euler` has
    the kernel.

    Input and output `(time, *shape)`. Source: NIR, `LIF`, arXiv 2311.14641.
    """

    dt: float = eqx.field(static=True)
    r: FloatArray
    v_leak: FloatArray
    v_reset: FloatArray | None
    tau_mem: FloatArray = param(family="taus")
    threshold: FloatArray = param(family="thresholds")

    hookable: ClassVar = ("vmem",)

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau_mem: ArrayLike = 20e-3,
        r: ArrayLike = 1.0,
        v_leak: ArrayLike = 0.0,
        threshold: ArrayLike = 1.0,
        reset: Reset = "zero",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = 1,
        frozen: Sequence[str] = ("r", "v_leak", "v_reset"),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants in seconds. Euler's steps are stable for dt < 2*tau_mem.
            r: resistances.
            v_leak: potentials that vmem leaks to.
            threshold: firing thresholds.
            reset: effect of a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        positive("dt", dt)
        super().__init__(shape, max_spikes=max_spikes, reset=reset, frozen=frozen, **settings)
        self.threshold = per_neuron("threshold", threshold, self.shape, above=0)
        self.tau_mem = per_neuron("tau_mem", tau_mem, self.shape, above=0)
        self.r = per_neuron("r", r, self.shape)
        self.v_leak = per_neuron("v_leak", v_leak, self.shape)
        self.v_reset = reset_potential(v_reset, reset, self.shape)
        self.dt = dt

    def params(self) -> lif_euler.LIFEulerParams:
        return lif_euler.LIFEulerParams(
            self.tau_mem, self.r, self.v_leak, self.threshold, self.v_reset
        )

    def kernel(
        self,
        params: lif_euler.LIFEulerParams,
        state: lif_euler.LIFEulerState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[lif_euler.LIFEulerState, FloatArray]:
        return lif_euler.step(params, state, x, dt=self.dt, fire=fire, hook=hook)

    def rest(self) -> lif_euler.LIFEulerState:
        return lif_euler.init(self.shape, self.threshold.dtype)


class CubaLIF(Neuron):
    r"""Current-based leaky integrate-and-fire neurons stepped by forward Euler: NIR's CubaLIF.

    Per step: isyn += dt/tau_syn*(w_in*x - isyn); vmem += dt/tau_mem*(v_leak - vmem + r*isyn), with
    the new isyn; spikes = floor(vmem/threshold), at least 0 and at most `max_spikes`; vmem =
    v_reset where there are spikes. `snnjax.neurons.cubalif` has the kernel.

    Input and output `(time, *shape)`. Sources: NIR, `CubaLIF`, arXiv 2311.14641; Norse, `LIF`,
    which is this with w_in = tau_syn/dt.
    """

    dt: float = eqx.field(static=True)
    r: FloatArray
    v_leak: FloatArray
    v_reset: FloatArray | None
    tau_mem: FloatArray = param(family="taus")
    tau_syn: FloatArray = param(family="taus")
    threshold: FloatArray = param(family="thresholds")
    w_in: FloatArray = param(family="weights")

    hookable: ClassVar = ("vmem", "isyn")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau_mem: ArrayLike = 20e-3,
        tau_syn: ArrayLike = 10e-3,
        r: ArrayLike = 1.0,
        v_leak: ArrayLike = 0.0,
        threshold: ArrayLike = 1.0,
        w_in: ArrayLike = 1.0,
        reset: Reset = "zero",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = 1,
        frozen: Sequence[str] = ("r", "v_leak", "w_in", "v_reset"),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants of the membranes in seconds. Euler's steps are stable for
                dt < 2*tau_mem.
            tau_syn: time constants of the synapses in seconds, likewise.
            r: resistances.
            v_leak: potentials that vmem leaks to.
            threshold: firing thresholds.
            w_in: factors on the input.
            reset: effect of a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        positive("dt", dt)
        super().__init__(shape, max_spikes=max_spikes, reset=reset, frozen=frozen, **settings)
        self.threshold = per_neuron("threshold", threshold, self.shape, above=0)
        self.tau_mem = per_neuron("tau_mem", tau_mem, self.shape, above=0)
        self.tau_syn = per_neuron("tau_syn", tau_syn, self.shape, above=0)
        self.r = per_neuron("r", r, self.shape)
        self.v_leak = per_neuron("v_leak", v_leak, self.shape)
        self.w_in = per_neuron("w_in", w_in, self.shape)
        self.v_reset = reset_potential(v_reset, reset, self.shape)
        self.dt = dt

    def params(self) -> cubalif.CubaLIFParams:
        return cubalif.CubaLIFParams(
            tau_mem=self.tau_mem,
            tau_syn=self.tau_syn,
            r=self.r,
            v_leak=self.v_leak,
            threshold=self.threshold,
            w_in=self.w_in,
            v_reset=self.v_reset,
        )

    def kernel(
        self,
        params: cubalif.CubaLIFParams,
        state: cubalif.CubaLIFState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[cubalif.CubaLIFState, FloatArray]:
        return cubalif.step(params, state, x, dt=self.dt, fire=fire, hook=hook)

    def rest(self) -> cubalif.CubaLIFState:
        return cubalif.init(self.shape, self.threshold.dtype)
