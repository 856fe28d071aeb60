"""Data sets and the encoders that turn them into events."""

from .audio import MelEvents as MelEvents
from .augment import Augment as Augment
from .counts import AugmentCounts as AugmentCounts
from .digits import Split as Split, load_digits as load_digits
from .encoders import (
    bernoulli as bernoulli,
    evenly as evenly,
    latency as latency,
    poisson as poisson,
    population as population,
    rows_and_columns as rows_and_columns,
)
from .events import (
    Events as Events,
    EventsLike as EventsLike,
    to_events as to_events,
    to_raster as to_raster,
    to_raster_by_count as to_raster_by_count,
)
from .filters import (
    crop as crop,
    crop_time as crop_time,
    downsample as downsample,
    drop_hot_pixels as drop_hot_pixels,
    drop_noise as drop_noise,
    offset as offset,
    polarity as polarity,
    refractory as refractory,
)
from .fsdd import load_fsdd as load_fsdd
from .lengths import Padded as Padded, batches_by_length as batches_by_length, pad as pad
from .mnist import Mnist as Mnist, load_mnist as load_mnist, read_idx as read_idx
from .recordings import Spoken as Spoken, read_events as read_events, read_shd as read_shd
from .sequences import Sequences as Sequences, load_sequences as load_sequences
from .signals import delta as delta, step_forward as step_forward
from .sound import AugmentSound as AugmentSound
