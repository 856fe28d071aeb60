"""The dialects, one file each."""

from collections.abc import Mapping

from .._dialect import Dialect
from .literal import EULER, EXACT, JAXPIKE
from .norse import NORSE
from .rockpool import ROCKPOOL
from .sinabs import SINABS
from .snntorch import SNNTORCH
from .spikingjelly import SPIKINGJELLY
from .spyx import SPYX

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        EULER,
        EXACT,
        JAXPIKE,
        NORSE,
        ROCKPOOL,
        SINABS,
        SNNTORCH,
        SPIKINGJELLY,
        SPYX,
    )
}
"""The dialects by name."""
