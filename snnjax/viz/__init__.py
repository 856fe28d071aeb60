"""Figures. They need matplotlib, from the extra `viz`."""

from ._cores import core_map as core_map
from ._fidelity import fidelity as fidelity
from ._front_end import front_end as front_end
from ._histograms import parameter_histograms as parameter_histograms
from ._robustness import robustness as robustness
