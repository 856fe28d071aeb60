"""The loop over time as a kernel, in Pallas' simulation of a GPU."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import LIF, Izhikevich, Leaky, _time_loop, record
from snnjax._time_loop import _blocks, _kernels
from snnjax._time_loop._neurons import Neurons, fits
from snnjax.hardware import xylo
from snnjax.nn import Sequential
from snnjax.scan import scan

from .nn.neurons import ALL, draw
from .test_blocks import MODES, arguments, loss_of
from .test_scan import close, equal, plain

needs_kernels = pytest.mark.skipif(
    not _kernels.is_new(), reason=f"the kernels need jax 0.11; this is {jax.__version__}"
)


@pytest.fixture
def loops(monkeypatch):
    """The loops that run, with what they are of."""
    found, run = [], _time_loop.run
    monkeypatch.setattr(
        _time_loop, "run", lambda loop, *of: found.append((loop, of)) or run(loop, *of)
    )
    return found


@pytest.fixture
def kernels(monkeypatch):
    """Kernels for all loops that have them, with blocks of three steps; and how many there were."""
    ran, launched = [], _kernels._launched
    monkeypatch.setattr(_kernels, "are_there", lambda: True)
    monkeypatch.setattr(_kernels, "INTERPRETED", True)
    monkeypatch.setattr(_blocks, "LENGTH", 3)
    monkeypatch.setattr(_kernels, "_launched", lambda *args: ran.append(1) or launched(*args))
    return ran


# ----- programs of lanes


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_every_neuron_is_a_program_of_lanes(make, loops):
    layer = make()
    layer(draw(), layer.initial_state())
    ((loop, (parameters, state, inputs)),) = loops
    assert fits(loop)
    neurons = Neurons(loop)
    rng = np.random.default_rng(0)
    state = [s + jnp.asarray(rng.normal(0, 0.3, s.shape), s.dtype) for s in state]
    arrays = parameters, state, [x[0] for x in inputs]

    def step(*arrays):
        return loop.step(*arrays)

    made, pull = jax.vjp(step, *arrays)
    given = jax.tree.map(lambda y: jnp.cos(jnp.arange(y.size)).reshape(y.shape), made)

    @jax.jit
    def by_lanes(arrays, given):
        lanes = [neurons.spread(*some) for some in zip(arrays, neurons.kinds[:3], strict=True)]
        by = [neurons.spread(*some) for some in zip(given, neurons.kinds[1::2], strict=True)]
        found = neurons.step(*lanes), neurons.back(*lanes, *by)
        kinds = neurons.kinds[1::2], neurons.kinds[:3]
        # A lane has 128 threads; those that are no neurons are of no account.
        own = jax.tree.map(lambda lane: lane[: neurons.size], found)
        return [
            [neurons.gathered(*some) for some in zip(lists, of, strict=True)]
            for lists, of in zip(own, kinds, strict=True)
        ]

    found, grads = by_lanes(arrays, given)
    close(found, list(made), 1e-6)
    close(grads, list(pull(given)), 3e-6)


STEPS = {
    "a sum over the neurons": lambda v, x: (v + x, v * v.sum()),
    "a product": lambda v, x: (v @ jnp.ones((3, 3)) + x, v),
    "the neuron beside": lambda v, x: (jnp.roll(v, 1) + x, v),
    "the neurons in reverse": lambda v, x: (v + x, v[::-1]),
    "some neurons": lambda v, x: (v + x, v.at[0].set(0.0)),
    "a number for each neuron": lambda v, x: (v * jnp.arange(3.0) + x, v),
    "an operation that kernels do not have": lambda v, x: (v + x, jnp.arcsin(v)),
    "random numbers": lambda v, x: (v + jax.random.normal(jax.random.key(0), (3,)), v),
}


@pytest.mark.parametrize("name", STEPS)
def test_others_are_none(name, loops):
    scan(STEPS[name], jnp.zeros(3), jnp.ones((4, 3)))
    ((loop, _),) = loops
    assert not fits(loop)


def test_a_step_of_many_numbers_is_none(loops):
    """All neurons together are one where the output is of all of them."""
    for neurons, expected in ((3, True), (100, False)):
        scan(lambda v, x: (v + x, v.max()), jnp.zeros(neurons), jnp.ones((4, neurons)))
        assert fits(loops[-1][0]) == expected


# ----- kernels

LAYERS = {
    "of one entry": (lambda: Leaky(5, 0.8, reset="zero"), (4, 5), {}),
    "with two synapses": (lambda: LIF(6, synapses=2, threshold=0.5), (7, 12), {}),
    "of more neurons than threads": (lambda: Izhikevich(130, r=12.0), (3, 130), {}),
    "of maps": (lambda: Leaky((2, 3, 4), 0.8, detach_reset=True), (2, 2, 3, 4), {}),
}


@needs_kernels
@pytest.mark.few(2)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, kernels, monkeypatch):
    """Outputs to the bit; gradients by parameters, state and inputs."""
    make, shape, _ = LAYERS[name]
    layer = make()
    x = draw(3, *shape) * (20 if isinstance(layer, Izhikevich) else 1)
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def loss(arrays, state, x):
        layer = eqx.combine(arrays, static)
        y, state = jax.vmap(layer, (0, None))(x, state)
        weighted = y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)
        return weighted.sum() + sum(jnp.sum(s**2) for s in jax.tree.leaves(state)), (y, state)

    # The simulation does not run within `jax.jit`.
    derived = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
    state = layer.initial_state()
    (_, made), grads = derived(arrays, state, x)
    assert len(kernels) == 2
    monkeypatch.setattr(_kernels, "are_there", lambda: False)
    (_, wanted), plain_grads = derived(arrays, state, x)
    assert made[0].any()
    equal(made[0], wanted[0])
    close(made[1], wanted[1], 1e-6)
    close(grads, plain_grads, 3e-6)
    assert len(kernels) == 2


@needs_kernels
@pytest.mark.few(2)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_differentiation(mode, kernels, key):
    args = arguments(key)
    found, wanted = (MODES[mode](loss_of(run, smooth=jnp.tanh))(args) for run in (scan, plain))
    # A derivative of a derivative is that of `lax.scan`.
    assert kernels or " over " in mode or mode == "Hessian"
    close(found, wanted, 5e-6)


@needs_kernels
@pytest.mark.few(3)
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_programs_for_gpus_have_kernels(make, monkeypatch):
    """Here they are not compiled further than to what the compiler of a GPU takes."""
    monkeypatch.setattr(_kernels, "are_there", lambda: True)
    run = jax.grad(lambda x: jax.vmap(lambda x: make()(x)[0])(x).sum())
    traced = jax.jit(run).trace(draw(2, 3, 2, 3, 4))
    for platform, count in (("cuda", 2), ("cpu", 0)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.custom_call @mosaic_gpu") == count


@needs_kernels
def test_recorded_states(kernels, monkeypatch):
    layer = Leaky(5, 0.8)
    x = draw(2, 4, 5)

    def loss(x):
        y, _, records = jax.vmap(lambda x: record(layer, x))(x)
        return sum(jnp.sum(jnp.sin(r)) for r in records.values()) + y.sum(), (y, records)

    derived = jax.value_and_grad(loss, has_aux=True)
    (_, made), grads = derived(x)
    assert len(kernels) == 2
    monkeypatch.setattr(_kernels, "are_there", lambda: False)
    (_, wanted), plain_grads = derived(x)
    close(made, wanted, 1e-6)
    close(grads, plain_grads, 3e-6)


@needs_kernels
def test_loops_without_sequences_need_none(kernels):
    y, _ = jax.vmap(Leaky(5, 0.8))(jnp.zeros((0, 4, 5)))
    assert y.shape == (0, 4, 5)
    assert not kernels


@needs_kernels
def test_a_jax_whose_pallas_is_another(monkeypatch):
    assert _kernels.is_compiled()
    monkeypatch.setattr(_kernels._mosaic(), "kernel", lambda body: body)
    with pytest.warns(UserWarning, match="compiles no kernel .*`lax.scan` runs it"):
        assert not _kernels.is_compiled()


def test_with_numbers_of_64_bits_there_are_none(monkeypatch):
    monkeypatch.setattr(_kernels, "is_there", lambda: True)
    assert _kernels.are_there()
    with jax.enable_x64(True):
        assert not _kernels.are_there()


@needs_kernels
@pytest.mark.slow
@pytest.mark.parametrize("synapses", [2, 1])
def test_training_through_the_integers_of_a_chip(synapses, kernels, monkeypatch):
    """Each population that is not recurrent is one kernel forward and one backward."""
    keys = jax.random.split(jax.random.key(0), 3)
    model = Sequential(
        eqx.nn.Linear(5, 4 * synapses, use_bias=False, key=keys[0]),
        LIF(4, synapses=synapses, threshold=0.3),
        eqx.nn.Linear(4, 3, use_bias=False, key=keys[1]),
        LIF(3, threshold=0.1, max_spikes=1),
    )
    x = jax.random.poisson(keys[2], 1.0, (2, 10, 5)).astype(float)
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays):
        run = xylo.emulate(eqx.combine(arrays, static))(x)
        return jnp.cos(run.vmem_out / 1000).sum() + run.spikes_out.std(), run

    derived = jax.value_and_grad(loss, has_aux=True)
    (_, run), grads = derived(arrays)
    assert len(kernels) == 4
    assert run.spikes_out.any()
    monkeypatch.setattr(_kernels, "are_there", lambda: False)
    (_, wanted), wanted_grads = derived(arrays)
    equal(run, wanted)
    close(grads, wanted_grads, 1e-5)
