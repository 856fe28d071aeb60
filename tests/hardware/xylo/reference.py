"""The vendor's simulator, used as a black box to compare with."""

import jax
import numpy as np
import pytest

from snnjax.hardware.xylo import Spec


def evolve(spec: Spec, raster: np.ndarray) -> dict[str, np.ndarray]:
    """Run `raster` (time, inputs) from rest: the fields of a Trace but for its state.

    Skips the test if the simulator is not installed.
    """
    core = pytest.importorskip(
        f"xylosim.v{spec.chip.core}", reason="the vendor's simulator is missing: install xylosim"
    )
    # The layer holds pointers into its arguments, so they must live as long as it does.
    arguments = _arguments(spec, core)
    layer = core.XyloLayer(**arguments)
    layer.evolve(raster.tolist())
    isyn = [layer.rec_i_syn, layer.rec_i_syn2][: spec.n_synapses]
    return {
        "spikes_out": np.array(layer.rec_out_spikes),
        "vmem_out": np.array(layer.rec_v_mem_out).T,
        "isyn_out": np.array(layer.rec_i_syn_out).T,
        "spikes": np.array(layer.rec_recurrent_spikes),
        "vmem": np.array(layer.rec_v_mem).T,
        "isyn": np.stack([np.array(x).T for x in isyn], axis=-1),
    }


def assert_emulates(emulation, trace):
    """Every spike and state of an emulation is the simulator's, the state at the end too."""
    for name in emulation._fields:
        ours, theirs = getattr(emulation, name), getattr(trace, name)
        jax.tree.map(
            lambda a, b, name=name: np.testing.assert_array_equal(a, b, err_msg=name), ours, theirs
        )


def _arguments(spec, core):
    def synapses(weight, shape):
        weight = np.asarray(weight).reshape(shape)
        rows = [[] for _ in weight]
        for source, target, synapse in np.argwhere(weight):
            value = int(weight[source, target, synapse])
            rows[source].append(core.XyloSynapse(int(target), int(synapse), value))
        return rows

    def numbers(array, zeros_like=None):
        return (np.zeros_like(zeros_like) if array is None else np.asarray(array)).tolist()

    aliases = np.full(spec.n_hidden, -1) if spec.aliases is None else np.asarray(spec.aliases)
    arguments = {
        "synapses_in": synapses(spec.w_in, spec.w_in.shape),
        "synapses_rec": synapses(spec.w_rec, spec.w_rec.shape),
        "synapses_out": synapses(spec.w_out, (*spec.w_out.shape, 1)),
        "aliases": [[alias] if alias >= 0 else [] for alias in aliases.tolist()],
        "threshold": numbers(spec.threshold),
        "threshold_out": numbers(spec.threshold_out),
        "weight_shift_inp": spec.weight_shift_in,
        "weight_shift_rec": spec.weight_shift_rec,
        "weight_shift_out": spec.weight_shift_out,
        "dash_mem": numbers(spec.dash_mem),
        "dash_mem_out": numbers(spec.dash_mem_out),
        "dash_syns": numbers(spec.dash_syn),
        "dash_syns_out": numbers(spec.dash_syn_out[:, None]),
        "name": "reference",
    }
    if spec.chip.has_bias:
        arguments |= {
            "has_bias": spec.bias is not None or spec.bias_out is not None,
            "bias": numbers(spec.bias, spec.threshold),
            "bias_out": numbers(spec.bias_out, spec.threshold_out),
        }
    return arguments
