"""The base of all transforms of arrays."""

import abc
from typing import ClassVar, Self

import equinox as eqx

from .._typing import FloatArray, Key


class Transform(eqx.Module):
    """A differentiable function of one array that keeps its shape, with its settings.

    Settings to sweep over are ordinary fields. A Python number in such a field is static under
    `eqx.filter_jit`. An array can be mapped over with `jax.vmap` or `eqx.filter_vmap`, so that one
    compiled call tries all of its settings.

    Attributes:
        families: the families of parameters that it suits; empty for all.
        of_models: whether it transforms a whole model instead of an array, and so is a plan by
            itself. Plans of chips whose parameters share a scale are such transforms.
    """

    families: ClassVar[tuple[str, ...]] = ()
    of_models: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(
        self, x: FloatArray, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> FloatArray:
        """The transformed array, of the shape and dtype of `x`.

        Args:
            x: a parameter, an activation or a state.
            key: for transforms that draw random numbers.
            threshold: if `x` is a state, the firing threshold of its neurons, which must
                broadcast against `x`; None for everything else.
        """

    def init(self, x: FloatArray) -> Self:
        """This transform with its learned settings initialised for `x`.

        Without learned settings, the transform itself.

        Args:
            x: the parameter to transform.
        """
        return self
