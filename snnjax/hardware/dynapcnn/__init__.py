"""DYNAP-CNN and Speck: chips with nine cores of convolutions and integrate-and-fire neurons."""

from ._discretize import (
    Discretized as Discretized,
    discretization_scale as discretization_scale,
    discretize as discretize,
    discretize_core as discretize_core,
    joint_scale as joint_scale,
)
from ._layers import (
    discretize_conv as discretize_conv,
    discretize_conv_spike as discretize_conv_spike,
    discretize_spike as discretize_spike,
)
from .check import Violation as Violation, check as check, require as require
from .comparison import (
    EventComparison as EventComparison,
    LayerComparison as LayerComparison,
    compare_events as compare_events,
)
from .emulate import Emulation as Emulation, emulate as emulate
from .events import (
    Events as Events,
    EventTrace as EventTrace,
    simulate_events as simulate_events,
    to_events as to_events,
    to_raster as to_raster,
)
from .export import (
    from_config as from_config,
    from_json as from_json,
    load as load,
    save as save,
    to_config as to_config,
    to_json as to_json,
)
from .fidelity import Fidelity as Fidelity, LayerFidelity as LayerFidelity, fidelity as fidelity
from .map import map_network as map_network, pad_readout as pad_readout
from .plan import Plan as Plan, plan as plan
from .quantize import QuantizationWarning as QuantizationWarning, quantize as quantize
from .report import (
    CoreActivity as CoreActivity,
    CoreLoss as CoreLoss,
    CoreUse as CoreUse,
    activity as activity,
    quantization_report as quantization_report,
    usage as usage,
)
from .simulate import SimState as SimState, Trace as Trace, simulate as simulate
from .spec import (
    CHIPS as CHIPS,
    DYNAPCNN as DYNAPCNN,
    SPECK_2E as SPECK_2E,
    SPECK_2F as SPECK_2F,
    Chip as Chip,
    Core as Core,
    Destination as Destination,
    Memory as Memory,
    Sensor as Sensor,
    Spec as Spec,
    get_chip as get_chip,
)
