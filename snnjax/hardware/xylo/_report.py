"""Reports of a network: the share of the chip that it takes, and the fate of its parameters."""

from collections.abc import Iterator

import numpy as np
from jax.typing import ArrayLike

from ..._checks import explained
from ...decay import dash_to_tau, nearest_dash
from .._family import (
    ParameterReport,
    Usage,
    report_parameter,
    require_kind,
    require_mapped,
    sqnr,
)
from ._chips import Chip, get_chip
from ._integers import Group, Method, PerNeuron, Settings, rounded, scales, settings
from ._quantize import groups_of
from ._spec import Spec


@explained
def usage(spec: Spec, *, chip: Chip | str | None = None) -> tuple[Usage, ...]:
    """How full a network makes its chip.

    Args:
        spec: a network, quantised or only mapped.
        chip: the chip, or its short name; the one that `spec` is meant for if None.
    """
    require_kind(spec, Spec)
    chip = spec.chip if chip is None else get_chip(chip)
    fed, read = np.asarray(spec.w_in).any((0, 2)), np.asarray(spec.w_out).any(1)
    recurrent = np.count_nonzero(np.asarray(spec.w_rec), axis=(0, 1)).max(initial=0)
    return (
        Usage("input channels", spec.n_inputs, chip.n_inputs),
        Usage("hidden neurons", spec.n_hidden, chip.n_hidden),
        Usage("hidden neurons with input weights", int(fed.sum()), chip.max_input_neurons),
        Usage("hidden neurons with output weights", int(read.sum()), chip.max_output_neurons),
        Usage("output neurons", spec.n_outputs, chip.n_outputs),
        Usage("synapses per neuron", spec.n_synapses, chip.n_synapses),
        Usage("recurrent weights per synapse", int(recurrent), chip.max_recurrent_weights),
    )


@explained
def report(
    spec: Spec, *, method: Method = "channel", bits: int | None = None
) -> tuple[ParameterReport, ...]:
    """The fate of every parameter under `quantize` with the same settings.

    Args:
        spec: the result of `map_network`.
        method: see `quantize`.
        bits: see `quantize`.

    Returns:
        For each layer a row for each bit shift of its time constants, then the weights that feed
        it, its thresholds where it fires, and its biases where it has any.

    Raises:
        TypeError, ValueError: as `quantize` does.
    """
    require_mapped(spec, Spec)
    how = settings(spec.chip, method, bits)
    groups = groups_of(spec)
    scale = scales(groups[:1], groups[1], how)
    hidden, out = (
        (group, rounded(group, own, how), own) for group, own in zip(groups, scale, strict=True)
    )
    rows: list[ParameterReport] = []
    for path, own in spec.parts:
        real, whole = (_part(group, own) for group in hidden[:2])
        rows += _layer(path, real, whole, hidden[2][own], spec, how)
    return (*rows, *_layer(spec.readout, *out, spec, how))


def _part(group: Group, own: slice) -> Group:
    """The neurons of one layer."""
    bias = None if group.bias is None else group.bias[own]
    return Group(
        group.weight[:, own],
        group.dash_mem[own],
        group.dash_syn[own],
        group.threshold[own],
        bias,
    )


def _layer(
    path: str, real: Group, whole: Group, scale: PerNeuron, spec: Spec, how: Settings
) -> Iterator[ParameterReport]:
    yield from _decays(f"{path}.tau_mem", real.dash_mem, spec)
    used = np.asarray(real.weight).any((0, 1))
    yield from _decays(f"{path}.tau_syn", real.dash_syn[:, used], spec)
    present = np.asarray(real.weight) != 0
    if present.any():
        per_weight = np.broadcast_to(np.asarray(scale)[:, None] * (1 / how.unit), present.shape)
        values, integers = (np.asarray(g.weight)[present] for g in (real, whole))
        beyond = np.abs(values * per_weight[present]) > how.most + 0.5
        yield report_parameter(
            f"{path}: weights",
            values,
            integers.astype(np.int32),
            per_weight[present],
            clipped=int(beyond.sum()),
        )
    fires = np.isfinite(np.asarray(real.threshold))
    for name, values, integers in (
        ("threshold", real.threshold, whole.threshold),
        ("bias", real.bias, whole.bias),
    ):
        shown = fires if name == "threshold" else np.ones_like(fires)
        if values is not None and shown.any():
            x, n, s = (np.asarray(a)[shown] for a in (values, integers, scale))
            yield report_parameter(f"{path}.{name}", x, n.astype(np.int32), s)


def _decays(name: str, dashes: ArrayLike, spec: Spec) -> Iterator[ParameterReport]:
    """A row for each bit shift."""
    real = np.ravel(dashes)
    taus = np.asarray(dash_to_tau(real, spec.dt), np.float64)
    whole = np.asarray(nearest_dash(real, spec.chip.max_dash))
    for dash in np.unique(whole).tolist():
        share = taus[whole == dash]
        becomes = float(dash_to_tau(dash, spec.dt))
        yield ParameterReport(
            parameter=name,
            size=len(share),
            before=float(share.mean()),
            after=becomes,
            scale=None,
            integers=(dash, dash),
            sqnr=sqnr(share, np.full(len(share), becomes)),
        )
