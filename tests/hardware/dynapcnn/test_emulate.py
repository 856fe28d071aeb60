"""The emulation is the simulator's arithmetic, to the bit, with gradients to train through."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.nn import IAF, Flatten, Sequential, SumPool2d, run_batch, statistics
from snnjax.surrogate import Atan, PeriodicExponential

from .networks import NETWORKS, conv, linear, norm, raster

FINE = dataclasses.replace(dynapcnn.SPECK_2F, weight_bits=16, bias_bits=16, state_bits=24)
SENSOR = dynapcnn.Sensor(size=(9, 8), pool=(2, 1), crop=((0, 4), (1, 7)), merge=True, mirror_x=True)
BATCH = 2
DRAWS = 25


def sensing():
    """What the other networks have not: a sensor, a norm, and settings of the neurons."""
    return Sequential(
        conv(1, 3, padding=1, use_bias=False),
        norm(3, "ema"),
        IAF((3, 4, 6), detach_reset=True, surrogate=Atan(jnp.full((3, 1, 1), 2.0))),
        SumPool2d(2),
        Flatten(),
        linear(18, 4, gain=2.0),
        IAF(4, max_spikes=3, min_vmem=-2.0, surrogate=PeriodicExponential()),
    )


@functools.cache
def case(name):
    """A network, the shape of a step, and how it is mapped."""
    if name != "sensing":
        shape, make = NETWORKS[name]
        return make(), shape, {"input_shape": shape}
    model = sensing()
    _, state = run_batch(model, np.stack([raster((1, 4, 6), seed) for seed in range(3)]))
    return model, SENSOR.input_shape, {"sensor": SENSOR, "statistics": statistics(state)}


def drawn(model, seed):
    """Other parameters, and how many events come on average: from a few to what saturates."""
    rng = np.random.default_rng(seed)
    gain = rng.choice([0.3, 1, 4])

    def draw(x):
        if x.ndim == 0:
            return x * rng.uniform(0.5, 2)
        return jnp.asarray(gain * x * rng.uniform(0.2, 2, x.shape), x.dtype)

    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    rate = (0.1, 0.5, 5, 100)[seed % 4]
    return eqx.combine(jax.tree.map(draw, arrays), rest), rate, rng


@functools.cache
def training(name):
    """A step of training through the integers: what they did, the gradient, and the next model."""
    _, _, mapping = case(name)

    def loss(model, x):
        run = dynapcnn.emulate(model, **mapping)(x)
        rates = [jnp.mean(spikes, axis=(0, 1)) for spikes in run.spikes]
        far = [jnp.mean(vmem**2) / 1e6 for vmem in run.vmem]
        return sum(jnp.var(rate) - jnp.mean(rate) for rate in rates) + sum(far), run

    @eqx.filter_jit
    def step(model, x):
        grad, run = eqx.filter_grad(loss, has_aux=True)(model, x)
        small = lambda p, g: p - 0.05 * jnp.sign(g) * jnp.mean(jnp.abs(p))  # noqa: E731
        arrays, rest = eqx.partition(model, eqx.is_inexact_array)
        return run, grad, eqx.combine(jax.tree.map(small, arrays, grad), rest)

    return step


@functools.cache
def integers(name):
    mapping = case(name)[2]
    return eqx.filter_jit(lambda m: dynapcnn.quantize(dynapcnn.map_network(m, **mapping)))


def simulated(spec, x):
    """The trace; None if a sum is beyond what is exact."""
    try:
        return dynapcnn.simulate(spec, x)
    except ValueError as error:
        if "the sum of a step must be within" not in str(error):
            raise
        return None


def assert_same(run, trace):
    for field in run._fields:
        found, wanted = getattr(run, field), getattr(trace, field)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name", ["a sequence", "a residual", "branches with pools of their own", "sensing"]
)
def test_every_state_and_spike_equals_the_simulator_before_and_in_training(name):
    spikes = saturated = changed = refused = 0
    base, shape, _ = case(name)
    for seed in range(DRAWS):
        model, rate, rng = drawn(base, seed)
        x = jnp.asarray(rng.poisson(rate, (BATCH, 5, *shape)), jnp.float32)
        spec = integers(name)(model)
        for _ in range(3):
            trace = simulated(spec, x)
            if trace is None:
                with pytest.raises(RuntimeError, match="the sum of a step must be within"):
                    jax.block_until_ready(training(name)(model, x))
                refused += 1
                break
            run, grad, model = training(name)(model, x)
            assert_same(run, trace)
            for path, leaf in jax.tree_util.tree_leaves_with_path(grad):
                assert np.isfinite(leaf).all(), (seed, jax.tree_util.keystr(path))
            before, spec = spec, integers(name)(model)
            changed += int(np.sum(before.layers[0].weight != spec.layers[0].weight))
        if trace is None:
            continue
        spikes += int(trace.spikes_out.sum())
        saturated += sum(int(x.sum()) for x in trace.saturated)
    assert spikes > 500
    assert saturated > 100
    assert changed > 100
    assert refused < DRAWS / 4


@pytest.mark.slow
def test_gradients_reach_every_parameter_that_is_trained_and_no_other():
    model, shape, _ = case("sensing")
    x = np.random.default_rng(1).poisson(0.5, (BATCH, 5, *shape)).astype(np.float32)
    _, grad, _ = training("sensing")(model, jnp.asarray(x))
    reached = {
        jax.tree_util.keystr(path): bool(np.asarray(leaf).any())
        for path, leaf in jax.tree_util.tree_leaves_with_path(grad)
    }
    frozen = {".layers[6].min_vmem"}
    statistics_of_norm = {path for path in reached if "state_index" in path}
    assert {path for path, found in reached.items() if not found} == frozen | statistics_of_norm
    assert ".layers[2].settings.surrogate.slope" in reached


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
def test_the_gradient_is_that_of_the_float_network_where_the_integers_are_fine():
    shape, make = NETWORKS["average pools"]
    model = make()
    x = jnp.asarray(np.stack([raster(shape, seed) for seed in range(4)]))

    def gradient(run):
        loss = lambda model: run(model).sum((1, 3, 4)).std()  # noqa: E731
        return eqx.filter_jit(eqx.filter_value_and_grad(loss))(model)

    value, grad = gradient(lambda m: jax.vmap(m)(x)[0][..., None, None])
    fine_value, fine = gradient(
        lambda m: dynapcnn.emulate(m, chip=FINE, input_shape=shape)(x).spikes_out
    )
    assert fine_value == pytest.approx(float(value), rel=0.02)
    a, b = flat(grad), flat(fine)
    assert float(a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b)) > 0.98
    assert float(jnp.linalg.norm(b) / jnp.linalg.norm(a)) == pytest.approx(1, abs=0.05)


SMALL = (3, 1, 1)


def small():
    """Two layers of neurons whose surrogates are smooth and trained."""
    neurons = {"min_vmem": -0.7, "frozen": ()}
    return Sequential(
        Flatten(),
        linear(3, 4, seed=3),
        IAF(4, surrogate=Atan(jnp.array(1.5)), **neurons),
        linear(4, 2, seed=4, gain=2.0),
        IAF(2, threshold=0.8, surrogate=Atan(jnp.full(2, 1.2), periodic=True), **neurons),
    )


def smooth_run(layers, scales, x, spikes, base=None):
    """The network in integers, its spikes a smooth function around what they are at `base`.

    Args:
        layers: weight, bias, threshold, min_vmem and surrogate of each.
        scales: what the numbers of each were multiplied with.
        x: events, `(time, inputs)`.
        spikes: those of each layer at the base.
        base: potentials before spikes and the layers, at the base; None to find them.
    """
    counts, found, outputs = x, [], []
    for i, ((w, b, threshold, low, surrogate), scale) in enumerate(
        zip(layers, scales, strict=True)
    ):
        vmem, charged, fired, left = jnp.zeros(len(b)), [], [], []
        for t, events in enumerate(counts):
            vmem = vmem + w @ events + b
            charged.append(vmem)
            count = spikes[i][t]
            if base is not None:
                _, _, level, _, before = base[1][i]
                count = (
                    count
                    + surrogate.relaxation(vmem / scale, threshold / scale, jnp.inf)
                    - before.relaxation(base[0][i][t] / scale, level / scale, jnp.inf)
                )
            vmem = jnp.maximum(vmem - count * threshold, low)
            fired.append(count)
            left.append(vmem)
        counts = jnp.stack(fired)
        found.append(jnp.stack(charged))
        outputs.append((counts, jnp.stack(left)))
    return outputs, found


@pytest.mark.slow
def test_the_gradient_is_that_of_finite_differences_of_the_smooth_relaxation():
    model = small()
    x = np.random.default_rng(0).poisson(0.7, (6, *SMALL))
    mapped = dynapcnn.map_network(model, input_shape=SMALL)
    spec = dynapcnn.quantize(mapped)
    scales = [row.scale for row in dynapcnn.report(mapped) if ".weight" in row.parameter]
    trace = dynapcnn.simulate(spec, x)
    assert trace.spikes_out.sum() > 3
    rng = np.random.default_rng(1)
    weights = [[rng.normal(size=s.shape[:2]) / unit for unit in (1, 100)] for s in trace.spikes]

    def weighed(outputs):
        each = zip(jax.tree.leaves(outputs), jax.tree.leaves(weights), strict=True)
        return sum(jnp.sum(jnp.asarray(w, y.dtype) * y) for y, w in each)

    def loss(model):
        run = dynapcnn.emulate(model, input_shape=SMALL)(jnp.asarray(x, jnp.float32))
        states = list(zip(run.spikes, run.vmem, strict=True))
        return weighed(jax.tree.map(lambda y: y[..., 0, 0], states))

    grad = eqx.filter_jit(eqx.filter_grad(loss))(model)

    with jax.enable_x64(True):
        to_double = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, float), tree)  # noqa: E731
        layers = [
            (
                core.weight[..., 0, 0],
                core.bias,
                core.threshold,
                core.min_vmem,
                neurons.settings.surrogate,
            )
            for core, neurons in zip(spec.layers, model.layers[2::2], strict=True)
        ]
        layers, spikes = to_double(layers), to_double([s[..., 0, 0] for s in trace.spikes])
        events = jnp.asarray(x[..., 0, 0], float)
        _, charged = smooth_run(layers, scales, events, spikes)
        leaves, structure = jax.tree.flatten(layers)

        def total(flat):
            ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
            parts = [
                p.reshape(leaf.shape) for p, leaf in zip(jnp.split(flat, ends), leaves, strict=True)
            ]
            moved = jax.tree.unflatten(structure, parts)
            outputs, _ = smooth_run(moved, scales, events, spikes, (charged, layers))
            return weighed(outputs)

        start = jnp.concatenate([leaf.ravel() for leaf in leaves])
        steps = 1e-5 * jnp.eye(len(start))
        both = jax.jit(jax.vmap(total))(jnp.concatenate([start + steps, start - steps]))
        differences = np.asarray((both[: len(start)] - both[len(start) :]) / 2e-5)

    wanted = []
    for scale, product, neurons in zip(scales, grad.layers[1::2], grad.layers[2::2], strict=True):
        for of_model in (product.weight, product.bias, neurons.threshold, neurons.min_vmem):
            wanted.append(np.ravel(of_model) / scale)
        wanted.append(np.ravel(neurons.settings.surrogate.slope))
    np.testing.assert_allclose(np.concatenate(wanted), differences, rtol=2e-4, atol=2e-4)
    assert all(np.abs(part).max() > 1e-3 for part in wanted)


def one_neuron(weight=1.0, threshold=250.0, **neurons):
    product = eqx.nn.Conv2d(1, 1, 1, use_bias=False, key=jax.random.key(0))
    product = eqx.tree_at(lambda c: c.weight, product, jnp.full((1, 1, 1, 1), weight))
    return Sequential(product, IAF((1, 1, 1), threshold=threshold, **neurons))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("weight", "settings", "vmem", "gradient"),
    [
        # The spike is taken off the exact sum, 38100, and nothing is cut.
        (1.0, {}, 300 * 127 - 31750 + 4 * 127, [127, 127, 127, 127]),
        # Inhibition is cut at the lower end.
        (-1.0, {}, -32768, [0, 0, 0, 0]),
        # What a cap leaves is cut at the upper end.
        (1.0, {"max_spikes": 1, "threshold": 2.0}, 32767 - 3 * 254 + 4 * 127, [0, 127, 127, 127]),
    ],
)
def test_a_potential_that_is_cut_passes_no_gradient_on(weight, settings, vmem, gradient):
    model = one_neuron(weight, detach_reset=True, **settings)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def end(x):
        run = dynapcnn.emulate(model, input_shape=(1, 1, 1))(x)
        return run.vmem[0][-1, 0, 0, 0], run

    events = jnp.array([300.0, 1, 2, 1]).reshape(4, 1, 1, 1)
    (last, run), grad = end(events)
    assert last == vmem
    assert run.saturated[0] >= 1
    assert grad.ravel().tolist() == gradient


@pytest.mark.slow
def test_one_recording_is_as_in_a_batch_and_as_in_vmap():
    model = small()
    x = np.random.default_rng(0).poisson(0.7, (3, 6, *SMALL)).astype(np.float32)

    @eqx.filter_jit
    def runs(model, x):
        run = dynapcnn.emulate(model, input_shape=SMALL)
        return run(x), jax.vmap(run)(x), run(x[0])

    batch, mapped, single = runs(model, x)
    jax.tree.map(np.testing.assert_array_equal, batch, mapped)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), batch, single)
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=SMALL))
    assert_same(batch, dynapcnn.simulate(spec, x))


def test_what_is_no_raster_is_refused():
    run = dynapcnn.emulate(small(), input_shape=SMALL)
    x = raster(SMALL)
    for bad, message in (
        (x[0], r"must have the shape \(time, 3, 1, 1\) or \(batch, time, 3, 1, 1\)"),
        (-x, "negative"),
        (x + 0.5, "not a whole number"),
        (np.where(x > 0, np.nan, 0), "NaN"),
        (40000 * x, "above 32767"),
    ):
        with pytest.raises(ValueError, match=message):
            run(bad)
    integers = jax.eval_shape(run, jnp.asarray(x, jnp.int32))
    assert integers.spikes_out.shape == (8, 2, 1, 1)
    assert integers.spikes_out.dtype == jnp.float32


def test_what_the_chip_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="`percentile` must be above 0"):
        dynapcnn.emulate(small(), input_shape=SMALL, percentile=0)
    with pytest.raises(ValueError, match="`input_shape` must be"):
        dynapcnn.emulate(small())
    wide = Sequential(conv(1, 1, 17), IAF((1, 4, 4)))
    with pytest.raises(ValueError, match="kernels are at most 16"):
        dynapcnn.emulate(wide, input_shape=(1, 20, 20))


@pytest.mark.slow
def test_what_training_must_not_do_to_a_parameter_is_an_error_in_a_compiled_program():
    model = Sequential(conv(1, 2), IAF((2, 4, 4)))
    x = jnp.ones((2, 3, 1, 6, 6))

    @eqx.filter_jit
    def spikes(model):
        return dynapcnn.emulate(model, input_shape=(1, 6, 6))(x).spikes_out

    assert spikes(model).shape == (2, 3, 2, 4, 4)
    for where, value in (
        (lambda m: m.layers[0].weight, np.nan),
        (lambda m: m.layers[0].weight, np.inf),
        (lambda m: m.layers[1].threshold, 0.0),
    ):
        broken = eqx.tree_at(where, model, replace_fn=lambda p, v=value: jnp.full(p.shape, v))
        with pytest.raises(RuntimeError, match="`model` has a weight or bias that is not finite"):
            jax.block_until_ready(spikes(broken))
