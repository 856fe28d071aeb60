"""Front ends of the Xylo chips, from sound and motion to events, integer for integer."""

from ._audio3 import (
    AUDIO_3_FILTERS as AUDIO_3_FILTERS,
    Audio3 as Audio3,
    audio3_filter as audio3_filter,
)
from ._filters import BandPass as BandPass
from ._pdm import (
    PDM_CLOCK as PDM_CLOCK,
    Decimation as Decimation,
    DecimationState as DecimationState,
    sigma_delta as sigma_delta,
)
from ._sound import CLOCK as CLOCK
from ._stream import Audio3State as Audio3State, Audio3Trace as Audio3Trace
