"""Plans that put the integers of a chip in place of a network's parameters."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from .. import transforms
from .._checks import explained
from .._typing import FloatArray, Key, PyTree
from ..quant import Transform


class Plan(Transform):
    """A transform of a whole model, since the parameters of a neuron share one scale on a chip.

    `transforms.apply` and `transforms.burn_in` take it like any other plan. The model gets numbers
    that are exact multiples of the chip's integers, so that training sees what the chip holds. The
    gradient passes straight through rounding and clipping, and does not reach the scale.

    Attributes:
        chip: the chip, whose bits count.
        before: another plan, applied first; None for none.
    """

    of_models: ClassVar[bool] = True

    chip: eqx.AbstractVar[Any]
    before: eqx.AbstractVar[PyTree]

    @explained
    def __check_init__(self) -> None:
        if isinstance(self.before, Plan):
            raise ValueError("`before` must be a plan from `transforms.plan`; got one for a chip")

    @explained
    def __call__(
        self, x: Any, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> Any:
        """The model with transformed parameters.

        Args:
            x: the model that the plan was made for.
            key: for random transforms of `before`.
            threshold: not used.
        """
        return self.rounded(x if self.before is None else transforms.apply(self.before, x, key=key))

    @abc.abstractmethod
    def rounded(self, model: Any) -> Any:
        """The model with multiples of the chip's integers in place of its parameters."""
