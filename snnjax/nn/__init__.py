"""Layers with state, and networks of them. Static layers are equinox's own."""

from ._adex import AdEx as AdEx
from ._alif import ALIF as ALIF
from ._combine import (
    Branches as Branches,
    Chain as Chain,
    Concatenate as Concatenate,
    Parallel as Parallel,
    Recurrent as Recurrent,
    Residual as Residual,
    Sequential as Sequential,
)
from ._describe import describe as describe, layer_words as layer_words
from ._dsr import DSR as DSR, DSRIF as DSRIF, DSRLIF as DSRLIF, DSRState as DSRState
from ._euler import CubaLIF as CubaLIF, LIFEuler as LIFEuler
from ._graph import Graph as Graph
from ._iaf import IAF as IAF
from ._izhikevich import Izhikevich as Izhikevich
from ._layer import Hooks as Hooks, Layer as Layer, Records as Records, record as record
from ._leak import (
    LEAKS as LEAKS,
    Bitshifts as Bitshifts,
    Decays as Decays,
    Leak as Leak,
    Taus as Taus,
)
from ._leaky import Leaky as Leaky, Synaptic as Synaptic
from ._li import LI as LI
from ._lif import LIF as LIF
from ._network import Network as Network
from ._neuron import Neuron as Neuron
from ._plif import PLIF as PLIF
from ._run import run_batch as run_batch, run_chunked as run_chunked, statistics as statistics
from ._settings import Settings as Settings, optional as optional, per_neuron as per_neuron
from ._stateless import (
    Flatten as Flatten,
    SumPool1d as SumPool1d,
    SumPool2d as SumPool2d,
    TimeStepDropout as TimeStepDropout,
)
from ._synops import (
    Work as Work,
    Workload as Workload,
    fan_out as fan_out,
    synops as synops,
    workload as workload,
)
