"""Against golden vectors of sinabs. README.md, beside this file, says what the files hold."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import decay
from snnjax.neurons import Firing, alif, iaf, leaky, li, lif, recurrent
from snnjax.surrogate import (
    Gaussian,
    MultiGaussian,
    PiecewiseLinear,
    SingleExponential,
    WaveSenseExponential,
)

from ._compare import TOLERANCE, cases, check, deviation, golden, group, load, run

FILE = "sinabs"
SURROGATES = {
    "SingleExponential": SingleExponential(),
    "PeriodicExponential": WaveSenseExponential(),
    "Gaussian": Gaussian(),
    "MultiGaussian": MultiGaussian(),
    "Heaviside": PiecewiseLinear(1.0),
}


def firing(settings):
    """Spikes and reset of a case."""
    surrogate = SURROGATES[settings["surrogate"]]

    def without_threshold(vmem, threshold, max_spikes):
        # sinabs gives the threshold no gradient through its spikes, only through the reset.
        return surrogate(vmem, jax.lax.stop_gradient(threshold), max_spikes)

    return Firing(
        without_threshold,
        settings["max_spikes"] or math.inf,
        settings["reset"],
        detach_reset=settings["reset"] == "zero",
    )


def bound(settings):
    return None if settings["min_vmem"] is None else jnp.float32(settings["min_vmem"])


def alphas(param):
    """Decay factors by name, from whichever of them or of the time constants there are."""
    return {
        name.split("_")[1]: value if name.startswith("alpha") else decay.tau_to_alpha(value, 1.0)
        for name, value in param.items()
    }


@pytest.mark.few(3)
@pytest.mark.parametrize("case", [c for c in cases(FILE, "IAF") if c != "iaf_recurrent"])
def test_iaf_agrees(case):
    settings, arrays = load(FILE, case)
    threshold = jnp.float32(settings["threshold"])
    params = iaf.IAFParams(threshold, min_vmem=bound(settings))
    step = functools.partial(iaf.step, params, fire=firing(settings))
    check(lambda _, x: run(step, iaf.init(settings["shape"][-1]), x), arrays)


def test_the_closed_form_of_iaf_agrees():
    settings, arrays = load(FILE, "iaf_default")
    surrogate = SURROGATES[settings["surrogate"]]

    def one(x):
        state = iaf.init(settings["shape"][-1])
        _, spikes, vmem = iaf.closed_form(jnp.ones(()), state, x, surrogate=surrogate)
        return {"spikes": spikes, "vmem": vmem}

    check(lambda _, x: jax.vmap(one, in_axes=1, out_axes=1)(x), arrays)


def test_recurrence_agrees():
    settings, arrays = load(FILE, "iaf_recurrent")
    n = settings["shape"][-1]
    kernel = functools.partial(iaf.step, iaf.IAFParams(jnp.ones(())), fire=firing(settings))

    def forward(param, x):
        step = functools.partial(recurrent.step, kernel, recurrent.dense(param["w_rec"]))
        return run(step, recurrent.init(iaf.init(n), n), x)

    check(forward, arrays, states=())


@pytest.mark.parametrize("case", [c for c in cases(FILE, "LIF") if "synapse" not in c])
def test_lif_without_synapses_agrees(case):
    settings, arrays = load(FILE, case)

    def forward(param, x):
        alpha = alphas(param)["mem"]
        params = leaky.LeakyParams(
            alpha, jnp.float32(settings["threshold"]), min_vmem=bound(settings)
        )
        step = functools.partial(leaky.step, params, reset_delay=False, fire=firing(settings))
        gain = 1 - alpha if settings["norm_input"] else jnp.ones(())
        return run(step, leaky.init(settings["shape"][-1]), gain * x)

    check(forward, arrays)


@pytest.mark.few(1)
@pytest.mark.parametrize("case", [c for c in cases(FILE, "LIF") if "synapse" in c])
def test_lif_with_a_synapse_agrees(case):
    settings, arrays = load(FILE, case)

    def forward(param, x):
        alpha = alphas(param)
        params = lif.LIFParams(
            alpha["mem"], alpha["syn"][:, None], jnp.float32(settings["threshold"])
        )
        step = functools.partial(lif.step, params, fire=firing(settings))
        gain = 1 - alpha["mem"] if settings["norm_input"] else jnp.ones(())
        out = run(step, lif.init(settings["shape"][-1]), (gain * x)[..., None])
        # With `norm_input`, sinabs keeps the current before it is scaled.
        return out | {"isyn": out["isyn"][..., 0] / gain}

    check(forward, arrays, states=("vmem", "isyn"))


@pytest.mark.few(1)
@pytest.mark.parametrize("case", [c for c in cases(FILE, "ALIF") if c != "alif_slip"])
def test_alif_agrees(case):
    settings, arrays = load(FILE, case)
    states = ("vmem", "isyn") if settings["synapse"] else ("vmem",)
    check(alif_of(settings), arrays, states=states)


def alif_of(settings):
    def forward(param, x):
        alpha = alphas(param)
        params = alif.ALIFParams(
            alpha["mem"],
            alpha["adapt"],
            jnp.float32(settings["adapt_scale"]),
            jnp.float32(settings["threshold"]),
            alpha.get("syn"),
            min_vmem=bound(settings),
        )
        step = functools.partial(
            alif.step, params, norm_input=settings["norm_input"], fire=firing(settings)
        )
        return run(step, alif.init(settings["shape"][-1], synapse=settings["synapse"]), x)

    return forward


def test_the_current_of_alif_does_not_lose_what_sinabs_loses():
    settings, arrays = load(FILE, "alif_slip")
    out = alif_of(settings)(group(arrays, "param"), arrays["input"])
    alpha = {k: np.asarray(v) for k, v in alphas(group(arrays, "param")).items()}
    mended = slipped = np.zeros_like(arrays["input"][0])
    for t, x in enumerate(arrays["input"]):
        mended = alpha["syn"] * (mended + x)
        slipped = (1 - alpha["mem"]) * alpha["syn"] * (slipped + x)
        np.testing.assert_allclose(out["isyn"][t], mended, atol=1e-5)
        np.testing.assert_allclose(arrays["out/isyn"][t], slipped, atol=1e-5)
    assert np.sum(out["spikes"]) > 1.5 * np.sum(arrays["out/spikes"])


@pytest.mark.parametrize("case", cases(FILE, "ExpLeak"))
def test_exp_leak_agrees(case):
    settings, arrays = load(FILE, case)

    def forward(param, x):
        params = li.LIParams(alphas(param)["mem"], min_vmem=bound(settings))
        step = functools.partial(li.step, params, norm_input=settings["norm_input"])
        out = run(step, li.init(settings["shape"][-1]), x)
        np.testing.assert_array_equal(out["spikes"].shape, out["vmem"].shape)
        return {"vmem": out["vmem"], "spikes": jnp.zeros_like(out["vmem"])}

    check(forward, arrays)


@pytest.mark.few(2)
@pytest.mark.parametrize("case", golden(FILE)[1]["surrogates"])
def test_surrogates_agree(case):
    settings = golden(FILE)[1]["surrogates"][case]
    vmem = jnp.asarray(golden(FILE)[0]["surrogates/vmem"])
    surrogate, threshold = SURROGATES[settings["surrogate"]], jnp.float32(settings["threshold"])
    mine = jax.grad(lambda v: surrogate(v, threshold, math.inf).sum())(vmem)
    assert deviation(mine, golden(FILE)[0][f"surrogates/{case}"]) < TOLERANCE


def test_surrogates_are_compared_at_two_thresholds():
    settings = golden(FILE)[1]["surrogates"].values()
    assert {(s["surrogate"], s["threshold"]) for s in settings} == {
        (name, threshold) for name in SURROGATES for threshold in (1.0, 1.5)
    }
