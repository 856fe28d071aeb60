"""The limits of a chip, and the networks that break them."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ..._checks import explained
from .._family import Violation, entries, known, refuse, require_kind, require_quantized
from ._chips import Chip, get_chip
from ._spec import Spec

_COUNTS = {
    "n_inputs": "input channels",
    "n_hidden": "hidden neurons",
    "n_outputs": "output neurons",
    "n_synapses": "synapses per hidden neuron",
}

_SHIFTED = {
    "w_in": "weight_shift_in",
    "w_rec": "weight_shift_rec",
    "w_out": "weight_shift_out",
}


@explained
def check(spec: Spec, *, chip: Chip | str | None = None) -> tuple[Violation, ...]:
    """Every limit of a chip that a network breaks, all at once.

    Args:
        spec: a network, quantised or only mapped. Ranges of integers are checked once there are
            integers. Its values must be known: it cannot be called within `jax.jit`.
        chip: the chip, or its short name; the one that `spec` is meant for if None.

    Returns:
        The violations: sizes first, then connections, then values. Entries of one array that break
        the same limit make one violation, which names the first of them and counts the others.
    """
    require_kind(spec, Spec)
    chip = spec.chip if chip is None else get_chip(chip)
    return (*_sizes(spec, chip), *_connections(spec, chip), *_values(spec, chip))


@explained
def require(spec: Spec, *, chip: Chip | str | None = None) -> None:
    """Raise ValueError, with every error that `check` finds, if there are any."""
    refuse(check(spec, chip=chip))


@explained
def require_integers(spec: Spec) -> None:
    """Raise ValueError unless a network is quantised and its values, not its size, fit its chip.

    Arrays whose values are not known, under `jax.jit`, are passed over.
    """
    require_quantized(spec, Spec)
    refuse(_values(spec, spec.chip))


def _sizes(spec: Spec, chip: Chip) -> Iterator[Violation]:
    for name, what in _COUNTS.items():
        value, limit = getattr(spec, name), getattr(chip, name)
        if value > limit:
            message = f"`{name}` is {value}, but {chip.name} has {limit} {what}"
            yield Violation(name, value, limit, message)
    advised = chip.max_outputs_advised
    if advised is not None and advised < spec.n_outputs <= chip.n_outputs:
        message = (
            f"`n_outputs` is {spec.n_outputs}; for {chip.name} no more than {advised} are advised"
        )
        yield Violation("n_outputs", spec.n_outputs, advised, message, "warning")


def _connections(spec: Spec, chip: Chip) -> Iterator[Violation]:
    limit = chip.max_recurrent_weights
    if limit is not None:
        counts = np.count_nonzero(np.asarray(spec.w_rec), axis=(0, 1))
        for synapse, count in enumerate(counts.tolist()):
            if count > limit:
                name = f"w_rec[:, :, {synapse}]"
                message = f"`{name}` has {count} weights that are not 0; {chip.name} holds {limit}"
                yield Violation(name, count, limit, message)
    fed = np.flatnonzero(np.asarray(spec.w_in).any(axis=(0, 2)))
    read = np.flatnonzero(np.asarray(spec.w_out).any(axis=1))
    if chip.max_input_neurons is not None:
        last = chip.max_input_neurons - 1
        yield from _misplaced("w_in[:, {}]", fed[fed > last], "at most", last, chip)
    if chip.max_output_neurons is not None:
        first = spec.n_hidden - chip.max_output_neurons
        yield from _misplaced("w_out[{}]", read[read < first], "at least", first, chip)


def _misplaced(
    parameter: str, neurons: np.ndarray, bound: str, limit: int, chip: Chip
) -> Iterator[Violation]:
    """Only the first hidden neurons can have input weights, and only the last output weights."""
    if len(neurons):
        name = parameter.format(neurons[0])
        message = (
            f"`{name}` is not 0, but on {chip.name} only hidden neurons with an index of {bound} "
            f"{limit} have such weights{_and_more(len(neurons))}"
        )
        yield Violation(name, int(neurons[0]), limit, message)


def _values(spec: Spec, chip: Chip) -> Iterator[Violation]:
    arrays = known(spec.arrays())
    whole = any(np.issubdtype(x.dtype, np.integer) for n, x in arrays.items() if n != "aliases")
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.integer):
            yield from _integers(name, array, spec, chip)
        else:
            yield from _reals(name, array, spec, whole)
    if "aliases" in arrays:
        yield from _aliases(arrays["aliases"], spec)
    yield from _shifts(arrays, spec, chip)
    for name in ("bias", "bias_out"):
        if name in arrays and not chip.has_bias:
            largest = float(np.max(np.abs(arrays[name]), initial=0))
            message = f"`{name}` reaches {largest:g}, but {chip.name} has no biases; use None"
            yield Violation(name, largest, 0, message)


def _range(name: str, spec: Spec, chip: Chip) -> tuple[int, int]:
    """The lowest and the highest value of an array's integers."""
    if name == "aliases":
        return -1, spec.n_hidden - 1
    if name.startswith("w_"):
        return -1 - chip.max_weight, chip.max_weight
    if name.startswith("dash_"):
        return 0, chip.max_dash
    return (1 if name.startswith("threshold") else -1 - chip.max_state), chip.max_state


def _integers(name: str, array: np.ndarray, spec: Spec, chip: Chip) -> Iterator[Violation]:
    low, high = _range(name, spec, chip)
    bad = (array < low) | (array > high)
    yield from _entries(spec, name, bad, (low, high), f"must be from {low} to {high}")
    if name.startswith("dash_syn"):
        why = "should be at least 1: a decay by 0 clears the current before it is used"
        yield from _entries(spec, name, array == 0, 1, why, "warning")


def _reals(name: str, array: np.ndarray, spec: Spec, whole: bool) -> Iterator[Violation]:
    if whole or name == "aliases":
        message = f"`{name}` is {array.dtype}, but a quantised network holds integers only"
        yield Violation(name, str(array.dtype), "int32", message)
    if name.startswith("threshold"):
        # A neuron that never fires has an infinite one.
        yield from _entries(spec, name, ~(array > 0), 0, "must be above 0")
    else:
        yield from _entries(spec, name, ~np.isfinite(array), "finite", "must be finite")
    if name.startswith("dash_"):
        why = "must be at least 0: a decay factor must not be negative"
        yield from _entries(spec, name, array < 0, 0, why)


def _aliases(aliases: np.ndarray, spec: Spec) -> Iterator[Violation]:
    own = np.arange(len(aliases))
    why = "must be another neuron: one cannot repeat its own spikes"
    yield from _entries(spec, "aliases", aliases == own, "another", why)
    why = "should be above its source: spikes handed to a lower neuron run no further"
    lower = (aliases >= 0) & (aliases < own)
    yield from _entries(spec, "aliases", lower, "above", why, "warning")


def _shifts(arrays: dict[str, np.ndarray], spec: Spec, chip: Chip) -> Iterator[Violation]:
    for name, field in _SHIFTED.items():
        shift, limit = getattr(spec, field), chip.max_weight_shift
        if not 0 <= shift <= limit:
            message = f"`{field}` is {shift}; must be from 0 to {limit}"
            yield Violation(field, shift, (0, limit), message)
        elif name in arrays and np.issubdtype(arrays[name].dtype, np.integer):
            highest = chip.max_state >> shift
            lost = (arrays[name] > highest) | (arrays[name] < -1 - highest)
            why = f"`{field}` is {shift}, which wraps weights beyond {-1 - highest} to {highest}"
            limits = (-1 - highest, highest)
            yield from _entries(spec, name, lost, limits, why, "warning")


def _entries(
    spec: Spec,
    name: str,
    bad: np.ndarray,
    limit: float | str | tuple[float, float],
    why: str,
    severity: Literal["error", "warning"] = "error",
) -> Iterator[Violation]:
    """One violation for all entries of an array that are bad, with the layer of the first."""
    array = np.asarray(getattr(spec, name))
    first = np.unravel_index(np.argmax(bad), bad.shape)
    owner = spec.owner(name, [int(i) for i in first])
    yield from entries(name, array, bad, limit, why, owner=owner, severity=severity)


def _and_more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
