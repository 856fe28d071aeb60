"""SynNet: a feed-forward spiking network with a range of synaptic time constants as its memory."""

import functools
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .. import decay
from .._checks import choice, count, explained, is_count, positive, require
from .._typing import FloatArray, Key
from ..nn import LEAKS, LIF, Chain, TimeStepDropout
from ..surrogate import PeriodicExponential, Surrogate

_NEVER = 2.0**15 - 1
"""Threshold of a readout of membrane potentials: the largest of a chip, never reached."""


class SynNet(Chain):
    """[Linear -> LIF (-> TimeStepDropout)] for every hidden layer, then Linear -> LIF; no biases.

    The n synaptic time constants of a hidden layer are (tau_syn_base/dt)^j * dt for j = 1..n,
    assigned to its neurons in turn. The initial weights are uniform in +-sqrt(6/n_in) * dt/tau_syn.
    The readout's time constants and threshold are never trained.

    Input `(time, n_channels)`, output `(time, n_classes)`. Sources: Bos and Muir, arXiv 2208.12991
    and arXiv 2406.15112; Rockpool, `SynNet`.

    >>> import jax, jax.numpy as jnp
    >>> from snnjax import SynNet
    >>> network = SynNet(n_classes=2, n_channels=3, size_hidden_layers=(4,),
    ...     time_constants_per_layer=(1,), key=jax.random.key(0))
    >>> spikes, state = network(jnp.ones((5, 3)))
    >>> spikes.shape
    (5, 2)
    """

    @explained
    def __init__(
        self,
        n_classes: int,
        n_channels: int,
        size_hidden_layers: Sequence[int] = (60,),
        time_constants_per_layer: Sequence[int] = (10,),
        *,
        tau_syn_base: float = 2e-3,
        tau_mem: float = 2e-3,
        tau_syn_out: float = 2e-3,
        quantize_time_constants: bool = True,
        train_time_constants: bool = False,
        threshold: float = 1.0,
        threshold_out: ArrayLike | None = None,
        train_threshold: bool = False,
        max_spikes: int = 31,
        max_spikes_out: int = 1,
        p_dropout: float = 0.0,
        dt: float = 1e-3,
        output: Literal["spikes", "vmem"] = "spikes",
        leak: Literal["taus", "decays", "bitshifts"] = "decays",
        surrogate: Surrogate | None = None,
        key: Key,
    ):
        """Make a network.

        Args:
            n_classes: output neurons.
            n_channels: input channels.
            size_hidden_layers: neurons of each hidden layer.
            time_constants_per_layer: number of synaptic time constants of each hidden layer.
            tau_syn_base: shortest synaptic time constant of the hidden layers in seconds; above dt.
            tau_mem: time constant of all membranes in seconds.
            tau_syn_out: synaptic time constant of the readout in seconds.
            quantize_time_constants: round the initial time constants to those of whole bit shifts.
            train_time_constants: train the time constants of the hidden layers.
            threshold: threshold of the hidden neurons.
            threshold_out: thresholds of the readout, one number or (n_classes,); that of the hidden
                neurons if None. Only for `output="spikes"`.
            train_threshold: train the thresholds of the hidden layers.
            max_spikes: most spikes of a hidden neuron in one step.
            max_spikes_out: most spikes of a readout neuron in one step.
            p_dropout: probability that a hidden neuron is silenced at a time step in training.
            dt: length of a step in seconds.
            output: the readout's spikes, or its membrane potentials, with a threshold of 2^15-1
                that they never reach.
            leak: which parameters carry the time constants; see `snnjax.nn.LIF`.
            surrogate: spike function; `PeriodicExponential()` if None.
            key: for the weights.

        Raises:
            ValueError: if a size is no whole number above 0, if the two lists differ in length or
                are empty, if a time is not above 0 or tau_syn_base not above dt, if p_dropout is no
                probability, if leak is unknown, if threshold_out is given without use, if key is
                no key, or if a layer refuses its argument.
        """
        count("n_classes", n_classes)
        count("n_channels", n_channels)
        sizes = _counts("size_hidden_layers", size_hidden_layers)
        n_taus = _counts("time_constants_per_layer", time_constants_per_layer)
        if len(sizes) != len(n_taus):
            raise ValueError(
                "`size_hidden_layers` and `time_constants_per_layer` need one entry for each "
                f"hidden layer; got {len(sizes)} and {len(n_taus)}"
            )
        _check_times(dt, tau_syn_base, tau_mem, tau_syn_out)
        choice("leak", leak, LEAKS)
        ok = isinstance(p_dropout, Real) and 0 <= p_dropout <= 1
        require(ok, "p_dropout", p_dropout, "a probability, from 0 to 1")
        ok = isinstance(key, jax.Array | np.ndarray)
        require(ok, "key", key, "a random key, such as jax.random.key(0)")
        times = tuple(LEAKS[leak].__dataclass_fields__)
        frozen = () if train_time_constants else times
        frozen += () if train_threshold else ("threshold",)
        neurons = functools.partial(
            LIF, bias=None, dt=dt, leak=leak, surrogate=surrogate or PeriodicExponential()
        )
        counts = (*zip(sizes, n_taus, strict=True), (int(n_classes), 1))
        taus = _taus(
            tau_syn_base / dt,
            tau_mem,
            tau_syn_out,
            dt,
            counts=counts,
            whole=quantize_time_constants,
        )
        weights = _weights(key, int(n_channels), taus[1], dt)
        mem, tau_syns = jax.tree.map(_as_numpy, taus)
        layers: list[Callable[..., Any]] = []
        for n, tau_syn, weight in zip(sizes, tau_syns, weights, strict=False):
            layers += [
                _linear(weight, key),
                neurons(
                    n,
                    tau_mem=mem,
                    tau_syn=tau_syn,
                    threshold=threshold,
                    max_spikes=max_spikes,
                    frozen=frozen,
                ),
            ]
            if p_dropout > 0:
                layers.append(TimeStepDropout(p_dropout))
        layers += [
            _linear(weights[-1], key),
            neurons(
                int(n_classes),
                tau_mem=mem,
                tau_syn=tau_syns[-1],
                threshold=_threshold_out(output, threshold_out, threshold),
                max_spikes=max_spikes_out,
                output=output,
                frozen=(*times, "threshold"),
            ),
        ]
        super().__init__(*layers)


def _counts(name: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """`sizes`, one for each hidden layer, as plain numbers."""
    several = isinstance(sizes, Sequence) or np.ndim(sizes) == 1
    ok = several and len(sizes) > 0 and all(map(is_count, sizes))
    require(ok, name, sizes, "whole numbers above 0, one entry for each hidden layer")
    return tuple(int(n) for n in sizes)


def _check_times(dt: float, tau_syn_base: float, tau_mem: float, tau_syn_out: float) -> None:
    positive("dt", dt)
    positive("tau_syn_base", tau_syn_base)
    positive("tau_mem", tau_mem)
    positive("tau_syn_out", tau_syn_out)
    if tau_syn_base <= dt:
        raise ValueError(f"`tau_syn_base` must be above dt = {dt} s; got {tau_syn_base} s")


def _threshold_out(output: str, threshold_out: ArrayLike | None, threshold: float) -> ArrayLike:
    if output != "vmem":
        return threshold if threshold_out is None else threshold_out
    if threshold_out is not None:
        raise ValueError("`threshold_out` has no use where `output` is 'vmem'; leave it out")
    return _NEVER


@functools.partial(jax.jit, static_argnames=("counts", "whole"))
def _taus(
    base: float,
    tau_mem: float,
    tau_out: float,
    dt: float,
    *,
    counts: tuple[tuple[int, int], ...],
    whole: bool,
) -> tuple[FloatArray, list[FloatArray]]:
    """The time constant of the membranes, and those of the synapses of each layer, (neurons, 1).

    Of the hidden layers they are base^1 * dt, base^2 * dt and so on in turn. If `whole`, each
    becomes that of the nearest whole dash that a chip holds and that does not wipe out.

    Args:
        base: the shortest synaptic time constant of the hidden layers, in steps.
        tau_mem: time constant of the membranes in seconds.
        tau_out: time constant of the readout's synapses in seconds.
        dt: length of a step in seconds.
        counts: neurons and time constants of each layer, the readout last.
        whole: round to whole bit shifts.
    """

    def rounded(tau: FloatArray) -> FloatArray:
        if not whole:
            return tau
        return decay.dash_to_tau(jnp.clip(jnp.round(decay.tau_to_dash(tau, dt)), 1, 15), dt)

    spread = rounded(base ** jnp.arange(1.0, max(m for _, m in counts) + 1) * dt)
    hidden = [jnp.resize(spread[:m], (n, 1)) for n, m in counts[:-1]]
    mem, out = rounded(jnp.stack([tau_mem, tau_out]))
    return mem, [*hidden, jnp.full((counts[-1][0], 1), out)]


@functools.partial(jax.jit, static_argnames="n_in")
def _weights(key: Key, n_in: int, tau_syns: list[FloatArray], dt: float) -> list[FloatArray]:
    """The weights of all layers, uniform in +-sqrt(6/n_in)*dt/tau_syn of each output.

    All draws have the size of the largest, in a loop, as every call of `jax.random` takes long to
    compile. The first n numbers of a draw are those of a draw of n, for jax's default generator.
    """
    inputs = [n_in, *map(len, tau_syns[:-1])]
    sizes = [n * len(tau_syn) for n, tau_syn in zip(inputs, tau_syns, strict=True)]
    keys, bounds = jax.random.split(key, len(sizes)), jnp.array([(6 / n) ** 0.5 for n in inputs])

    def draw(key_and_bound: tuple[Key, FloatArray]) -> FloatArray:
        key, bound = key_and_bound
        return jax.random.uniform(key, (max(sizes),), minval=-bound, maxval=bound)

    draws = jax.lax.map(draw, (keys, bounds))
    return [
        draw[:size].reshape(len(tau_syn), -1) * (dt / tau_syn)
        for draw, size, tau_syn in zip(draws, sizes, tau_syns, strict=True)
    ]


def _as_numpy(x: FloatArray) -> Any:
    """`x` in NumPy, which compiles nothing; within a program, `x`."""
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x)


def _linear(weight: FloatArray, key: Key) -> eqx.nn.Linear:
    """A product with `weight`, without bias."""
    n_out, n_in = weight.shape
    # Equinox would draw weights, and compile that for every shape.
    layer = eqx.filter_eval_shape(eqx.nn.Linear, n_in, n_out, use_bias=False, key=key)
    return eqx.tree_at(lambda linear: linear.weight, layer, weight)
