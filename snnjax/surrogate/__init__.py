"""Spike functions: exact spike counts forward, surrogate gradients backward.

Every surrogate is called as `spikes = surrogate(vmem, threshold, max_spikes)`, on arrays that
broadcast against each other, and counts the same spikes:

    spikes = min(floor(vmem / threshold), max_spikes)   where vmem >= threshold,  else 0

The floor is exact: a neuron at n*threshold fires n spikes. A neuron with a threshold of 0 or below
does not fire. A vmem of NaN gives NaN. Surrogates differ in their derivatives, which `vmem` and
`threshold` receive. A slope or width given as an array, `Atan(jnp.array(2.0))`, receives a gradient
too, that of the smooth function whose derivative is the surrogate. A Python float is fixed.

>>> import jax, jax.numpy as jnp
>>> from snnjax.surrogate import Atan
>>> spikes, gradient = jax.value_and_grad(Atan())(jnp.array(2.5), threshold=1.0, max_spikes=31)
>>> print(f"{spikes:.0f} {gradient:.3f}")
2 0.043
"""

from ._base import (
    Cap as Cap,
    Derivatives as Derivatives,
    StepSurrogate as StepSurrogate,
    Surrogate as Surrogate,
    whole_thresholds as whole_thresholds,
)
from ._lines import (
    FromFunction as FromFunction,
    LeakySpike as LeakySpike,
    StraightThrough as StraightThrough,
    from_function as from_function,
)
from ._pulses import (
    Gaussian as Gaussian,
    MultiGaussian as MultiGaussian,
    Rectangular as Rectangular,
    SingleExponential as SingleExponential,
    SpikeRateEscape as SpikeRateEscape,
    Tent as Tent,
    Triangular as Triangular,
)
from ._sigmoids import (
    Atan as Atan,
    FastSigmoid as FastSigmoid,
    Sigmoid as Sigmoid,
    SparseFastSigmoid as SparseFastSigmoid,
    SuperSpike as SuperSpike,
)
from ._staircase import (
    PeriodicExponential as PeriodicExponential,
    PiecewiseLinear as PiecewiseLinear,
    WaveSenseExponential as WaveSenseExponential,
)
