"""The layers of Spyx and jaxpike, which have their channels last."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...nn import LI, Flatten, Leaky, Sequential, SumPool2d
from .._delay import Delay
from .._layers import Threshold
from .._neuron import NIRIntegrator, NIRNeuron
from ._context import Build, Context, conv, linear, number, per_neuron, require


def columns(weight: np.ndarray, at: Context) -> np.ndarray:
    """Weights for a step that was flattened with channels first, from those with channels last."""
    if at.flattened is None or len(at.flattened) != 3:
        return weight
    channels, height, width = at.flattened
    order = np.arange(weight.shape[1]).reshape(height, width, channels)
    return weight[:, order.transpose(2, 0, 1).ravel()]


# ----- Spyx, whose static layers are flax's


def _spyx_linear(m: Any, at: Context) -> eqx.nn.Linear:
    return linear(columns(number(m.kernel).T, at), m.bias)


def _spyx_conv(m: Any, at: Context) -> Any:
    padding = m.padding.upper() if isinstance(m.padding, str) else tuple(m.padding)
    weight = number(m.kernel).transpose(3, 2, 0, 1)
    stride = m.strides if isinstance(m.strides, int) else tuple(m.strides)
    return conv(weight, m.bias, stride=stride, padding=padding)


def _spyx_pool(m: Any, at: Context) -> SumPool2d:
    require(str(m.padding).upper() == "VALID", "`padding` must be 'VALID'")
    return SumPool2d(m.window_shape, m.strides)


def _spyx_neuron(m: Any, at: Context) -> Sequential:
    """Its spikes are those of the membrane before the step, so that they come a step late."""
    synapse = hasattr(m, "alpha")
    decays: dict[str, Any] = {"alpha_syn": _decay(m.alpha, at)} if synapse else {}
    w_rec = number(m.recurrent_w) if hasattr(m, "recurrent_w") else None
    leaky = Leaky(
        at.shape,
        _decay(m.beta, at) if hasattr(m, "beta") else 1.0,
        threshold=per_neuron(m.threshold, at.shape, channels_last=True),
        reset_delay=not synapse,
        w_rec=w_rec,
        surrogate=at.strict,
        **decays,
    )
    return Sequential(leaky, Delay(1, at.shape))


def _spyx_li(m: Any, at: Context) -> LI:
    layer = LI(at.shape, leak="decays", dt=at.dt)
    decay = jnp.asarray(np.broadcast_to(_decay(m.beta, at), at.shape), float)
    return eqx.tree_at(lambda n: n.leak.alpha_mem, layer, decay)


def _decay(value: Any, at: Context) -> np.ndarray:
    return np.clip(per_neuron(value, at.shape, channels_last=True), 0, 1)


SPYX: Mapping[str, Build] = {
    "Linear": _spyx_linear,
    "Conv": _spyx_conv,
    "SumPool": _spyx_pool,
    "Flatten": lambda m, at: Flatten(),
    "LI": _spyx_li,
    **dict.fromkeys(("IF", "LIF", "CuBaLIF", "RIF", "RLIF", "RCuBaLIF"), _spyx_neuron),
}

# ----- jaxpike


def _jaxpike_conv(m: Any, at: Context) -> Any:
    weight = number(m.weight).transpose(3, 2, 0, 1)
    return conv(weight, m.bias, stride=m.stride, padding=m.padding.upper())


def _jaxpike_pool(m: Any, at: Context) -> Any:
    make = {"avg": eqx.nn.AvgPool2d, "max": eqx.nn.MaxPool2d}[m.mode]
    return make(m.window, m.stride)


def _jaxpike_lif(m: Any, at: Context) -> NIRNeuron:
    return NIRNeuron(
        at.shape,
        dt=float(m.dt),
        tau_mem=np.exp(per_neuron(m.log_tau, at.shape, channels_last=True)),
        membrane="exact",
        threshold=float(m.threshold),
        reset=m.reset,
        surrogate=at.surrogate,
    )


def _jaxpike_li(m: Any, at: Context) -> NIRIntegrator:
    tau = np.exp(per_neuron(m.log_tau, at.shape, channels_last=True))
    return NIRIntegrator(at.shape, dt=float(m.dt), tau_mem=tau, membrane="exact")


def _jaxpike_linear(m: Any, at: Context) -> list[Any]:
    threshold = jnp.asarray(m.threshold, float)
    return [_jaxpike_li(m, at), Threshold(threshold, at.surrogate)]


JAXPIKE: Mapping[str, Build] = {
    "Dense": lambda m, at: linear(columns(number(m.weight), at), m.bias),
    "Conv2d": _jaxpike_conv,
    "Pool2d": _jaxpike_pool,
    "Flatten": lambda m, at: Flatten(),
    "LIF": _jaxpike_lif,
    "LeakyIntegrator": _jaxpike_li,
    "LinearLIF": _jaxpike_linear,
}
