"""Leaky integrate-and-fire layers stepped by forward Euler, as NIR defines them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray, PyTree
from ..neurons import cubalif, lif_euler
from ..params import param
from ._spiking import NeuronSettings, Reset, SpikingNeuron
from ._validate import positive


class LIFEuler(SpikingNeuron):
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
        **settings: Unpack[NeuronSettings],
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants in seconds. Euler's steps are stable for dt < 2*tau_mem.
            r: resistances.
            v_leak: potentials that vmem leaks to.
            threshold: firing thresholds.
            reset: what follows a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: see `NeuronSettings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        positive("dt", dt)
        self._settle(shape, threshold, max_spikes=max_spikes, reset=reset, **settings)
        self.tau_mem = self._parameter("tau_mem", tau_mem, above=0)
        self.r = self._parameter("r", r)
        self.v_leak = self._parameter("v_leak", v_leak)
        self.v_reset = self._reset_to(v_reset)
        self.dt = dt
        self._freeze(frozen)

    def _model(self) -> Callable[..., tuple[Any, FloatArray]]:
        params = lif_euler.LIFEulerParams(
            self.tau_mem, self.r, self.v_leak, self.threshold, self.v_reset
        )
        return functools.partial(lif_euler.step, params, dt=self.dt)

    def _rest(self, dtype: jnp.dtype) -> PyTree:
        return lif_euler.init(self.size, dtype)


class CubaLIF(SpikingNeuron):
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
        **settings: Unpack[NeuronSettings],
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
            reset: what follows a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: see `NeuronSettings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        positive("dt", dt)
        self._settle(shape, threshold, max_spikes=max_spikes, reset=reset, **settings)
        self.tau_mem = self._parameter("tau_mem", tau_mem, above=0)
        self.tau_syn = self._parameter("tau_syn", tau_syn, above=0)
        self.r = self._parameter("r", r)
        self.v_leak = self._parameter("v_leak", v_leak)
        self.w_in = self._parameter("w_in", w_in)
        self.v_reset = self._reset_to(v_reset)
        self.dt = dt
        self._freeze(frozen)

    def _model(self) -> Callable[..., tuple[Any, FloatArray]]:
        params = cubalif.CubaLIFParams(
            self.tau_mem,
            self.tau_syn,
            self.r,
            self.v_leak,
            self.threshold,
            self.w_in,
            self.v_reset,
        )
        return functools.partial(cubalif.step, params, dt=self.dt)

    def _rest(self, dtype: jnp.dtype) -> PyTree:
        return cubalif.init(self.size, dtype)
