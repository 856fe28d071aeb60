"""snnTorch's neurons, those whose reset is not delayed as snnTorch has it."""

from typing import Any, cast

import jax
from jax.typing import ArrayLike

from .._typing import FloatArray
from ..neurons import Firing, Hook, leaky
from ..nn import Leaky, Synaptic


class LeakyAtOnce(Leaky):
    """`Leaky` as snnTorch runs it with `reset_delay=False`, which differs above two thresholds.

    While a neuron whose last reset left it above its threshold decides whether it fires again, it
    is lowered by one threshold, which it gets back afterwards:

        held   = 1 where vmem before the step would fire, else 0
        vmem  <- alpha_mem*vmem + isyn
        spikes = as of vmem - held*threshold
        vmem  <- vmem - spikes*threshold

    Source: snnTorch 1.0, `Leaky`, `RLeaky` and `Synaptic`.
    """

    def __init__(self, *given: Any, **settings: Any):
        """Make a layer; the arguments are those of `Leaky`, with `reset_delay=False`."""
        super().__init__(*given, **settings)

    def kernel(
        self,
        params: leaky.LeakyParams,
        state: leaky.LeakyState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[leaky.LeakyState, FloatArray]:
        _, ready = fire(state.vmem, params.threshold)
        held = jax.lax.stop_gradient(ready)

        def decided(
            vmem: FloatArray, threshold: FloatArray, v_reset: FloatArray | None
        ) -> tuple[FloatArray, FloatArray]:
            lowered = vmem - held * threshold
            _, spikes = fire(lowered, threshold)
            return lowered - (spikes - held) * threshold, spikes

        held_back = cast(Firing, decided)
        return leaky.step(params, state, x, fire=held_back, reset_delay=False, hook=hook)


class SynapticAtOnce(Synaptic, LeakyAtOnce):
    """`LeakyAtOnce` with a synapse, its arguments in the order of snnTorch's `Synaptic`."""

    def __init__(self, *given: Any, **settings: Any):
        """Make a layer; the arguments are those of `Synaptic`, with `reset_delay=False`."""
        super().__init__(*given, **settings)


def snntorch_neuron(
    shape: tuple[int, ...],
    alpha_mem: ArrayLike,
    *,
    alpha_syn: ArrayLike | None = None,
    reset: Any,
    reset_delay: bool,
    **settings: Any,
) -> Leaky:
    """The layer that steps as snnTorch's neuron; the arguments are those of `Leaky`."""
    settings |= {"reset": reset, "reset_delay": reset_delay}
    at_once = reset == "subtract" and not reset_delay
    if alpha_syn is None:
        return (LeakyAtOnce if at_once else Leaky)(shape, alpha_mem, **settings)
    return (SynapticAtOnce if at_once else Synaptic)(shape, alpha_syn, alpha_mem, **settings)
