"""Spiking neural networks in JAX, trained under the exact constraints of neuromorphic chips."""

from . import (
    decay as decay,
    neurons as neurons,
    nn as nn,
    quant as quant,
    surrogate as surrogate,
    transforms as transforms,
)
from .networks import (
    SynNet as SynNet,
    fold_batch_norm as fold_batch_norm,
    fold_dsr as fold_dsr,
    from_ann as from_ann,
)
from .nn import (
    ALIF as ALIF,
    DSRIF as DSRIF,
    DSRLIF as DSRLIF,
    IAF as IAF,
    LI as LI,
    LIF as LIF,
    PLIF as PLIF,
    AdEx as AdEx,
    Concatenate as Concatenate,
    CubaLIF as CubaLIF,
    Graph as Graph,
    Izhikevich as Izhikevich,
    Leaky as Leaky,
    LIFEuler as LIFEuler,
    Parallel as Parallel,
    Recurrent as Recurrent,
    Residual as Residual,
    Sequential as Sequential,
    Synaptic as Synaptic,
    record as record,
    run_chunked as run_chunked,
)
from .params import (
    bounded as bounded,
    check_parameters as check_parameters,
    families as families,
    family_labels as family_labels,
    param as param,
    trainable as trainable,
)
