"""Against golden vectors of snnTorch. README.md, beside this file, says what the files hold."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, leaky, recurrent
from snnjax.surrogate import (
    Atan,
    FastSigmoid,
    LeakySpike,
    Sigmoid,
    SparseFastSigmoid,
    SpikeRateEscape,
    StraightThrough,
    Tent,
)

from ._compare import TOLERANCE, cases, check, deviation, golden, group, load, run

FILE = "snntorch"
SURROGATES = {
    "atan": Atan(),
    "fast_sigmoid": FastSigmoid(),
    "fast_sigmoid_5": FastSigmoid(5.0),
    "heaviside": LeakySpike(0.0),
    "sigmoid": Sigmoid(),
    "SFS": SparseFastSigmoid(),
    "SFS_low": SparseFastSigmoid(3.0, -0.5),
    "spike_rate_escape": SpikeRateEscape(),
    "straight_through_estimator": StraightThrough(),
    "triangular": Tent(),
    "LSO": LeakySpike(),
}


def neuron_of(settings):
    """A function of the parameters and the input that runs the kernel of a case."""
    shape, connect = tuple(settings["shape"][1:]), settings.get("connect")

    def forward(param, x):
        params = leaky.LeakyParams(param["alpha_mem"], param["threshold"], param.get("alpha_syn"))
        step = functools.partial(
            leaky.step,
            params,
            fire=Firing(SURROGATES[settings["surrogate"]], reset=settings["reset"]),
            reset_delay=settings["reset_delay"],
            wipe_input=settings["kind"] != "Leaky",
        )
        state = leaky.init(shape, synapse="alpha_syn" in param)
        if connect is None:
            return run(step, state, x)
        connection = {
            # torch's weights are target first.
            "dense": lambda: recurrent.dense(param["w_rec"].T, param["b_rec"]),
            "one_to_one": lambda: lambda y: y * param["w_rec"],
            "conv": lambda: recurrent.convolution(param["w_rec"], param["b_rec"][:, None, None]),
        }[connect]()
        out = run(
            functools.partial(recurrent.step, step, connection), recurrent.init(state, shape), x
        )
        return out | {"vmem": out["inner"].vmem}

    return forward


@pytest.mark.few(2)
@pytest.mark.parametrize("case", [c for c in cases(FILE) if c != "leaky_double"])
def test_neurons_agree(case):
    settings, arrays = load(FILE, case)
    states = ("vmem", "isyn") if settings["kind"] == "Synaptic" else ("vmem",)
    check(neuron_of(settings), arrays, states=states)


def test_a_neuron_left_above_its_threshold_is_not_lowered_before_it_fires_again():
    # snnTorch, without delay, takes a threshold off such a neuron while it decides, and then adds
    # it again. Its spikes and states follow from ours by those rules, and from no others.
    settings, arrays = load(FILE, "leaky_double")
    param = {name: np.asarray(value) for name, value in group(arrays, "param").items()}
    threshold, vmem = param["threshold"], np.zeros_like(arrays["input"][0])
    differ = 0
    for t, x in enumerate(arrays["input"]):
        left = vmem > threshold
        vmem = param["alpha_mem"] * vmem + x
        theirs = (vmem - left * threshold > threshold).astype(np.float32)
        differ += np.sum(theirs != (vmem > threshold))
        vmem = vmem - theirs * threshold
        np.testing.assert_array_equal(theirs, arrays["out/spikes"][t])
        np.testing.assert_allclose(vmem, arrays["out/vmem"][t], atol=1e-5)
    assert differ > 0
    ours = neuron_of(settings)(group(arrays, "param"), arrays["input"])
    assert np.sum(ours["spikes"]) > np.sum(arrays["out/spikes"])


@pytest.mark.few(3)
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_agree(name):
    x = jnp.asarray(golden(FILE)[0]["surrogates/x"])
    mine = jax.grad(lambda v: SURROGATES[name](v, jnp.ones(()), 1).sum())(1 + x)
    assert deviation(mine, golden(FILE)[0][f"surrogates/{name}"]) < TOLERANCE


def test_every_surrogate_of_the_file_is_compared():
    assert set(golden(FILE)[1]["surrogates"]) == set(SURROGATES)


def test_the_sigmoid_is_finite_where_theirs_is_not():
    assert np.isnan(golden(FILE)[0]["surrogates/sigmoid_far"])
    far = jax.grad(lambda v: Sigmoid()(v, jnp.ones(()), 1))(jnp.float32(-3.0))  # x is -4
    assert 0 <= far < 1e-30
