"""Whole networks."""

from ._fold_dsr import fold_dsr as fold_dsr
from ._from_ann import from_ann as from_ann
from ._synnet import SynNet as SynNet
