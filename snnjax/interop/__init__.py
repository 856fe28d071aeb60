"""Networks of other tools: in and out."""

from ._as_lif import as_lif as as_lif
