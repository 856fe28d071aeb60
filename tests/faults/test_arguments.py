"""Wrong kinds of arguments in public functions: no error speaks from the inside of JAX or NumPy.

    python -m tests.faults.test_arguments surrogate quant.

tries all wrong values in all arguments of the functions whose names begin so, and prints what has
no error of ours.
"""

import re
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import snnjax

from . import calls

HOME = str(Path(snnjax.__file__).parent)


class Strange:
    """An object that nothing here takes."""

    def __repr__(self):
        return "Strange()"


WRONG = {
    "text": "abc",
    "empty text": "",
    "bytes": b"abc",
    "None": None,
    "an object": Strange(),
    "a class": Strange,
    "a function": lambda *args, **kwargs: None,
    "True": True,
    "a complex number": 1j,
    "nan": float("nan"),
    "infinity": float("inf"),
    "a negative number": -1,
    "a fraction": 0.37,
    "a huge integer": 10**30,
    "a ragged list": [[1.0, 2.0], [3.0]],
    "a list of text": ["a", "b"],
    "a list of None": [None],
    "an empty list": [],
    "an empty tuple": (),
    "a dictionary": {"a": 1},
    "a set": {1, 2},
    "an array of objects": np.array([1, "a", None], object),
    "an array of text": np.array(["a", "b"]),
    "an array of complex numbers": np.ones((4, 3), complex),
    "an array of booleans": jnp.ones((4, 3), bool),
    "an array of another width": jnp.ones((4, 5)),
    "an array of more axes": jnp.ones((2, 4, 3, 2, 2)),
    "an empty array": jnp.zeros((0, 3)),
    "an array of 16 bits": jnp.ones((4, 3), jnp.float16),
    "random keys": jax.random.split(jax.random.key(0), 3),
    "a key of an old kind": jax.random.PRNGKey(0),
    "a key of another shape": jnp.zeros((2, 3), jnp.uint32),
}


def complaint(function, arguments, replaced, value):
    """The error of a call with one wrong argument, if it is none of ours that names it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            calls.call(function, arguments, replaced, value)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        named = r"`" if isinstance(replaced, int) else rf"`[^`]*\b{replaced}\b[^`]*`"
        if not frame.filename.startswith(HOME) or not re.search(named, str(error)):
            return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    return None


CORE = {name: call for name, *call in calls.calls_of_the_core()}
PLACES = [
    (name, argument)
    for name, (function, given_) in CORE.items()
    for argument in calls.arguments_of(function, given_)
    if name.startswith(("decay.", "passthrough.", "surrogate."))
]


@settings(max_examples=60)
@given(st.sampled_from(PLACES), st.sampled_from(list(WRONG)))
def test_a_wrong_argument_is_named(place, kind):
    name, argument = place
    found = complaint(*CORE[name], argument, WRONG[kind])
    assert found is None, f"{name}({argument}={kind}): {found}"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({name for name, _ in PLACES}))
def test_each_wrong_argument_is_named(name):
    assert list(all_complaints(name, *CORE[name])) == []


def all_complaints(name, function, arguments):
    """A line for each wrong value in each argument that has no error of ours."""
    for argument in calls.arguments_of(function, arguments):
        for kind, value in WRONG.items():
            found = complaint(function, arguments, argument, value)
            if found:
                yield f"{name}({argument}={kind}): {found}"


def main(*begin):
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    tried, left = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, function, arguments in calls.all_calls(Path(folder)):
            if name.startswith(begin or ("",)):
                lines = list(all_complaints(name, function, arguments))
                tried += len(WRONG) * len(list(calls.arguments_of(function, arguments)))
                left += len(lines)
                print(*lines, sep="\n", end="\n" if lines else "", flush=True)
    print(f"{left} of {tried} wrong calls end in an error from the inside")


if __name__ == "__main__":
    main(*sys.argv[1:])
