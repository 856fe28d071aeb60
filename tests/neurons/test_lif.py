"""The LIF kernel against the same rules written as loops in float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, lif, recurrent

N, STEPS = 4, 60
step = functools.partial(lif.step, fire=Firing(max_spikes=31))


def reference(params, w_rec, state, x, noise, max_spikes):
    """One step, neuron by neuron and synapse by synapse."""
    vmem, isyn, spikes = (np.array(value, float) for value in state)
    before = spikes.copy()
    n_synapses = isyn.shape[1]
    for j in range(N):
        for s in range(n_synapses):
            isyn[j, s] += x[j, s]
            if w_rec is not None:
                isyn[j, s] += sum(before[i] * w_rec[i, j * n_synapses + s] for i in range(N))
            isyn[j, s] *= params.alpha_syn[j, s]
        vmem[j] = vmem[j] * params.alpha_mem[j] + sum(isyn[j])
        vmem[j] += 0 if params.bias is None else params.bias[j]
        vmem[j] += 0 if noise is None else noise[j]
        spikes[j] = 0
        # A spike that hangs on rounding would make the test depend on the machine.
        assert (
            abs(vmem[j] / params.threshold[j] - max(1, round(vmem[j] / params.threshold[j]))) > 1e-5
        )
        while vmem[j] >= params.threshold[j] and spikes[j] < max_spikes:
            vmem[j] -= params.threshold[j]
            spikes[j] += 1
    return vmem, isyn, spikes


def draw(synapses, fed_back, bias, noise):
    rng = np.random.default_rng([synapses, fed_back, bias, noise])
    params = lif.LIFParams(
        alpha_mem=rng.uniform(0.5, 0.95, N),
        alpha_syn=rng.uniform(0.3, 0.9, (N, synapses)),
        threshold=rng.uniform(0.5, 1.5, N),
        bias=rng.normal(0, 0.1, N) if bias else None,
    )
    w_rec = rng.normal(0, 0.2, (N, N * synapses)) if fed_back else None
    x = rng.normal(0.1, 0.6, (STEPS, N, synapses))
    noises = rng.normal(0, 0.3, (STEPS, N)) if noise else None
    return jax.tree.map(np.float32, (params, w_rec, x, noises))


@pytest.mark.few(7)
@pytest.mark.parametrize("max_spikes", [1, 31])
@pytest.mark.parametrize(
    ("synapses", "fed_back", "bias", "noise"),
    [
        (1, False, False, False),
        (1, True, True, False),
        (2, False, True, True),
        (2, True, False, False),
        (3, True, True, True),
    ],
)
def test_every_step_follows_the_rules(synapses, fed_back, bias, noise, max_spikes):
    params, w_rec, x, noises = draw(synapses, fed_back, bias, noise)
    fire = Firing(max_spikes=max_spikes)

    @jax.jit
    def run(params, state, x):
        def connect(y):
            return jnp.zeros_like(x) if w_rec is None else recurrent.fed_back(w_rec, y, x.shape)

        return recurrent.step(functools.partial(lif.step, params, fire=fire), connect, state, x)

    state = recurrent.init(lif.init(N, synapses), N)
    wanted = state.inner
    total = 0
    for t in range(STEPS):
        # Noise is a bias that differs from step to step.
        bias_t = params.bias if noises is None else noises[t] + (params.bias if bias else 0)
        state, spikes = run(params._replace(bias=bias_t), state, x[t])
        noise_t = None if noises is None else noises[t]
        wanted = reference(params, w_rec, wanted, x[t], noise_t, max_spikes)
        np.testing.assert_array_equal(spikes, wanted[2])
        for name, value, exact in zip(lif.LIFState._fields, state.inner, wanted, strict=True):
            np.testing.assert_allclose(value, exact, atol=1e-5, err_msg=f"{name} at step {t}")
        total += spikes.sum()
    assert total > N


def one_neuron(alpha_mem=0.5, alpha_syn=0.5, threshold=1.0, **kwargs):
    return lif.LIFParams(
        jnp.array([alpha_mem]), jnp.array([[alpha_syn]]), jnp.array([threshold]), **kwargs
    )


def state_of(vmem=0.0, isyn=0.0, spikes=0.0):
    return lif.LIFState(jnp.array([vmem]), jnp.array([[isyn]]), jnp.array([spikes]))


def test_new_input_is_decayed_before_the_membrane_sees_it():
    state, _ = step(one_neuron(threshold=10.0), state_of(), jnp.array([[4.0]]))
    assert state == state_of(vmem=2.0, isyn=2.0)


def test_the_membrane_decays_before_new_current_and_bias_are_added():
    params = one_neuron(threshold=10.0, bias=jnp.array([0.25]))
    state, _ = step(params, state_of(vmem=2.0, isyn=4.0), jnp.zeros((1, 1)))
    assert state == state_of(vmem=1.0 + 2.0 + 0.25, isyn=2.0)


def test_the_reset_subtracts_a_threshold_for_every_spike():
    state, spikes = step(one_neuron(), state_of(isyn=7.0), jnp.zeros((1, 1)))
    assert spikes == state.spikes == 3
    assert state.vmem == 0.5


def test_what_the_cap_holds_back_stays_on_the_membrane():
    fire = Firing(max_spikes=2)
    state, spikes = lif.step(one_neuron(), state_of(isyn=7.0), jnp.zeros((1, 1)), fire=fire)
    assert spikes == 2
    assert state.vmem == 1.5


def test_a_neuron_far_below_rest_does_not_emit_negative_spikes():
    state, spikes = step(one_neuron(), state_of(vmem=-20.0), jnp.zeros((1, 1)))
    assert spikes == 0
    assert state.vmem == -10.0


def test_synapses_are_the_fast_axis_of_the_recurrent_weights():
    w_rec = jnp.zeros((2, 4)).at[0, 3].set(1.0)  # neuron 0 to synapse 1 of neuron 1
    back = recurrent.fed_back(w_rec, jnp.array([0.5, 0.0]), (2, 2))
    np.testing.assert_array_equal(back, [[0, 0], [0, 0.5]])
    kernel = jnp.zeros((4, 2, 1, 1)).at[3, 0].set(1.0)  # channel 0 to synapse 1 of channel 1
    back = recurrent.fed_back(kernel, jnp.ones((2, 3, 3)), (2, 3, 3, 2))
    np.testing.assert_array_equal(back, jnp.zeros((2, 3, 3, 2)).at[1, :, :, 1].set(1.0))


@pytest.mark.parametrize("dtype", [None, jnp.float16, jnp.float32])
def test_the_resting_state_is_zero_and_has_the_dtype_asked_for(dtype):
    state = lif.init(3, 2, dtype)
    assert [value.shape for value in state] == [(3,), (3, 2), (3,)]
    assert all(value.dtype == (dtype or jnp.float32) for value in state)
    assert not any(value.any() for value in state)


def test_a_state_of_rest_can_be_donated():
    # Two names of one buffer cannot be.
    after = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(lif.init(3))
    assert all((value == 1).all() for value in after)


def test_a_gradient_flows_through_the_reset_and_the_spikes():
    def loss(x):
        state, spikes = step(one_neuron(), state_of(isyn=1.5), x)
        return spikes.sum() + 10 * state.vmem.sum()

    # dvmem/dx = alpha_syn = 0.5; spikes follow with slope 1/threshold = 1, the reset takes them.
    np.testing.assert_allclose(jax.grad(loss)(jnp.array([[1.0]])), 0.5 + 10 * (0.5 - 0.5))
