"""A mapped network is the network, but for one step of delay at every hop."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import ALIF, LIF, Residual, Sequential, SynNet, quant, transforms
from snnjax.hardware import xylo
from snnjax.nn import TimeStepDropout

STEPS = 40


def linear(n_in, n_out, seed):
    layer = eqx.nn.Linear(n_in, n_out, use_bias=False, key=jax.random.key(seed))
    return eqx.tree_at(lambda m: m.weight, layer, 3 * layer.weight)


def hidden(n, **kwargs):
    settings = {"tau_mem": 6e-3, "tau_syn": 3e-3, "bias": None, "max_spikes": 31, **kwargs}
    return LIF(n, **settings)


def readout(n, **kwargs):
    return hidden(n, max_spikes=1, **kwargs)


def raster(channels=4, seed=0):
    return np.random.default_rng(seed).poisson(0.5, (STEPS, channels)).astype(np.float32)


def delayed(x):
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


def run_mapped(spec, events):
    """Spikes of a mapped, not yet quantised network, in double precision and plain loops."""
    a = {
        k: None if v is None else np.asarray(v, np.float64)
        for k, v in vars(spec).items()
        if k not in ("chip", "layers")
    }
    alpha = {k: 1 - 2.0 ** -a[k] for k in ("dash_mem", "dash_syn", "dash_mem_out", "dash_syn_out")}
    n, s = a["dash_syn"].shape
    isyn, vmem, spikes = np.zeros((n, s)), np.zeros(n), np.zeros(n)
    isyn_out, vmem_out = np.zeros(len(a["dash_mem_out"])), np.zeros(len(a["dash_mem_out"]))
    bias = 0 if a["bias"] is None else a["bias"]
    trace, trace_out = [], []
    for x in events:
        isyn_out = alpha["dash_syn_out"] * (isyn_out + spikes @ a["w_out"])
        isyn = (
            isyn + np.einsum("i,ins->ns", x, a["w_in"]) + np.einsum("i,ins->ns", spikes, a["w_rec"])
        )
        isyn = alpha["dash_syn"] * isyn
        vmem = alpha["dash_mem"] * vmem + isyn.sum(-1) + bias
        vmem_out = alpha["dash_mem_out"] * vmem_out + isyn_out
        spikes = np.zeros(n)
        for j in range(n):
            own = min(max(np.floor(vmem[j] / a["threshold"][j]), 0), 31 - spikes[j])
            vmem[j] -= own * a["threshold"][j]
            spikes[j] += own
            if a["aliases"] is not None and a["aliases"][j] >= 0:
                target = int(a["aliases"][j])
                spikes[target] = min(spikes[target] + spikes[j], 31)
        out = (vmem_out >= a["threshold_out"]).astype(float)
        vmem_out = vmem_out - np.where(out > 0, a["threshold_out"], 0)
        trace.append(spikes)
        trace_out.append(out)
    return np.array(trace), np.array(trace_out)


@pytest.mark.slow
def test_every_hop_between_neurons_takes_one_step():
    key = jax.random.key(5)
    loop = hidden(5, synapses=2, tau_syn=np.full((5, 2), (2e-3, 8e-3)), recurrent=True, key=key)
    biased = hidden(6, bias=np.linspace(-0.1, 0.2, 6))
    a, b, c, last = linear(4, 5 * 2, 1), linear(5, 6, 2), linear(6, 3, 3), readout(3)
    model = Sequential(a, loop, TimeStepDropout(0.5), Sequential(b, biased), c, last)
    x = raster()
    one, _ = Sequential(a, loop)(x)
    two, _ = Sequential(b, biased)(delayed(one))
    three, _ = Sequential(c, last)(delayed(two))
    spikes, out = run_mapped(xylo.map_network(model), x)
    assert one.sum() > 20
    assert two.sum() > 20
    assert three.sum() > 5
    np.testing.assert_array_equal(spikes, np.concatenate([one, two], axis=1))
    np.testing.assert_array_equal(out, three)
    assert xylo.latency(model) == 2


@pytest.mark.few(1)
@pytest.mark.parametrize("recurrent", [False, True])
def test_residual_becomes_an_alias_and_its_recurrence_feeds_back_its_own_spikes_only(recurrent):
    first, last = hidden(5), readout(3)
    repeats = hidden(5, recurrent=recurrent, key=jax.random.key(9))
    a, b, c = linear(4, 5, 1), linear(5, 5, 2), linear(5, 3, 3)
    model = Sequential(a, first, Residual(b, repeats), c, last)
    x = raster()
    one, _ = Sequential(a, first)(x)
    own, _ = Sequential(b, repeats)(delayed(one))
    y, _ = Sequential(c, last)(delayed(one + own))
    spec = xylo.map_network(model)
    spikes, out = run_mapped(spec, x)
    assert own.sum() > 20
    assert y.sum() > 5
    np.testing.assert_array_equal(spec.aliases, [5, 6, 7, 8, 9, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(spikes[:, 5:], one + own)
    np.testing.assert_array_equal(out, y)


def test_residuals_in_a_row_are_a_chain_of_aliases():
    model = Sequential(
        linear(4, 5, 1),
        hidden(5),
        Residual(linear(5, 5, 2), hidden(5)),
        Residual(linear(5, 7, 3), hidden(7), linear(7, 5, 4), hidden(5)),
        linear(5, 3, 5),
        readout(3),
    )
    aliases = np.asarray(xylo.map_network(model).aliases)
    np.testing.assert_array_equal(aliases, [*range(5, 10), *range(17, 22), *[-1] * 12])
    assert xylo.latency(model) == 4


@pytest.mark.slow
def test_integers_of_a_mapped_network_do_what_the_network_does():
    model = SynNet(4, 8, (24, 24), (2, 4), key=jax.random.key(0))
    model = eqx.tree_at(
        lambda m: [m.layers[i].weight for i in (0, 2, 4)],
        model,
        replace_fn=lambda w: 2 * w,
    )
    x = np.random.default_rng(1).poisson(1.0, (100, 8))
    y, _ = model(x)
    spec = xylo.quantize(xylo.map_network(model))
    late = xylo.latency(model)
    out = xylo.simulate(spec, np.pad(x, ((0, late), (0, 0)))).spikes_out[late:]
    assert y.sum() > 40
    # Rounding moves spikes by a step now and then; a wrong weight anywhere would move most.
    assert np.abs(np.asarray(out).sum(0) - np.asarray(y).sum(0)).max() <= 0.15 * len(x)


@pytest.mark.slow
@pytest.mark.parametrize("tau_syn", [1.1e-3, 1.3e-3, 0.8e-3])
def test_short_time_constants_do_not_silence_the_network(tau_syn):
    """Rockpool's mapper takes round(log2(tau/dt)) = 0 here, and the chip then hears nothing."""
    assert round(np.log2(tau_syn / 1e-3)) == 0
    model = Sequential(
        linear(4, 8, 1), hidden(8, tau_syn=tau_syn), linear(8, 2, 2), readout(2, tau_syn=tau_syn)
    )
    x = 4 * raster().astype(int)
    assert model(x)[0].sum() > 10
    spec = xylo.quantize(xylo.map_network(model))
    assert (np.asarray(spec.dash_syn) == 1).all()
    trace = xylo.simulate(spec, x)
    assert trace.spikes.sum() > 10
    assert trace.spikes_out.sum() > 10


@pytest.mark.slow
def test_the_report_names_every_layer_and_what_its_parameters_become():
    model = Sequential(
        linear(4, 6, 1),
        hidden(6, tau_syn=np.repeat([1.1e-3, 20e-3], 3), bias=0.1),
        linear(6, 2, 2),
        readout(2),
    )
    spec = xylo.map_network(model)
    found = xylo.report(spec, bits=4)
    decays = {(r.parameter, r.integers[0]): r for r in found if r.scale is None}
    assert set(decays) == {
        ("layers[1].tau_mem", 3),
        ("layers[1].tau_syn", 1),
        ("layers[1].tau_syn", 4),
        ("layers[3].tau_mem", 3),
        ("layers[3].tau_syn", 2),
    }
    short = decays["layers[1].tau_syn", 1]
    assert short.size == 3
    assert short.before == pytest.approx(1.1e-3, rel=1e-5)
    assert short.after == pytest.approx(1e-3 / np.log(2), rel=1e-5)
    assert str(short) == "layers[1].tau_syn: 3 x 1.1 ms -> 1.44 ms (+31.2%), integer 1"

    scaled = {r.parameter: r for r in found if r.scale is not None}
    assert list(scaled) == [
        "layers[1]: weights",
        "layers[1].threshold",
        "layers[1].bias",
        "layers[3]: weights",
        "layers[3].threshold",
    ]
    integers = xylo.quantize(spec, bits=4)
    weights = scaled["layers[1]: weights"]
    assert weights.size == 24
    assert weights.integers == (int(integers.w_in.min()), int(integers.w_in.max()))
    assert weights.clipped == 0
    assert weights.zeroed == int((np.asarray(integers.w_in) == 0).sum())
    assert weights.after == pytest.approx(weights.before, rel=0.1)
    assert 10 < weights.sqnr < 30
    bias = scaled["layers[1].bias"]
    assert bias.integers == (int(integers.bias.min()), int(integers.bias.max()))
    with pytest.raises(ValueError, match="quantised already"):
        xylo.report(integers)


def net(*layers):
    return Sequential(linear(4, 5, 1), hidden(5), *layers)


def noisy(**settings):
    return Sequential(linear(4, 5, 1), hidden(5, **settings), linear(5, 2, 2), readout(2))


def hooked(**rules):
    model = noisy()
    return transforms.apply(transforms.plan(model, **rules), model)


BAD = {
    "layers[2]` (Lambda) has no counterpart": lambda: net(
        eqx.nn.Lambda(jax.nn.relu), linear(5, 2, 2), readout(2)
    ),
    "layers[2]` (LIF) has no Linear before it": lambda: net(readout(5)),
    "layers[2]` (Linear) is not followed by a LIF": lambda: net(linear(5, 2, 2)),
    "layers[2]` (Linear) is not followed": lambda: net(
        linear(5, 5, 2), linear(5, 2, 2), readout(2)
    ),
    "layers[2]` (Residual) adds 5 neurons to 6": lambda: net(
        Residual(linear(5, 6, 2), hidden(6)), linear(6, 2, 2), readout(2)
    ),
    "layers[2]` (Residual) holds no neurons": lambda: net(
        Residual(TimeStepDropout(0.1)), linear(5, 2, 2), readout(2)
    ),
    "skips the input": lambda: Sequential(
        Residual(linear(4, 4, 1), hidden(4)), linear(4, 2, 2), readout(2)
    ),
    "ends a Residual": lambda: net(Residual(linear(5, 5, 2), readout(5))),
    "has one alias": lambda: net(
        Residual(Residual(linear(5, 5, 2), hidden(5))), linear(5, 2, 2), readout(2)
    ),
    "is recurrent": lambda: net(linear(5, 2, 2), readout(2, recurrent=True, key=jax.random.key(0))),
    "has 2 synapses": lambda: net(linear(5, 4, 2), readout(2, synapses=2)),
    "at least one hidden layer": lambda: Sequential(linear(4, 2, 1), readout(2)),
    "passes on membrane potentials": lambda: Sequential(
        linear(4, 5, 1), hidden(5, output="vmem"), linear(5, 2, 2), readout(2)
    ),
    "same `dt`": lambda: net(linear(5, 2, 2), readout(2, dt=2e-3)),
    "layers[2]` maps 6 to 2, but stands between 5 and 2": lambda: net(linear(6, 2, 2), readout(2)),
    "layers[1]` (LIF) has noise, a `noise_std` of 0.5": lambda: noisy(noise_std=0.5),
    "layers[1]` (LIF) transforms its state": lambda: hooked(states={"LIF.vmem": quant.Round()}),
    "model` (Sequential) transforms outputs": lambda: hooked(activations={"LIF": quant.Round()}),
    "layers[2]` (ALIF) has no counterpart": lambda: Sequential(
        linear(4, 5, 1), hidden(5), ALIF(5), linear(5, 2, 2), readout(2)
    ),
    "layers[1]` (ALIF) has no counterpart": lambda: Sequential(
        linear(4, 5, 1), ALIF(5), linear(5, 2, 2), readout(2)
    ),
    "layers[1]` (LIF) has a reset of 'zero'": lambda: noisy(reset="zero"),
    "layers[1]` (LIF) has a refractory period": lambda: noisy(refractory=2),
    "layers[1]` (LIF) has the shape (5, 1)": lambda: Sequential(
        linear(4, 5, 1), hidden((5, 1)), linear(5, 2, 2), readout(2)
    ),
    "layers[2].bias` has no counterpart": lambda: net(
        eqx.nn.Linear(5, 2, key=jax.random.key(0)), readout(2)
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_what_the_chip_cannot_run_is_refused_by_name(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        xylo.map_network(BAD[message]())


OUT_OF_RANGE = {
    "`layers[1].leak.tau_mem[3]` is -0.003; a time constant must be above 0 s and finite": (
        lambda m: m.layers[1].leak.tau_mem,
        lambda x: x.at[3].set(-3e-3),
    ),
    "`layers[3].leak.tau_syn[1, 0]` is nan; a time constant": (
        lambda m: m.layers[3].leak.tau_syn,
        lambda x: x.at[1].set(jnp.nan),
    ),
    "`layers[1].threshold[0]` is 0; a threshold must be above 0": (
        lambda m: m.layers[1].threshold,
        lambda x: x.at[0].set(0),
    ),
    "`layers[0].weight[4, 2]` is inf; it must be finite (and 1 more)": (
        lambda m: m.layers[0].weight,
        lambda x: x.at[4, 2:4].set(jnp.inf),
    ),
}


@pytest.mark.parametrize("message", OUT_OF_RANGE)
def test_parameters_out_of_their_range_are_named_as_in_the_model(message):
    where, change = OUT_OF_RANGE[message]
    with pytest.raises(ValueError, match=re.escape(message)):
        xylo.map_network(eqx.tree_at(where, noisy(), replace_fn=change))


@pytest.mark.parametrize(
    ("leak", "name", "bad", "why"),
    [
        ("decays", "alpha_mem", 1.5, "a decay factor must be at least 0 and below 1"),
        ("decays", "alpha_syn", -0.1, "a decay factor must be at least 0 and below 1"),
        ("bitshifts", "dash_mem", -1.0, "a bit shift must be at least 0 and finite"),
    ],
)
def test_leaks_of_each_kind_are_named(leak, name, bad, why):
    where = lambda m: getattr(m.layers[1].leak, name)  # noqa: E731
    model = eqx.tree_at(where, noisy(leak=leak), replace_fn=lambda x: x.at[0].set(bad))
    with pytest.raises(ValueError, match=rf"`layers\[1\].leak.{name}\[0.*\]` is {bad:g}; {why}"):
        xylo.map_network(model)


def test_a_single_layer_is_not_a_network():
    with pytest.raises(TypeError, match="must be a Sequential"):
        xylo.map_network(hidden(3))


def test_too_large_a_network_lists_every_limit_before_training():
    model = SynNet(40, 17, (1001,), (2,), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"(?s)17.* 16 .*1001.* 1000 .*40.* 8 "):
        xylo.map_network(model, chip="audio2")


def test_other_caps_than_the_chips_are_pointed_out():
    model = Sequential(linear(4, 5, 1), hidden(5, max_spikes=7), linear(5, 2, 2), hidden(2))
    with pytest.warns(xylo.MappingWarning) as caught:
        xylo.map_network(model)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2
    assert "`layers[1].max_spikes` is 7" in texts[0]
    assert "up to 31" in texts[0]
    assert "`layers[3].max_spikes` is 31" in texts[1]
    assert "up to 1 spikes" in texts[1]


def test_mapping_is_differentiable_and_works_under_jit():
    model = net(linear(5, 2, 2), readout(2))

    @eqx.filter_jit
    @eqx.filter_grad
    def grad(model):
        spec = xylo.map_network(model)
        return (spec.w_in**2).sum() + spec.dash_syn.sum()

    grads = grad(model)
    np.testing.assert_allclose(grads.layers[0].weight, 2 * model.layers[0].weight, rtol=1e-6)
    assert np.isfinite(grads.layers[1].leak.tau_syn).all()


@pytest.mark.slow
def test_usage_counts_what_a_network_takes_of_the_chip():
    model = SynNet(4, 8, (12, 10), (2, 2), key=jax.random.key(0))
    used = {use.resource: (use.used, use.has) for use in xylo.usage(xylo.map_network(model))}
    assert used == {
        "input channels": (8, 16),
        "hidden neurons": (22, 992),
        "hidden neurons with input weights": (12, 128),
        "hidden neurons with output weights": (10, 128),
        "output neurons": (4, 32),
        "synapses per neuron": (1, 2),
        "recurrent weights per synapse": (120, 31_744),
    }
