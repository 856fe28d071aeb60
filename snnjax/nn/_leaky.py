"""snnTorch's leaky neurons, with the reset of a spike during the step after it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import explained
from .._typing import FloatArray
from ..neurons import Firing, Hook, Reset, leaky
from ..params import param
from ._neuron import Neuron
from ._settings import optional, per_neuron, reset_potential


class Leaky(Neuron):
    r"""Leaky integrate-and-fire neurons whose input is not decayed: snnTorch's Leaky and RLeaky.

    Per step: isyn = alpha_syn*isyn + x, or x without a synapse; vmem = alpha_mem*vmem + isyn -
    spikes_before*threshold, the reset of the last step's spikes; spikes = floor(vmem/threshold), at
    least 0 and at most `max_spikes`. `snnjax.neurons.leaky` has the kernel, and says how a reset to
    zero and one without a delay go.

    Decays are per step and have no unit; `snnjax.decay` makes them of time constants. snnTorch
    calls alpha_mem beta, and alpha_syn alpha. Input and output `(time, *shape)`. Source: snnTorch,
    `Leaky`, `RLeaky` and `Synaptic`, arXiv 2109.12894.
    """

    reset_delay: bool = eqx.field(static=True)
    v_reset: FloatArray | None
    min_vmem: FloatArray | None
    alpha_mem: FloatArray = param(family="decays")
    alpha_syn: FloatArray | None = param(family="decays")
    threshold: FloatArray = param(family="thresholds")

    hookable: ClassVar = ("vmem", "isyn")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        alpha_mem: ArrayLike,
        *,
        alpha_syn: ArrayLike | None = None,
        threshold: ArrayLike = 1.0,
        min_vmem: ArrayLike | None = None,
        reset: Reset = "subtract",
        v_reset: ArrayLike | None = None,
        reset_delay: bool = True,
        max_spikes: int | None = 1,
        frozen: Sequence[str] = ("alpha_mem", "alpha_syn", "threshold", "v_reset", "min_vmem"),
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            alpha_mem: decay factors of the membranes per step, above 0 and at most 1.
            alpha_syn: decay factors of the synapses per step, likewise; None for no synapses.
            threshold: firing thresholds.
            min_vmem: lower bound of vmem; None for none.
            reset: effect of a spike: "subtract" a threshold, "zero" goes to `v_reset`, "none".
                A delayed reset to zero takes the input of its own step with it if there are
                synapses or a recurrent connection, and only then, as in snnTorch.
            v_reset: where "zero" resets to; None is 0.
            reset_delay: reset vmem during the step after the spike, so that vmem shows the spike.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            frozen: names of the parameters that are not trained: they get no gradient. As in
                snnTorch, these are all of them by default.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        super().__init__(shape, max_spikes=max_spikes, reset=reset, frozen=frozen, **settings)
        self.threshold = per_neuron("threshold", threshold, self.shape, above=0)
        self.alpha_mem = per_neuron("alpha_mem", alpha_mem, self.shape, above=0, most=1)
        self.alpha_syn = optional("alpha_syn", alpha_syn, self.shape, above=0, most=1)
        self.min_vmem = optional("min_vmem", min_vmem, self.shape)
        self.v_reset = reset_potential(v_reset, reset, self.shape)
        self.reset_delay = reset_delay

    def params(self) -> leaky.LeakyParams:
        return leaky.LeakyParams(
            self.alpha_mem, self.threshold, self.alpha_syn, self.v_reset, self.min_vmem
        )

    def kernel(
        self,
        params: leaky.LeakyParams,
        state: leaky.LeakyState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[leaky.LeakyState, FloatArray]:
        return leaky.step(
            params,
            state,
            x,
            fire=fire,
            reset_delay=self.reset_delay,
            wipe_input=self.alpha_syn is not None or self.w_rec is not None,
            hook=hook,
        )

    def rest(self) -> leaky.LeakyState:
        return leaky.init(self.shape, self.threshold.dtype, synapse=self.alpha_syn is not None)

    def settled(self, params: leaky.LeakyParams, state: leaky.LeakyState) -> FloatArray:
        if not self.reset_delay:
            return state.vmem
        return leaky.settled(params, state, fire=self.settings)


class Synaptic(Leaky):
    """`Leaky` with a synapse, its arguments in the order of snnTorch's `Synaptic`."""

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        alpha_syn: ArrayLike,
        alpha_mem: ArrayLike,
        **settings: Any,
    ):
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            alpha_syn: decay factors of the synapses per step, above 0 and at most 1.
            alpha_mem: decay factors of the membranes per step, above 0 and at most 1.
            **settings: see `Leaky`.
        """
        super().__init__(shape, alpha_mem, alpha_syn=alpha_syn, **settings)
