"""Leaky integrate-and-fire layer."""

import functools
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .._typing import FloatArray, Key, PyTree
from ..neurons import Hook, lif
from ..params import param
from ..surrogate import PiecewiseLinear, Surrogate
from ._hooks import Hooks
from ._leak import LEAKS, Leak, Leaks, Pair, make_leak
from ._neuron import Output
from ._population import Kernel, Population
from ._validate import InputError, array_of, choice, count, names_among, positive, require


class LIF(Population):
    r"""Leaky integrate-and-fire neurons with exponential synapses and, if wanted, recurrence.

    Per step: isyn += x + spikes_before @ w_rec; vmem *= alpha_mem; isyn *= alpha_syn;
    vmem += sum of isyn + bias + noise_std*sqrt(dt)*normal; spikes = floor(vmem/threshold), at least
    0 and at most `max_spikes`; vmem -= spikes*threshold. `snnjax.neurons.lif` has the kernel.

    Input `(time, neurons * synapses)`, the synapses of a neuron side by side, or
    `(time, neurons, synapses)`; output `(time, neurons)`. Source: Rockpool, `LIFTorch`.
    """

    surrogate: Surrogate
    neurons: int = eqx.field(static=True)
    synapses: int = eqx.field(static=True)
    max_spikes: int = eqx.field(static=True)
    noise_std: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    output: Output = eqx.field(static=True)
    frozen: tuple[str, ...] = eqx.field(static=True)
    leak: Leak
    threshold: Float[Array, " neurons"] = param(family="thresholds")
    bias: Float[Array, " neurons"] | None = param(family="biases")
    w_rec: Float[Array, "neurons neurons*synapses"] | None = param(family="weights")
    on_state: Hooks | None

    hookable: ClassVar = ("vmem", "isyn")

    def __init__(
        self,
        neurons: int,
        *,
        synapses: int = 1,
        recurrent: bool = False,
        tau_mem: ArrayLike = 20e-3,
        tau_syn: ArrayLike = 20e-3,
        threshold: ArrayLike = 1.0,
        bias: ArrayLike | None = 0.0,
        w_rec: ArrayLike | None = None,
        leak: Leaks = "taus",
        frozen: Sequence[str] = (),
        surrogate: Surrogate | None = None,
        max_spikes: int = 31,
        noise_std: float = 0.0,
        dt: float = 1e-3,
        output: Output = "spikes",
        key: Key | None = None,
    ):
        """Make a layer.

        Args:
            neurons: number of neurons, N.
            synapses: synapses per neuron, S, each with a time constant of its own.
            recurrent: feed the spikes of the last step back through `w_rec`.
            tau_mem: time constants of the membranes in seconds, one number or (N,).
            tau_syn: time constants of the synapses in seconds, one number or (N, S), or (N,) if
                S = 1.
            threshold: firing thresholds, one number or (N,).
            bias: added to vmem at every step, one number or (N,); None for no biases.
            w_rec: recurrent weights (N, N*S), source first; drawn from +-sqrt(6/N) with `key` if
                it is None and `recurrent` is set.
            leak: which of (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn) are
                the parameters. They start at the values that the time constants above give.
            frozen: names of the parameters that are not trained: they get no gradient.
            surrogate: spike function; `PiecewiseLinear()` if None.
            max_spikes: most spikes of a neuron in one step. A hidden neuron of Xylo emits up to 31.
            noise_std: standard deviation of membrane noise, per square root of a second.
            dt: length of a step in seconds.
            output: what the layer gives: its spikes, or its membrane potentials after reset.
            key: for the recurrent weights.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, a name in `frozen` is not
                a parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`.
        """
        count("neurons", neurons)
        count("synapses", synapses)
        count("max_spikes", max_spikes)
        positive("dt", dt)
        require(noise_std >= 0, "noise_std", noise_std, "a number of at least 0")
        choice("leak", leak, LEAKS)
        choice("output", output, ("spikes", "vmem"))
        syn_shapes = ((neurons, 1), (neurons,)) if synapses == 1 else ((neurons, synapses),)
        tau_mem = array_of("tau_mem", tau_mem, (neurons,), above=0)
        tau_syn = array_of("tau_syn", tau_syn, *syn_shapes, above=0)
        self.leak = make_leak(leak, tau_mem, tau_syn.reshape(neurons, synapses), dt)
        self.threshold = array_of("threshold", threshold, (neurons,), above=0)
        self.bias = None if bias is None else array_of("bias", bias, (neurons,))
        self.w_rec = _make_w_rec(w_rec, recurrent, neurons, synapses, key)
        self.surrogate = PiecewiseLinear() if surrogate is None else surrogate
        if not isinstance(self.surrogate, Surrogate):
            raise TypeError(f"`surrogate` must be a Surrogate; got {surrogate!r}")
        self.neurons, self.synapses = neurons, synapses
        self.max_spikes, self.noise_std, self.dt, self.output = max_spikes, noise_std, dt, output
        self.on_state = None
        parameters = (*vars(self.leak), "threshold", "bias", "w_rec")
        self.frozen = names_among("frozen", frozen, parameters)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the population."""
        return (self.neurons,)

    @property
    def recurrent(self) -> bool:
        """Whether spikes are fed back."""
        return self.w_rec is not None

    def taus(self) -> Pair:
        """Time constants in seconds: tau_mem (N,) and tau_syn (N, S)."""
        return self.leak.taus(self.dt)

    def alphas(self) -> Pair:
        """Decay factors per step: alpha_mem (N,) and alpha_syn (N, S)."""
        return self.leak.alphas(self.dt)

    def dashes(self) -> Pair:
        """Bit shifts per step, not rounded: dash_mem (N,) and dash_syn (N, S)."""
        return self.leak.dashes(self.dt)

    def initial_state(self) -> lif.LIFState:
        """Membrane potentials, synaptic currents and spikes, all zero."""
        return lif.init(self.neurons, self.synapses, self.threshold.dtype)

    def _kernel(self) -> Kernel:
        alpha_mem, alpha_syn = self.alphas()
        params = lif.LIFParams(alpha_mem, alpha_syn, self.threshold, self.bias)
        kernel = functools.partial(lif.step, surrogate=self.surrogate, max_spikes=self.max_spikes)

        def step(
            state: lif.LIFState, inputs: PyTree, hook: Hook, w_rec: FloatArray | None
        ) -> tuple[lif.LIFState, FloatArray]:
            current, noise = inputs
            return kernel(params._replace(w_rec=w_rec), state, current, noise, hook=hook)

        return step

    def _inputs(self, x: FloatArray, key: Key | None) -> PyTree:
        return self._per_synapse(x), self._noise(len(x), key)

    def _level(self) -> FloatArray:
        return self.threshold

    def _weights(self) -> FloatArray | None:
        return self.w_rec

    def _fed_back(self, w_rec: FloatArray, before: lif.LIFState) -> PyTree:
        return lif.feedback(w_rec, before), None

    def _per_synapse(self, x: FloatArray) -> Float[Array, "time neurons synapses"]:
        flat, split = (self.neurons * self.synapses,), (self.neurons, self.synapses)
        if x.shape[1:] not in (flat, split):
            raise InputError(
                f"`x` must have the shape (time, {flat[0]}) or (time, {split[0]}, {split[1]}) for "
                f"{self.neurons} neurons with {self.synapses} synapse(s) each; got {x.shape}"
            )
        return x.reshape(len(x), *split)

    def _noise(self, steps: int, key: Key | None) -> Float[Array, "time neurons"] | None:
        if self.noise_std == 0:
            return None
        if key is None:
            raise ValueError(f"`key` is needed: `noise_std` is {self.noise_std}, not 0")
        scale = self.noise_std * self.dt**0.5
        return scale * jax.random.normal(key, (steps, self.neurons), self.threshold.dtype)


def _make_w_rec(
    w_rec: ArrayLike | None, recurrent: bool, neurons: int, synapses: int, key: Key | None
) -> FloatArray | None:
    shape = (neurons, neurons * synapses)
    if w_rec is not None:
        return array_of("w_rec", w_rec, shape)
    if not recurrent:
        return None
    if key is None:
        raise ValueError("`key` is needed to draw `w_rec`; pass `key` or `w_rec`")
    bound = (6 / neurons) ** 0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
