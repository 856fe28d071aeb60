"""Xylo: chips with one population of leaky integrate-and-fire neurons in integer arithmetic."""

from .check import Violation as Violation, check as check, require as require
from .emulate import Emulation as Emulation, emulate as emulate
from .export import (
    from_json as from_json,
    load as load,
    save as save,
    to_json as to_json,
    to_rockpool as to_rockpool,
)
from .fidelity import (
    Fidelity as Fidelity,
    LayerFidelity as LayerFidelity,
    fidelity as fidelity,
)
from .map import MappingWarning as MappingWarning, latency as latency, map_network as map_network
from .quantize import (
    Method as Method,
    QuantizationWarning as QuantizationWarning,
    quantize as quantize,
)
from .report import (
    DecayChange as DecayChange,
    Usage as Usage,
    decay_report as decay_report,
    usage as usage,
)
from .simulate import SimState as SimState, Trace as Trace, simulate as simulate
from .spec import (
    CHIPS as CHIPS,
    XYLO_1 as XYLO_1,
    XYLO_AUDIO_2 as XYLO_AUDIO_2,
    XYLO_AUDIO_3 as XYLO_AUDIO_3,
    XYLO_IMU as XYLO_IMU,
    Chip as Chip,
    Spec as Spec,
    get_chip as get_chip,
)
