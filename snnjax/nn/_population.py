"""Layers of neurons that run a kernel step by step."""

import abc
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from .._typing import FloatArray, Key, PyTree
from ..neurons import Hook, unchanged
from ..scan import scan
from ._layer import Records
from ._neuron import Neuron

Kernel: TypeAlias = Callable[[Any, PyTree, Hook, FloatArray | None], tuple[Any, FloatArray]]
"""(state, input of one step, hook, recurrent weights) -> (state, spikes or, of an LI, vmem)."""


class Population(Neuron):
    """Neurons whose kernel is run over time.

    A layer of your own gives a kernel with its parameters bound, the inputs of the kernel over
    time, and the resting state.
    """

    @abc.abstractmethod
    def _kernel(self) -> Kernel:
        """One step, with all parameters but the recurrent weights bound."""

    @abc.abstractmethod
    def _inputs(self, x: FloatArray, key: Key | None) -> PyTree:
        """The inputs of the kernel, time first. `key` is needed where they are random.

        Raises:
            InputError: if `x` does not have the right shape.
        """

    @abc.abstractmethod
    def _level(self) -> FloatArray | None:
        """The thresholds that transforms of the states are told, if there are any."""

    def _weights(self) -> FloatArray | None:
        """The recurrent weights, if there are any."""
        return None

    def _fed_back(self, w_rec: FloatArray, before: PyTree) -> PyTree:
        """What the recurrent weights add to the inputs of a step: a pytree like them."""
        raise NotImplementedError

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records every state by name, `spikes` and `output`."""
        input_key, hook_key = (None, None) if key is None else jax.random.split(key)
        held = self._without_frozen()
        kernel, level = held._kernel(), held._level()

        def step(
            before: PyTree, now: tuple[PyTree, Key | None], w_rec: FloatArray | None = None
        ) -> tuple[PyTree, PyTree]:
            after, spikes = kernel(before, now[0], held._hook(now[1], level), w_rec)
            y = spikes if held.output == "spikes" or not held.fires else innermost(after).vmem
            return after, (y, spikes if record and held.fires else None)

        after, (y, spikes), states = scan(
            step,
            self._start(x, state),
            (held._inputs(x, input_key), self._hook_keys(len(x), hook_key)),
            record=record,
            weights=held._weights(),
            feedback=lambda w_rec, before: (held._fed_back(w_rec, before), None),
        )
        if states is None:
            return y, after, {}
        fired = {"spikes": spikes} if self.fires else {}
        return y, after, {**by_name(states), **fired, "output": y}

    def _hook_keys(self, steps: int, key: Key | None) -> Key | None:
        """A key for the transforms of each step, where there are any."""
        return None if self.on_state is None or key is None else jax.random.split(key, steps)

    def _hook(self, key: Key | None, threshold: FloatArray | None) -> Hook:
        """What a kernel calls on its states, whose axes begin with those of `shape`."""
        hooks = self.on_state
        if hooks is None:
            return unchanged

        def hook(name: str, x: FloatArray) -> FloatArray:
            own = None if key is None else jax.random.fold_in(key, self.hookable.index(name))
            level = threshold
            if level is not None:
                each = jnp.broadcast_to(level, self.shape)
                level = each.reshape(each.shape + (1,) * (x.ndim - each.ndim))
            return hooks(name, x, key=own, threshold=level)

        return hook


def innermost(state: Any) -> Any:
    """The state of a kernel, within those of what is wrapped around it."""
    while hasattr(state, "inner"):
        state = state.inner
    return state


def by_name(state: Any) -> Records:
    """The states of a kernel and of what is wrapped around it, by name."""
    found: Records = {}
    for name, value in state._asdict().items():
        if name == "inner":
            found.update(by_name(value))
        elif value is not None:
            found[name] = value
    return found
