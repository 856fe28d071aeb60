"""Izhikevich's neurons."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import above, explained, positive
from .._typing import FloatArray
from ..neurons import Firing, Hook, izhikevich
from ..params import param
from ._neuron import Neuron
from ._settings import per_neuron


class Izhikevich(Neuron):
    r"""Izhikevich's neurons: many firing patterns from two variables.

    Per step of h = 1000*dt milliseconds: vmem += h*(0.04*vmem^2 + 5*vmem + 140 - recovery + r*x);
    recovery += h*a*(b*vmem - recovery), with vmem before the step; a spike where vmem >= threshold;
    there, vmem = v_reset and recovery += d. `snnjax.neurons.izhikevich` has the kernel and the
    units. A surrogate sees vmem with v_reset at 0 and the threshold at 1.

    The defaults are regular spiking. Fast spiking: a=0.1, d=2; chattering: v_reset=-50, d=2;
    intrinsically bursting: v_reset=-55, d=4.

    Input and output `(time, *shape)`. Source: Izhikevich (2003), doi 10.1109/TNN.2003.820440.
    """

    dt: float = eqx.field(static=True)
    a: FloatArray
    b: FloatArray
    d: FloatArray
    r: FloatArray
    v_reset: FloatArray
    threshold: FloatArray = param(family="thresholds", valid=(-math.inf, math.inf))

    hookable: ClassVar = ("vmem", "recovery")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        a: ArrayLike = 0.02,
        b: ArrayLike = 0.2,
        d: ArrayLike = 8.0,
        r: ArrayLike = 1.0,
        threshold: ArrayLike = 30.0,
        v_reset: ArrayLike = -65.0,
        frozen: Sequence[str] = ("a", "b", "d", "r", "threshold", "v_reset"),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            a: rates of the recovery, in 1/ms.
            b: coupling of the recovery to vmem.
            d: rise of the recovery with each spike, in millivolts.
            r: factors on the input, which make it millivolts per millisecond.
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
        self.a = per_neuron("a", a, self.shape)
        self.b = per_neuron("b", b, self.shape)
        self.d = per_neuron("d", d, self.shape)
        self.r = per_neuron("r", r, self.shape)
        self.threshold = per_neuron("threshold", threshold, self.shape)
        self.v_reset = per_neuron("v_reset", v_reset, self.shape)
        above("threshold", self.threshold, "v_reset", self.v_reset)
        self.dt = dt

    def params(self) -> izhikevich.IzhikevichParams:
        return izhikevich.IzhikevichParams(
            self.a, self.b, self.d, self.r, self.threshold, self.v_reset
        )

    def kernel(
        self,
        params: izhikevich.IzhikevichParams,
        state: izhikevich.IzhikevichState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[izhikevich.IzhikevichState, FloatArray]:
        return izhikevich.step(params, state, x, dt=self.dt, fire=fire, hook=hook)

    def rest(self) -> izhikevich.IzhikevichState:
        return izhikevich.init(self.b, self.shape, self.threshold.dtype)
