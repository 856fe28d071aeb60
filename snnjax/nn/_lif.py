"""Leaky integrate-and-fire layer."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .._checks import InputError, array_of, count, explained, positive, require
from .._typing import FloatArray, Key
from ..neurons import Firing, Hook, Reset, lif
from ..params import param
from ._leak import Leak, Leaks, Pair, make_leak
from ._neuron import Neuron
from ._settings import reset_potential


class LIF(Neuron):
    r"""Leaky integrate-and-fire neurons with exponential synapses and, if wanted, recurrence.

    Per step: isyn += x + spikes_before @ w_rec; vmem *= alpha_mem; isyn *= alpha_syn;
    vmem += sum of isyn + bias + noise_std*sqrt(dt)*normal; spikes = floor(vmem/threshold), at least
    0 and at most `max_spikes`; vmem -= spikes*threshold, or v_reset where there are spikes.
    `snnjax.neurons.lif` has the kernel.

    Unlike in other layers, every neuron has parameters of its own, also where one number is given.

    Input `(time, *shape, synapses)`; with one synapse, also `(time, *shape)`; of neurons in a row,
    also `(time, neurons * synapses)`, the synapses of a neuron side by side. Output
    `(time, *shape)`.
    Source: Rockpool, `LIFTorch`.
    """

    synapses: int = eqx.field(static=True)
    noise_std: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    leak: Leak
    v_reset: FloatArray | None
    threshold: Float[Array, "*shape"] = param(family="thresholds")
    bias: Float[Array, "*shape"] | None = param(family="biases")

    hookable: ClassVar = ("vmem", "isyn")

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        synapses: int = 1,
        tau_mem: ArrayLike = 20e-3,
        tau_syn: ArrayLike = 20e-3,
        threshold: ArrayLike = 1.0,
        bias: ArrayLike | None = 0.0,
        reset: Reset = "subtract",
        v_reset: ArrayLike | None = None,
        max_spikes: int | None = 31,
        leak: Leaks = "taus",
        noise_std: float = 0.0,
        frozen: Sequence[str] = ("v_reset",),
        dt: float = 1e-3,
        **settings: Any,
    ):
        """Make a layer. Parameters are one number or one per neuron, of the shape `shape`.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            synapses: synapses per neuron, S, each with a time constant of its own.
            tau_mem: time constants of the membranes in seconds.
            tau_syn: time constants of the synapses in seconds, one number or (*shape, S); the last
                axis may be left out if S = 1.
            threshold: firing thresholds.
            bias: added to vmem at every step; None for no biases.
            reset: effect of a spike: "subtract" a threshold, "zero" goes to `v_reset`, "none".
            v_reset: where "zero" resets to; None is 0.
            max_spikes: most spikes of a neuron in one step; None for no cap. A hidden neuron of
                Xylo emits up to 31.
            leak: which of (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn) are
                the parameters. They start at the values that the time constants above give.
            noise_std: standard deviation of membrane noise, per square root of a second.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.
            **settings: `recurrent`, `w_rec` and `key` of `Neuron`, and those of `Settings`. The
                inputs that `w_rec` feeds are all synapses, (N, N*S), the synapses of a neuron side
                by side.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        count("synapses", synapses)
        super().__init__(
            shape,
            synapses=synapses,
            max_spikes=max_spikes,
            reset=reset,
            frozen=frozen,
            **settings,
        )
        shape = self.shape
        positive("dt", dt)
        require(noise_std >= 0, "noise_std", noise_std, "a number of at least 0")
        syn_shapes = ((*shape, 1), shape) if synapses == 1 else ((*shape, synapses),)
        tau_mem = array_of("tau_mem", tau_mem, shape, above=0)
        tau_syn = array_of("tau_syn", tau_syn, *syn_shapes, above=0)
        self.leak = make_leak(leak, tau_mem, tau_syn.reshape(*shape, synapses), dt)
        self.threshold = array_of("threshold", threshold, shape, above=0)
        self.bias = None if bias is None else array_of("bias", bias, shape)
        to = reset_potential(v_reset, reset, shape)
        self.v_reset = None if to is None else jnp.broadcast_to(to, shape)
        self.synapses, self.noise_std, self.dt = int(synapses), noise_std, dt

    @property
    def recurrent(self) -> bool:
        """Whether spikes are fed back."""
        return self.w_rec is not None

    def taus(self) -> Pair:
        """Time constants in seconds: tau_mem (*shape) and tau_syn (*shape, S)."""
        return self.leak.taus(self.dt)

    def alphas(self) -> Pair:
        """Decay factors per step: alpha_mem (*shape) and alpha_syn (*shape, S)."""
        return self.leak.alphas(self.dt)

    def dashes(self) -> Pair:
        """Bit shifts per step, not rounded: dash_mem (*shape) and dash_syn (*shape, S)."""
        return self.leak.dashes(self.dt)

    def params(self) -> lif.LIFParams:
        return lif.LIFParams(*self.alphas(), self.threshold, self.bias, self.v_reset)

    def kernel(
        self,
        params: lif.LIFParams,
        state: lif.LIFState,
        x: FloatArray,
        *,
        fire: Firing,
        hook: Hook,
    ) -> tuple[lif.LIFState, FloatArray]:
        x = x.reshape(*self.shape, self.synapses)
        return lif.step(params, state, x, fire=fire, hook=hook)

    def rest(self) -> lif.LIFState:
        return lif.init(self.shape, self.synapses, self.threshold.dtype)

    def inputs(self, x: FloatArray, key: Key | None) -> tuple[FloatArray, dict[str, FloatArray]]:
        """The input of each synapse over time; with noise, the biases over time."""
        split = (*self.shape, self.synapses)
        flat = (math.prod(split),) if len(self.shape) == 1 else self.shape
        fitting = [flat, split] if len(self.shape) == 1 or self.synapses == 1 else [split]
        if x.shape[1:] not in fitting:
            wanted = " or ".join(f"(time, {', '.join(map(str, sizes))})" for sizes in fitting)
            raise InputError(
                f"`x` must have the shape {wanted} for neurons of the shape {self.shape} with "
                f"{self.synapses} synapse(s) each; got {x.shape}"
            )
        # `jax.vmap` of a reshape puts the batch before the time. So one synapse is left to a step.
        current = x if self.synapses == 1 else x.reshape(x.shape[0], *split)
        if self.noise_std == 0:
            return current, {}
        if key is None:
            raise ValueError(f"`key` is needed: `noise_std` is {self.noise_std}, not 0")
        scale = self.noise_std * self.dt**0.5
        noise = scale * jax.random.normal(key, (len(x), *self.shape), self.threshold.dtype)
        return current, {"bias": noise if self.bias is None else self.bias + noise}
