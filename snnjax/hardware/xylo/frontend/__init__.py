"""Front ends of the Xylo chips, from sound and motion to events, integer for integer."""

from ._audio3 import (
    AUDIO_3_FILTERS as AUDIO_3_FILTERS,
    Audio3 as Audio3,
    audio3_filter as audio3_filter,
)
from ._events import MOST_EVENTS as MOST_EVENTS
from ._export import export as export
from ._filters import BandPass as BandPass
from ._imu import (
    IMU_FILTERS as IMU_FILTERS,
    IMU_RATE as IMU_RATE,
    Imu as Imu,
    ImuState as ImuState,
    ImuTrace as ImuTrace,
    imu_filter as imu_filter,
)
from ._pdm import (
    PDM_CLOCK as PDM_CLOCK,
    Decimation as Decimation,
    DecimationState as DecimationState,
    sigma_delta as sigma_delta,
)
from ._sound import CLOCK as CLOCK
from ._stream import Audio3State as Audio3State, Audio3Trace as Audio3Trace
