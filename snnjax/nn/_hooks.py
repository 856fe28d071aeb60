"""Transforms that a network applies as it runs, to the outputs of layers or to their states."""

import equinox as eqx

from .._typing import FloatArray, Key
from ..quant import Transform


class Hooks(eqx.Module):
    """Transforms by name; a name without one is left as it is.

    Attributes:
        transforms: for a `Chain`, by the index of the layer as text; for neurons, by their state.
    """

    transforms: dict[str, Transform]

    def __call__(
        self,
        name: str,
        x: FloatArray,
        *,
        key: Key | None = None,
        threshold: FloatArray | None = None,
    ) -> FloatArray:
        """`x` through the transform called `name`, if there is one."""
        transform = self.transforms.get(name)
        return x if transform is None else transform(x, key=key, threshold=threshold)

    def updated(self, other: "Hooks") -> "Hooks":
        """These transforms and those of `other`, which win where both have one."""
        return Hooks({**self.transforms, **other.transforms})
