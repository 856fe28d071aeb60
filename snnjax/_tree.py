"""Paths of a pytree, written as Python accesses: `layers[2].weight`."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import equinox as eqx
import jax
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

from ._typing import PyTree

Pattern: TypeAlias = str | re.Pattern[str]
KeyPath: TypeAlias = tuple[Any, ...]


def path_str(path: KeyPath) -> str:
    """The path as text, without the leading dot: `layers[2].weight`."""
    return jax.tree_util.keystr(path).removeprefix(".")


def leaves_with_path(
    tree: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> list[tuple[str, Any]]:
    """Every leaf of `tree` with its path, in the tree's order."""
    pairs = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_leaf)
    return [(path_str(path), leaf) for path, leaf in pairs]


def map_with_path(
    f: Callable[..., Any], tree: PyTree, *rest: PyTree, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """`jax.tree.map` of a function whose first argument is the path of the leaf."""
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: f(path_str(path), *leaves), tree, *rest, is_leaf=is_leaf
    )


def matches(pattern: Pattern, path: str) -> bool:
    """Whether `pattern` matches the whole of `path`.

    A string is a glob: `*` matches any text and `?` one character. Brackets are literal, since
    paths contain them. A compiled regular expression is used as it is.
    """
    if isinstance(pattern, str):
        glob = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(glob, path) is not None
    return pattern.fullmatch(path) is not None


def select(patterns: Iterable[Pattern], paths: Sequence[str], argument: str) -> list[str]:
    """The paths that match any of the patterns, in the order of `paths`.

    Raises:
        ValueError: if a pattern matches nothing; the message names `argument` and lists the paths.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = [path for path in paths if matches(pattern, path)]
        if not found:
            text = pattern if isinstance(pattern, str) else pattern.pattern
            raise ValueError(
                f"`{argument}`: {text!r} matches nothing. The paths are: {', '.join(paths)}"
            )
        chosen.update(found)
    return [path for path in paths if path in chosen]


def modules_with_path(tree: PyTree, path: str = "") -> Iterator[tuple[str, eqx.Module]]:
    """Every `eqx.Module` within `tree`, itself included, with its path, outer ones first."""
    if isinstance(tree, eqx.Module):
        yield path, tree
        for field in dataclasses.fields(tree):
            prefix = f"{path}.{field.name}" if path else field.name
            yield from modules_with_path(getattr(tree, field.name, None), prefix)
    elif isinstance(tree, list | tuple):
        for i, child in enumerate(tree):
            yield from modules_with_path(child, f"{path}[{i}]")
    elif isinstance(tree, dict):
        for key, child in tree.items():
            yield from modules_with_path(child, f"{path}[{key!r}]")


def walk(tree: PyTree, path: KeyPath) -> list[tuple[Any, str | None]]:
    """The nodes from the root to the leaf at `path`, each with the name of the field taken.

    The name is None for a list, a tuple or a dictionary. The walk ends at a node with custom keys,
    which have no field names.
    """
    steps: list[tuple[Any, str | None]] = []
    node = tree
    for key in path:
        match key:
            case GetAttrKey(name=name):
                steps.append((node, name))
                node = getattr(node, name)
            case SequenceKey(idx=index):
                steps.append((node, None))
                node = node[index]
            case DictKey(key=name):
                steps.append((node, None))
                node = node[name]
            case _:
                break
    return steps
