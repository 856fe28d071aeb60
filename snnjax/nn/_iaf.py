"""Integrate-and-fire layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray, Key, PyTree
from ..neurons import iaf
from ..params import param
from ._layer import Records
from ._spiking import NeuronSettings, Reset, SpikingNeuron


class IAF(SpikingNeuron):
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
        **settings: Unpack[NeuronSettings],
    ):
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            threshold: firing thresholds, one number, one per channel or one per neuron.
            min_vmem: lower bound of vmem, likewise; None for none. sinabs' default for chips is -1.
            reset: what follows a spike: "subtract" a threshold, "zero" goes to `v_reset`, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap.
            parallel: compute all time steps at once, by a cumulative sum and a running maximum. The
                spikes are the same but for rounding; see `snnjax.neurons.iaf.closed_form`.
            frozen: names of the parameters that are not trained: they get no gradient.
            **settings: see `NeuronSettings`.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, `key` is missing, or `parallel` is set with what has no closed form.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        self._settle(shape, threshold, max_spikes=max_spikes, reset=reset, **settings)
        self.min_vmem = self._optional("min_vmem", min_vmem)
        self.v_reset = self._reset_to(v_reset)
        self.parallel = parallel
        self._freeze(frozen)
        if parallel and self._sequential():
            raise ValueError(
                "`parallel` must be False: there is no closed form with "
                + ", ".join(self._sequential())
            )

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records `vmem` after the reset, `spikes` and `output`."""
        if not self.parallel or len(x) == 0 or self.on_state is not None:
            return super().evolve(x, state, key=key, record=record)
        held = self._without_frozen()
        before = self._start(x, state)
        after, spikes, vmem = iaf.closed_form(
            held.threshold, before, self._inputs(x, None), surrogate=held.surrogate
        )
        y = spikes if self.output == "spikes" else vmem
        return y, after, {"vmem": vmem, "spikes": spikes, "output": y} if record else {}

    def _sequential(self) -> list[str]:
        """The settings that make each step wait for the one before."""
        found = {
            "`max_spikes`": self.max_spikes < float("inf"),
            "`min_vmem`": self.min_vmem is not None,
            f"`reset`={self.reset!r}": self.reset != "subtract",
            "`detach_reset`": self.detach_reset,
            "`refractory`": self.refractory > 0,
            "`w_rec`": self.w_rec is not None,
        }
        return [name for name, present in found.items() if present]

    def _model(self) -> Callable[..., tuple[Any, FloatArray]]:
        params = iaf.IAFParams(self.threshold, self.v_reset, self.min_vmem)
        return functools.partial(iaf.step, params)

    def _rest(self, dtype: jnp.dtype) -> PyTree:
        return iaf.init(self.size, dtype)
