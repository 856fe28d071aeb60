"""Integrate-and-fire layer."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import explained
from .._typing import FloatArray, Key, PyTree
from ..neurons import Firing, Hook, Reset, iaf
from ..params import param, stop_frozen
from ._layer import Records, check_input, start_of
from ._neuron import Neuron
from ._settings import optional, per_neuron, reset_potential


class IAF(Neuron):
    r"""Integrate-and-fire neurons without a leak, several spikes per step.

    Per step: vmem += x; spikes = floor(vmem/threshold), at least 0 and at most `max_spikes`; vmem
    -= spikes*threshold, or v_reset where there are spikes; vmem = max(vmem, min_vmem).
    `snnjax.neurons.iaf` has the kernel.

    Input and output `(time, *shape)`. Source: sinabs, `IAF`.
    """

    v_reset: FloatArray | None
    min_vmem: FloatArray | None
    parallel: bool = eqx.field(static=True)
    threshold: FloatArray = param(family="thresholds")

    hookable: ClassVar = ("vmem",)

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        threshold: ArrayLike = 1.0,
        min_vmem: ArrayLike | None = None,
        reset: Reset = "subtract",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = None,
        parallel: bool = False,
        frozen: Sequence[str] = ("v_reset", "min_vmem"),
        **settings: Any,
    ):
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            threshold: firing thresholds, one number, one per channel or one per neuron.
            min_vmem: lower bound of vmem, likewise; None for none. sinabs' default for chips is -1.
            reset: effect of a spike: "subtract" a threshold, "zero" goes to `v_reset`, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            parallel: compute all time steps at once, by a cumulative sum and a running maximum. The
                spikes are the same but for rounding; see `snnjax.neurons.iaf.closed_form`.
            frozen: names of the parameters that are not trained: they get no gradient.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, `key` is missing, or `parallel` is set together with
                settings that have no closed form.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        super().__init__(shape, max_spikes=max_spikes, reset=reset, frozen=frozen, **settings)
        self.threshold = per_neuron("threshold", threshold, self.shape, above=0)
        self.min_vmem = optional("min_vmem", min_vmem, self.shape)
        self.v_reset = reset_potential(v_reset, reset, self.shape)
        self.parallel = parallel
        if parallel and (found := _sequential(self)):
            raise ValueError(
                f"`parallel` must be False: there is no closed form with {', '.join(found)}"
            )

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records `vmem` after the reset, `spikes` and `output`."""
        if not self.parallel or x.shape[0] == 0 or self.on_state is not None:
            return super().evolve(x, state, key=key, record=record)
        held = stop_frozen(self)
        before = start_of(self, x, state)
        after, spikes, vmem = iaf.closed_form(
            held.threshold, before, check_input(x, self.shape), surrogate=held.settings.surrogate
        )
        y = spikes if self.settings.output == "spikes" else vmem
        return y, after, {"vmem": vmem, "spikes": spikes, "output": y} if record else {}

    def params(self) -> iaf.IAFParams:
        return iaf.IAFParams(self.threshold, self.v_reset, self.min_vmem)

    def kernel(
        self,
        params: iaf.IAFParams,
        state: iaf.IAFState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[iaf.IAFState, FloatArray]:
        return iaf.step(params, state, x, fire=fire, hook=hook)

    def rest(self) -> iaf.IAFState:
        return iaf.init(self.shape, self.threshold.dtype)


def _sequential(layer: IAF) -> list[str]:
    """The settings that make each step wait for the one before."""
    settings = layer.settings
    found = {
        "`max_spikes`": settings.max_spikes < math.inf,
        "`min_vmem`": layer.min_vmem is not None,
        f"`reset`={settings.reset!r}": settings.reset != "subtract",
        "`detach_reset`": settings.detach_reset,
        "`refractory`": settings.refractory > 0,
        "`w_rec`": layer.w_rec is not None,
    }
    return [name for name, present in found.items() if present]
