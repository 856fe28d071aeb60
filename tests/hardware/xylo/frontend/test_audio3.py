"""Audio 3's front end: its integers, streams, batches and transformations, and misuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from snnjax.hardware.xylo import frontend
from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, CLOCK, Audio3, audio3_filter

from . import reference

RATE = 8000.0


def noise(*shape, most=8191, seed=0):
    return np.random.default_rng(seed).integers(-most, most + 1, shape)


def sound(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype(np.float32)


def equal(trees):
    first, *others = map(jax.tree.leaves, trees)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


def in_blocks(front_end, signal, length):
    events, state = [], None
    for start in range(0, signal.shape[-1], length):
        made, state = front_end.step(signal[..., start : start + length], state)
        events.append(made)
    return np.concatenate([*events, front_end.flush(state)], axis=-2), state


channels = st.integers(1, 4)


@settings(max_examples=12)
@given(st.data())
def test_integers_are_those_of_plain_python(data):
    # Few shapes, so that few programs are compiled.
    n, length = 3, data.draw(st.sampled_from([1, 40]))
    each = lambda low, high: st.tuples(*[st.integers(low, high)] * n)  # noqa: E731
    b2 = data.draw(each(0, 4))
    chosen = {
        "k": data.draw(each(0, 16)),
        "b1": tuple(b + extra for b, extra in zip(b2, data.draw(each(1, 8)), strict=True)),
        "b2": b2,
        "eps": data.draw(each(0, 65535)),
        "threshold": data.draw(each(1, (1 << 42) - 1)),
        "normalise": data.draw(st.tuples(*[st.booleans()] * n)),
        "joint": data.draw(st.booleans()),
    }
    picked = data.draw(st.permutations(range(16)))[:n]
    filters = tuple(AUDIO_3_FILTERS[i] for i in picked)
    x = noise(length, most=data.draw(st.sampled_from([1, 30, 8191])), seed=data.draw(each(0, 99)))
    front_end = Audio3(filters=filters, window=7, **chosen)
    trace = front_end.trace(x)
    filtered = reference.filter_bank(filters, x.tolist())
    spikes = reference.spikes_of(filtered, **chosen)
    np.testing.assert_array_equal(trace.filtered, filtered)
    np.testing.assert_array_equal(trace.spikes, spikes)
    events, _ = front_end(x)
    np.testing.assert_array_equal(events, reference.events_of(spikes, 7))


@pytest.mark.few(1)
@pytest.mark.parametrize("length", [1, 7, 128])
def test_a_stream_of_samples_is_the_whole_recording(length):
    front_end, x = Audio3(k=5, b1=3), noise(2, 330 if length > 1 else 110)
    equal([in_blocks(front_end, x, length), front_end(x)])


@pytest.mark.few(1)
@pytest.mark.parametrize("length", [1, 7, 128])
def test_a_stream_of_sound_is_the_whole_recording(length):
    front_end, x = Audio3(RATE, k=5, b1=3), sound(2, 300 if length > 1 else 30)
    equal([in_blocks(front_end, x, length), front_end(x)])


@pytest.mark.slow
def test_blocks_may_be_empty_and_of_jax():
    front_end, x = Audio3(RATE, k=5), sound(300)
    whole = front_end(x)
    first, state = front_end.step(jnp.asarray(x[:0]))
    second, state = front_end.step(jnp.asarray(x[:120]), state)
    third, state = front_end.step(x[120:], state)
    events = np.concatenate([first, second, third, front_end.flush(state)])
    equal([(events, state), whole])


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda: noise(3, 130), lambda: sound(3, 60)])
def test_batch_jit_vmap_and_single_recordings_agree(make):
    x = make()
    front_end = Audio3(None if x.dtype.kind == "i" else RATE, k=5, b1=3)
    x = x.astype(np.int32) if x.dtype.kind == "i" else x
    whole, _ = front_end(x)
    equal(
        [
            whole,
            jnp.stack([front_end(row)[0] for row in x]),
            front_end(jnp.asarray(x))[0],
            jax.jit(front_end)(x)[0],
            jax.vmap(front_end)(x)[0],
        ]
    )


def test_whole_windows_stream_inside_of_a_program():
    front_end = Audio3(k=5, b1=3)
    x = jnp.asarray(noise(2, 200), jnp.int32)

    @jax.jit
    def run(x):
        blocks = jnp.moveaxis(x.reshape(2, 4, 50), 1, 0)
        state = front_end.initial_state(2)._replace(clock=jnp.int32(0))
        _, events = jax.lax.scan(lambda s, b: front_end.step(b, s)[::-1], state, blocks)
        return jnp.moveaxis(events[:, :, 0], 0, 1)

    equal([run(x), front_end(x)[0]])


def test_a_program_needs_whole_windows_that_begin_with_the_block():
    front_end, x = Audio3(), jnp.asarray(noise(60), jnp.int32)
    _, state = front_end.step(x)
    with pytest.raises(ValueError, match="whole windows of 50 clocks; got 60"):
        jax.jit(front_end.step)(x, state)
    with pytest.raises(Exception, match="within a window"):
        jax.block_until_ready(jax.jit(front_end.step)(x[:50], state))


def test_settings_of_jax_stay_as_they_are():
    events, state = Audio3(k=5)(noise(60))
    assert not jax.config.jax_enable_x64
    assert {leaf.dtype for leaf in jax.tree.leaves((events, state))} == {np.dtype(np.int32)}


def test_a_program_can_be_exported():
    front_end, x = Audio3(k=5, b1=3), jnp.asarray(noise(100), jnp.int32)
    program = jax.jit(lambda x: front_end(x, checked=False)[0])
    exported = jax.export.export(program)(x)
    equal([exported.call(x), front_end(x)[0]])


@pytest.mark.few(2)
@pytest.mark.parametrize("channel", [2, 8, 13])
def test_a_tone_is_heard_by_its_own_channel(channel):
    center = [105, 136, 202, 279, 390, 543, 762, 1072, 1503, 2108, 2958, 4152, 5832, 8204][channel]
    tone = 0.5 * np.sin(2 * np.pi * center * np.arange(4000) / CLOCK)
    events, _ = Audio3()(tone)
    assert events.sum(0).argmax() == channel


def test_of_a_rate_like_the_clocks_nothing_is_resampled():
    x = sound(120)
    equal([Audio3(CLOCK)(x)[0], Audio3()(x)[0]])


def test_quantisation_is_towards_zero_and_scales():
    x = np.array([0.9 / 8192, -0.9 / 8192, 1.9 / 8192, -1.9 / 8192, 8191.9 / 8192])
    np.testing.assert_array_equal(Audio3().trace(x).samples, [0, 0, 1, -1, 8191])
    np.testing.assert_array_equal(Audio3(scale=2.0).trace(x[:4]).samples, [1, -1, 3, -3])


OUT_OF_RANGE = {
    "full scale": np.array([0.1, 1.0]),
    "negative full scale": np.array([0.1, -1.0]),
    "not a number": np.array([0.1, np.nan]),
    "infinite": np.array([0.1, np.inf]),
    "integers": np.array([1, 8192]),
    "long integers": np.array([1, 1 << 40]),
    "unsigned": np.array([1, 60000], np.uint16),
}


@pytest.mark.parametrize("x", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_what_is_out_of_range_raises(x):
    narrow = {"f": np.float32, "i": np.int32, "u": np.uint16}[x.dtype.kind]
    for signal in (x, jnp.asarray(np.clip(x, -1e6, 1e6).astype(narrow))):
        with pytest.raises(ValueError, match=r"`signal` must stay within full scale.*\[1\]"):
            Audio3()(signal)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "x", [np.float32([0.1, 1.0]), np.float32([0, np.nan]), np.int32([1, -8192])]
)
def test_what_is_out_of_range_raises_inside_of_a_program(x):
    with pytest.raises(Exception, match="`signal` must stay within full scale"):
        jax.block_until_ready(jax.jit(Audio3())(x))
    jax.block_until_ready(jax.jit(lambda x: Audio3()(x, checked=False))(x))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"filters": ()}, "`filters` must be a tuple of 1 to 16"),
        (
            {"filters": AUDIO_3_FILTERS + AUDIO_3_FILTERS[:1]},
            "`filters` must be a tuple of 1 to 16",
        ),
        ({"rate": 0.0}, "`rate` must be a number above 0; got 0.0"),
        ({"scale": -1.0}, "`scale` must be a number above 0"),
        ({"k": 32}, "`k` must be whole numbers from 0 to 31"),
        ({"k": (1, 2)}, "`k` must be one number or one for each of the 16 filters; got 2"),
        ({"eps": 65536}, "`eps` must be whole numbers from 0 to 65535"),
        ({"threshold": 1 << 42}, "`threshold` must be whole numbers"),
        ({"b1": 3, "b2": 3}, "`b1` must be above `b2`"),
        ({"window": 0}, "`window` must be a whole number above 0"),
        ({"warm_up": "cold"}, "`warm_up` must be 'rest' or 'mirrored'"),
    ],
)
def test_settings_that_the_chip_does_not_have_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Audio3(**wrong)


def test_signals_and_states_that_do_not_fit_are_refused():
    front_end = Audio3(RATE)
    with pytest.raises(ValueError, match="`signal` must hold sound in floating-point numbers"):
        front_end(noise(50))
    with pytest.raises(ValueError, match=r"`signal` must be \(time,\)"):
        front_end(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="must hold real numbers; got complex"):
        Audio3()(np.zeros(3, complex))
    _, state = front_end(sound(2, 20))
    with pytest.raises(ValueError, match=r"`state.w` must have the shape \(16, 3\)"):
        front_end(sound(20), state)
    with pytest.raises(ValueError, match="`state` must be one of an earlier call"):
        front_end(sound(20), (1, 2))
    mirrored = Audio3(RATE, warm_up="mirrored")
    with pytest.raises(ValueError, match="leave `state` out"):
        mirrored(sound(2, 20), state)
    with pytest.raises(ValueError, match="needs the whole recording"):
        mirrored.step(sound(20))
    with pytest.raises(ValueError, match="sound is resampled as a whole"):
        jax.jit(front_end.step)(sound(2, 20), state)


def test_bands_of_ones_own_are_heard():
    bands = (audio3_filter(300.0, 400.0), audio3_filter(1000.0, 1400.0))
    front_end = Audio3(filters=bands)
    tone = 0.5 * np.sin(2 * np.pi * 1180 * np.arange(3000) / CLOCK)
    events, _ = front_end(tone)
    assert events.shape[1] == 2
    assert events[:, 1].sum() > 2 * events[:, 0].sum()
    assert front_end.dt == pytest.approx(1.024e-3)
    assert frontend.CLOCK == 48828.125
