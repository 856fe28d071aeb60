"""Three parametrisations of a leak: the fields are trained, all else is derived from them."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import equinox as eqx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .. import decay
from .._checks import choice
from .._typing import FloatArray
from ..params import param
from ._settings import optional, per_neuron

Pair: TypeAlias = tuple[Float[Array, " neurons"], Float[Array, "neurons synapses"]]
"""A quantity of the membranes, and the same of the synapses: None where neurons have none."""

Leaks: TypeAlias = Literal["taus", "decays", "bitshifts"]
"""The parameters: (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn)."""


class Leak(eqx.Module):
    """The decays of the membranes and synapses of a population."""

    @abc.abstractmethod
    def taus(self, dt: float) -> Pair:
        """Time constants in seconds."""

    @abc.abstractmethod
    def alphas(self, dt: float) -> Pair:
        """Decay factors per step of `dt` seconds."""

    @abc.abstractmethod
    def dashes(self, dt: float) -> Pair:
        """Bit shifts per step of `dt` seconds, not rounded."""


class Taus(Leak):
    """Time constants in seconds are the parameters."""

    tau_mem: Float[Array, " neurons"] = param(family="taus")
    tau_syn: Float[Array, "neurons synapses"] = param(family="taus")

    def taus(self, dt: float) -> Pair:
        return self.tau_mem, self.tau_syn

    def alphas(self, dt: float) -> Pair:
        return _both(lambda tau: decay.tau_to_alpha(tau, dt), self.tau_mem, self.tau_syn)

    def dashes(self, dt: float) -> Pair:
        return _both(lambda tau: decay.tau_to_dash(tau, dt), self.tau_mem, self.tau_syn)


class Decays(Leak):
    """Decay factors per step are the parameters."""

    alpha_mem: Float[Array, " neurons"] = param(family="decays")
    alpha_syn: Float[Array, "neurons synapses"] = param(family="decays")

    def taus(self, dt: float) -> Pair:
        return _both(lambda alpha: decay.alpha_to_tau(alpha, dt), self.alpha_mem, self.alpha_syn)

    def alphas(self, dt: float) -> Pair:
        return self.alpha_mem, self.alpha_syn

    def dashes(self, dt: float) -> Pair:
        return _both(decay.alpha_to_dash, self.alpha_mem, self.alpha_syn)


class Bitshifts(Leak):
    """Bit shifts per step are the parameters. During training they need not be whole numbers."""

    dash_mem: Float[Array, " neurons"] = param(family="bitshifts")
    dash_syn: Float[Array, "neurons synapses"] = param(family="bitshifts")

    def taus(self, dt: float) -> Pair:
        return _both(lambda dash: decay.dash_to_tau(dash, dt), self.dash_mem, self.dash_syn)

    def alphas(self, dt: float) -> Pair:
        return _both(decay.dash_to_alpha, self.dash_mem, self.dash_syn)

    def dashes(self, dt: float) -> Pair:
        return self.dash_mem, self.dash_syn


LEAKS: Mapping[str, type[Leak]] = {"taus": Taus, "decays": Decays, "bitshifts": Bitshifts}
"""The parametrisations of a leak by their names."""


def time_constants(
    tau_mem: ArrayLike, tau_syn: ArrayLike | None, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray | None]:
    """Time constants in seconds of the membranes and synapses of a population, checked."""
    mem = per_neuron("tau_mem", tau_mem, shape, above=0)
    return mem, optional("tau_syn", tau_syn, shape, above=0)


def make_leak(kind: Leaks, tau_mem: FloatArray, tau_syn: Any, dt: float) -> Leak:
    """A leak with the parameters of `kind`, from time constants in seconds.

    Raises:
        ValueError: if `kind` is none of `LEAKS`.
    """
    choice("leak", kind, LEAKS)
    start = Taus(tau_mem, tau_syn)
    values = {"taus": start.taus, "decays": start.alphas, "bitshifts": start.dashes}[kind](dt)
    return LEAKS[kind](*values)


def _both(f: Callable[[FloatArray], FloatArray], mem: FloatArray, syn: Any) -> Pair:
    other: Any = None if syn is None else f(syn)
    return f(mem), other
