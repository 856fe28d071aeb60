"""Every layer of neurons of `snnjax.nn`, made for one shape, and what the tests need to know of it.

The generic tests find a neuron by its name in `snnjax.nn`. `SETTINGS` has what makes it fire with
the input of `draw`, where its defaults do not.
"""

import functools
import inspect

import jax.numpy as jnp
import numpy as np

from snnjax import nn

SHAPE = (2, 3, 4)
STEPS = 12

SETTINGS = {
    "LIF": {"tau_mem": 5e-3, "tau_syn": 2e-3, "threshold": 0.8, "max_spikes": 3},
    "IAF": {"threshold": [0.7, 1.3], "min_vmem": -1.0},
    "ALIF": {"tau_mem": 5e-3, "tau_syn": [2e-3, 3e-3], "tau_adapt": 20e-3, "threshold": 0.3},
    "PLIF": {"tau": [1.5, 3.0], "threshold": 0.5},
    "LIFEuler": {"tau_mem": 3e-3, "r": 1.5, "v_leak": 0.1, "threshold": 0.5, "v_reset": -0.2},
    "CubaLIF": {"tau_mem": 4e-3, "tau_syn": 2e-3, "w_in": 2.0, "threshold": 0.4},
    "Leaky": {"alpha_mem": 0.8},
    "Synaptic": {"alpha_syn": 0.5, "alpha_mem": 0.8},
    "LI": {"tau_mem": 5e-3, "tau_syn": 2e-3},
    "AdEx": {"r": 40.0, "b": 0.1, "tau_mem": [5e-3, 6e-3]},
    "Izhikevich": {"r": 12.0, "d": 2.0, "threshold": -40.0},
}


def _make(cls, **kwargs):
    return cls(SHAPE, **{**SETTINGS.get(cls.__name__, {}), **kwargs})


CLASSES = {
    name: cls
    for name, cls in vars(nn).items()
    if inspect.isclass(cls) and issubclass(cls, nn.Neuron) and not inspect.isabstract(cls)
}
ALL = {name: functools.partial(_make, cls) for name, cls in CLASSES.items()}
FIRING = {name: make for name, make in ALL.items() if CLASSES[name].fires}
STATES = {name: set(cls.hookable) for name, cls in CLASSES.items()}
STATES |= {"Leaky": {"vmem"}}  # Without a synapse, it has no current.

FAMILIES = {
    "LIF": {
        "leak.tau_mem": "taus",
        "leak.tau_syn": "taus",
        "threshold": "thresholds",
        "bias": "biases",
    },
    "AdEx": {"tau_mem": "taus", "tau_adapt": "taus", "threshold": "thresholds"},
    "Izhikevich": {"threshold": "thresholds"},
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
