r"""Spike functions: exact spike counts going forward, a surrogate gradient going backward.

Every surrogate is called alike, `spikes = surrogate(vmem, threshold, max_spikes)`, on arrays that
broadcast against each other, and counts the same multiple spikes per step:

    spikes = min(floor(vmem / threshold), max_spikes)   where vmem >= threshold,  else 0

A neuron whose threshold training has driven to 0 or below does not fire; one whose vmem is NaN
gives NaN, so that it is seen. The floor is exact: a neuron at n*threshold counts n, however the
machine divides. The surrogates differ in the derivatives that stand in for those of the staircase.
Both `vmem` and `threshold` receive a gradient. So does a slope or a width that is given as an
array, `Atan(jnp.array(2.0))`, from the smooth function of which the surrogate is the derivative;
given as a Python float, as the defaults are, it is fixed.
"""

from ._base import (
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
