"""Layers and states that match the rules of a plan."""

from collections.abc import Iterable, Mapping, Sequence

from .._tree import Pattern, matches, modules_with_path
from .._typing import PyTree
from ..nn import Hooks, Network, Neuron
from ..quant import Transform


def hooked_outputs(
    model: PyTree, rules: Mapping[Pattern | type, Transform | None]
) -> dict[str, Hooks]:
    """Transforms of outputs, for each network by its path.

    Raises:
        ValueError: if a rule matches no layer; the message lists paths and classes.
    """
    layers = {
        f"{path}.layers[{i}]".removeprefix("."): (path, str(i), type(layer))
        for path, module in modules_with_path(model)
        if isinstance(module, Network)
        for i, layer in enumerate(module.layers)
    }
    chosen: dict[str, Transform | None] = {}
    for rule, transform in rules.items():
        found = [path for path, (_, _, cls) in layers.items() if _means(rule, path, cls)]
        if not found:
            classes = sorted({cls.__name__ for _, _, cls in layers.values()})
            raise _no_match("activations", rule, [*layers, *classes])
        chosen.update(dict.fromkeys(found, transform))
    return _gather((*layers[path][:2], transform) for path, transform in chosen.items())


def hooked_states(
    model: PyTree, rules: Mapping[Pattern | type, Transform | None]
) -> dict[str, Hooks]:
    """Transforms of states, for each layer of neurons by its path.

    Raises:
        ValueError: if a rule matches no state; the message lists paths and classes.
    """
    states = {
        f"{path}.{name}".removeprefix("."): (path, name, f"{type(module).__name__}.{name}")
        for path, module in modules_with_path(model)
        if isinstance(module, Neuron)
        for name in module.hookable
    }
    chosen: dict[str, Transform | None] = {}
    for rule, transform in rules.items():
        if isinstance(rule, type):
            raise ValueError(
                f"`states`: {rule.__name__} does not say which state; write for instance "
                f"'{rule.__name__}.vmem'"
            )
        found = [p for p, (_, _, of) in states.items() if matches(rule, p) or matches(rule, of)]
        if not found:
            raise _no_match(
                "states", rule, [*states, *sorted({of for _, _, of in states.values()})]
            )
        chosen.update(dict.fromkeys(found, transform))
    return _gather((*states[path][:2], transform) for path, transform in chosen.items())


def _means(rule: Pattern | type, path: str, cls: type) -> bool:
    if isinstance(rule, type):
        return issubclass(cls, rule)
    return matches(rule, path) or any(rule == base.__name__ for base in cls.__mro__)


def _no_match(argument: str, rule: Pattern | type, there_is: Sequence[str]) -> ValueError:
    named = rule.__name__ if isinstance(rule, type) else repr(getattr(rule, "pattern", rule))
    listed = ", ".join(there_is) or "nothing, since the model is no network of layers"
    return ValueError(f"`{argument}`: {named} matches nothing. There is: {listed}")


def _gather(rows: Iterable[tuple[str, str, Transform | None]]) -> dict[str, Hooks]:
    owners: dict[str, dict[str, Transform]] = {}
    for owner, name, transform in rows:
        if transform is not None:
            owners.setdefault(owner, {})[name] = transform
    return {owner: Hooks(transforms) for owner, transforms in owners.items()}
