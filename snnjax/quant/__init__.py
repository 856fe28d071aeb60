"""Quantisers: pure functions on arrays, and transforms, which are modules with their settings."""

from ..passthrough import (
    ceil_passthrough as ceil_passthrough,
    clip_passthrough as clip_passthrough,
    floor_passthrough as floor_passthrough,
    round_passthrough as round_passthrough,
)
from ._bitshift import Bitshift as Bitshift, bitshift_decay as bitshift_decay
from ._few import Binary as Binary, Ternary as Ternary
from ._int import Int as Int
from ._int_quant import IntQuant as IntQuant, int_quant as int_quant
from ._limits import Clip as Clip, Round as Round
from ._noise import (
    Dropout as Dropout,
    Mismatch as Mismatch,
    dropout as dropout,
    mismatch as mismatch,
)
from ._prune import Prune as Prune, prune as prune
from ._rounding import (
    DeterministicRounding as DeterministicRounding,
    StochasticRounding as StochasticRounding,
    deterministic_rounding as deterministic_rounding,
    stochastic_rounding as stochastic_rounding,
)
from ._scale import int_scale as int_scale
from ._state import (
    StateQuant as StateQuant,
    state_levels as state_levels,
    state_quant as state_quant,
)
from ._transform import Transform as Transform
