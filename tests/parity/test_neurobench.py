"""Against NeuroBench's metrics. README.md, beside this file, says what the file holds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import Sequential, record
from snnjax.hardware import dynapcnn, xylo
from snnjax.nn import Flatten, Leaky, workload

from ._compare import cases, group, load

FILE = "neurobench"


def check(found, settings):
    """Every number is the same; the package rounds the sparsity of connections to 4 places."""
    assert round(found.connection_sparsity, 4) == settings["connection_sparsity"]
    for name in ("activation_sparsity", "dense", "effective_macs", "effective_acs"):
        assert getattr(found, name) == pytest.approx(settings[name], rel=1e-12), name


def product(weight, **keywords):
    sizes, key = (weight.shape[1], weight.shape[0]), jax.random.key(0)
    if weight.ndim == 2:
        layer = eqx.nn.Linear(*sizes, use_bias=False, key=key)
    else:
        layer = eqx.nn.Conv2d(*sizes, weight.shape[2], use_bias=False, key=key, **keywords)
    return eqx.tree_at(lambda m: m.weight, layer, weight)


def leaky(shape, **keywords):
    return Leaky(shape, 0.9, **keywords)


def network(case, weights):
    if case == "1":
        return Sequential(
            product(weights["0"], padding=1),
            leaky((4, 7, 7)),
            product(weights["1"], stride=2),
            leaky((3, 3, 3)),
            Flatten(),
            product(weights["2"]),
            leaky(5),
        )
    chain = [weights[str(i)] for i in range({"0": 2, "2": 3, "3": 2}[case])]
    layers = [layer for w in chain for layer in (product(w), leaky(len(w)))]
    if case == "2":
        layers[3] = leaky(10, recurrent="dense", w_rec=weights["3"].T)
    return Sequential(*layers)


@pytest.mark.few(1)
@pytest.mark.parametrize("case", cases(FILE, "snntorch"))
def test_networks_of_snntorch(case):
    settings, arrays = load(FILE, case)
    weights, x = group(arrays, "weight"), jnp.asarray(arrays["input"], float)
    model = network(case, weights)
    _, _, records = record(model, x)
    spikes = [np.asarray(v) for k, v in records.items() if k.endswith(".spikes")]
    for i, found in enumerate(spikes):
        np.testing.assert_array_equal(found, arrays[f"spikes/{i}"])
    found = workload(model, x, records)
    check(found, settings)
    of_neurons = sum(x.nbytes for m in model.layers if isinstance(m, Leaky) for x in arrays_of(m))
    assert found.footprint - of_neurons == settings["footprint_of_weights"]


def arrays_of(neurons):
    kept = eqx.tree_at(lambda m: m.w_rec, neurons, None, is_leaf=lambda x: x is None)
    return jax.tree.leaves(eqx.filter(kept, eqx.is_array))


@pytest.mark.few(1)
@pytest.mark.parametrize("case", cases(FILE, "xylo"))
def test_integers_of_xylo(case):
    settings, arrays = load(FILE, case)
    n, out = arrays["w_out"].shape
    spec = xylo.Spec(
        **{name: arrays[name].astype(int) for name in ("w_in", "w_rec", "w_out")},
        dash_mem=np.full(n, 3),
        dash_syn=np.full((n, arrays["w_in"].shape[2]), 3),
        dash_mem_out=np.full(out, 3),
        dash_syn_out=np.full(out, 3),
        threshold=np.full(n, 50),
        threshold_out=np.full(out, 50),
        dt=1e-3,
        chip=xylo.XYLO_AUDIO_2,
    )
    drawn = {k: arrays[k].astype(int) for k in ("spikes", "spikes_out")}
    trace = xylo.Trace(**dict.fromkeys(xylo.Trace._fields) | drawn)
    check(xylo.cost(spec, arrays["input"], trace=trace).workload, settings)


@pytest.mark.few(1)
@pytest.mark.parametrize("case", cases(FILE, "dynapcnn"))
def test_integers_of_dynapcnn(case):
    settings, arrays = load(FILE, case)
    kept = {"stride": settings["stride"], "padding": settings["padding"]}
    weights = [arrays[f"weight/{i}"].astype(int) for i in range(2)]
    spikes = tuple(arrays[f"spikes/{i}"].astype(int) for i in range(2))
    to = (dynapcnn.Destination(1, 2),)
    first = dynapcnn.Core(
        weights[0], threshold=900, input_shape=(2, 12, 10), destinations=to, **kept
    )
    second = dynapcnn.Core(weights[1], threshold=900, input_shape=first.pooled(2))
    spec = dynapcnn.Spec((first, second), chip=dynapcnn.SPECK_2F)
    drawn = {"spikes": spikes, "spikes_out": spikes[-1], "counts": [x.sum(0) for x in spikes]}
    drawn["arrived"] = [np.zeros(core.input_shape[1:]) for core in spec.layers]
    trace = dynapcnn.Trace(**dict.fromkeys(dynapcnn.Trace._fields) | drawn)
    check(dynapcnn.cost(spec, arrays["input"], trace=trace).workload, settings)
