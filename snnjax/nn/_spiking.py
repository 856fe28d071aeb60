"""What the layers of neurons that fire have in common: settings, recurrence, refractoriness."""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypedDict

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._typing import FloatArray, Key, PyTree
from ..neurons import Hook, recurrent, refractory
from ..neurons._mechanics import Reset as Reset
from ..surrogate import PiecewiseLinear, Surrogate
from ._hooks import Hooks
from ._neuron import Output
from ._population import Kernel, Population
from ._validate import InputError, array_of, choice, count, names_among, require, shape_of


class NeuronSettings(TypedDict, total=False):
    """What can be set of every layer of neurons that fire.

    Attributes:
        surrogate: spike function; `PiecewiseLinear()` if None.
        detach_reset: let no gradient through the spikes that reset vmem.
        refractory: for how many steps after a spike a neuron cannot fire.
        hold: hold vmem during that time; otherwise it goes on without firing.
        recurrent: feed the spikes of the last step back through `w_rec`.
        w_rec: recurrent weights. Dense: (N, N), source first, N neurons in all. For neurons in
            channels, a convolution: (channels, channels, height, width) of its kernel, target
            first, as in `eqx.nn.Conv2d`; the size of what it gives stays the same. If it is None
            and `recurrent` is set, it is drawn with `key` from +-sqrt(6/n), n inputs each: dense
            for neurons in a row, kernels of 3 by 3 for neurons in channels.
        output: "spikes", or "vmem" for the membrane potentials after the reset.
        key: for the recurrent weights.
    """

    surrogate: Surrogate | None
    detach_reset: bool
    refractory: int
    hold: bool
    recurrent: bool
    w_rec: ArrayLike | None
    output: Output
    key: Key | None


class SpikingNeuron(Population):
    """Neurons that fire, in a shape of any number of axes.

    Parameters are stored as they are given: a number is one parameter that all neurons share; an
    array holds one for each channel, the first axis of the shape, or one for each neuron.

    Input and output `(time, *shape)`. With a recurrent connection or a refractory period, the
    state is that of `snnjax.neurons.recurrent` or `refractory` around that of the kernel.
    """

    size: tuple[int, ...] = eqx.field(static=True)
    surrogate: Surrogate
    max_spikes: float = eqx.field(static=True)
    reset: Reset = eqx.field(static=True)
    detach_reset: bool = eqx.field(static=True)
    refractory: int = eqx.field(static=True)
    hold: bool = eqx.field(static=True)
    output: Output = eqx.field(static=True)
    frozen: tuple[str, ...] = eqx.field(static=True)
    # Not `param`: type checkers would take that for a default, which no later field may lack then.
    w_rec: FloatArray | None = eqx.field(metadata={"family": "weights"})
    on_state: Hooks | None

    @abc.abstractmethod
    def _model(self) -> Callable[..., tuple[Any, FloatArray]]:
        """The kernel's step with its parameters and own settings bound."""

    @abc.abstractmethod
    def _rest(self, dtype: jnp.dtype) -> PyTree:
        """The kernel's resting state."""

    def _held_at(self) -> Callable[[Any], FloatArray]:
        """From the kernel's state to where vmem is held while the neuron cannot fire."""
        return refractory.vmem_of

    def _settle(
        self,
        shape: int | Sequence[int],
        threshold: ArrayLike,
        *,
        max_spikes: int | None,
        reset: Reset,
        surrogate: Surrogate | None = None,
        detach_reset: bool = False,
        refractory: int = 0,
        hold: bool = True,
        recurrent: bool = False,
        w_rec: ArrayLike | None = None,
        output: Output = "spikes",
        key: Key | None = None,
        **unknown: Any,
    ) -> None:
        """Check and set what `NeuronSettings` says, and what all of these layers have."""
        for name in unknown:
            raise TypeError(f"{type(self).__name__} has no argument {name!r}")
        self.size = shape_of(shape)
        self.threshold = self._parameter("threshold", threshold, above=0)
        if max_spikes is not None:
            count("max_spikes", max_spikes)
        self.max_spikes = math.inf if max_spikes is None else max_spikes
        choice("reset", reset, ("subtract", "zero", "none"))
        choice("output", output, ("spikes", "vmem"))
        ok = isinstance(refractory, Integral) and refractory >= 0
        require(ok, "refractory", refractory, "a whole number of steps, at least 0")
        self.surrogate = PiecewiseLinear() if surrogate is None else surrogate
        if not isinstance(self.surrogate, Surrogate):
            raise TypeError(f"`surrogate` must be a Surrogate; got {surrogate!r}")
        self.reset, self.detach_reset, self.output = reset, bool(detach_reset), output
        self.refractory, self.hold = int(refractory), bool(hold)
        self.w_rec = _recurrent_weights(w_rec, recurrent, self.size, key)
        self.on_state = None

    def _freeze(self, frozen: Sequence[str]) -> None:
        """Set `frozen`, once all else is set."""
        within = vars(self.leak) if hasattr(self, "leak") else ()
        self.frozen = frozen_names(self, frozen, *within)

    def _parameter(self, name: str, value: ArrayLike, *, above: float | None = None) -> FloatArray:
        return per_neuron(name, value, self.size, above=above)

    def _optional(self, name: str, value: ArrayLike | None) -> FloatArray | None:
        return None if value is None else self._parameter(name, value)

    def _reset_to(self, v_reset: ArrayLike | None) -> FloatArray | None:
        if v_reset is not None and self.reset != "zero":
            raise ValueError(
                f"`v_reset` has no use where `reset` is {self.reset!r}; leave it out, or set "
                "`reset` to 'zero'"
            )
        return self._optional("v_reset", v_reset)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the population."""
        return self.size

    def initial_state(self) -> PyTree:
        """The resting state."""
        dtype = self._level().dtype
        state = self._rest(dtype)
        if self.refractory:
            state = refractory.init(state, self.size)
        if self.w_rec is not None:
            state = recurrent.init(state, self.size, dtype)
        return state

    def _kernel(self) -> Kernel:
        kernel = functools.partial(
            self._model(),
            max_spikes=self.max_spikes,
            reset=self.reset,
            detach_reset=self.detach_reset,
        )

        def step(
            state: PyTree, x: FloatArray, hook: Hook, w_rec: FloatArray | None
        ) -> tuple[PyTree, FloatArray]:
            one = functools.partial(kernel, hook=hook)
            if self.refractory:
                one = functools.partial(
                    refractory.step,
                    one,
                    steps=self.refractory,
                    hold=self.hold,
                    held_at=self._held_at(),
                )
            one = functools.partial(one, surrogate=self.surrogate)
            if w_rec is None:
                return one(state, x)
            return recurrent.step(one, self._connect(w_rec), state, x)

        return step

    def _connect(self, w_rec: FloatArray) -> Callable[[FloatArray], FloatArray]:
        if w_rec.ndim > 2:
            return recurrent.convolution(w_rec)
        dense = recurrent.dense(w_rec)
        return lambda y: dense(y.ravel()).reshape(self.size)

    def _weights(self) -> FloatArray | None:
        return self.w_rec

    def _fed_back(self, w_rec: FloatArray, before: PyTree) -> PyTree:
        return self._connect(w_rec)(before.output)

    def _inputs(self, x: FloatArray, key: Key | None) -> FloatArray:
        return check_input(x, self.size)

    def _level(self) -> FloatArray:
        return self.threshold


def per_neuron(
    name: str, value: ArrayLike, shape: tuple[int, ...], *, above: float | None = None
) -> FloatArray:
    """A parameter of a population: one number, one for each channel, or one for each neuron.

    Returns:
        The array, of a shape that broadcasts against the population.
    """
    array = array_of(name, value, (), shape[:1], shape, above=above)
    if array.ndim == 1 < len(shape):
        array = array.reshape(-1, *(1,) * (len(shape) - 1))
    return array


def check_input(x: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """`x`, once each step of it is known to have the shape `shape`."""
    if x.shape[1:] != shape:
        wanted = ", ".join(map(str, ("time", *shape)))
        raise InputError(f"`x` must have the shape ({wanted}); got {x.shape}")
    return x


def frozen_names(layer: eqx.Module, frozen: Sequence[str], *within: str) -> tuple[str, ...]:
    """`frozen` as a tuple, once every name in it is known to be a parameter.

    Args:
        layer: its fields are what can be frozen.
        frozen: the names.
        *within: names of the parameters inside its `leak`.
    """
    fields = [f for f in dataclasses.fields(layer) if not f.metadata.get("static", False)]
    known = [f.name for f in fields if f.name != "on_state"]
    return names_among("frozen", frozen, (*known, *within))


def _recurrent_weights(
    w_rec: ArrayLike | None, drawn: bool, shape: tuple[int, ...], key: Key | None
) -> FloatArray | None:
    neurons, channels = math.prod(shape), shape[0]
    if w_rec is not None:
        axes = jnp.ndim(w_rec)
        if axes != len(shape) + 1 or axes == 2:
            return array_of("w_rec", w_rec, (neurons, neurons))
        return array_of("w_rec", w_rec, (channels, channels, *jnp.shape(w_rec)[2:]))
    if not drawn:
        return None
    if key is None:
        raise ValueError("`key` is needed to draw `w_rec`; pass `key` or `w_rec`")
    wide = (neurons, neurons) if len(shape) == 1 else (channels, channels) + (3,) * len(shape[1:])
    bound = (6 / math.prod(wide[1:])) ** 0.5
    return jax.random.uniform(key, wide, minval=-bound, maxval=bound)
