"""Layers trained by differentiation on spike representation (DSR), not through time."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import array_of, choice, explained, positive, require, shape_of
from .._mesh import scan
from .._typing import FloatArray, Key, PyTree
from ..neurons import dsr
from ..params import param, stop_frozen
from ._layer import Layer, Records, check_input, start_of
from ._settings import frozen_names


class DSRState(NamedTuple):
    """Membrane potential after the reset. No gradient passes through it."""

    vmem: FloatArray


class DSR(Layer):
    """The base of the two DSR layers.

    Attributes:
        shape: shape of the population, and of one step of the output.
        settings: all but the threshold; see `snnjax.neurons.dsr`.
        frozen: names of the parameters that are not trained.
        threshold: theta: threshold and height of a spike, one number or one per channel.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    settings: dsr.DSRIF | dsr.DSRLIF = eqx.field(static=True)
    frozen: tuple[str, ...] = eqx.field(static=True)
    threshold: FloatArray = param(family="thresholds")

    def _settle(
        self,
        shape: int | Sequence[int],
        threshold: ArrayLike,
        settings: dsr.DSRIF | dsr.DSRLIF,
        frozen: Sequence[str],
    ) -> None:
        self.shape = shape_of(shape)
        self.threshold = array_of("threshold", threshold, (), self.shape[:1], above=0)
        ratio, bound = settings.ratio, settings.bound
        require(0 < ratio <= 1, "ratio", ratio, "above 0 and at most 1")
        positive("lower_bound", settings.lower_bound)
        choice("bound", bound, ("clamp", "project"))
        self.settings = settings
        self.frozen = frozen_names(self, frozen)

    def initial_state(self) -> DSRState:
        """Membrane potentials of zero."""
        return DSRState(jnp.zeros(self.shape, self.threshold.dtype))

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records `vmem` after the reset, `spikes` and `output`.

        The gradient takes the sequence that is given for the whole: in pieces, it is another.
        """
        held = stop_frozen(self)
        before, x = start_of(self, x, state), check_input(x, self.shape)
        if len(x) == 0:
            return x, before, {"vmem": x, "spikes": x, "output": x} if record else {}
        y, vmem = dsr.run(x, held.threshold, self.settings, before.vmem)
        if not record:
            return y, DSRState(vmem), {}
        return y, DSRState(vmem), {"vmem": self._over_time(x, y, before), "spikes": y, "output": y}

    def _over_time(self, x: FloatArray, y: FloatArray, before: DSRState) -> FloatArray:
        rule = dsr.rule_of(self.settings)

        def step(
            vmem: FloatArray, now: tuple[FloatArray, FloatArray]
        ) -> tuple[FloatArray, FloatArray]:
            x_t, y_t = now
            vmem = rule.decay * vmem + rule.input_gain * x_t - rule.dt * y_t
            return vmem, vmem

        return jax.lax.stop_gradient(scan(step, before.vmem, (x, y))[1])


class DSRIF(DSR):
    r"""Integrate-and-fire neurons trained by differentiation on spike representation.

    Per step: vmem += x; s = threshold where vmem >= ratio*threshold, else 0; vmem -= s; the output
    is s. The gradient is that of a clipped linear function from the mean of the input over time to
    that of the output, so that training holds the mean of the input, not the states over time.
    `snnjax.neurons.dsr` has the equations, and `snnjax.fold_dsr` makes unit spikes of it.

    Input and output `(time, *shape)`. Sources: Meng et al., arXiv 2205.00459; SpikingJelly,
    `DSRIFNode`.
    """

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        threshold: ArrayLike = 6.0,
        ratio: float = 0.5,
        lower_bound: float = 0.01,
        scale: float = 1.0,
        bound: dsr.Bound = "clamp",
        frozen: Sequence[str] = (),
    ):
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            threshold: threshold and height of a spike, one number or one per channel.
            ratio: fraction of the threshold at which a neuron fires, above 0 and at most 1.
            lower_bound: lower bound of the threshold, above 0.
            scale: factor on the gradient of the threshold.
            bound: "clamp" gives a threshold below the bound no gradient; "project" that at the
                bound.
            frozen: names of the parameters that are not trained: ("threshold",) or none.

        Raises:
            ValueError: if a number is out of its range or a shape is wrong.
        """
        settings = dsr.DSRIF(ratio, lower_bound, scale, bound)
        self._settle(shape, threshold, settings, frozen)

    @classmethod
    def official(cls, shape: int | Sequence[int]) -> Self:
        """As the authors trained on CIFAR-10."""
        return cls(shape, **dsr.OFFICIAL_IF._asdict())

    @classmethod
    def official_imagenet(cls, shape: int | Sequence[int], threshold: ArrayLike) -> Self:
        """As the authors trained on ImageNet.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            threshold: the largest activation of the trained ReLU network that one starts from.
        """
        return cls(shape, threshold=threshold, **dsr.OFFICIAL_IF_IMAGENET._asdict())


class DSRLIF(DSR):
    r"""Leaky integrate-and-fire neurons trained by differentiation on spike representation.

    Per step: vmem = decay*vmem + (1 - decay)*x, decay = exp(-dt/tau); s = threshold where vmem >=
    ratio*threshold, else 0; vmem -= s; the output is s/dt. The gradient is that of a clipped linear
    function from the weighted mean of the input over time to that of the output, so that training
    holds the mean of the input, not the states over time. `snnjax.neurons.dsr` has the equations,
    and `snnjax.fold_dsr` makes unit spikes of it.

    Input and output `(time, *shape)`. Sources: Meng et al., arXiv 2205.00459; SpikingJelly,
    `DSRLIFNode`.
    """

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        threshold: ArrayLike = 1.0,
        tau: float = 2.0,
        dt: float = 0.05,
        ratio: float = 0.3,
        lower_bound: float = 0.1,
        scale: float = 1.0,
        bound: dsr.Bound = "clamp",
        exact_gain: bool = False,
        frozen: Sequence[str] = (),
    ):
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            threshold: threshold, and height times dt of a spike, one number or one per channel.
            tau: time constant of the membranes, in the unit of dt.
            dt: length of a step.
            ratio: fraction of the threshold at which a neuron fires, above 0 and at most 1.
            lower_bound: lower bound of the threshold, above 0.
            scale: factor on the gradient of the threshold.
            bound: "clamp" gives a threshold below the bound no gradient; "project" that at the
                bound.
            exact_gain: use the neuron's own gain, (1 - decay)/dt, in the gradient, instead of its
                limit for short steps, 1/tau.
            frozen: names of the parameters that are not trained: ("threshold",) or none.

        Raises:
            ValueError: if a number is out of its range or a shape is wrong.
        """
        positive("tau", tau)
        positive("dt", dt)
        settings = dsr.DSRLIF(tau, dt, ratio, lower_bound, scale, bound, exact_gain)
        self._settle(shape, threshold, settings, frozen)

    @classmethod
    def official(cls, shape: int | Sequence[int]) -> Self:
        """As the authors trained on CIFAR-10."""
        return cls(shape, threshold=0.3, **dsr.OFFICIAL_LIF._asdict())
