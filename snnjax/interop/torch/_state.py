"""A `state_dict` into a network of the same layers."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._checks import explained
from ..._tree import modules_with_path
from ...nn import IAF, PLIF, Layer, Leaky, Neuron
from .._neuron import NIRNeuron
from ._files import arrays_of

Model = TypeVar("Model", bound=Layer)
Group = Mapping[str, np.ndarray]
Convert = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]

_STATIC = (eqx.nn.Linear, eqx.nn.Conv, eqx.nn.ConvTranspose, eqx.nn.LayerNorm, eqx.nn.GroupNorm)

_NO_WEIGHTS = frozenset(
    {"mem", "syn", "spk", "v", "v_mem", "i_syn", "v_seq", "tau_mem", "tau_syn"}
    | {"graded_spikes_factor", "reset_mechanism_val", "V"}
)
"""States and settings that a module keeps among its weights; V is a copy of recurrent.V."""


def _decay(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A decay as snnTorch uses it."""
    return np.clip(value, 0, 1)


def _same(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return value


def _source_first(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return value.T if value.ndim == 2 else value


def _diagonal(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One recurrent weight for each neuron, or for all, as a matrix."""
    return np.diag(value if value.size > 1 else np.broadcast_to(value.reshape(()), shape))


_NEURONS: Mapping[type, Mapping[str, tuple[str, Convert]]] = {
    Leaky: {
        "beta": ("alpha_mem", _decay),
        "alpha": ("alpha_syn", _decay),
        "threshold": ("threshold", _same),
        "recurrent.weight": ("w_rec", _source_first),
        "recurrent.V": ("w_rec", _diagonal),
    },
    PLIF: {"w": ("w", _same)},
    IAF: {"spike_threshold": ("threshold", _same), "min_v_mem": ("min_vmem", _same)},
    NIRNeuron: {"spike_threshold": ("threshold", _same), "min_v_mem": ("min_vmem", _same)},
}
"""By layer and torch's name: the name of the parameter here, and how it comes from torch's."""


@dataclasses.dataclass(frozen=True)
class Slot:
    """A parameter of a network.

    Attributes:
        path: its path.
        array: its value so far.
        convert: torch's array as the parameter.
        shape: shape of the neurons.
    """

    path: str
    array: Any
    convert: Convert = _same
    shape: tuple[int, ...] = ()


@explained
def load_state_dict(
    network: Model,
    state: Mapping[str, Any] | str | os.PathLike[str],
    mapping: Mapping[str, str] | None = None,
) -> Model:
    """The same network with the weights of a `state_dict`.

    Layers with weights are taken in order, and so are neurons with the parameters that torch's
    modules train: those of snnTorch (`beta`, `alpha`, `threshold`, recurrent weights), of sinabs'
    IAF (`spike_threshold`) and of SpikingJelly's `ParametricLIFNode` (`w`). Other neurons stay as
    they are. Where the tool is installed, `interop.modules.from_modules` takes a whole network.

    Args:
        network: a network of the same layers in the same order.
        state: the `state_dict`, or a file of its arrays: `.npz`, as `numpy.savez` writes it, or
            `.safetensors`.
        mapping: by path of a layer of the network, the name of the module whose parameters it gets:
            {"layers[0]": "fc1"}. Layers without an entry are taken in order.

    Returns:
        A network with the weights of `state`, in the dtype of its own.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, or if layers, names or shapes differ; the message lists
            every difference.
    """
    arrays, source = arrays_of(state)
    pairs, problems = _paired(network, _groups(arrays), dict(mapping or {}))
    filled: list[tuple[Slot, np.ndarray]] = []
    for slots, name, group in pairs:
        filled += _filled(slots, name, group, problems)
    if not filled and not problems:
        problems = ["it holds no weights"]
    if problems:
        raise ValueError(f"{source} does not fit the network:\n  " + "\n  ".join(problems))

    def leaves(model: Any) -> list[Any]:
        owners = dict(modules_with_path(model))
        places = [slot.path.rpartition(".") for slot, _ in filled]
        return [getattr(owners[owner], name) for owner, _, name in places]

    values = [jnp.asarray(value, slot.array.dtype) for slot, value in filled]
    return eqx.tree_at(leaves, network, values)


def _groups(arrays: Group) -> dict[str, dict[str, np.ndarray]]:
    """The parameters of each module by its name; a recurrent connection belongs to its neuron."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        prefix, _, parameter = name.rpartition(".")
        outer, _, last = prefix.rpartition(".")
        if last == "recurrent":
            prefix, parameter = outer, f"recurrent.{parameter}"
        if parameter not in _NO_WEIGHTS:
            groups.setdefault(prefix, {})[parameter] = value
    return groups


def _slots(layer: Any, path: str) -> dict[str, Slot]:
    """The parameters of a layer by torch's names for them."""
    dot = f"{path}." if path else ""
    if isinstance(layer, _STATIC):
        found = {"weight": layer.weight, "bias": layer.bias}
        return {n: Slot(f"{dot}{n}", a) for n, a in found.items() if a is not None}
    table = next((names for cls, names in _NEURONS.items() if isinstance(layer, cls)), {})
    return {
        theirs: Slot(f"{dot}{ours}", getattr(layer, ours), convert, layer.shape)
        for theirs, (ours, convert) in table.items()
        if getattr(layer, ours) is not None
    }


def _paired(
    network: Layer, groups: Mapping[str, Group], mapping: dict[str, str]
) -> tuple[list[tuple[dict[str, Slot], str, Group]], list[str]]:
    """The parameters of each layer, with the module and its parameters, and what does not match."""
    modules = dict(modules_with_path(network))
    slots = {
        path: found
        for path, layer in modules.items()
        if isinstance(layer, (*_STATIC, Neuron)) and (found := _slots(layer, path))
    }
    for path, name in mapping.items():
        _require(path, slots, "a layer with weights")
        _require(name, groups, "a module of `state`")
    pairs = [(slots[path], name, groups[name]) for path, name in mapping.items()]
    problems: list[str] = []
    left = {name: g for name, g in groups.items() if name not in mapping.values()}
    free = [path for path in slots if path not in mapping]
    ours = [path for path in free if isinstance(modules[path], _STATIC)]
    theirs = [name for name, group in left.items() if "weight" in group]
    if len(ours) != len(theirs):
        problems.append(
            f"the network has {len(ours)} layers with weights, {_list(ours)}; `state` has "
            f"{len(theirs)}, {_list(theirs)}"
        )
    pairs += [(slots[p], n, left[n]) for p, n in zip(ours, theirs, strict=False)]
    neurons = iter(path for path in free if path not in ours)
    for name in (name for name in left if name not in theirs):
        fitting = next((p for p in neurons if left[name].keys() <= slots[p].keys()), None)
        if fitting is None:
            problems.append(f"no neurons of the network have {_list(left[name])} of {name}")
        else:
            pairs.append((slots[fitting], name, left[name]))
    return pairs, problems


def _require(name: str, known: Iterable[str], kind: str) -> None:
    if name not in known:
        raise ValueError(f"`mapping`: {name!r} is not {kind}; there is: {_list(known)}")


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _filled(
    slots: dict[str, Slot], name: str, group: Group, problems: list[str]
) -> list[tuple[Slot, np.ndarray]]:
    """The parameters with their values; what is missing, left over or of another shape is noted."""
    found = []
    dot = f"{name}." if name else ""
    got = {slots[key].path for key in group if key in slots}
    for key, slot in slots.items():
        if key not in group:
            if slot.path not in got:
                problems.append(f"{slot.path} gets nothing: there is no {dot}{key}")
            continue
        value = _fit(slot.convert(group[key], slot.shape), np.shape(slot.array))
        if value is None:
            problems.append(
                f"{slot.path} is {np.shape(slot.array)}; {dot}{key} is {group[key].shape}"
            )
        else:
            found.append((slot, value))
    problems += [f"{dot}{key} has no place" for key in group if key not in slots]
    return found


def _fit(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """`value` in a shape: as it is, as (channels, 1, 1), or one number for all; None if it is none.

    A parameter that all neurons share, of no axes, may become one for each.
    """
    if value.shape == shape or not shape:
        return value
    if value.size == 1:
        return np.broadcast_to(value.reshape(()), shape)
    ones = (1,) * (len(shape) - value.ndim)
    return value.reshape(shape) if value.shape + ones == shape else None
