"""Rockpool's files of the golden vectors, read and written again.

    python -m tests.interop._rockpool_files DIR

writes each again to DIR, where `tests/parity/make_rockpool_files.py` loads it into its network.
"""

import sys
from pathlib import Path

from snnjax.interop import rockpool

from ._arrays import arrays

GOLDEN = Path(__file__).parents[1] / "parity/rockpool_files.npz"
CASES = ["sequential", "residual", "decays", "bitshifts", "membranes", "synnet", "synnet_vmem"]


def text(case):
    """The file that Rockpool wrote."""
    return str(arrays(GOLDEN)[f"{case}/json"])


def write(directory):
    """Write every file again."""
    for case in CASES:
        path = Path(directory) / f"{case}.json"
        path.write_text(text(case))
        rockpool.save(rockpool.load(path), path)


if __name__ == "__main__":
    write(sys.argv[1])
