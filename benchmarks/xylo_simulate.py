"""Recordings per second of the integer simulation of a Xylo, beside the vendor's simulator.

The network is a SynNet for spoken digits, with weights as they are drawn; the input random events.
The vendor's simulator, `xylosim` in C++, takes one recording at a time as a list from Python, which
is how Rockpool runs it too; ours takes all of them at once. Asked first for the output spikes, then
for every state and spike, which theirs keeps in any case and hands over as lists; both give the
same integers. Without xylosim only ours is timed.

    pip install "snnjax[test]"
    python -m benchmarks.xylo_simulate
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from snnjax.hardware import xylo
from snnjax.networks import SynNet

from .harness import Call, Settings, compare, main, report

RECORDED = ("spikes_out", "vmem_out", "isyn_out", "spikes", "vmem", "isyn")


def run(settings: Settings) -> Path:
    hidden, steps, batch = ((6,), 10, 2) if settings.quick else ((60, 60, 60), 100, 64)
    model = SynNet(10, 16, hidden, (2, 4, 8)[: len(hidden)], key=jax.random.key(0))
    spec = xylo.quantize(xylo.map_network(model))
    raster = np.random.default_rng(0).poisson(0.5, (batch, steps, 16)).clip(max=15)
    events = jnp.asarray(raster, jnp.int32)
    theirs = xylosim_of(spec, raster)
    groups = {}
    title = f"SynNet 16-{'-'.join(map(str, hidden))}-10, T={steps}, {batch} recordings: {{}}"
    for what, names in {"output spikes": RECORDED[:1], "all states and spikes": RECORDED}.items():

        def ours(events: Any, names: tuple[str, ...] = names) -> list[jax.Array]:
            trace = xylo.simulate(spec, events)
            return [getattr(trace, name) for name in names]

        calls: dict[str, Call | Callable[[], Any]] = {"snnjax: simulate": (ours, (events,))}
        if theirs is not None:
            for name, a, b in zip(names, ours(events), theirs(names), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=name)
            calls["xylosim: XyloLayer"] = functools.partial(theirs, names)
        groups[title.format(what)] = found = compare(calls, settings)
        for label, measured in found.items():
            print(f"{what}, {label}: {batch / measured.seconds:,.0f} recordings/s")
    path = report("xylo_simulate", groups, settings)
    if theirs is None:
        print('\nleft out: xylosim; it comes with pip install "snnjax[test]"')
    return path


def xylosim_of(
    spec: xylo.Spec, raster: np.ndarray
) -> Callable[[tuple[str, ...]], list[np.ndarray]] | None:
    """What the vendor's simulator records, by our names; None without it."""
    try:
        from xylosim import v2 as core
    except ImportError:
        return None

    def synapses(weight: np.ndarray) -> list[list[Any]]:
        rows: list[list[Any]] = [[] for _ in weight]
        for source, target in np.argwhere(weight):
            rows[source].append(core.XyloSynapse(int(target), 0, int(weight[source, target])))
        return rows

    # The layer points into its arguments, which must live as long as it does.
    arguments = {
        "synapses_in": synapses(np.asarray(spec.w_in)[..., 0]),
        "synapses_rec": synapses(np.asarray(spec.w_rec)[..., 0]),
        "synapses_out": synapses(np.asarray(spec.w_out)),
        "aliases": [[] for _ in range(spec.n_hidden)],
        "threshold": np.asarray(spec.threshold).tolist(),
        "threshold_out": np.asarray(spec.threshold_out).tolist(),
        "weight_shift_inp": spec.weight_shift_in,
        "weight_shift_rec": spec.weight_shift_rec,
        "weight_shift_out": spec.weight_shift_out,
        "dash_mem": np.asarray(spec.dash_mem).tolist(),
        "dash_mem_out": np.asarray(spec.dash_mem_out).tolist(),
        "dash_syns": np.asarray(spec.dash_syn).tolist(),
        "dash_syns_out": np.asarray(spec.dash_syn_out)[:, None].tolist(),
        "has_bias": False,
        "bias": [0] * spec.n_hidden,
        "bias_out": [0] * spec.n_outputs,
        "name": "benchmark",
    }
    layer = core.XyloLayer(**arguments)
    read: dict[str, Callable[[], Any]] = {
        "spikes_out": lambda: layer.rec_out_spikes,
        "vmem_out": lambda: np.transpose(layer.rec_v_mem_out),
        "isyn_out": lambda: np.transpose(layer.rec_i_syn_out),
        "spikes": lambda: layer.rec_recurrent_spikes,
        "vmem": lambda: np.transpose(layer.rec_v_mem),
        "isyn": lambda: np.transpose(layer.rec_i_syn)[..., None],
    }

    def run(names: tuple[str, ...], held: Any = arguments) -> list[np.ndarray]:
        found = []
        for recording in raster:
            layer.reset_all()
            layer.evolve(recording.tolist())
            found.append([np.asarray(read[name]()) for name in names])
        return [np.stack(x) for x in zip(*found, strict=True)]

    return run


if __name__ == "__main__":
    main(run)
