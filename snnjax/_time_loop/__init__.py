"""The loop over time of one sequence, and how a batch of them runs on the devices at hand.

`run` binds primitives of JAX (`_primitives`). They run a loop with the outputs in place and its
gradient in blocks (`_blocks`) on a CPU, or as one kernel (`_kernels`) on a GPU.
docs/time_loop.md derives them.
"""

from ._blocks import Loop as Loop
from ._primitives import has_kernels as has_kernels, is_of_use as is_of_use, run as run
