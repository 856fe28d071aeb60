"""Networks that several recipes train, and the settings of them."""

import dataclasses
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax

from ..._typing import FloatArray, Key
from ...hardware import xylo
from ...networks import SynNet
from ...nn import IAF, LIF, Chain, Flatten, Sequential
from ...surrogate import PeriodicExponential
from .._fit import Data
from .._recipe import Recipe

_GAIN, _SMALL = 3.0, 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynNetRecipe(Recipe):
    """Settings of a recipe that trains a `SynNet` for Xylo. Times are in seconds.

    Attributes:
        hidden: neurons of each hidden layer.
        time_constants: number of synaptic time constants of each hidden layer.
        tau_mem: time constant of all membranes, in seconds.
        tau_syn: shortest synaptic time constant of the hidden layers, in seconds.
        tau_syn_out: synaptic time constant of the readout, in seconds.
        dt: length of a step, in seconds.
        input_gain: factor on the initial weights of the first layer; below 1 where a channel has
            many events in a step, which would otherwise drive neurons far beyond their thresholds.
        p_dropout: probability that a hidden neuron is silenced at a step in training; not through
            a chip.
        method: how the integers are scaled; see `snnjax.hardware.xylo.quantize`.
    """

    chip: str = "audio3"
    hidden: tuple[int, ...] = (128, 128)
    time_constants: tuple[int, ...] = (2, 4)
    tau_mem: float = 4e-3
    tau_syn: float = 2e-3
    tau_syn_out: float = 8e-3
    dt: float = 1e-3
    input_gain: float = 1.0
    p_dropout: float = 0.1
    method: xylo.Method = "channel"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("input_gain", above=0)

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "method": self.method}

    def make_network(self, data: Data | None = None) -> Chain:
        return self._synnet(n_channels=16, n_classes=10)

    def _synnet(self, n_channels: int, n_classes: int) -> SynNet:
        if len(self.hidden) != len(self.time_constants):
            raise ValueError(
                "`time_constants` must have a number for each layer of `hidden`; got "
                f"{len(self.time_constants)} for {len(self.hidden)} layers"
            )
        network = SynNet(
            n_classes=n_classes,
            n_channels=n_channels,
            size_hidden_layers=self.hidden,
            time_constants_per_layer=self.time_constants,
            tau_syn_base=self.tau_syn,
            tau_mem=self.tau_mem,
            tau_syn_out=self.tau_syn_out,
            p_dropout=self.p_dropout,
            dt=self.dt,
            key=jax.random.key(self.seed),
        )
        first: Any = lambda m: m.layers[0].weight  # noqa: E731
        return eqx.tree_at(first, network, replace_fn=lambda weight: self.input_gain * weight)


def recurrent(network: SynNet, *, key: Key) -> SynNet:
    """A network whose hidden neurons also feed each other.

    Args:
        network: a network without.
        key: for the weights, which begin as those of `LIF` times dt/tau_syn, as all of a SynNet.
    """
    (*hidden, _) = [(i, layer) for i, layer in enumerate(network.layers) if isinstance(layer, LIF)]

    def draw(layer: LIF, key: Key) -> FloatArray:
        fed_back: Any = LIF(layer.shape, recurrent=True, key=key).w_rec
        return fed_back * layer.dt / layer.taus()[1][:, 0]

    keys = jax.random.split(key, len(hidden))
    return eqx.tree_at(
        lambda m: [m.layers[i].w_rec for i, _ in hidden],
        network,
        [draw(layer, own) for (_, layer), own in zip(hidden, keys, strict=True)],
        is_leaf=lambda x: x is None,
    )


def convolutional(
    input_shape: tuple[int, int, int], channels: tuple[int, ...], n_classes: int, *, key: Key
) -> Sequential:
    """Two convolutions and a linear layer, all without biases, each with neurons.

    Args:
        input_shape: (channels, height, width) of a time step. Maps above 8 by 8 are halved by the
            first convolution.
        channels: of the first and the second convolution.
        n_classes: neurons of the readout.
        key: for the weights.
    """
    (n_in, *size), (first, second) = input_shape, channels
    stride = 1 if max(size) <= _SMALL else 2
    size = [-(-n // stride) for n in size]
    half = [-(-n // 2) for n in size]
    keys = jax.random.split(key, 3)
    plain: dict[str, Any] = {"use_bias": False}
    network = Sequential(
        eqx.nn.Conv2d(n_in, first, 5, stride, 2, **plain, key=keys[0]),
        _neurons((first, *size)),
        eqx.nn.Conv2d(first, second, 3, 2, 1, **plain, key=keys[1]),
        _neurons((second, *half)),
        Flatten(),
        eqx.nn.Linear(second * half[0] * half[1], n_classes, **plain, key=keys[2]),
        _neurons(n_classes),
    )
    return _livelier(network)


def dense(
    input_shape: tuple[int, int, int], hidden: tuple[int, ...], n_classes: int, *, key: Key
) -> Sequential:
    """Linear layers without biases, each with neurons.

    Args:
        input_shape: (channels, height, width) of a time step.
        hidden: neurons of each hidden layer.
        n_classes: neurons of the readout.
        key: for the weights.
    """
    sizes = (math.prod(input_shape), *hidden, n_classes)
    layers: list[Any] = [Flatten()]
    for (n_in, n_out), own in zip(pairwise(sizes), jax.random.split(key, len(sizes)), strict=False):
        layers += [eqx.nn.Linear(n_in, n_out, use_bias=False, key=own), _neurons(n_out)]
    return _livelier(Sequential(*layers))


def _neurons(shape: int | tuple[int, ...]) -> IAF:
    # The slope reaches down to any potential, so that no class falls silent for good.
    surrogate = PeriodicExponential()
    return IAF(shape, min_vmem=-1.0, surrogate=surrogate, frozen=("threshold", "min_vmem"))


def _livelier(network: Sequential) -> Sequential:
    """With the weights larger: equinox draws them for inputs of about 1, and spikes are fewer."""
    weights = lambda m: [x.weight for x in m.layers if hasattr(x, "weight")]  # noqa: E731
    return eqx.tree_at(weights, network, replace_fn=lambda w: _GAIN * w)
