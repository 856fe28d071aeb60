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
from .fsdd import load_fsdd as load_fsdd
from .mnist import Mnist as Mnist, load_mnist as load_mnist, read_idx as read_idx
from .sequences import Sequences as Sequences, load_sequences as load_sequences
from .signals import delta as delta, step_forward as step_forward
from .sound import AugmentSound as AugmentSound
