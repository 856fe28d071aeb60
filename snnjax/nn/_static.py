"""Layers of equinox, and other callables, applied at every time step.

They take one time step each, mapped over the time axis in one batched call. Nearly all have no
state. Those with running statistics (`eqx.nn.BatchNorm`, `eqx.nn.SpectralNorm`) have an
`eqx.nn.State`, which has their place in the state of a network. The time axis is named "time":
`eqx.nn.BatchNorm(channels, axis_name=("time", "batch"))` normalises over time and batch, where
`snnjax.nn.run_batch` names the batch.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeGuard

import equinox as eqx
import jax

from .._checks import InputError
from .._product import product
from .._tree import modules_with_path
from .._typing import FloatArray, Key, PyTree

TIME_AXIS = "time"
"""Name of the axis over which layers that are not ours are mapped."""


def alike(layer: Callable[..., Any]) -> Callable[..., Any]:
    """`layer`, whose statistics are known by their place in it.

    Equinox knows them by the identity of an object until `eqx.nn.make_with_state` renames them, so
    that two models made alike would not be alike for `jax.jit` and for checkpoints.
    """
    if not _is_stateful(layer):
        return layer

    def renamed(path: Any, node: Any) -> Any:
        if not isinstance(node, eqx.nn.StateIndex):
            return node
        index = eqx.nn.StateIndex(node.init)
        object.__setattr__(index, "marker", jax.tree_util.keystr(path))
        return index

    return jax.tree_util.tree_map_with_path(
        renamed, layer, is_leaf=lambda node: isinstance(node, eqx.nn.StateIndex)
    )


def static_state(layer: Callable[..., Any]) -> eqx.nn.State | None:
    """The initial state of a layer that is no `Layer`: running statistics, or None."""
    return eqx.nn.State(layer) if _is_stateful(layer) else None


def apply_static(
    layer: Callable[..., Any], x: FloatArray, state: PyTree, key: Key | None
) -> tuple[FloatArray, PyTree]:
    """`layer` at every time step of `x`, as one batched call over the time axis.

    Raises:
        InputError: if the layer does not take what it is given, fails, or averages over an
            axis that there is not, or over one that is not the time.
    """
    _check_input(layer, x.shape[1:])
    _check_state(layer, state)
    try:
        return _apply(layer, x, state, key)
    except InputError:
        raise
    except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        name = getattr(layer, "__name__", type(layer).__name__)
        if isinstance(layer, eqx.nn.Dropout) and key is None:
            raise InputError(
                f"`key` is needed by {name}; pass `key`, or switch dropout off with "
                "`eqx.nn.inference_mode(model)`"
            ) from None
        raise InputError(
            f"{name} fails on time steps of the shape {x.shape[1:]}: {error}"
        ) from error


def _apply(
    layer: Callable[..., Any], x: FloatArray, state: PyTree, key: Key | None
) -> tuple[FloatArray, PyTree]:
    if _is_stateful(layer):
        return _apply_stateful(layer, x, static_state(layer) if state is None else state, key)
    if _is_product(layer) and x.shape[0] != 1:
        return _product(layer, x), None
    if not _takes_key(layer) or key is None:
        return jax.vmap(layer)(x), None
    keys = jax.random.split(key, len(x))
    return jax.vmap(lambda x_t, key_t: layer(x_t, key=key_t))(x, keys), None


def _is_product(layer: Any) -> TypeGuard[eqx.nn.Linear]:
    sizes = (layer.in_features, layer.out_features) if type(layer) is eqx.nn.Linear else ("scalar",)
    return "scalar" not in sizes


def _product(layer: eqx.nn.Linear, x: FloatArray) -> FloatArray:
    """The layer at all time steps. `jax.vmap` of its `weight @ x` would transpose whole arrays."""
    y = product(x, layer.weight)
    return y if layer.bias is None else y + layer.bias


def _apply_stateful(
    layer: Any, x: FloatArray, state: PyTree, key: Key | None
) -> tuple[FloatArray, PyTree]:
    _check_axes(layer)
    keys = None if key is None else jax.random.split(key, len(x))
    run: Callable[..., Any] = jax.vmap(
        lambda x_t, state, key_t: layer(x_t, state, key=key_t),
        in_axes=(0, None, 0),
        out_axes=(0, None),
        axis_name=TIME_AXIS,
    )
    try:
        return run(x, state, keys)
    except NameError as error:
        raise InputError(
            f"{type(layer).__name__} averages over an axis that has no `jax.vmap` of that name "
            f"around the network ({error}); `snnjax.nn.run_batch` maps over 'batch'"
        ) from None


def _is_stateful(layer: Any) -> bool:
    return isinstance(layer, eqx.nn.StatefulLayer) and layer.is_stateful()


def require_one_argument(name: str, layer: Callable[..., Any]) -> None:
    """Raise TypeError if a layer that is no `Layer` needs more than one argument."""
    if _is_stateful(layer):
        return
    try:
        parameters = inspect.signature(layer).parameters.values()
    except (TypeError, ValueError):  # A function of C tells nothing of its arguments.
        return
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        kind, others = type(layer).__name__, ", ".join(["x", *needed[1:]])
        raise TypeError(
            f"`{name}` ({kind}) takes {', '.join(needed)}, but a network passes one time step, x; "
            f"wrap it: lambda x: layer({others})"
        )


def _takes_key(layer: Callable[..., Any]) -> bool:
    return "key" in inspect.signature(layer).parameters


def _check_state(layer: Any, state: PyTree) -> None:
    wanted = eqx.nn.State if _is_stateful(layer) else type(None)
    if state is not None and not isinstance(state, wanted):
        raise InputError(
            f"`state` of {type(layer).__name__} must be of the type {wanted.__name__}; "
            f"got {type(state).__name__}"
        )


def _check_axes(layer: Any) -> None:
    norms = [m for _, m in modules_with_path(layer) if isinstance(m, eqx.nn.BatchNorm)]
    for norm in norms:
        names: Any = norm.axis_name
        names = (names,) if isinstance(names, str) else names
        if TIME_AXIS not in names and not norm.inference:
            raise InputError(
                f"`axis_name` of BatchNorm must hold {TIME_AXIS!r}, as in ('{TIME_AXIS}', 'batch')"
                f", so that all time steps share their statistics; got {norm.axis_name!r}"
            )


def _check_input(layer: Any, shape: tuple[int, ...]) -> None:
    channels = _channels(layer)
    if channels is not None and shape[:1] != (channels,):
        got = ", ".join(map(str, ("time", *shape)))
        raise InputError(f"{type(layer).__name__} takes {channels} channels; got ({got})")
    wanted = _expected(layer)
    if wanted is None:
        return
    if len(shape) == len(wanted) and all(
        isinstance(want, str) or want == got for want, got in zip(wanted, shape, strict=True)
    ):
        return
    expected, got = (", ".join(map(str, ("time", *axes))) for axes in (wanted, shape))
    raise InputError(f"{type(layer).__name__} takes ({expected}); got ({got})")


def _expected(layer: Any) -> tuple[int | str, ...] | None:
    """The shape of one time step; an axis of any size has its name in the place of a number."""
    match layer:
        case eqx.nn.Linear(in_features="scalar"):
            return ()
        case eqx.nn.Linear(in_features=size):
            return (size,)
        case eqx.nn.Conv(in_channels=channels) | eqx.nn.ConvTranspose(in_channels=channels):
            return (channels, *_axes(layer.num_spatial_dims))
        case eqx.nn.Pool():
            return ("channels", *_axes(layer.num_spatial_dims))
        case eqx.nn.AdaptivePool(target_shape=target):
            return ("channels", *_axes(len(target)))
        case eqx.nn.LayerNorm(shape=shape):
            return tuple(shape)
    return None


def _channels(layer: Any) -> int | None:
    """The number of channels of a layer that takes any number of axes after them, or None."""
    match layer:
        case eqx.nn.BatchNorm(input_size=channels):
            return channels
        case eqx.nn.GroupNorm(channels=int(channels), channelwise_affine=True):
            return channels
    return None


def _axes(dims: int) -> tuple[str, ...]:
    return ("depth", "height", "width")[3 - dims :]
