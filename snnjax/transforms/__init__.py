"""Transformation in training: quantisation and the like, as pytrees of transforms."""

from ._plan import apply as apply, burn_in as burn_in, merge as merge, plan as plan
from ._report import Effect as Effect, report as report
from ._toml import Rules as Rules, dump as dump, load as load, rules as rules
