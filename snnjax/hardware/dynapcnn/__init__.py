"""DYNAP-CNN and Speck: chips with nine cores of convolutions and integrate-and-fire neurons."""

from .._cost import Cost as Cost, Device as Device, LayerCost as LayerCost
from .._family import (
    MappingWarning as MappingWarning,
    ParameterReport as ParameterReport,
    QuantizationWarning as QuantizationWarning,
    Usage as Usage,
    Violation as Violation,
)
from .._fidelity import Fidelity as Fidelity, LayerFidelity as LayerFidelity
from . import compat as compat
from ._check import (
    check as check,
    require as require,
    require_integers as require_integers,
)
from ._chips import (
    CHIPS as CHIPS,
    DYNAPCNN as DYNAPCNN,
    SPECK_2E as SPECK_2E,
    SPECK_2F as SPECK_2F,
    Chip as Chip,
    Memory as Memory,
)
from ._compare_events import (
    EventComparison as EventComparison,
    LayerComparison as LayerComparison,
    compare_events as compare_events,
)
from ._cost import (
    SPECK_LOWEST as SPECK_LOWEST,
    SPECK_RESTING as SPECK_RESTING,
    cost as cost,
)
from ._discretize import (
    Discretized as Discretized,
    discretization_scale as discretization_scale,
    discretize as discretize,
    discretize_core as discretize_core,
    joint_scale as joint_scale,
)
from ._emulate import Emulation as Emulation, emulate as emulate
from ._fidelity import fidelity as fidelity
from ._load import load as load
from ._map_network import (
    map_network as map_network,
    pad_readout as pad_readout,
    place as place,
)
from ._plan import Plan as Plan, plan as plan
from ._quantize import quantize as quantize
from ._report import report as report, usage as usage
from ._save import FORMATS as FORMATS, export as export, save as save
from ._sensor import NoiseFilter as NoiseFilter, Sensor as Sensor
from ._simulate import SimState as SimState, Trace as Trace, simulate as simulate
from ._simulate_events import EventTrace as EventTrace, simulate_events as simulate_events
from ._spec import Core as Core, Destination as Destination, Spec as Spec
