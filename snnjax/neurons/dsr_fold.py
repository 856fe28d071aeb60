r"""DSR neurons as ordinary ones of unit spikes, with parameters for those around them.

A DSR neuron fires spikes of the height theta at ratio*theta. With vmem shifted up by
(1 - ratio)*theta it fires at theta. With the height in the next weights, its spikes count 1. A bias
makes up for the decay of the shift:

    vmem <- alpha_mem*vmem + gain*x + bias             gain = 1 and bias = 0 of an IF,
                                                       1 - decay and (1 - decay)*shift of a LIF
    spike where vmem >= theta;  vmem <- vmem - theta   vmem starts from the shift

All in the units of `neurons.dsr`.
"""

from typing import NamedTuple

import jax.numpy as jnp

from .._checks import explained
from .._typing import FloatArray
from .dsr import DSRIF, DSRLIF, rule_of


class Folded(NamedTuple):
    """An ordinary neuron with the same spikes, each counting 1; `fold` makes it.

    That is `neurons.leaky` without reset delay and with `max_spikes=1`, or `neurons.iaf`.

    Attributes:
        alpha_mem: decay of the membrane per step.
        gain: belongs into the weights and biases before the neuron.
        bias: added to vmem at every step, of the shape of theta; 0 for an IF.
        threshold: theta, at least its lower bound.
        vmem: the state to start from, of the shape of theta.
        amplitude: belongs into the weights after the neuron; see `scale_inputs`.
    """

    alpha_mem: float
    gain: float | FloatArray
    bias: FloatArray
    threshold: FloatArray
    vmem: FloatArray
    amplitude: FloatArray

    def in_thresholds(self) -> "Folded":
        """The same neuron with its potentials in units of theta, so that its threshold is 1."""
        return self._replace(
            gain=self.gain / self.threshold,
            bias=self.bias / self.threshold,
            threshold=jnp.ones_like(self.threshold),
            vmem=self.vmem / self.threshold,
        )


@explained
def fold(theta: FloatArray, settings: DSRIF | DSRLIF) -> Folded:
    """The ordinary neuron that fires when a DSR neuron does.

    Args:
        theta: as trained, one number or one per channel.
        settings: those it was trained with.

    Returns:
        Its parameters, of the shape of `theta`.
    """
    rule = rule_of(settings)
    threshold = jnp.maximum(theta, settings.lower_bound)
    shift = (1 - settings.ratio) * threshold
    return Folded(
        alpha_mem=rule.decay,
        gain=rule.input_gain,
        bias=rule.input_gain * shift if rule.decay < 1 else jnp.zeros_like(shift),
        threshold=threshold,
        vmem=shift,
        amplitude=threshold / rule.dt,
    )


@explained
def scale_inputs(weight: FloatArray, amplitude: FloatArray, groups: int = 1) -> FloatArray:
    """The weights of a linear or convolutional layer that takes unit spikes for those of a height.

    Args:
        weight: `(outputs, inputs/groups, ...)`, as in equinox.
        amplitude: height of the spikes, one number or one per input.
        groups: of a convolution: each of as many parts of the outputs has its own of the inputs.
    """
    if amplitude.ndim == 1:
        each = amplitude.reshape(groups, weight.shape[1])
        amplitude = jnp.repeat(each, len(weight) // groups, axis=0)
        amplitude = amplitude.reshape(amplitude.shape + (1,) * (weight.ndim - 2))
    return weight * amplitude
