"""Adaptive leaky integrate-and-fire layer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .. import decay
from .._checks import explained, positive
from .._typing import FloatArray
from ..neurons import Firing, Hook, Reset, alif
from ..params import param
from ._leak import Leak, Leaks, Pair, make_leak, time_constants
from ._neuron import Neuron
from ._settings import optional, per_neuron, reset_potential


class ALIF(Neuron):
    r"""Leaky integrate-and-fire neurons whose threshold rises with every spike of theirs.

    Per step: isyn = alpha_syn*(isyn + x), or x without a synapse; vmem = alpha_mem*vmem +
    (1 - alpha_mem)*isyn; level = threshold + adapt_scale*adaptation; spikes = floor(vmem/level), at
    least 0 and at most `max_spikes`; vmem -= spikes*level; adaptation = alpha_adapt*adaptation +
    (1 - alpha_adapt)*spikes; vmem = max(vmem, min_vmem). `snnjax.neurons.alif` has the kernel.

    Input and output `(time, *shape)`. Sources: Bellec et al., arXiv 1803.09574; sinabs, `ALIF`.
    """

    norm_input: bool = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    leak: Leak
    adapt_scale: FloatArray
    v_reset: FloatArray | None
    min_vmem: FloatArray | None
    tau_adapt: FloatArray = param(family="taus")
    threshold: FloatArray = param(family="thresholds")

    hookable: ClassVar = ("vmem", "isyn", "adaptation")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau_mem: ArrayLike = 20e-3,
        tau_syn: ArrayLike | None = None,
        tau_adapt: ArrayLike = 100e-3,
        adapt_scale: ArrayLike = 1.8,
        threshold: ArrayLike = 1.0,
        min_vmem: ArrayLike | None = None,
        norm_input: bool = True,
        reset: Reset = "subtract",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = None,
        leak: Leaks = "taus",
        frozen: Sequence[str] = ("adapt_scale", "v_reset", "min_vmem"),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants of the membranes in seconds.
            tau_syn: time constants of the synapses in seconds; None for no synapses.
            tau_adapt: time constants of the adaptation in seconds.
            adapt_scale: how far one unit of adaptation raises the threshold.
            threshold: firing thresholds without adaptation.
            min_vmem: lower bound of vmem; None for none.
            norm_input: scale the current by 1 - alpha_mem, so that vmem settles at the current.
            reset: effect of a spike: "subtract" the threshold as it is then, "zero" goes to
                `v_reset`, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            leak: which of (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn) are
                the parameters. They start at the values that the time constants above give.
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
        self.leak = make_leak(leak, *time_constants(tau_mem, tau_syn, self.shape), dt)
        self.tau_adapt = per_neuron("tau_adapt", tau_adapt, self.shape, above=0)
        self.adapt_scale = per_neuron("adapt_scale", adapt_scale, self.shape)
        self.min_vmem = optional("min_vmem", min_vmem, self.shape)
        self.v_reset = reset_potential(v_reset, reset, self.shape)
        self.norm_input, self.dt = norm_input, dt

    def alphas(self) -> Pair:
        """Decay factors per step, alpha_mem and alpha_syn; None without synapses."""
        return self.leak.alphas(self.dt)

    def taus(self) -> Pair:
        """Time constants in seconds, tau_mem and tau_syn; None without synapses."""
        return self.leak.taus(self.dt)

    def params(self) -> alif.ALIFParams:
        alpha_mem, alpha_syn = self.alphas()
        return alif.ALIFParams(
            alpha_mem=alpha_mem,
            alpha_adapt=decay.tau_to_alpha(self.tau_adapt, self.dt),
            adapt_scale=self.adapt_scale,
            threshold=self.threshold,
            alpha_syn=alpha_syn,
            v_reset=self.v_reset,
            min_vmem=self.min_vmem,
        )

    def kernel(
        self,
        params: alif.ALIFParams,
        state: alif.ALIFState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[alif.ALIFState, FloatArray]:
        return alif.step(params, state, x, fire=fire, norm_input=self.norm_input, hook=hook)

    def rest(self) -> alif.ALIFState:
        return alif.init(self.shape, self.threshold.dtype, synapse=self.alphas()[1] is not None)
