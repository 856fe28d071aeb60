"""snnTorch's neurons as those of Xylo, where they are the same."""

import warnings
from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import explained
from .._tree import modules_with_path
from ..nn import LIF, Chain, Decays, Leaky
from ._snntorch import LeakyAtOnce

Model = TypeVar("Model", bound=Chain)


@explained
def as_lif(network: Model) -> Model:
    """The same network with an `LIF`, which Xylo takes, for every `Leaky` with a synapse.

    `Leaky` adds its input to the decayed current; `LIF` decays both. So the weights before a layer,
    and its recurrent weights, are divided by alpha_syn, and the network is the same step by step.
    Three things remain: neurons that fire above their threshold then fire at it; the decays of a
    chip are bit shifts, which `xylo.report` tells of; and an `LIF` is lowered once for a spike,
    where snnTorch holds back a neuron that the spike left above its threshold.

    Args:
        network: pairs of `eqx.nn.Linear` without bias and `Leaky` with `alpha_syn`, reset by
            subtraction, `reset_delay` off and no lower bound, in `Sequential` and `Residual`.

    Raises:
        TypeError: if `network` is no chain of layers.
        ValueError: if a layer is another; the message has its path and the cure.

    Warns:
        UserWarning: names the layers from snnTorch with `reset_delay=False`, whose spikes part from
            those of an `LIF` once a membrane reaches two thresholds.
    """
    if not isinstance(network, Chain):
        raise TypeError(
            f"`network` must be a Sequential or another Chain; got {type(network).__name__}"
        )
    found = _chain(network, "")
    held = [path for path, m in modules_with_path(network) if isinstance(m, LeakyAtOnce)]
    if held:
        warnings.warn(
            f"{', '.join(held)}: snnTorch holds back a neuron that a spike left above its "
            "threshold; an LIF, and the chip, do not. Where membranes reach two thresholds, train "
            "on, or raise the thresholds",
            stacklevel=3,
        )
    return found


def _chain(network: Any, path: str) -> Any:
    layers = list(network.layers)
    for i, layer in enumerate(layers):
        place = f"{path}layers[{i}]"
        if isinstance(layer, Chain):
            layers[i] = _chain(layer, f"{place}.")
        elif isinstance(layer, Leaky):
            before = layers[i - 1] if i else None
            layers[i] = _lif(layer, place)
            layers[i - 1] = _divided(before, layer, place)
    return eqx.tree_at(lambda m: m.layers, network, tuple(layers))


def _lif(layer: Leaky, path: str) -> LIF:
    settings = layer.settings
    for ok, wanted in (
        (layer.alpha_syn is not None, "must have a synapse: train snnTorch's `Synaptic`"),
        (not layer.reset_delay, "must have `reset_delay` off: train with `reset_delay=False`"),
        (settings.reset == "subtract", f"must reset by subtraction, not {settings.reset!r}"),
        (layer.min_vmem is None, "must have no lower bound"),
        (settings.refractory == 0, "must have no refractory period"),
        (len(layer.shape) == 1, f"must have neurons in a row; got {layer.shape}"),
        (layer.on_state is None, "must have no transforms of states"),
    ):
        if not ok:
            raise ValueError(f"`{path}` {wanted}, to be an LIF")
    size = layer.shape[0]
    mem = jnp.broadcast_to(layer.alpha_mem, (size,))
    syn = jnp.broadcast_to(jnp.asarray(layer.alpha_syn), (size,))
    capped = settings.max_spikes != float("inf")
    made = LIF(
        layer.shape,
        threshold=layer.threshold,
        bias=None,
        w_rec=None if layer.w_rec is None else layer.w_rec / syn,
        max_spikes=int(settings.max_spikes) if capped else None,
        surrogate=getattr(settings.surrogate, "inner", settings.surrogate),
        leak="decays",
        output=settings.output,
    )
    return eqx.tree_at(lambda m: m.leak, made, Decays(mem, syn.reshape(size, 1)))


def _divided(before: Any, layer: Leaky, path: str) -> eqx.nn.Linear:
    if not isinstance(before, eqx.nn.Linear):
        found = "nothing" if before is None else type(before).__name__
        raise ValueError(f"`{path}` must follow a Linear, to be an LIF; got {found} before it")
    if before.bias is not None:
        raise ValueError(
            f"`{path}` must follow a Linear without bias, to be an LIF: the chip has no bias that "
            "its synapses see. Train with `torch.nn.Linear(..., bias=False)`, or here with "
            "`use_bias=False`"
        )
    alpha = jnp.broadcast_to(np.asarray(layer.alpha_syn), layer.shape).reshape(-1, 1)
    return eqx.tree_at(lambda m: m.weight, before, before.weight / alpha)
