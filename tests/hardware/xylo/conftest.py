"""Small networks."""

import numpy as np
import pytest

from snnjax.hardware.xylo import XYLO_AUDIO_2, Spec


@pytest.fixture
def make_spec():
    """Draws a quantised network of the given sizes; keywords replace its fields."""

    def make(seed=0, n_inputs=3, n_hidden=6, n_outputs=2, n_synapses=2, **fields):
        rng = np.random.default_rng(seed)
        n, out, synapses = n_hidden, n_outputs, n_synapses
        drawn = {
            "w_in": rng.integers(-128, 128, (n_inputs, n, synapses)),
            "w_rec": rng.integers(-128, 128, (n, n, synapses)),
            "w_out": rng.integers(-128, 128, (n, out)),
            "dash_mem": rng.integers(1, 16, n),
            "dash_syn": rng.integers(1, 16, (n, synapses)),
            "dash_mem_out": rng.integers(1, 16, out),
            "dash_syn_out": rng.integers(1, 16, out),
            "threshold": rng.integers(1, 500, n),
            "threshold_out": rng.integers(1, 500, out),
            "dt": 1e-3,
            "chip": XYLO_AUDIO_2,
        }
        return Spec(**(drawn | fields))

    return make
