"""Figures. They need matplotlib, from the extra `viz`."""

from ._activity import raster as raster, rates as rates, traces as traces
from ._cores import core_map as core_map
from ._curves import curves as curves
from ._events import events as events
from ._fidelity import fidelity as fidelity
from ._front_end import front_end as front_end
from ._histograms import parameter_histograms as parameter_histograms
from ._network import network as network
from ._robustness import robustness as robustness
from ._style import colors_of as colors_of, style as style
from ._weights import weights as weights
