"""Neuron models as pure step functions: arrays in, arrays out, one file per model."""

from . import (
    alif as alif,
    cubalif as cubalif,
    dsr as dsr,
    dsr_fold as dsr_fold,
    iaf as iaf,
    leaky as leaky,
    li as li,
    lif as lif,
    lif_euler as lif_euler,
    plif as plif,
    recurrent as recurrent,
    refractory as refractory,
)
from ._hook import Hook as Hook, unchanged as unchanged
from ._mechanics import Fire as Fire, Reset as Reset, Shape as Shape
