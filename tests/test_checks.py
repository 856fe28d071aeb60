"""Errors that name the argument at fault instead of speaking from the inside of JAX."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from snnjax._checks import explained
from snnjax._checks._kinds import fits, words
from snnjax._typing import FloatArray, Key


@explained
def scaled(
    x: Float[Array, "time channels"],
    scale: FloatArray,
    steps: int = 1,
    mode: Literal["up", "down"] = "up",
    *rest: ArrayLike,
    limits: Mapping[str, float] | None = None,
    key: Key | None = None,
    state: Any = None,
) -> Array:
    if key is not None:
        x = x + jax.random.normal(key, x.shape)
    for limit in (limits or {}).values():
        x = jnp.minimum(x, limit)
    state = jax.tree.map(jnp.negative, state)
    names = {"up": x * scale, "down": x / scale}
    return names[mode] + jnp.zeros(steps + 0 * len(rest))[0] + sum(map(jnp.sum, rest))


X = jnp.ones((4, 3))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (("abc", X), TypeError, "`x` must be an array of floating-point numbers of the shape"),
        ((X, "abc"), TypeError, "`scale` must be an array of floating-point numbers; got 'abc'"),
        ((X, [[1.0], [1.0, 2.0]]), TypeError, "`scale` must be an array"),
        ((X, X, 1.5), TypeError, "`steps` must be a whole number; got 1.5"),
        (
            (X, X, 10**30),
            (TypeError, ValueError),
            "scaled failed, perhaps because `steps` has more than 32",
        ),
        ((X, X, 1, "left"), TypeError, "`mode` must be 'up' or 'down'; got 'left'"),
        ((X, X, 1, "up", 1.0, "abc"), TypeError, r"`rest\[1\]` must be an array of real numbers"),
        (
            (X, X[:, :2]),
            (TypeError, ValueError),
            r"`x` and `scale` do not go together: \(4, 3\) and \(4, 2\)",
        ),
        ((X, X.astype("float16")), ValueError, "`x` and `scale` have not one dtype but float32"),
    ],
)
def test_the_argument_at_fault_is_named(given, error, message):
    with pytest.raises(error, match=message) as caught:
        scaled(*given)
    assert caught.value.__cause__ is not None, "the error of JAX stays to be read"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limits": 3}, "`limits` must be a dictionary or None; got 3"),
        ({"limits": {"a": "b"}}, "`limits` must be a dictionary"),
        ({"key": X}, "`key` must be one random key, .* got an array of float32 of the shape"),
        ({"key": jax.random.split(jax.random.key(0))}, "`key` must be one random key"),
        ({"state": {"a": "b"}}, "perhaps because `state` is no pytree of arrays: 'b': TypeError: "),
    ],
)
def test_so_are_those_by_name(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        scaled(X, X, **given)


def test_correct_calls_are_the_same_program():
    plain = scaled.__wrapped__
    assert str(jax.make_jaxpr(scaled)(X, X)) == str(jax.make_jaxpr(plain)(X, X))
    gradient = jax.grad(lambda x: jax.vmap(scaled, in_axes=(0, None))(x, X).sum())(X[None])
    np.testing.assert_array_equal(gradient, X[None])


@explained
def calling(x: float, function: Callable[[], None], scale: FloatArray = X) -> None:
    function()


def raising(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    "error", [RuntimeError("a"), FileNotFoundError("b"), ZeroDivisionError("c")]
)
def test_errors_of_programs_and_of_the_users_functions_pass(error):
    with pytest.raises(type(error), match=str(error)):
        calling(math.nan, raising(error))
    with pytest.raises((TypeError, type(error)), match=r"`x` must be a number; got 'abc'|a|b"):
        calling("abc", raising(error))


def test_an_error_from_the_inside_shows_the_arguments():
    inside = functools.partial(jnp.reshape, X, (5, 5))
    with pytest.raises(TypeError, match=r"calling failed: TypeError: .* it was given `x` 1.0, `f"):
        calling(1.0, inside)
    with pytest.raises(TypeError, match="perhaps because `x` is not finite: nan: TypeError"):
        calling(math.nan, inside)


FIT = [
    (1, int, True),
    (True, int, False),
    (np.int32(1), int, True),
    (1.5, float, True),
    (1, float, True),
    ("a", float, False),
    (np.bool(True), bool, True),
    (None, int | None, True),
    ((1, 2), tuple[int, ...], True),
    ((1, "a"), tuple[int, ...], False),
    ((1, 2, 3), tuple[int, int], False),
    ("ab", Sequence[str], False),
    (["a", "b"], Sequence[str], True),
    (math.sqrt, Callable[[float], float], True),
    (1, Callable[[float], float], False),
    (X, Float[Array, "a b"], True),
    (np.ones((4, 3), np.float32), Float[Array, "a b"], True),
    (X, Float[Array, "a"], False),
    (X, Int[Array, "a b"], False),
    (X.astype(int), ArrayLike, True),
    (np.array([None], object), ArrayLike, False),
    (1j, ArrayLike, False),
    (jax.random.key(0), ArrayLike, False),
    (jax.random.key(0), Key, True),
    (jax.random.PRNGKey(0), Key, True),
    (object(), Any, True),
]


@pytest.mark.parametrize(("value", "kind", "expected"), FIT)
def test_a_value_is_of_an_annotation(value, kind, expected):
    assert fits(value, kind) is expected


def test_annotations_in_words():
    assert words(int | None) == "a whole number or None"
    assert words(ArrayLike) == "an array of real numbers"
    assert words(Float[Array, "time classes"]).endswith("numbers of the shape (time, classes)")
    assert words(tuple[int, ...]) == "a sequence, each item a whole number"
    assert words(Callable[[float], float]) == "a function"


def test_arguments_of_functions_within_are_not_to_blame():
    names = {"__name__": "snnjax.within", "explained": explained}
    exec("@explained\ndef inner(x: float):\n    return 1 / x", names)
    exec("@explained\ndef outer(y: float):\n    return inner(x=str(y))", names)
    with pytest.raises(TypeError, match="`x` must be a number"):
        names["inner"]("abc")
    with pytest.raises(TypeError, match="`y` must be a number; got None"):
        names["outer"](None)
    with pytest.raises(TypeError, match="unsupported operand"):
        names["outer"](1.0)
