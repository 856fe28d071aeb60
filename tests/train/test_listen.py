import functools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import SynNet, quant, transforms
from snnjax.datasets import MelEvents, load_fsdd
from snnjax.hardware import xylo
from snnjax.hardware.xylo.frontend import Audio3
from snnjax.train import listen

DATA = Path(__file__).parents[3] / "shared/data/free-spoken-digit-dataset"
FRONT = MelEvents(8000, max_events=15)


@functools.cache
def networks():
    """A lively network whose sums of products are exact, its integers, and its latency."""
    model = SynNet(
        10,
        16,
        (24, 24),
        (2, 2),
        tau_mem=20e-3,
        dt=10e-3,
        p_dropout=0.5,
        tau_syn_base=20e-3,
        tau_syn_out=20e-3,
        key=jax.random.key(0),
    )
    model = eqx.tree_at(lambda m: m.layers[0].weight, model, replace_fn=lambda w: 0.3 * w)
    plan = transforms.plan(model, {"weights": quant.Int(8, scale="power_of_two")})
    model = eqx.nn.inference_mode(transforms.apply(plan, model))
    return model, xylo.quantize(xylo.map_network(model)), xylo.latency(model)


def blocks_of(sound, key):
    """A sound in blocks of random sizes, some of them empty, some of several steps."""
    sizes = np.asarray(jax.random.randint(key, (100,), 0, 300))
    ends = np.cumsum(sizes)
    return np.split(sound, ends[ends < len(sound)])


def batch(sounds):
    """Counts and spikes of whole sounds: of the network, and of the simulator, which is late."""
    model, spec, late = networks()
    counts = jax.jit(lambda x: jax.vmap(FRONT)(x))(sounds)
    spikes = eqx.filter_jit(lambda model, x: jax.vmap(model)(x)[0])(model, counts)
    padded = jnp.pad(counts, ((0, 0), (0, late), (0, 0)))
    return counts, spikes, xylo.simulate(spec, padded.astype(int)).spikes_out


def require_equal_streams(sounds):
    model, spec, late = networks()
    counts, spikes, integers = map(np.asarray, batch(jnp.asarray(sounds)))
    assert (spikes.sum((1, 2)) > 0).mean() > 0.5
    assert (integers.sum((1, 2)) > 0).mean() > 0.5
    for i, sound in enumerate(sounds):
        blocks = blocks_of(sound, jax.random.key(i))
        heard = list(listen(blocks, FRONT, model))
        np.testing.assert_array_equal([h.counts for h in heard], counts[i])
        np.testing.assert_array_equal([h.spikes for h in heard], spikes[i])
        assert heard[-1].answer == spikes[i].sum(0).argmax()
        heard = list(listen(blocks, FRONT, spec, late=late))
        np.testing.assert_array_equal([h.spikes for h in heard], integers[i])
        np.testing.assert_array_equal(heard[-1].totals, integers[i, late:].sum(0))
        assert heard[-1].answer == integers[i, late:].sum(0).argmax()


def test_a_stream_of_blocks_gives_the_answers_of_the_whole_sound():
    t = np.arange(3400, dtype=np.float32) / 8000
    sweep = 0.3 * np.sin(2 * np.pi * (300 + 3000 * t) * t) * np.hanning(3400)
    require_equal_streams(np.stack([sweep, sweep[::-1]]).astype(np.float32))


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the Free Spoken Digit Dataset")
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(3200, id="0.4 s"),  # a bit less than the middle one
        pytest.param(None, id="whole", marks=pytest.mark.slow),
    ],
)
def test_50_recordings_give_the_answers_of_the_batch(samples):
    _, test = load_fsdd(DATA)
    require_equal_streams(test.audio[::6, :samples])


def test_an_answer_of_the_last_steps():
    _, spec, late = networks()
    t = np.arange(3400, dtype=np.float32) / 8000
    heard = list(listen([0.3 * np.sin(3000 * t)], FRONT, spec, late=late, memory=5))
    spikes = np.stack([h.spikes for h in heard])
    assert spikes[late:].any()
    for i in range(late + 5, len(spikes)):
        np.testing.assert_array_equal(heard[i].totals, spikes[i - 4 : i + 1].sum(0))


def test_what_is_no_stream_is_an_error():
    model, spec, _ = networks()
    for block, found in (
        (np.zeros((80, 2)), r"float64 of the shape \(80, 2\)"),
        (np.zeros(80, np.int16), r"int16 of the shape \(80,\)"),
    ):
        with pytest.raises(ValueError, match=f"`blocks` must be of one channel.*{found}"):
            next(listen([block], FRONT, spec))
    with pytest.raises(ValueError, match="`blocks` must hold finite samples"):
        next(listen([np.full(80, np.nan)], FRONT, spec))
    with pytest.raises(ValueError, match="`late` must be at least 0; got -1"):
        next(listen([np.zeros(80)], FRONT, spec, late=-1))
    with pytest.raises(ValueError, match="`memory` must be above 0; got 0"):
        next(listen([np.zeros(80)], FRONT, spec, memory=0))
    with pytest.raises(ValueError, match="`spec` holds real numbers"):
        next(listen([np.zeros(80)], FRONT, xylo.map_network(model)))


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 37])
def test_the_whole_chip_hears_sound_in_blocks_as_it_hears_the_recording(length):
    _, spec, late = networks()
    x = (0.4 * np.sin(np.arange(170 if length == 1 else 900) ** 2 / 400)).astype(np.float32)
    front = Audio3(8000.0, k=9, window=100)
    blocks = [x[i : i + length] for i in range(0, len(x), length)]
    heard = list(listen(blocks, front, spec, late=late))
    events = np.pad(front(x)[0], ((0, late), (0, 0)))
    np.testing.assert_array_equal([h.counts for h in heard], events)
    spikes = xylo.simulate(spec, events).spikes_out
    np.testing.assert_array_equal([h.spikes for h in heard], spikes)
