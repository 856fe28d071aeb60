"""Settings and parameters of neurons, checked where they are given."""

import dataclasses
import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import array_of, choice, count, explained, names_among, of_kind, require
from .._typing import FloatArray, Key
from ..neurons import Firing, Reset
from ..surrogate import PiecewiseLinear, Surrogate

Output: TypeAlias = Literal["spikes", "vmem"]
"""Output of a layer of neurons: its spikes, or its membrane potentials after the reset."""


def _surrogate(value: Any) -> Surrogate:
    chosen = PiecewiseLinear() if value is None else value
    if not isinstance(chosen, Surrogate):
        raise TypeError(f"`surrogate` must be a Surrogate; got {value!r}")
    return chosen


def _max_spikes(value: Any) -> float:
    if value is None or (isinstance(value, Real) and value == math.inf):
        return math.inf
    count("max_spikes", value)
    return int(value)


def _steps(value: Any) -> int:
    ok = isinstance(value, Integral) and int(value) >= 0
    require(ok, "refractory", value, "a whole number of steps, at least 0")
    return int(value)


class Settings(Firing):
    """Settings that all layers of neurons share. Each is an argument of the layers by its name.

    A model has defaults of its own for `max_spikes`, `reset` and `frozen`.

    Attributes:
        surrogate: spike function; None is `PiecewiseLinear()`.
        max_spikes: most spikes of a neuron in one step; None is `math.inf`, for no cap.
        reset: effect of a spike on vmem: "subtract" a threshold, "zero" goes to v_reset, "none".
        detach_reset: stop the gradient through the spikes that reset vmem.
        refractory: number of steps after a spike during which a neuron cannot fire.
        hold: hold vmem during that time; otherwise it goes on without firing.
        output: "spikes", or "vmem" for the membrane potentials after the reset.
        frozen: names of the parameters that are not trained: they get no gradient.
    """

    surrogate: Surrogate = eqx.field(default=None, converter=_surrogate)
    max_spikes: float = eqx.field(default=None, converter=_max_spikes, static=True)
    refractory: int = eqx.field(default=0, converter=_steps, static=True)
    hold: bool = eqx.field(default=True, static=True)
    output: Output = eqx.field(default="spikes", static=True)
    frozen: tuple[str, ...] = eqx.field(default=(), static=True)

    def __check_init__(self) -> None:
        choice("reset", self.reset, ("subtract", "zero", "none"))
        choice("output", self.output, ("spikes", "vmem"))
        for name in ("detach_reset", "hold"):
            of_kind(name, getattr(self, name), bool)


def frozen_names(layer: eqx.Module, frozen: Sequence[str]) -> tuple[str, ...]:
    """`frozen` as a tuple, once every name in it is known to be a parameter of `layer`."""
    fields = [f.name for f in dataclasses.fields(layer) if not f.metadata.get("static", False)]
    within = [name for name in ("settings", "on_state") if name in fields]
    known = [name for name in fields if name not in within]
    known += ["surrogate"] if "settings" in within else []
    known += vars(layer.leak) if hasattr(layer, "leak") else []
    return names_among("frozen", frozen, known)


@explained
def per_neuron(
    name: str,
    value: ArrayLike,
    shape: tuple[int, ...],
    *,
    above: float | None = None,
    most: float | None = None,
) -> FloatArray:
    """A parameter of a population: one number, one for each channel, or one for each neuron.

    Returns:
        The array, of a shape that broadcasts against the population.
    """
    array = array_of(name, value, (), shape[:1], shape, above=above, most=most)
    if array.ndim == 1 < len(shape):
        array = array.reshape(-1, *(1,) * (len(shape) - 1))
    return array


@explained
def optional(
    name: str,
    value: ArrayLike | None,
    shape: tuple[int, ...],
    *,
    above: float | None = None,
    most: float | None = None,
) -> FloatArray | None:
    """`per_neuron`, or None for None."""
    return None if value is None else per_neuron(name, value, shape, above=above, most=most)


def reset_potential(
    v_reset: ArrayLike | None, reset: Reset, shape: tuple[int, ...]
) -> FloatArray | None:
    """`v_reset` as a parameter of a population that does not use it otherwise.

    Raises:
        ValueError: if it is given and nothing resets to it.
    """
    if v_reset is not None and reset != "zero":
        raise ValueError(
            f"`v_reset` has no use where `reset` is {reset!r}; leave it out, or set `reset` to "
            "'zero'"
        )
    return optional("v_reset", v_reset, shape)


def recurrent_weights(
    w_rec: ArrayLike | None,
    recurrent: bool,
    shape: tuple[int, ...],
    key: Key | None,
    synapses: int = 1,
) -> FloatArray | None:
    """Recurrent weights as given, drawn from +-sqrt(6/n) with n inputs each, or None.

    Raises:
        ValueError: if they do not fit the shape, or `key` is missing.
    """
    neurons, channels = math.prod(shape), shape[0]
    wide: tuple[int, ...]
    if w_rec is not None:
        axes = jnp.ndim(w_rec)
        if axes != len(shape) + 1 or axes == 2:
            return array_of("w_rec", w_rec, (neurons, neurons * synapses))
        return array_of("w_rec", w_rec, (channels * synapses, channels, *jnp.shape(w_rec)[2:]))
    if not recurrent:
        return None
    if key is None:
        raise ValueError("`key` is needed to draw `w_rec`; pass `key` or `w_rec`")
    if len(shape) == 1:
        wide, inputs = (neurons, neurons * synapses), neurons
    else:
        wide = (channels * synapses, channels) + (3,) * len(shape[1:])
        inputs = math.prod(wide[1:])
    bound = (6 / inputs) ** 0.5
    return jax.random.uniform(key, wide, minval=-bound, maxval=bound)
