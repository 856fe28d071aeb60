"""Against golden vectors of SpikingJelly. README.md, beside this file, says what the files hold."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.neurons import Firing, dsr, iaf, lif_euler, plif
from snnjax.surrogate import Atan, Sigmoid

from ._compare import cases, check, deviation, group, load, outputs_and_gradients, run

FILE = "spikingjelly"
SURROGATES = {"Sigmoid": Sigmoid(4.0), "ATan": Atan(2.0)}


def dsr_of(settings, **changed):
    """The neuron with the settings of a case, over (time, batch, channels, ...)."""
    names = {"ratio", "lower_bound", "scale", "tau", "dt"} & set(settings)
    chosen = {name: settings[name] for name in names} | changed
    neuron, kind = {"DSRIF": (dsr.dsr_if, dsr.DSRIF), "DSRLIF": (dsr.dsr_lif, dsr.DSRLIF)}[
        settings["kind"]
    ]
    return jax.vmap(
        lambda x, theta: neuron(x, theta, kind(**chosen)), in_axes=(1, None), out_axes=1
    )


@pytest.mark.few(5)
@pytest.mark.parametrize("case", cases(FILE, "DSRIF") + cases(FILE, "DSRLIF"))
def test_dsr_agrees(case):
    settings, arrays = load(FILE, case)
    neuron = dsr_of(settings)
    out, gradients = outputs_and_gradients(
        lambda param, x: {"spikes": neuron(x, param["theta"])}, group(arrays, "param"), arrays
    )
    np.testing.assert_array_equal(out["spikes"], arrays["out/spikes"])
    wanted = group(arrays, "grad")
    # The gradient is the same at every step, and 0 outside the range.
    np.testing.assert_array_equal(gradients["input"] != 0, wanted["input"] != 0)
    assert deviation(gradients["input"], wanted["input"]) < 1e-6
    # A sum over many neurons, some of which cancel; 0 where theta is below its bound.
    np.testing.assert_allclose(gradients["theta"], wanted["theta"], rtol=1e-5)


def test_there_are_enough_settings_of_dsr():
    assert len(cases(FILE, "DSRIF") + cases(FILE, "DSRLIF")) >= 20


def neuron_of(settings):
    """The kernel and the start that a case needs, as functions of its parameters."""
    v_reset = settings["v_reset"]
    fire = Firing(
        SURROGATES[settings["surrogate"]],
        reset="subtract" if v_reset is None else "zero",
        detach_reset=settings["detach_reset"],
    )
    threshold = jnp.float32(settings["v_threshold"])
    to = None if v_reset is None else jnp.float32(v_reset)
    start = jnp.full(settings["shape"][1:], v_reset or 0.0)
    match settings["kind"]:
        case "IF":
            params, kernel = iaf.IAFParams(threshold, to), iaf.step
            return lambda param: (functools.partial(kernel, params, fire=fire), iaf.IAFState(start))
        case "LIF":
            tau = jnp.float32(settings["tau"])
            params = lif_euler.LIFEulerParams(
                tau=tau,
                r=jnp.ones(()) if settings["decay_input"] else tau,
                v_leak=jnp.zeros(()) if to is None else to,
                threshold=threshold,
                v_reset=to,
            )
            step = functools.partial(lif_euler.step, params, dt=1.0, fire=fire)
            return lambda param: (step, lif_euler.LIFEulerState(start))
    step = functools.partial(plif.step, decay_input=settings["decay_input"], fire=fire)
    return lambda param: (
        functools.partial(step, plif.PLIFParams(param["w"], threshold, to)),
        plif.PLIFState(start),
    )


@pytest.mark.few(5)
@pytest.mark.parametrize("case", cases(FILE, "IF") + cases(FILE, "LIF") + cases(FILE, "PLIF"))
def test_neurons_agree(case):
    settings, arrays = load(FILE, case)
    make = neuron_of(settings)
    check(lambda param, x: run(*make(param), x), arrays)


def test_the_learned_leak_starts_as_there():
    settings, arrays = load(FILE, "plif_zero")
    np.testing.assert_allclose(plif.tau_to_w(settings["tau"]), arrays["param/w"], rtol=1e-6)
    np.testing.assert_allclose(plif.w_to_tau(arrays["param/w"]), settings["tau"], rtol=1e-6)
    assert math.isclose(float(plif.w_to_tau(0.0)), 2.0)
