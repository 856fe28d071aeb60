"""Whole networks."""

from ._fold_batch_norm import (
    fold_batch_norm as fold_batch_norm,
    fold_into as fold_into,
    with_values as with_values,
)
from ._fold_dsr import fold_dsr as fold_dsr
from ._from_ann import from_ann as from_ann
from ._synnet import SynNet as SynNet
