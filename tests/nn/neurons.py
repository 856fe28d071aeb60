"""Every layer of neurons, made for one shape, and what the tests need to know of each."""

import jax.numpy as jnp
import numpy as np

from snnjax import ALIF, IAF, LI, PLIF, CubaLIF, Leaky, LIFEuler, Synaptic

SHAPE = (2, 3, 4)
STEPS = 12


def iaf(**kwargs):
    return IAF(SHAPE, **{"threshold": [0.7, 1.3], "min_vmem": -1.0, **kwargs})


def alif(**kwargs):
    defaults = {"tau_mem": 5e-3, "tau_syn": [2e-3, 3e-3], "tau_adapt": 20e-3, "threshold": 0.3}
    return ALIF(SHAPE, **{**defaults, **kwargs})


def plif(**kwargs):
    return PLIF(SHAPE, **{"tau": [1.5, 3.0], "threshold": 0.5, **kwargs})


def lif_euler(**kwargs):
    defaults = {"tau_mem": 3e-3, "r": 1.5, "v_leak": 0.1, "threshold": 0.5, "v_reset": -0.2}
    return LIFEuler(SHAPE, **{**defaults, **kwargs})


def cubalif(**kwargs):
    defaults = {"tau_mem": 4e-3, "tau_syn": 2e-3, "w_in": 2.0, "threshold": 0.4}
    return CubaLIF(SHAPE, **{**defaults, **kwargs})


def leaky(**kwargs):
    return Leaky(SHAPE, **{"alpha_mem": 0.8, **kwargs})


def synaptic(**kwargs):
    return Synaptic(SHAPE, **{"alpha_syn": 0.5, "alpha_mem": 0.8, **kwargs})


def li(**kwargs):
    return LI(SHAPE, **{"tau_mem": 5e-3, "tau_syn": 2e-3, **kwargs})


FIRING = {
    "IAF": iaf,
    "ALIF": alif,
    "PLIF": plif,
    "LIFEuler": lif_euler,
    "CubaLIF": cubalif,
    "Leaky": leaky,
    "Synaptic": synaptic,
}
ALL = {**FIRING, "LI": li}

STATES = {
    "IAF": {"vmem"},
    "ALIF": {"vmem", "isyn", "adaptation"},
    "PLIF": {"vmem"},
    "LIFEuler": {"vmem"},
    "CubaLIF": {"vmem", "isyn"},
    "Leaky": {"vmem"},
    "Synaptic": {"vmem", "isyn"},
    "LI": {"vmem", "isyn"},
}

FAMILIES = {
    "IAF": {"threshold": "thresholds"},
    "ALIF": {
        "leak.tau_mem": "taus",
        "leak.tau_syn": "taus",
        "tau_adapt": "taus",
        "threshold": "thresholds",
    },
    "PLIF": {"threshold": "thresholds"},
    "LIFEuler": {"tau_mem": "taus", "threshold": "thresholds"},
    "CubaLIF": {
        "tau_mem": "taus",
        "tau_syn": "taus",
        "threshold": "thresholds",
        "w_in": "weights",
    },
    "Leaky": {"alpha_mem": "decays", "threshold": "thresholds"},
    "Synaptic": {"alpha_mem": "decays", "alpha_syn": "decays", "threshold": "thresholds"},
    "LI": {"leak.tau_mem": "taus", "leak.tau_syn": "taus"},
}


def draw(*shape, seed=0):
    """Input that makes all of these neurons fire, and some of them go below zero."""
    return jnp.asarray(np.random.default_rng(seed).normal(0.5, 1, shape or (STEPS, *SHAPE)), float)
