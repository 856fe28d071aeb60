"""NIR: graphs of neurons that many tools read and write (arXiv 2311.14641)."""

from .._delay import Delay as Delay
from ._dialects import DIALECTS as DIALECTS
from ._load import Loaded as Loaded, load as load
from ._outline import Outline as Outline, outline as outline
from ._save import save as save, to_graph as to_graph
from ._writers import WRITERS as WRITERS
