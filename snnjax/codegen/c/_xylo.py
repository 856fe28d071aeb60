"""A network of the Xylo family in C."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from ...hardware import xylo
from ._footprint import Footprint, Rendered
from ._matrix import Matrix, matrix, unpacking
from ._tables import Table, array, require_at_most
from ._template import fill

_TABLES = {
    "dash_syn": "Bit shifts of the leak of synaptic currents of hidden neurons.",
    "dash_mem": "Bit shifts of the leak of their membrane potentials.",
    "threshold": "Their firing thresholds.",
    "bias": "Added to their membrane potentials in every step.",
    "aliases": "The neuron that repeats the spikes of each, -1 for none.",
    "dash_syn_out": "Bit shifts of the leak of synaptic currents of output neurons.",
    "dash_mem_out": "Bit shifts of the leak of their membrane potentials.",
    "threshold_out": "Their firing thresholds.",
    "bias_out": "Added to their membrane potentials in every step.",
}


def render(spec: xylo.Spec, values: Mapping[str, object]) -> Rendered:
    """Write a network.

    Args:
        spec: a quantised network whose values fit its chip.
        values: for the templates: what all networks need.

    Raises:
        ValueError: if the chip is none that 16 bits of state can follow.
    """
    spikes = {"max_spikes_hidden": 255, "max_spikes_out": 255}
    require_at_most(spec.chip, {"state_bits": 16, "weight_bits": 8, **spikes})
    weights = _weights(spec, values)
    tables = {
        name: array(name, np.asarray(getattr(spec, name)), what)
        for name, what in _TABLES.items()
        if getattr(spec, name) is not None
    }
    if spec.aliases is not None and not np.any(np.asarray(spec.aliases) >= 0):
        del tables["aliases"]
    matrices = [found for found in weights.values() if found is not None]
    footprint = _footprint(spec, matrices, list(tables.values()))
    values = {**values} | _sizes(spec) | _neurons(spec, tables)
    values |= {name: found is not None for name, found in weights.items()}
    values |= {
        "from_hidden": weights["w_rec"] is not None or weights["w_out"] is not None,
        "wraps": any("wrap(" in found.text for found in matrices),
        "unpack": unpacking(matrices),
        "matrices": "\n".join(found.text for found in matrices),
        "footprint": footprint.text(),
    }
    host = {
        "dynapcnn": False,
        "places": spec.n_inputs,
        "most": 255,
        "shape": spec.n_inputs,
        "sizes": spec.n_inputs,
    }
    return Rendered(fill("xylo.h", values), fill("xylo.c", values), footprint, host)


def _weights(spec: xylo.Spec, values: Mapping[str, object]) -> dict[str, Matrix | None]:
    """The matrices by name, sources by targets; None for those without weights."""
    found: dict[str, Matrix | None] = {}
    for name, shift, what in (
        (
            "w_in",
            spec.weight_shift_in,
            "from inputs to the synapses of hidden neurons, a row for each input",
        ),
        ("w_rec", spec.weight_shift_rec, "among hidden neurons, a row for each source"),
        (
            "w_out",
            spec.weight_shift_out,
            "from hidden to output neurons, a row for each hidden neuron",
        ),
    ):
        weight = np.asarray(getattr(spec, name))
        weight = weight.reshape(len(weight), -1)
        text = f"Weights {what}" + (f"; shifted left by {shift} bits" if shift else "")
        term = f"({{}} * {1 << shift})" if shift else "{}"
        if np.any((weight << shift) != _wrapped(weight << shift, spec.chip.state_bits)):
            term = f"wrap({term})"
        types = {"target_type": "int16_t", "count_type": "int32_t"}
        sum_ = f"saturate(*one + count * {term})"
        found[name] = matrix(name, weight, text, sum_, types) if weight.any() else None
    return found


def _wrapped(x: Int[np.ndarray, "..."], bits: int) -> Int[np.ndarray, "..."]:
    """The lowest bits of whole numbers, as a signed number."""
    sign = 1 << (bits - 1)
    return ((x + sign) & (2 * sign - 1)) - sign


def _sizes(spec: xylo.Spec) -> dict[str, object]:
    chip = spec.chip
    return {
        "chip": chip.name,
        "core1": chip.core == 1,
        "inputs": spec.n_inputs,
        "hidden": spec.n_hidden,
        "synapses": spec.n_synapses,
        "several_synapses": spec.n_synapses > 1,
        "outputs": spec.n_outputs,
        "milliseconds": f"{1e3 * spec.dt:g}",
        "max_in": chip.max_spikes_in,
        "max_hidden": chip.max_spikes_hidden,
        "max_out": chip.max_spikes_out,
        "state_bits": chip.state_bits,
        "state_max": chip.max_state,
    }


def _neurons(spec: xylo.Spec, tables: dict[str, Table]) -> dict[str, object]:
    """How the source reads the constants of neuron `i`."""
    biased = "bias" in tables or "bias_out" in tables
    at = {name: table.at.format("i") for name, table in tables.items()}
    return at | {
        "dash_syn": tables["dash_syn"].at.format(
            "i" if spec.n_synapses == 1 else f"i * {spec.n_synapses}u + s"
        ),
        "bias": f", {at['bias']}" if "bias" in at else ", 0" if biased else "",
        "bias_out": f", {at['bias_out']}" if "bias_out" in at else ", 0" if biased else "",
        "biased": biased,
        "bias_parameter": ", int32_t bias" if biased else "",
        "has_aliases": "aliases" in tables,
        "tables": "\n".join(table.text for table in tables.values()),
    }


def _footprint(spec: xylo.Spec, matrices: Sequence[Matrix], tables: Sequence[Table]) -> Footprint:
    words = spec.n_hidden * (spec.n_synapses + 1) + 2 * spec.n_outputs
    ram = 2 * words + spec.n_hidden
    return Footprint(
        flash=sum(m.bytes for m in matrices) + sum(t.bytes for t in tables),
        ram=ram + ram % 2,
        additions=sum(int(found.row_weights.sum()) for found in matrices),
        updates=spec.n_hidden + spec.n_outputs,
    )
