"""The vendor's sounds for Audio 3: whence its stored rasters are, and the answers from sound."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax._checks import read_array, read_wav
from snnjax.hardware import xylo
from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, CLOCK, Audio3
from snnjax.interop import rockpool

DATA = Path(__file__).parents[3] / "shared/data/xylo-audio3"
CLASSES = ("glass", "gun", "scream", "background")
WINDOW = 488

pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="needs shared/data/xylo-audio3"),
    pytest.mark.slow,
]


def recording(name):
    samples, rate = read_wav(DATA / f"{name}_sample.wav")
    return samples[:, 0], rate


def stored(name):
    return read_array(DATA / f"AFESimExternalSample_{name}.npy")


@jax.jit
def in_float32(samples):
    """Spikes as Rockpool computes them where jax is installed: in float32, nothing rounded down."""
    a, b_shift, a_shift = (
        jnp.array([[getattr(band, n) for n in names] for band in AUDIO_3_FILTERS], jnp.float32)
        for names in (("a1", "a2"), ("b_shift",), ("a_shift",))
    )

    def filters(w, x):
        # Its order of operations, on which the last bits hang.
        fed_back = -jnp.sum(w[:, :2] * a, axis=1) / 2 ** a_shift[:, 0]
        newest = (x * 2**8 + fed_back) / 2 ** b_shift[:, 0]
        return jnp.stack([newest, w[:, 0], w[:, 1]], axis=1), w[:, 0] - w[:, 2]

    def normalise(state, a):
        high, charge = state
        low = jnp.trunc(high / 2**12)
        charge = charge + a
        threshold = jnp.maximum(low, 1).max() * 63
        spikes = charge >= threshold
        return (high - low + a, jnp.where(spikes, charge - threshold, charge)), spikes

    zero = jnp.zeros(16, jnp.float32)
    silent = jnp.zeros((16, 3), jnp.float32)
    _, filtered = jax.lax.scan(filters, silent, jnp.concatenate([samples[::-1], samples]))
    size = jnp.abs(jnp.trunc(filtered[len(samples) :]))
    _, spikes = jax.lax.scan(normalise, (zero, zero), jnp.concatenate([size[::-1], size]))
    return spikes[len(samples) :]


# Filters in float32 round as fully optimised programs do, which is how `long` tests are compiled.
@pytest.mark.long
@pytest.mark.parametrize("name", CLASSES)
def test_the_stored_rasters_are_of_samples_that_no_chip_takes(name):
    """With every setting at its default, but the samples of 16 bits not divided by 2^15.

    So the front end was 2^15 times above full scale, where only Rockpool's float32 goes on.
    """
    samples, rate = recording(name)
    time = np.arange(0, (len(samples) - 1) / rate, 1 / CLOCK)
    sound = np.interp(time, np.arange(len(samples)) / rate, samples.astype(float))
    spikes = np.asarray(in_float32(jnp.asarray(np.trunc(sound * 2**13), jnp.float32)))
    starts = np.arange(0, len(spikes), WINDOW)
    events = np.minimum(np.add.reduceat(spikes.astype(int), starts), 15)
    # Of the shot, three spikes fall into the window before: a last bit of float32.
    wrong = np.abs(events - stored(name))
    assert wrong.sum() <= (6 if name == "gun" else 0)
    assert wrong.max() <= 1


@pytest.fixture(scope="module")
def vendor():
    network = rockpool.load(DATA / "to_deploy_inXylo.json")
    spec = xylo.quantize(xylo.map_network(network), method="channel")
    return spec, xylo.latency(network)


@pytest.mark.parametrize("warm_up", ["rest", "mirrored"])
@pytest.mark.parametrize("name", CLASSES)
def test_the_vendors_network_recognises_each_sound(name, warm_up, vendor):
    spec, late = vendor
    samples, rate = recording(name)
    front_end = Audio3(float(rate), scale=0.999, window=WINDOW, warm_up=warm_up)
    events, _ = front_end(samples / 2.0**15)
    trace = xylo.simulate(spec, np.pad(events, ((0, late), (0, 0))))
    assert CLASSES[int(trace.spikes_out.sum(0).argmax())] == name
    likeness = np.corrcoef(np.ravel(events), np.ravel(stored(name)))[0, 1]
    assert likeness > (0.9 if warm_up == "rest" else 0.98)
