"""Parameters: their families, and which of them are trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax

from ._tree import path_str, walk
from ._typing import PyTree

FAMILIES = ("weights", "biases", "taus", "decays", "bitshifts", "thresholds")

_AFFINE = {"weight": "weights", "bias": "biases"}

EQUINOX_FAMILIES: Mapping[type, Mapping[str, str]] = {
    eqx.nn.Linear: _AFFINE,
    eqx.nn.Conv: _AFFINE,
    eqx.nn.ConvTranspose: _AFFINE,
    eqx.nn.LayerNorm: _AFFINE,
    eqx.nn.GroupNorm: _AFFINE,
    eqx.nn.BatchNorm: _AFFINE,
}
"""Families of the fields of equinox's own layers, which carry no metadata of ours."""


def param(*, family: str, **kwargs: Any) -> Any:
    """An `eqx.Module` field that holds a parameter of `family`.

    Args:
        family: one of `FAMILIES`.
        **kwargs: passed on to `eqx.field`, for instance `default` or `converter`.

    Raises:
        ValueError: if `family` is not one of `FAMILIES`.
    """
    if family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}; got {family!r}")
    return eqx.field(metadata={"family": family}, **kwargs)


def families(
    model: PyTree, registry: Mapping[type, Mapping[str, str]] = EQUINOX_FAMILIES
) -> dict[str, str]:
    """The family of every parameter of `model` that has one, by path.

    Args:
        model: any pytree of `eqx.Module`s.
        registry: families of the fields of classes that are not declared with `param`; a class
            stands for its subclasses too. To add a layer of your own that you cannot edit, pass
            `{**EQUINOX_FAMILIES, MyLayer: {"kernel": "weights"}}`.

    Returns:
        `{"layers[0].weight": "weights", ...}` in the order of the tree's leaves.
    """
    found: dict[str, str] = {}
    for path, _ in _arrays(model):
        family = None
        for node, field in walk(model, path):
            family = _field_family(type(node), field, registry) or family
        if family is not None:
            found[path_str(path)] = family
    return found


def trainable(model: PyTree) -> PyTree:
    """A pytree like `model` that is True at every parameter to be trained, for `eqx.partition`.

    These are the floating-point arrays, except those that a layer's `frozen` names and the running
    statistics that equinox's layers start from.
    """
    mask = [
        eqx.is_inexact_array(leaf) and not _is_frozen(model, path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(model)
    ]
    return jax.tree.unflatten(jax.tree.structure(model), mask)


def stop_frozen(model: PyTree) -> PyTree:
    """The same model, in which the parameters that a layer's `frozen` names pass no gradient."""
    return jax.tree.map(
        lambda leaf, is_trained: (
            jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) and not is_trained else leaf
        ),
        model,
        trainable(model),
    )


def _arrays(model: PyTree) -> list[tuple[Any, Any]]:
    pairs = jax.tree_util.tree_leaves_with_path(model)
    return [(path, leaf) for path, leaf in pairs if eqx.is_inexact_array(leaf)]


def _field_family(
    cls: type, field: str | None, registry: Mapping[type, Mapping[str, str]]
) -> str | None:
    if field is None:
        return None
    for base in cls.__mro__:
        if field in registry.get(base, {}):
            return registry[base][field]
    if dataclasses.is_dataclass(cls):
        return {f.name: f.metadata.get("family") for f in dataclasses.fields(cls)}.get(field)
    return None


def _is_frozen(model: PyTree, path: Any) -> bool:
    steps = walk(model, path)
    frozen: set[str] = set()
    for node, field in steps:
        frozen.update(getattr(node, "frozen", ()))
        if field in frozen or isinstance(node, eqx.nn.StateIndex):
            return True
    return False
