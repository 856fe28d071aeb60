"""How a kernel lets its states be transformed as it goes."""

from typing import Protocol

from .._typing import FloatArray


class Hook(Protocol):
    """A function of a state's name and value that gives the value to go on with."""

    def __call__(self, name: str, x: FloatArray, /) -> FloatArray: ...


def unchanged(name: str, x: FloatArray) -> FloatArray:
    """The hook that changes nothing."""
    return x
