"""Which layer goes on which core."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from .spec import Spec


def assign(spec: Spec, cores: Sequence[int] | None = None) -> Spec:
    """Give each layer a core of its own that has the memory for it.

    By a maximum matching of layers and cores (Hopcroft-Karp of SciPy, which jax needs), so that if
    there is any way to place the network, it is found.

    Args:
        spec: a network, each of whose layers fits on some core.
        cores: the core of each layer, to choose them by hand; None to have them found.

    Raises:
        ValueError: if there is no way to place the network, or `cores` does not have a core for
            each layer.
    """
    n = len(spec.layers)
    if cores is None:
        cores = match(spec)
    elif len(cores) != n:
        raise ValueError(f"`cores` must have a core for each of the {n} layers; got {cores}")
    layers = tuple(
        dataclasses.replace(layer, core=int(core))
        for layer, core in zip(spec.layers, cores, strict=True)
    )
    return dataclasses.replace(spec, layers=layers)


def candidates(spec: Spec) -> list[list[int]]:
    """The cores that have the memory for each layer, were it alone."""
    return [
        [i for i, core in enumerate(spec.chip.cores) if layer.memory.fits(core)]
        for layer in spec.layers
    ]


def match(spec: Spec) -> list[int]:
    """A core for each layer, no two the same.

    Raises:
        ValueError: if there is no way to place the network.
    """
    fitting = candidates(spec)
    possible = np.zeros((len(fitting), len(spec.chip.cores)), bool)
    for layer, cores in enumerate(fitting):
        possible[layer, cores] = True
    matched = maximum_bipartite_matching(csr_array(possible), perm_type="column")
    if (matched < 0).any():
        lines = [
            f"`{spec.name(i)}` needs {layer.memory.kernel:,} words of kernel memory, "
            f"{layer.memory.neuron:,} of neuron memory and {layer.memory.bias:,} of bias memory, "
            f"and fits on {_listed(cores)}"
            for i, (layer, cores) in enumerate(zip(spec.layers, fitting, strict=True))
        ]
        raise ValueError(
            f"the layers cannot be given different cores of {spec.chip.name}; make those smaller "
            "that compete for the same cores:\n  - " + "\n  - ".join(lines)
        )
    return [int(core) for core in matched]


def _listed(cores: Sequence[int]) -> str:
    return f"cores {', '.join(map(str, cores))}" if cores else "no core"
