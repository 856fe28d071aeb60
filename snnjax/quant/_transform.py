"""What a transform of an array is."""

import abc
from typing import ClassVar, Self

import equinox as eqx

from .._typing import FloatArray, Key


class Transform(eqx.Module):
    """A differentiable function of one array that keeps its shape, with its settings.

    Settings that may be swept are ordinary fields: a Python number there is static under
    `eqx.filter_jit`, and an array of numbers can be mapped over with `jax.vmap` or
    `eqx.filter_vmap`, so that one compiled call tries them all.

    Attributes:
        families: the families of parameters that it makes sense for; none named means all.
        of_models: whether it takes a whole model and is a plan by itself, as those for chips are
            whose parameters share a scale, rather than an array.
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
        """This transform as it starts out for `x`: with its learned settings set to fit `x`.

        The transform itself where, as in most, there are none.

        Args:
            x: the parameter that it will transform.
        """
        return self
