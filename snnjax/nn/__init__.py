"""Layers with state, and networks of them. Static layers are equinox's own."""

from ._alif import ALIF as ALIF
from ._batch import run_batch as run_batch, statistics as statistics
from ._branches import Branches as Branches, Concatenate as Concatenate, Parallel as Parallel
from ._chain import Chain as Chain, Residual as Residual, Sequential as Sequential
from ._chunked import run_chunked as run_chunked
from ._dropout import TimeStepDropout as TimeStepDropout
from ._dsr import DSR as DSR, DSRIF as DSRIF, DSRLIF as DSRLIF, DSRState as DSRState
from ._euler import CubaLIF as CubaLIF, LIFEuler as LIFEuler
from ._graph import Graph as Graph
from ._hooks import Hooks as Hooks
from ._iaf import IAF as IAF
from ._layer import Layer as Layer, record as record
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
from ._pool import Flatten as Flatten, SumPool1d as SumPool1d, SumPool2d as SumPool2d
from ._recurrent import Recurrent as Recurrent
from ._spiking import NeuronSettings as NeuronSettings, SpikingNeuron as SpikingNeuron
from ._synops import fan_out as fan_out, synops as synops
