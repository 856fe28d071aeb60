"""Settings of a core are integers of Python, whatever they were given as."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import SPECK_2F, Core, Destination, Sensor, Spec
from snnjax.nn import IAF, Sequential

from .networks import conv

WEIGHT = np.ones((1, 1, 1, 1), int)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_spikes": float("nan")}, "`max_spikes` must be an integer of at least 1; got nan"),
        ({"max_spikes": 2.7}, "`max_spikes` must be an integer of at least 1; got 2.7"),
        ({"max_spikes": 0}, "`max_spikes` must be an integer of at least 1; got 0"),
        ({"max_spikes": True}, "`max_spikes` must be an integer of at least 1; got True"),
        ({"stride": 2}, "`stride` must be 2 integers; got 2"),
        ({"stride": (1, 0)}, "`stride[1]` must be an integer of at least 1; got 0"),
        ({"padding": (1.0, 0)}, "`padding[0]` must be an integer of at least 0; got 1.0"),
        ({"padding": "11"}, "`padding` must be 2 integers; got '11'"),
        ({"input_shape": (4, 4)}, "`input_shape` must be 3 integers; got (4, 4)"),
        ({"destinations": ((1, 0),)}, "`destinations[0].pool` must be an integer of at least 1"),
        ({"destinations": ((1, 1, -1),)}, "`destinations[0].shift` must be an integer"),
    ],
)
def test_settings_that_are_none(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Core(WEIGHT, **({"input_shape": (1, 4, 4)} | fields))


def test_lists_and_numbers_of_numpy_are_those_of_python(tmp_path):
    one, two = np.int64(1), np.uint8(2)
    settings = {"core": one, "max_spikes": two, "stride": [1, one], "padding": [0, np.int16(0)]}
    core = Core(WEIGHT, input_shape=[1, np.int32(4), 4], min_vmem=-1, **settings)
    spec = Spec((core,), sensor=None, chip=SPECK_2F)
    plain = Core(WEIGHT, None, 1.0, -1, input_shape=(1, 4, 4), core=1, max_spikes=2)
    assert eqx.tree_equal(core, plain)
    assert type(core.max_spikes) is type(core.stride[1]) is type(core.input_shape[1]) is int
    assert Core(WEIGHT, input_shape=(1, 4, 4), destinations=[(1, two)]).destinations == (
        Destination(1, 2, 0),
    )
    spec = eqx.tree_at(lambda s: s.layers[0].threshold, spec, jnp.int32(3))
    dynapcnn.save(spec, tmp_path / "spec.json")
    assert eqx.tree_equal(dynapcnn.load(tmp_path / "spec.json"), spec)


@pytest.mark.few(1)
@pytest.mark.parametrize("shape", [[1, 6, 6], np.array([1, 6, 6]), (np.int64(1), 6, np.uint8(6))])
def test_a_shape_in_a_list_maps_to_what_a_tuple_maps_to(shape, tmp_path):
    model = Sequential(conv(1, 2), IAF((2, 4, 4), min_vmem=-1.0))
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=shape))
    assert eqx.tree_equal(
        spec, dynapcnn.quantize(dynapcnn.map_network(model, input_shape=(1, 6, 6)))
    )
    dynapcnn.save(spec, tmp_path / "spec.json")
    assert eqx.tree_equal(dynapcnn.load(tmp_path / "spec.json"), spec)
    dynapcnn.plan(model, input_shape=shape)
    run = dynapcnn.emulate(model, input_shape=shape)
    trace = jax.eval_shape(run, np.zeros((2, 1, 6, 6), np.float32))
    assert trace.spikes_out.shape == (2, 2, 4, 4)


def test_a_number_of_python_in_a_model_is_a_parameter_like_others():
    model = Sequential(conv(1, 2), IAF((2, 4, 4)))
    bounded = eqx.tree_at(lambda m: m.layers[1].min_vmem, model, -1.0, is_leaf=lambda x: x is None)
    want = Sequential(model.layers[0], IAF((2, 4, 4), min_vmem=-1.0))
    found, wanted = (dynapcnn.map_network(m, input_shape=(1, 6, 6)) for m in (bounded, want))
    assert eqx.tree_equal(found, wanted)
    x = np.ones((2, 1, 6, 6))
    spikes = [dynapcnn.emulate(m, input_shape=(1, 6, 6))(x).spikes_out for m in (bounded, want)]
    np.testing.assert_array_equal(*spikes)


def test_real_numbers_among_integers_are_named(make_spec):
    spec = make_spec()
    for value in (-1.0, jnp.float32(-1)):
        mixed = eqx.tree_at(lambda s: s.layers[1].min_vmem, spec, value)
        message = r"`layers\[1\].min_vmem` is float32, but a quantised network holds integers"
        assert [v.parameter for v in dynapcnn.check(mixed)] == ["layers[1].min_vmem"]
        for call in (dynapcnn.quantize, dynapcnn.export, dynapcnn.report):
            with pytest.raises(ValueError, match=message):
                call(mixed)
        with pytest.raises(ValueError, match=message):
            dynapcnn.simulate(mixed, np.zeros((1, *spec.input_shape), int))


def test_what_reaches_a_layer_covers_its_channels():
    def made(*shifts, channels=4):
        first = [
            Core(np.ones((2, 1, 1, 1), int), input_shape=(1, 3, 3), destinations=((2, 1, shift),))
            for shift in shifts
        ]
        last = Core(np.ones((1, channels, 1, 1), int), input_shape=(channels, 3, 3))
        return Spec((*first, last), inputs=(0, 1), chip=SPECK_2F)

    assert made(0, 2).sources(2) == ((0, 1, 0), (1, 1, 2))
    assert made(0, 0, channels=2).sources(2) == ((0, 1, 0), (1, 1, 0))
    for shifts, message in (
        ((0, 0), r"nothing reaches the channels \[2, 3\]"),
        ((0, 3), r"layers\[1\] sends maps of \(2, 3, 3\) from channel 3"),
    ):
        with pytest.raises(ValueError, match=message):
            made(*shifts)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": (0, 3)}, "`size[0]` must be an integer of at least 1; got 0"),
        ({"size": 5}, "`size` must be 2 integers; got 5"),
        ({"pool": (2, 1.0)}, "`pool[1]` must be an integer of at least 1; got 1.0"),
        ({"crop": ((0, 4),)}, "`crop` must be ((top, bottom), (left, right))"),
        ({"crop": ((3, 3), (0, 4))}, "`crop[0]` must be within the 8 pixels"),
        ({"polarity": "off_on"}, "`polarity` must be 'both', 'off', 'on'; got 'off_on'"),
        ({"killed": ((8, 0),)}, "`killed` must be pixels of (8, 8); got (8, 0)"),
    ],
)
def test_sensors_that_are_none(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sensor(**({"size": (8, 8)} | fields))
    assert Sensor(size=[8, np.int64(8)]) == Sensor(size=(8, 8))
