"""Neuron models as pure step functions: arrays in, arrays out, one file per model.

Each file reads alike: the equations, the parameters and the state of a step, `init` for the resting
state, `step`. They know of no layer: a loop of one's own, a test, a chip can run them. The layers
around them, in `snnjax.nn`, hold and check the parameters.
"""

from . import (
    adex as adex,
    alif as alif,
    cubalif as cubalif,
    dsr as dsr,
    dsr_fold as dsr_fold,
    iaf as iaf,
    izhikevich as izhikevich,
    leaky as leaky,
    li as li,
    lif as lif,
    lif_euler as lif_euler,
    plif as plif,
    recurrent as recurrent,
    refractory as refractory,
)
from ._mechanics import (
    Firing as Firing,
    Hook as Hook,
    Reset as Reset,
    Shape as Shape,
    after_reset as after_reset,
    bounded as bounded,
    later as later,
    unchanged as unchanged,
)
