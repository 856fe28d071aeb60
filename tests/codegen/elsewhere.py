"""Programs of `jax.export`, run by a process that cannot import snnjax."""

import subprocess
import sys

import jax
import numpy as np

_RUN = """
import sys
sys.modules.update(dict.fromkeys(("snnjax", "equinox", "optax")))  # an import of these fails
import jax
import numpy as np
from jax import export

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        program = export.deserialize(bytearray(file.read()))
    with np.load(path + ".in.npz") as given:
        args, _ = jax.tree.unflatten(program.in_tree, list(given.values()))
    np.savez(path + ".out.npz", *jax.tree.leaves(program.call(*args)))
"""


def run_elsewhere(programs):
    """The outputs of programs, each as a list of its arrays.

    Args:
        programs: the arguments of each, by its file.
    """
    for path, args in programs.items():
        np.savez(f"{path}.in.npz", *jax.tree.leaves(args))
    subprocess.run([sys.executable, "-c", _RUN, *map(str, programs)], check=True)
    found = []
    for path in programs:
        with np.load(f"{path}.out.npz") as out:
            found.append(list(out.values()))
    return found
