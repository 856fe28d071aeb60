"""Pages about runs: one file each, with all that is in it."""

from ._compare import compare as compare
from ._findings import Findings as Findings, cost as cost, examine as examine, fidelity as fidelity
from ._page import interval as interval
from ._report import report as report
