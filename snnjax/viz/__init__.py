"""Pictures. They need matplotlib, which the extra `viz` brings."""

from ._histograms import parameter_histograms as parameter_histograms
