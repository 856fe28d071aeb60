"""Parameters: their families, and which of them are trained."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ._checks import explained
from ._tree import Pattern, map_with_path, path_str, select, walk
from ._typing import FloatArray, PyTree

FAMILIES = ("weights", "biases", "taus", "decays", "bitshifts", "thresholds")
"""The families of parameters."""

Range: TypeAlias = tuple[float, float]
"""The smallest and the largest value of a parameter."""

RANGES: Mapping[str, Range] = {
    "taus": (1e-6, math.inf),
    "decays": (0.0, 1.0),
    "bitshifts": (0.0, math.inf),
    "thresholds": (1e-6, math.inf),
}
"""Valid ranges by family; a field may have one of its own, `param(family=..., valid=...)`."""

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


@explained
def param(*, family: str, valid: Range | None = None, **kwargs: Any) -> Any:
    """An `eqx.Module` field that holds a parameter of `family`.

    Args:
        family: one of `FAMILIES`.
        valid: smallest and largest value; None for those of the family, `RANGES`.
        **kwargs: passed on to `eqx.field`, for instance `default` or `converter`.

    Raises:
        ValueError: if `family` is not one of `FAMILIES`.
    """
    if family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}; got {family!r}")
    return eqx.field(metadata={"family": family, "valid": valid}, **kwargs)


@explained
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


@explained
def family_labels(
    model: PyTree, registry: Mapping[type, Mapping[str, str]] = EQUINOX_FAMILIES
) -> Callable[[PyTree], PyTree]:
    """The families as labels for `optax.multi_transform`, "others" for parameters without one.

    The result is a function of the parameters, which `multi_transform` calls. A pytree of labels
    would be a network of texts, which can be called as well, and `multi_transform` would do so.

    Args:
        model: any pytree of `eqx.Module`s.
        registry: as for `families`.

    >>> import equinox as eqx, optax, snnjax
    >>> layer = snnjax.IAF(1, threshold=[0.5])
    >>> rates = {"thresholds": optax.sgd(0.1), "others": optax.sgd(1.0)}
    >>> optimizer = optax.multi_transform(rates, snnjax.family_labels(layer))
    >>> snnjax.family_labels(layer)(eqx.filter(layer, eqx.is_inexact_array)).threshold
    'thresholds'
    """
    found = families(model, registry)
    return lambda params: map_with_path(lambda path, _: found.get(path, "others"), params)


@explained
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


@explained
def stop_frozen(model: PyTree) -> PyTree:
    """The same model, in which the parameters that a layer's `frozen` names pass no gradient."""
    return jax.tree.map(
        lambda leaf, is_trained: (
            jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) and not is_trained else leaf
        ),
        model,
        trainable(model),
    )


@explained
def ranges(model: PyTree, limits: Mapping[Pattern, Range] | None = None) -> dict[str, Range]:
    """The valid range of every parameter of `model` that has one, by path.

    Args:
        model: any pytree of `eqx.Module`s.
        limits: narrower ranges, such as those of a chip, by family, `{"taus": (1e-3, 0.1)}`, or by
            path, `{"layers[0].threshold": (0.5, 2.0)}`. A path may be a glob. Of several ranges of
            a parameter, the intersection counts.

    Raises:
        ValueError: if a limit matches no parameter, or if a range is empty.
    """
    family, found = families(model), {}
    for path, _ in _arrays(model):
        for node, field in walk(model, path):
            own = _valid(node, field)
            if own is not None:
                found[path_str(path)] = own
    for path in family.keys() - found.keys():
        if family[path] in RANGES:
            found[path] = RANGES[family[path]]
    paths = [path_str(path) for path, _ in _arrays(model)]
    for rule, limit in (limits or {}).items():
        of_family = isinstance(rule, str) and rule in FAMILIES
        chosen = [p for p in paths if family.get(p) == rule] if of_family else []
        for path in chosen or select([rule], paths, "limits"):
            old = found.get(path, (-math.inf, math.inf))
            found[path] = max(old[0], limit[0]), min(old[1], limit[1])
            if not found[path][0] <= found[path][1]:
                raise ValueError(f"`limits` leave `{path}` no value: {old} and {limit}")
    return found


@explained
def check_parameters(model: PyTree, limits: Mapping[Pattern, Range] | None = None) -> None:
    """Raise ValueError where a parameter of `model` is outside of its valid range, or is no number.

    Args:
        model: any pytree of `eqx.Module`s, its arrays concrete.
        limits: narrower ranges, as in `ranges`.

    Raises:
        ValueError: naming each such parameter by its path, with the index of the first such neuron,
            its value and the range.

    >>> import equinox as eqx, jax.numpy as jnp, snnjax
    >>> layer = snnjax.IAF(3, threshold=[1.0, 2.0, 3.0])
    >>> snnjax.check_parameters(layer)
    >>> bad = eqx.tree_at(lambda m: m.threshold, layer, jnp.array([1.0, -2.0, 3.0]))
    >>> snnjax.check_parameters(bad)
    Traceback (most recent call last):
    ValueError: `threshold[1]` must be from 1e-06 to inf; got -2.0
    """
    valid, faults = ranges(model, limits), []
    for path, leaf in _arrays(model):
        name, values = path_str(path), np.asarray(leaf)
        low, high = valid.get(name, (-math.inf, math.inf))
        bad = np.argwhere(~((values >= low) & (values <= high)))
        if len(bad):
            at = "".join(f"[{i}]" for i in bad[0])
            expected = f"from {low:g} to {high:g}" if name in valid else "a number"
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            faults.append(f"`{name}{at}` must be {expected}; got {values[tuple(bad[0])]}{more}")
    if faults:
        raise ValueError("\n".join(faults))


@explained
def bounded(
    optimizer: optax.GradientTransformation,
    model: PyTree,
    *,
    limits: Mapping[Pattern, Range] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that keeps parameters in their valid ranges: projected gradient descent.

    After the update of `optimizer`, each parameter with a range is clipped to it. Its state is that
    of `optimizer`.

    Args:
        optimizer: any optax transformation; its `update` is given the parameters, or the model.
        model: the model to be trained; only its structure and families are used.
        limits: narrower ranges, as in `ranges`: those of a chip, for instance.

    Raises:
        ValueError: if a limit matches no parameter or leaves it no value; in `update`, if `params`
            is missing.

    >>> import equinox as eqx, jax.numpy as jnp, optax, snnjax
    >>> layer = snnjax.IAF(1, threshold=[0.5])
    >>> optimizer = snnjax.bounded(optax.sgd(1.0), layer, limits={"thresholds": (0.25, 1.0)})
    >>> params = eqx.filter(layer, eqx.is_inexact_array)
    >>> grads = eqx.tree_at(lambda m: m.threshold, params, jnp.array([9.0]))
    >>> updates, _ = optimizer.update(grads, optimizer.init(params), params)
    >>> print(eqx.apply_updates(layer, updates).threshold)
    [0.25]
    """
    inner, valid = optax.with_extra_args_support(optimizer), ranges(model, limits)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("`params` is needed: optimizer.update(grads, state, params)")
        params = jax.tree.map(_trained, updates, params, is_leaf=_is_none)
        updates, state = inner.update(updates, state, params, **extra)

        def project(path: Any, change: Any, value: Any) -> Any:
            bounds = valid.get(path_str(path))
            return change if bounds is None else _projected(change, value, bounds)

        return jax.tree_util.tree_map_with_path(project, updates, params), state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _trained(gradient: FloatArray | None, value: Any) -> Any:
    """`value` where there is a gradient: of a whole model, the parameters."""
    return None if gradient is None else value


def _is_none(x: Any) -> bool:
    return x is None


def _projected(change: FloatArray, value: FloatArray, bounds: Range) -> FloatArray:
    """`change`, cut so that value + change, as rounded, is within `bounds`."""
    low, high = (jnp.asarray(bound, value.dtype) for bound in bounds)
    wanted = jnp.clip(value + change, low, high)
    cut = jnp.where(wanted == value + change, change, wanted - value)
    # The sum may round to the wrong side of a bound, by one digit of the larger number.
    largest = jnp.maximum(jnp.abs(value), jnp.abs(wanted))
    digit = jnp.nextafter(largest, jnp.asarray(jnp.inf, value.dtype)) - largest
    cut = jnp.where(value + cut < low, cut + digit, cut)
    return jnp.where(value + cut > high, cut - digit, cut)


def _valid(node: Any, field: str | None) -> Range | None:
    """The range that a field has of its own: by its metadata, or as a surrogate's setting."""
    if field in getattr(type(node), "above_zero", ()):
        return 1e-6, math.inf
    if field is None or not dataclasses.is_dataclass(node):
        return None
    return {f.name: f.metadata.get("valid") for f in dataclasses.fields(node)}.get(field)


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
