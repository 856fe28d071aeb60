"""Leaky integrate-and-fire layer that learns its leak."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray, PyTree
from ..neurons import plif
from ..params import param
from ._spiking import NeuronSettings, Reset, SpikingNeuron


class PLIF(SpikingNeuron):
    r"""Parametric leaky integrate-and-fire neurons: the time constant is learned.

    Per step: vmem += (v_leak + x - vmem)/tau, or (v_leak - vmem)/tau + x if the input is not
    decayed, v_leak being v_reset or 0, and 1/tau = sigmoid(w) with the parameter w, so that it is
    stable whatever w becomes; spikes = floor(vmem/threshold), at least 0 and at most `max_spikes`;
    vmem = v_reset where there are spikes. tau is in steps. w belongs to no family: transforms reach
    it by its path. `snnjax.neurons.plif` has the kernel.

    Input and output `(time, *shape)`. Sources: Fang et al., arXiv 2007.05785; SpikingJelly,
    `ParametricLIFNode`.
    """

    decay_input: bool = eqx.field(static=True)
    w: FloatArray
    v_reset: FloatArray | None
    threshold: FloatArray = param(family="thresholds")

    hookable: ClassVar = ("vmem",)

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau: ArrayLike = 2.0,
        threshold: ArrayLike = 1.0,
        decay_input: bool = True,
        reset: Reset = "zero",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = 1,
        frozen: Sequence[str] = ("threshold", "v_reset"),
        **settings: Unpack[NeuronSettings],
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau: time constants that training starts from, in steps, above 1.
            threshold: firing thresholds.
            decay_input: scale the input by 1/tau too.
            reset: what follows a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to, and where vmem leaks to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            **settings: see `NeuronSettings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        self._settle(shape, threshold, max_spikes=max_spikes, reset=reset, **settings)
        self.w = plif.tau_to_w(self._parameter("tau", tau, above=1))
        self.v_reset = self._optional("v_reset", v_reset)
        self.decay_input = decay_input
        self._freeze(frozen)

    @property
    def tau(self) -> FloatArray:
        """The time constants in steps: 1/sigmoid(w)."""
        return plif.w_to_tau(self.w)

    def _model(self) -> Callable[..., tuple[Any, FloatArray]]:
        params = plif.PLIFParams(self.w, self.threshold, self.v_reset)
        return functools.partial(plif.step, params, decay_input=self.decay_input)

    def _rest(self, dtype: jnp.dtype) -> PyTree:
        return plif.init(self.size, dtype)
