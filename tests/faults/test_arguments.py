"""Wrong kinds of arguments in public functions: no error speaks from the inside of JAX or NumPy.

    python -m tests.faults.test_arguments surrogate quant.

tries all wrong values in all arguments of the functions whose names begin so, and prints what has
no error of ours.
"""

import contextlib
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

for package in ("grain", "h5py", "matplotlib", "nir", "orbax", "sklearn"):
    pytest.importorskip(package, reason="calls of every public name need all extras")

from . import calls  # noqa: E402

HOME = Path(snnjax.__file__).parent
CALLS = str(Path(calls.__file__).parent)
EXPLAINED = "_explained.py"
"""The file of errors that say for others which argument may be at fault."""


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
    """The error of a call with one wrong argument, if it speaks from the inside.

    It does unless it is raised by this library and names the argument. A check may name another
    argument too, one that has to go with it. An error of a user's own function passes as it is.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            calls.call(function, arguments, replaced, value)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if any(x.filename.startswith(CALLS) and x.name != "call" for x in frames):
            return None  # of a function that a call has as an argument, a user's
        frame = frames[-1]
        file = Path(frame.filename)
        if isinstance(error, OSError):  # of a file or a folder, which it names
            return None
        if isinstance(replaced, int) or (file.is_relative_to(HOME) and file.name != EXPLAINED):
            named = r"`|\babc\b|^\.? |^/|^the text "  # the wrong texts, as files or as JSON
        else:
            named = rf"`[^`]*\b{replaced}\b[^`]*`"
        raised = file.is_relative_to(HOME) and frame.line.startswith("raise ")
        if not raised or not re.search(named, str(error)):
            return f"{type(error).__name__}: {error} ({file.name}:{frame.lineno})"
    return None


ROOMS_OF_THE_SAMPLE = ("the_core", "quantisers", "kernels", "events", "files")
"""Rooms whose calls take milliseconds."""


def places(rooms, folder):
    """Each argument of each call: name, function, arguments, and the argument."""
    for room in rooms:
        for name, function, arguments in calls.ROOMS[room](folder):
            for argument in calls.arguments_of(function, arguments):
                yield name, function, arguments, argument


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return list(places(ROOMS_OF_THE_SAMPLE, tmp_path_factory.mktemp("calls")))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return list(places(calls.ROOMS, tmp_path_factory.mktemp("calls")))


@pytest.fixture(scope="module", autouse=True)
def folder_of_their_own(tmp_path_factory):
    """Some wrong arguments are good names of files, which are written here."""
    with contextlib.chdir(tmp_path_factory.mktemp("written")):
        yield


def assert_named(place, kind):
    name, function, arguments, argument = place
    found = complaint(function, arguments, argument, WRONG[kind])
    assert found is None, f"{name}({argument}={kind}): {found}"


@settings(max_examples=60)
@given(data=st.data())
def test_a_wrong_argument_is_named(sample, data):
    assert_named(data.draw(st.sampled_from(sample)), data.draw(st.sampled_from(list(WRONG))))


@pytest.mark.long
@settings(max_examples=300)
@given(data=st.data())
def test_a_wrong_argument_of_any_public_name_is_named(everything, data):
    assert_named(data.draw(st.sampled_from(everything)), data.draw(st.sampled_from(list(WRONG))))


@pytest.mark.slow
def test_every_public_name_is_called(everything):
    called = {name.removesuffix("()") for name, *_ in everything}
    assert set(calls.public_names()) - called == calls.WITHOUT_A_CALL.keys()


def main(*begin):
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    tried, left = 0, 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, function, arguments, argument in places(calls.ROOMS, Path(folder)):
            if name.startswith(begin or ("",)):
                for kind, value in WRONG.items():
                    found = complaint(function, arguments, argument, value)
                    tried, left = tried + 1, left + bool(found)
                    if found:
                        print(f"{name}({argument}={kind}): {found}", flush=True)
    print(f"{left} of {tried} wrong calls end in an error from the inside")


if __name__ == "__main__":
    main(*sys.argv[1:])
