"""Paths into a pytree as text, and what is selected by them."""

import re

import equinox as eqx
import jax.numpy as jnp
import pytest
from jax.tree_util import FlattenedIndexKey, GetAttrKey, tree_leaves_with_path

from snnjax._tree import leaves_with_path, map_with_path, matches, select, walk


class Inner(eqx.Module):
    weight: object
    table: object


class Outer(eqx.Module):
    layers: tuple
    scale: object


TREE = Outer(layers=(Inner(1, {"a": [2, 3]}), Inner(4, None)), scale=5)
PATHS = ["layers[0].weight", "layers[0].table['a'][0]", "layers[0].table['a'][1]"]
PATHS += ["layers[1].weight", "scale"]


def test_paths_are_written_like_the_access_that_reaches_a_leaf():
    found = leaves_with_path(TREE)
    assert found == list(zip(PATHS, [1, 2, 3, 4, 5], strict=True))
    for path, leaf in found:
        assert eval(f"tree.{path}", {"tree": TREE}) == leaf


def test_is_leaf_stops_the_descent():
    found = leaves_with_path(TREE, is_leaf=lambda node: isinstance(node, Inner))
    assert [path for path, _ in found] == ["layers[0]", "layers[1]", "scale"]


def test_map_with_path_gives_the_path_and_the_leaves_of_every_tree():
    mapped = map_with_path(lambda path, a, b: (path, a + b), TREE, TREE)
    assert mapped.layers[1].weight == ("layers[1].weight", 8)
    assert mapped.layers[1].table is None


def test_map_with_path_stops_at_is_leaf():
    mapped = map_with_path(lambda path, _: path, TREE, is_leaf=lambda node: node is None)
    assert mapped.layers[1].table == "layers[1].table"


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("layers[0].weight", "layers[0].weight", True),
        ("layers[0].weight", "layers[0].weights", False),
        ("layers[0].weight", "x.layers[0].weight", False),
        ("layers[01].weight", "layers[0].weight", False),
        ("layers[*].weight", "layers[12].weight", True),
        ("*.weight", "layers[0].layers[1].weight", True),
        ("*weight", "weight", True),
        ("layers[?].bias", "layers[3].bias", True),
        ("layers[?].bias", "layers[13].bias", False),
        ("layers.0", "layers[0", False),
        ("*", "anything", True),
        (re.compile(r"layers\[[01]\]\..*"), "layers[1].bias", True),
        (re.compile(r"layers\[[01]\]"), "layers[1].bias", False),
    ],
)
def test_patterns_match_whole_paths(pattern, path, wanted):
    assert matches(pattern, path) is wanted


def test_select_keeps_the_order_of_the_paths_and_no_path_twice():
    assert select(["scale", "layers[*].weight", "*[1].weight"], PATHS, "where") == [
        "layers[0].weight",
        "layers[1].weight",
        "scale",
    ]


@pytest.mark.parametrize("pattern", ["layers[2].weight", re.compile("layers.2..weight")])
def test_a_pattern_that_matches_nothing_is_an_error_that_lists_the_paths(pattern):
    with pytest.raises(ValueError, match=r"`where`: 'layers.*weight' matches nothing") as error:
        select(["scale", pattern], PATHS, "where")
    assert all(path in str(error.value) for path in PATHS)


def test_walk_passes_every_node_with_the_field_that_it_leaves_by():
    [path] = [p for p, leaf in tree_leaves_with_path(TREE) if leaf == 3]
    assert walk(TREE, path) == [
        (TREE, "layers"),
        (TREE.layers, None),
        (TREE.layers[0], "table"),
        (TREE.layers[0].table, None),
        (TREE.layers[0].table["a"], None),
    ]


def test_walk_ends_at_a_node_with_keys_of_its_own_kind():
    path = (GetAttrKey("scale"), FlattenedIndexKey(0), GetAttrKey("weight"))
    assert walk(TREE, path) == [(TREE, "scale")]


def test_paths_of_a_bare_leaf_are_empty():
    assert leaves_with_path(jnp.float32(1)) == [("", 1)]
