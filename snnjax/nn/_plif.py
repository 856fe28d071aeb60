"""Leaky integrate-and-fire layer that learns its leak."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import explained
from .._typing import FloatArray
from ..neurons import Firing, Hook, Reset, plif
from ..params import param
from ._neuron import Neuron
from ._settings import optional, per_neuron


class PLIF(Neuron):
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

    @explained
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
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau: time constants that training starts from, in steps, above 1.
            threshold: firing thresholds.
            decay_input: scale the input by 1/tau too.
            reset: effect of a spike: "zero" goes to `v_reset`, "subtract" a threshold, "none".
            v_reset: where "zero" resets to, and where vmem leaks to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        super().__init__(shape, max_spikes=max_spikes, reset=reset, frozen=frozen, **settings)
        self.threshold = per_neuron("threshold", threshold, self.shape, above=0)
        self.w = plif.tau_to_w(per_neuron("tau", tau, self.shape, above=1))
        self.v_reset = optional("v_reset", v_reset, self.shape)
        self.decay_input = decay_input

    @property
    def tau(self) -> FloatArray:
        """The time constants in steps: 1/sigmoid(w)."""
        return plif.w_to_tau(self.w)

    def params(self) -> plif.PLIFParams:
        return plif.PLIFParams(self.w, self.threshold, self.v_reset)

    def kernel(
        self,
        params: plif.PLIFParams,
        state: plif.PLIFState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[plif.PLIFState, FloatArray]:
        return plif.step(params, state, x, fire=fire, decay_input=self.decay_input, hook=hook)

    def rest(self) -> plif.PLIFState:
        return plif.init(self.shape, self.threshold.dtype)
