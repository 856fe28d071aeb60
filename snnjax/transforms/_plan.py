"""Plans: a transform for each parameter, activation and state of a model."""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax

from .._checks import explained
from .._tree import Pattern, leaves_with_path, map_with_path, modules_with_path, select
from .._typing import Key, PyTree
from ..nn import Hooks
from ..params import families
from ..quant import Transform
from ._select import hooked_outputs, hooked_states

Predicate: TypeAlias = Callable[[str, Any], bool]
Where: TypeAlias = Mapping[Pattern | Predicate, Transform | None]
ByLayer: TypeAlias = Mapping[Pattern | type, Transform | None]


@explained
def plan(
    model: PyTree,
    by_family: Mapping[str, Transform | None] | None = None,
    *,
    where: Where | None = None,
    activations: ByLayer | None = None,
    states: ByLayer | None = None,
) -> PyTree:
    """Assign transforms to the parameters, activations and states of a model.

    Patterns are globs over paths such as `"layers[2].weight"` or `"layers[*].bias"`, or compiled
    regular expressions. If several rules of one kind match, the last one wins; None removes a
    transform.

    Args:
        model: a pytree of `eqx.Module`s.
        by_family: a transform for every parameter of a family: weights, biases, taus, decays,
            bitshifts or thresholds.
        where: a transform for the parameters at matching paths, or for which a function of path
            and parameter is true. It takes precedence over `by_family`.
        activations: a transform for the outputs of layers of a network, over the whole sequence,
            by path, class or class name: `{"layers[0]": ..., eqx.nn.Linear: ..., "LIF": ...}`.
        states: a transform for states inside the loop over time, just before the neurons fire, by
            path (`"layers[1].vmem"`, `"*.isyn"`) or class name and state (`"LIF.vmem"`).

    Returns:
        A pytree that mirrors `model`: a transform in place of each transformed parameter, `Hooks`
        in place of the `on_output` of networks and the `on_state` of neurons, and None elsewhere.

    Raises:
        ValueError: if a rule matches nothing; the message lists the possible matches.
        TypeError: if an argument is no dictionary, a key of a rule has another type than above, or
            its value is no `Transform`.

    >>> import jax
    >>> from snnjax import SynNet, quant, transforms
    >>> model = SynNet(2, 3, (4,), (1,), key=jax.random.key(0))
    >>> plan = transforms.plan(model, {"weights": quant.Int(4)}, where={"layers[2].weight": None})
    >>> network = transforms.apply(plan, model)
    >>> print(len(set((network.layers[0].weight / quant.Int(4).scale_of(model.layers[0].weight))
    ...     .round().ravel().tolist())) <= 15)
    True
    """
    _check_rules(by_family=by_family, where=where, activations=activations, states=states)
    parameters = _parameter_rules(model, by_family or {}, where or {})

    def start(path: str, leaf: Any) -> Transform | None:
        transform = parameters.get(path)
        return None if transform is None else transform.init(leaf)

    # The transforms of a model that `apply` returned are not parameters.
    mirror = map_with_path(start, model, is_leaf=_is_hooks)
    hooks = {
        **{f"{path}.on_output": h for path, h in hooked_outputs(model, activations or {}).items()},
        **{f"{path}.on_state": h for path, h in hooked_states(model, states or {}).items()},
    }
    return _with_hooks(mirror, {path.removeprefix("."): h for path, h in hooks.items()})


@explained
def apply(plan: PyTree, model: PyTree, *, key: Key | None = None) -> PyTree:
    """A copy of the model with transformed parameters, activations and states.

    Differentiable: a loss of `apply(plan, model)` trains the parameters of `model` and of the plan
    through the transforms.

    Args:
        plan: a plan of `plan(model, ...)`, for this model or one of the same structure.
        model: the model.
        key: needed if a transform of a parameter is random. The key of each parameter depends on
            its path only, not on the rest of the plan. Random transforms of activations and states
            draw from the key that the model is called with.

    Raises:
        ValueError: if the plan was made for a model of another structure, or has a transform for a
            parameter that this model lacks.
        TypeError: if `plan` is no plan, but the model for instance.
    """

    def transformed(path: str, rule: Transform | Hooks | None, leaf: Any) -> Any:
        if isinstance(rule, Hooks):
            return leaf.updated(rule) if isinstance(leaf, Hooks) else rule
        return _transformed(path, rule, leaf, key)

    return _map(transformed, plan, model)


@explained
def burn_in(plan: PyTree, model: PyTree, *, key: Key | None = None) -> PyTree:
    """A copy of the model with transformed parameters only, to keep after training.

    Args:
        plan: a plan of `plan(model, ...)`.
        model: the model.
        key: as for `apply`; the same key gives the same parameters.

    Raises:
        ValueError: if the plan was made for a model of another structure, or has a transform for a
            parameter that this model lacks.
    """

    def transformed(path: str, rule: Transform | Hooks | None, leaf: Any) -> Any:
        return leaf if isinstance(rule, Hooks) else _transformed(path, rule, leaf, key)

    return _map(transformed, plan, model)


@explained
def merge(first: PyTree, second: PyTree) -> PyTree:
    """A plan with the rules of both; `second` wins where both have one.

    Raises:
        ValueError: if the plans were made for models of different structures.
        TypeError: if an argument is no plan, but the model for instance.
    """
    check_plan(second)

    def merged(_: str, a: Transform | Hooks | None, b: Transform | Hooks | None) -> Any:
        if isinstance(a, Hooks) and isinstance(b, Hooks):
            return a.updated(b)
        return a if b is None else b

    return _map(merged, first, second)


def _transformed(path: str, transform: Transform | None, leaf: Any, key: Key | None) -> Any:
    if transform is None:
        return leaf
    if leaf is None:
        raise ValueError(f"`plan` has {transform} for `{path}`, which this model does not have")
    if isinstance(key, int):
        raise TypeError(f"`key` must be a key, jax.random.key({key}); got {key}")
    own = None if key is None else jax.random.fold_in(key, zlib.crc32(path.encode()))
    return _call(transform, leaf, own)


@eqx.filter_jit
def _call(transform: Transform, leaf: Any, key: Key | None) -> Any:
    # Outside of jit, this compiles one program per transform and shape, not one per operation.
    return transform(leaf, key=key)


_NAMES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "by_family": ("a family", lambda name: isinstance(name, str)),
    "where": (
        "a path, a regular expression, or a function of path and parameter",
        lambda name: (
            isinstance(name, str | re.Pattern) or (callable(name) and not isinstance(name, type))
        ),
    ),
    "activations": (
        "a path, a regular expression, or a class",
        lambda name: isinstance(name, str | re.Pattern | type),
    ),
    # A class alone gets a more specific error in `hooked_states`.
    "states": (
        "a path, or a class and a state such as 'LIF.vmem'",
        lambda name: isinstance(name, str | re.Pattern | type),
    ),
}
"""The keys of the rules of each argument: in words, and as a check."""


def _check_rules(**arguments: Mapping[Any, Any] | None) -> None:
    for argument, rules in arguments.items():
        names, is_name = _NAMES[argument]
        if not isinstance(rules, Mapping | None):
            raise TypeError(
                f"`{argument}` must be a dictionary of transforms by {names}; "
                f"got {type(rules).__name__}"
            )
        for name, rule in (rules or {}).items():
            if not is_name(name):
                raise TypeError(f"`{argument}`: a rule goes by {names}; got {name!r}")
            if rule is not None and not isinstance(rule, Transform):
                raise TypeError(
                    f"`{argument}`: {name!r} must have a Transform or None; got {rule!r}"
                )


def _parameter_rules(
    model: PyTree, by_family: Mapping[str, Transform | None], where: Where
) -> dict[str, Transform | None]:
    found = families(model)
    present = sorted(set(found.values()))
    rules: dict[str, Transform | None] = {}
    for family, transform in by_family.items():
        if family not in present:
            raise ValueError(
                f"`by_family`: the model has no parameter of the family {family!r}. "
                f"Its families are: {', '.join(present)}"
            )
        rules.update(dict.fromkeys((p for p, f in found.items() if f == family), transform))
    leaves = leaves_with_path(model, is_leaf=_is_hooks)
    arrays = {path: leaf for path, leaf in leaves if eqx.is_inexact_array(leaf)}
    for rule, transform in where.items():
        if callable(rule):
            chosen = [path for path, leaf in arrays.items() if rule(path, leaf)]
            if not chosen:
                raise ValueError(f"`where`: {rule!r} is true of none of: {', '.join(arrays)}")
        else:
            chosen = select([rule], list(arrays), "where")
        rules.update(dict.fromkeys(chosen, transform))
    for path, chosen_transform in rules.items():
        _check_family(path, found.get(path), chosen_transform)
    return rules


def _check_family(path: str, family: str | None, transform: Transform | None) -> None:
    if transform is not None and transform.families and family not in transform.families:
        raise ValueError(
            f"{type(transform).__name__} is for {', '.join(transform.families)}, but `{path}` is "
            f"one of {family or 'no family'}"
        )


def _with_hooks(mirror: PyTree, hooks: Mapping[str, Hooks]) -> PyTree:
    if not hooks:
        return mirror

    def slots(tree: PyTree) -> list[Any]:
        owners = dict(modules_with_path(tree))
        pairs = [path.rpartition(".") for path in hooks]
        return [getattr(owners[owner], field) for owner, _, field in pairs]

    return eqx.tree_at(slots, mirror, list(hooks.values()), is_leaf=lambda node: node is None)


def _map(f: Callable[..., Any], plan: PyTree, other: PyTree) -> PyTree:
    """Apply `f` to path, rule and the node of `other` at the same path, after a structure check."""
    check_plan(plan)
    try:
        jax.tree.map(lambda *_: None, plan, other, is_leaf=_is_rule)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "`plan` was made for a model of another structure; make one with `plan(model, ...)`"
        ) from error
    return map_with_path(f, plan, other, is_leaf=_is_rule)


def check_plan(plan: PyTree) -> None:
    """Raise TypeError unless `plan` is a plan: every leaf is a transform, `Hooks` or None."""
    if isinstance(plan, Transform) and plan.of_models:
        return
    if _is_rule(plan):
        raise TypeError(f"`plan` must be what `plan(model, ...)` gave; got {plan!r}")
    for path, leaf in leaves_with_path(plan, is_leaf=_is_rule):
        if not _is_rule(leaf):
            kind = eqx.tree_pformat(leaf)
            raise TypeError(
                f"`plan` must be what `plan(model, ...)` gave, but holds {kind} at {path!r}; is it "
                f"the model?"
            )


def _is_hooks(node: Any) -> bool:
    return isinstance(node, Hooks)


def _is_rule(node: Any) -> bool:
    return node is None or isinstance(node, Transform | Hooks)
