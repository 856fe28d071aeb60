"""Against golden vectors of Norse. README.md, beside this file, says what the files hold."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, cubalif, recurrent, refractory
from snnjax.surrogate import SuperSpike

from ._compare import cases, check, group, load, run

FILE = "norse"
FIRE = Firing(SuperSpike(), reset="zero")


def kernel_of(settings, param):
    """Norse's LIF, whose input joins the current undivided: w_in = tau_syn/dt."""
    dt = settings["dt"]
    tau_mem, tau_syn = 1 / param["rate_mem"], 1 / param["rate_syn"]
    params = cubalif.CubaLIFParams(
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        r=jnp.ones(()),
        v_leak=jnp.float32(settings["v_leak"]),
        threshold=param["threshold"],
        w_in=tau_syn / dt,
        v_reset=jnp.float32(settings["v_reset"]),
    )
    return functools.partial(cubalif.step, params, dt=dt)


def their_current(settings, param, isyn):
    """What Norse calls i after a step: it decays the current after the membrane has seen it."""
    return isyn * (1 - settings["dt"] * param["rate_syn"])


@pytest.mark.few(1)
@pytest.mark.parametrize("case", cases(FILE, "feed_forward"))
def test_lif_agrees(case):
    settings, arrays = load(FILE, case)

    def forward(param, x):
        step = functools.partial(kernel_of(settings, param), fire=FIRE)
        out = run(step, cubalif.init(settings["shape"][-1]), x)
        return out | {"isyn": their_current(settings, param, out["isyn"])}

    check(forward, arrays, states=("vmem", "isyn"))


def test_recurrent_lif_agrees():
    settings, arrays = load(FILE, "lif_recurrent")
    n = settings["shape"][-1]

    def forward(param, x):
        fire = dataclasses.replace(FIRE, detach_reset=True)
        kernel = functools.partial(kernel_of(settings, param), fire=fire)
        step = functools.partial(recurrent.step, kernel, recurrent.dense(param["w_rec"]))
        out = run(step, recurrent.init(cubalif.init(n), n), x)
        isyn = their_current(settings, param, out["inner"].isyn)
        return out | {"vmem": out["inner"].vmem, "isyn": isyn}

    check(forward, arrays, states=("vmem", "isyn"))


def test_refractory_lif_agrees():
    settings, arrays = load(FILE, "lif_refractory")
    n, param = settings["shape"][-1], group(arrays, "param")
    step = functools.partial(
        refractory.step,
        kernel_of(settings, param),
        fire=FIRE,
        steps=settings["steps"],
    )
    out = run(step, refractory.init(cubalif.init(n), n), jnp.asarray(arrays["input"]))
    np.testing.assert_array_equal(out["spikes"], arrays["out/spikes"])
    np.testing.assert_allclose(out["inner"].vmem, arrays["out/vmem"], atol=1e-5)
    trains = arrays["out/spikes"].reshape(settings["time"], -1).T
    waits = np.concatenate([np.diff(np.flatnonzero(train)) for train in trains])
    assert waits.min() == settings["steps"] + 1
