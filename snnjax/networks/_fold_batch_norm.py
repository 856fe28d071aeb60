"""Batch norms folded into the products before them, as they are after training."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import explained
from .._typing import FloatArray, PyTree
from ..nn import Chain, Graph, Network


@explained
def fold_batch_norm(model: Network, statistics: PyTree) -> Network:
    r"""A network without batch norms that computes what `model` computes after training.

    Each `eqx.nn.BatchNorm` must directly follow a `Linear` or `Conv` of equinox, in a `Sequential`,
    a `Residual` or a `Graph`. It is folded into that layer and becomes an `eqx.nn.Identity`, so
    that all other layers keep their paths. With the running mean m and variance v, and
    g = weight/sqrt(v + eps):

        weight <- g*weight        bias <- norm's bias + (bias - m)*g

    sinabs leaves eps out.

    Args:
        model: a network of layers.
        statistics: state of the network with the running statistics, as calling it returns them.

    Raises:
        TypeError: if `model` is not a network of layers.
        ValueError: if a batch norm follows no such layer, or there are no statistics for it; the
            message names it.
    """
    if not isinstance(model, Network):
        raise TypeError(f"`model` must be a Sequential or the like; got {type(model).__name__}")
    return _fold(model, statistics, "")


def _fold(model: Network, statistics: PyTree, path: str) -> Network:
    if isinstance(model, Graph) and isinstance(statistics, tuple) and statistics:
        statistics = statistics[0]  # the states of the nodes, without the outputs that wait
    known = isinstance(statistics, tuple) and len(statistics) == len(model.layers)
    states = statistics if known else (None,) * len(model.layers)
    layers = list(model.layers)
    for i, layer in enumerate(model.layers):
        name = f"{path}layers[{i}]"
        if isinstance(layer, Network):
            layers[i] = _fold(layer, states[i], f"{name}.")
        elif isinstance(layer, eqx.nn.BatchNorm):
            before = _before(model, i)
            try:
                product = folded(None if before is None else layers[before], layer, states[i])
            except ValueError as error:
                raise ValueError(f"`{name}` (BatchNorm) {error}") from None
            layers[before], layers[i] = product, eqx.nn.Identity()  # type: ignore[index]
    return eqx.tree_at(lambda m: m.layers, model, tuple(layers))


def _before(model: Network, i: int) -> int | None:
    """The layer whose output goes to layer `i` and nowhere else; None if there is none."""
    if isinstance(model, Chain):
        return i - 1 if i else None
    if not isinstance(model, Graph):
        return None
    name = model.names[i]
    sources = [source for source, target in model.edges if target == name]
    if len(sources) != 1 or sources[0] not in model.names:
        return None
    targets = [target for source, target in model.edges if source == sources[0]]
    return model.names.index(sources[0]) if targets == [name] else None


def folded(product: Any, norm: eqx.nn.BatchNorm, statistics: eqx.nn.State | None) -> Any:
    """An `eqx.nn.Linear` or `eqx.nn.Conv` with the batch norm after it folded in.

    Raises:
        ValueError: if `product` is something else, or there are no statistics; the message does not
            name the layer.
    """
    if not isinstance(product, eqx.nn.Linear | eqx.nn.Conv):
        raise ValueError("does not follow a convolution or linear layer")
    bias = None if product.bias is None else jnp.ravel(product.bias)
    weight, bias = fold_into(product.weight, bias, norm, statistics)
    return with_values(product, weight, bias)


@explained
def with_values(product: Any, weight: FloatArray, bias: FloatArray | None) -> Any:
    """An `eqx.nn.Linear` or `eqx.nn.Conv` with other weights, and biases even if it had none."""
    if bias is None:
        return eqx.tree_at(lambda m: m.weight, product, weight)
    if product.bias is None:
        product = _biased(product)
    values = (weight, bias.reshape(product.bias.shape))
    return eqx.tree_at(lambda m: (m.weight, m.bias), product, values)


def _biased(product: Any) -> Any:
    """A layer of the same kind and settings that has a bias."""
    key = jax.random.key(0)
    if isinstance(product, eqx.nn.Linear):
        return eqx.nn.Linear(product.in_features, product.out_features, key=key)
    return type(product)(
        *(() if type(product) is not eqx.nn.Conv else (product.num_spatial_dims,)),
        product.in_channels,
        product.out_channels,
        product.kernel_size,
        stride=product.stride,
        padding=product.padding,
        dilation=product.dilation,
        groups=product.groups,
        padding_mode=product.padding_mode,
        key=key,
    )


@explained
def fold_into(
    weight: Float[Array, "out *inputs"],
    bias: Float[Array, " out"] | None,
    norm: eqx.nn.BatchNorm,
    statistics: eqx.nn.State | None,
) -> tuple[Float[Array, "out *inputs"], Float[Array, " out"]]:
    """Weights and biases with a batch norm folded in; see `fold_batch_norm`.

    Raises:
        ValueError: if there are no statistics, or they are for another number of channels; the
            message does not name the layer.
    """
    if statistics is None:
        raise ValueError(
            "has running statistics, which are in the network's state: pass `statistics`, for "
            "instance `snnjax.nn.statistics(state)`"
        )
    if norm.input_size != len(weight):
        raise ValueError(
            f"takes {norm.input_size} channels, but gets {len(weight)}, the rows of `weight`"
        )
    mean, variance = _running(norm, statistics)
    root = _settled(jnp.sqrt(_settled(variance + norm.eps)))
    gain = _settled(1 / root if norm.weight is None else norm.weight / root)
    shift = -mean if bias is None else bias - mean
    shift = _settled(_settled(shift) * gain)
    shift = shift if norm.bias is None else norm.bias + shift
    return _settled(weight * gain.reshape(-1, *[1] * (weight.ndim - 1))), shift


def _settled(x: FloatArray) -> FloatArray:
    """`x`, computed as it is written.

    A compiler may fuse a product and a sum, or multiply by the inverse of a root. A weight of
    compiled training would then differ from that of the export in its last digit, and now and then
    round to another integer. A clip that changes no number keeps the compiler from it.
    """
    most = jnp.finfo(x.dtype).max
    return jnp.where(jnp.isfinite(x), jnp.clip(x, -most, most), x)


def _running(norm: eqx.nn.BatchNorm, statistics: eqx.nn.State) -> tuple[Array, Array]:
    """The mean and the variance that an `eqx.nn.BatchNorm` uses after training."""
    if norm.mode == "ema":
        assert norm.ema_state_index is not None
        return statistics.get(norm.ema_state_index)
    assert norm.batch_state_index is not None
    assert norm.batch_counter is not None
    mean, variance = statistics.get(norm.batch_state_index)
    steps = statistics.get(norm.batch_counter)
    # Both averages start from 0 and lack the rest of their weights.
    share = jnp.where(steps == 0, 1, 1 - norm.momentum ** steps.astype(mean.dtype))
    inverse = _settled(1 / _settled(share))
    return _settled(mean * inverse), _settled(variance * inverse)
