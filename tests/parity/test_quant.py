"""Quantisers against golden vectors of Rockpool and snnTorch. README.md says what the files hold.

Where the peers are at fault the numbers here differ on purpose. What they give:

- Rockpool, int_quant([-1, -.5, .25, 0, .25, .5, 1], n_bits=3, map_to_max=True) gives
  [-127, -64, 32, 0, 32, 64, 127]: seven numbers of 8 bits where 3 bits have seven levels, so a
  finer input would use 255. With n_bits=3, maintain_zero=False, [2, 3, 4] becomes [1, 2, 3]: half
  of the width was subtracted, not the middle, and four of the seven integers are never used.
- Rockpool, deterministic_rounding and stochastic_rounding of zeros give NaN, and int_quant of NaN
  gives NaN for everything. stochastic_channel_rounding overwrites its argument and has no gradient.
- Rockpool, t_decay of 1.0 and 1.5 gives 0, by the cast of NaN to an integer: no decay becomes one
  that clears the state at every step.
- snnTorch, state_quant of NaN gives the lowest level, and of float16 float32. With upper_limit=0
  and levels that crowd around the threshold the highest of eight is 0.9997 thresholds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import quant

from ._compare import golden, load

NAMES = {"n_bits": "bits", "max_n_bits": "max_bits", "num_bits": "bits", "dropout_prob": "rate"}


def function_of(case):
    """The function here that is the counterpart of the one in the case, with its settings."""
    case = {NAMES.get(name, name): value for name, value in case.items() if name != "data"}
    match case.pop("function"):
        case "stochastic_channel_rounding":
            return functools.partial(quant.stochastic_rounding, axis=1, key=0, **case)
        case "stochastic_rounding" | "dropout" as name:
            return functools.partial(getattr(quant, name), key=0, **case)
        case "t_decay":
            return functools.partial(quant.bitshift_decay, mode="tau")
        case name:
            return functools.partial(getattr(quant, name), **case)


@pytest.mark.few(31)
@pytest.mark.parametrize("name", golden("rockpool_quant")[1]["cases"])
def test_values_and_gradients_are_those_of_rockpool(name, monkeypatch):
    case, gold = load("rockpool_quant", name)
    draws = []

    def uniform(key, shape, dtype):
        draws.append(shape)
        return jnp.asarray(gold["uniform"], dtype)

    monkeypatch.setattr(jax.random, "uniform", uniform)
    y, pullback = jax.vjp(function_of(case), jnp.asarray(gold["x"]))
    (grad,) = pullback(jnp.asarray(gold["loss"]))
    assert draws == ([gold["x"].shape] if "uniform" in gold else [])
    largest = np.abs(gold["out"]).max()
    np.testing.assert_allclose(y, gold["out"], rtol=0, atol=4e-7 * largest)
    if case.get("data") == "from_zero":
        # Half of the width and the middle have the same value here, but not the same gradient.
        lowest = gold["x"] == 0
        grad, gold = grad[~lowest], gold | {"grad": gold["grad"][~lowest]}
    # Sums of up to 63 products, in another order.
    np.testing.assert_allclose(grad, gold["grad"], rtol=0, atol=2e-5 * np.abs(gold["grad"]).max())


def test_every_rounding_function_is_covered_by_thirty_settings():
    manifest = golden("rockpool_quant")[1]
    functions = [case["function"] for case in manifest["cases"].values()]
    names = ("deterministic_rounding", "stochastic_rounding", "stochastic_channel_rounding")
    assert all(functions.count(name) >= 30 for name in (*names, "int_quant"))


def test_the_gradient_into_the_range_is_part_of_what_is_compared():
    """Were the range constant, the gradient would be the loss itself: that must not pass."""
    _, gold = load("rockpool_quant", "deterministic_rounding_4_zero")
    off = np.abs(gold["grad"] - gold["loss"])
    assert off.max() > 0.1
    assert np.count_nonzero(off > 1e-5) == 1  # the largest magnitude, which makes the range


STATES = golden("snntorch_state_quant")[1]["cases"]


def close(gold):
    """Two units in the last place of the largest level."""
    return {"rtol": 0, "atol": 2.4e-7 * np.abs(gold["levels"]).max()}


@pytest.mark.few(13)
@pytest.mark.parametrize("name", [name for name in STATES if not name.startswith("leaky")])
def test_state_levels_and_values_are_those_of_snntorch(name):
    case, gold = load("snntorch_state_quant", name)
    settings = {NAMES.get(k, k): v for k, v in case.items()}
    np.testing.assert_allclose(quant.state_levels(**settings), gold["levels"], **close(gold))
    y = quant.StateQuant(**settings)(jnp.asarray(gold["x"]))
    np.testing.assert_allclose(y, gold["out"], **close(gold))


@pytest.mark.parametrize("name", [name for name in STATES if name.startswith("leaky")])
def test_a_leaky_neuron_with_a_quantised_state_is_that_of_snntorch(name):
    case, gold = load("snntorch_state_quant", name)
    beta, threshold = case["beta"], case["threshold"]
    settings = {NAMES.get(k, k): v for k, v in case.items() if k != "beta"}
    transform = quant.StateQuant(**settings)

    def step(mem, x):
        # snnTorch's rules: reset a step late, by subtraction; fire strictly above the threshold.
        reset = jnp.where(mem > threshold, threshold, 0.0)
        mem = transform(beta * mem + x - reset)
        return mem, (mem, jnp.where(mem > threshold, 1.0, 0.0))

    x = jnp.asarray(gold["input"])
    assert x.shape[0] == 100
    _, (mem, spikes) = jax.lax.scan(step, jnp.zeros(x.shape[1]), x)
    np.testing.assert_array_equal(spikes, gold["spikes"])
    np.testing.assert_allclose(mem, gold["mem"], rtol=3e-7, atol=2e-7)
