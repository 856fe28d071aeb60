"""Xylo: chips with one population of leaky integrate-and-fire neurons that listens to 16 channels.

The verbs are those of `snnjax.hardware`.
"""

from .._cost import Cost as Cost, Cycles as Cycles, Device as Device, LayerCost as LayerCost
from .._family import (
    MappingWarning as MappingWarning,
    ParameterReport as ParameterReport,
    QuantizationWarning as QuantizationWarning,
    Usage as Usage,
    Violation as Violation,
)
from .._fidelity import Fidelity as Fidelity, LayerFidelity as LayerFidelity
from ._check import (
    check as check,
    require as require,
    require_integers as require_integers,
)
from ._chips import (
    CHIPS as CHIPS,
    XYLO_1 as XYLO_1,
    XYLO_AUDIO_2 as XYLO_AUDIO_2,
    XYLO_AUDIO_3 as XYLO_AUDIO_3,
    XYLO_IMU as XYLO_IMU,
    Chip as Chip,
    get_chip as get_chip,
)
from ._cost import (
    ALOHA_ENERGY as ALOHA_ENERGY,
    ALOHA_POWER as ALOHA_POWER,
    IMU_ACTIVE as IMU_ACTIVE,
    IMU_IDLE as IMU_IDLE,
    IMU_PINS as IMU_PINS,
    cost as cost,
)
from ._emulate import Emulation as Emulation, Emulator as Emulator, emulate as emulate
from ._export import FORMATS as FORMATS, export as export
from ._fidelity import fidelity as fidelity
from ._integers import Method as Method
from ._map_network import map_network as map_network
from ._nodes import latency as latency
from ._plan import Plan as Plan, plan as plan
from ._quantize import quantize as quantize
from ._report import report as report, usage as usage
from ._save import from_json as from_json, load as load, save as save, to_json as to_json
from ._simulate import SimState as SimState, Trace as Trace, simulate as simulate
from ._spec import Part as Part, Spec as Spec
