"""Networks of any wiring, groups, pools of the input, and what the sensor's layer switches off."""

import dataclasses
import itertools
import re

import equinox as eqx
import jax
import numpy as np
import pytest

from snnjax import Graph, from_ann, transforms
from snnjax.datasets import Events, to_events
from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import (
    SPECK_2F,
    Core,
    Destination,
    NoiseFilter,
    Sensor,
    Spec,
    simulate_events,
)
from snnjax.nn import IAF, Concatenate, Flatten, Sequential, SumPool2d

from .networks import conv, linear, raster, run_mapped
from .reference import run_events


def diamond():
    """One core that feeds two others, one of which gets both."""
    nodes = {
        "conv": conv(2, 3, padding=1),
        "iaf": IAF((3, 8, 8)),
        "left": conv(3, 3, padding=1, seed=1),
        "iaf_left": IAF((3, 8, 8)),
        "right": conv(3, 4, 1, seed=2),
        "iaf_right": IAF((4, 8, 8), threshold=1.5),
        "pool": eqx.nn.AvgPool2d(2, 2),
        "flat": Flatten(),
        "dense": linear(64, 4, seed=5, gain=12.0),
        "readout": IAF(4),
    }
    edges = [("input", "conv"), ("conv", "iaf"), ("iaf", "left"), ("left", "iaf_left")]
    edges += [("iaf", "right"), ("iaf_left", "right"), ("right", "iaf_right")]
    edges += [("iaf_right", "pool"), ("pool", "flat"), ("flat", "dense"), ("dense", "readout")]
    return Graph(nodes, [*edges, ("readout", "output")]), (2, 8, 8)


def concatenating():
    """Branches of 2 and 3 channels, with averages over windows of different sizes."""
    pooled = Concatenate(
        Sequential(conv(2, 2, padding=1), IAF((2, 8, 8)), eqx.nn.AvgPool2d(2, 2)),
        Sequential(conv(2, 3, 2, seed=1, stride=2), IAF((3, 4, 4))),
    )
    model = Sequential(pooled, conv(5, 3, seed=2), IAF((3, 2, 2)), Flatten(), linear(12, 3), IAF(3))
    return model, (2, 8, 8)


def concatenating_flat():
    pooled = Concatenate(
        Sequential(conv(2, 2, padding=1), IAF((2, 6, 6)), Flatten()),
        Sequential(conv(2, 3, padding=1, seed=1), IAF((3, 6, 6)), Flatten()),
    )
    return Sequential(pooled, linear(180, 4), IAF(4)), (2, 6, 6)


def depthwise():
    model = Sequential(
        conv(2, 4, padding=1),
        IAF((4, 6, 6)),
        conv(4, 4, seed=1, groups=4),
        IAF((4, 4, 4)),
        conv(4, 6, 2, seed=2, groups=2, stride=2),
        IAF((6, 2, 2)),
    )
    return model, (2, 6, 6)


def pooled_input():
    model = Sequential(
        eqx.nn.AvgPool2d((2, 4), (2, 4)), conv(2, 3, seed=1, gain=16.0), IAF((3, 4, 2))
    )
    return model, (2, 12, 16)


def pooled_by_sums():
    model = Sequential(SumPool2d(2), SumPool2d(2), conv(2, 3, 2), IAF((3, 2, 3)))
    return model, (2, 13, 16)


MODELS = {
    f.__name__: f
    for f in (
        *(diamond, concatenating, concatenating_flat),
        *(depthwise, pooled_input, pooled_by_sums),
    )
}

each_model = pytest.mark.parametrize("name", MODELS)


def seen(spec, x):
    return x if spec.sensor is None else np.asarray(spec.sensor(x))


@pytest.mark.few(0, slow=2)
@each_model
def test_the_mapped_network_is_the_network(name):
    model, shape = MODELS[name]()
    x = raster(shape, rate=0.5)
    spec = dynapcnn.map_network(model, input_shape=shape)
    want, _ = model(x)
    found = run_mapped(spec, seen(spec, x))[-1]
    np.testing.assert_array_equal(found.reshape(want.shape), want)
    assert found.sum() > 5
    assert spec.input_shape == shape
    assert dynapcnn.check(spec) == ()


@pytest.mark.few(1)
@each_model
def test_plan_emulation_and_simulation_agree(name):
    model, shape = MODELS[name]()
    x = raster(shape, 1, rate=0.5)
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=shape))
    trace = dynapcnn.simulate(spec, x)
    plan = dynapcnn.plan(model, input_shape=shape)
    through, _ = transforms.apply(plan, model)(x)
    np.testing.assert_array_equal(trace.spikes_out.reshape(through.shape), through)
    assert trace.spikes_out.sum() > 5
    run = eqx.filter_jit(lambda m, x: dynapcnn.emulate(m, input_shape=shape)(x))(model, x)
    for a, b in zip(run.spikes, trace.spikes, strict=True):
        np.testing.assert_array_equal(a, b)
    report = dynapcnn.fidelity(model, spec, x)
    assert [layer.path for layer in report.layers] == [layer.path for layer in spec.layers]
    assert report.layers[-1].spikes_integers == trace.counts[-1].sum()


@pytest.mark.few(0, slow=2)
@pytest.mark.parametrize("name", ["diamond", "concatenating"])
def test_event_by_event_it_is_what_plain_python_computes(name):
    model, shape = MODELS[name]()
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=shape))
    events = to_events(raster(shape, 2, rate=0.2)[:3], seed=0)
    bare = [dataclasses.replace(layer, bias=None) for layer in spec.layers]
    spec = dataclasses.replace(spec, layers=tuple(bare))
    trace = simulate_events(spec, events)
    log, _ = run_events(spec, events)
    for found, wanted in zip(trace.events, log, strict=True):
        np.testing.assert_array_equal(np.stack(found, axis=1), np.array(wanted, int).reshape(-1, 4))
    assert len(log[-1]) > 3


def test_concatenation_is_a_shift_of_channels_and_each_block_has_its_factor():
    model, shape = concatenating()
    spec = dynapcnn.map_network(model, input_shape=shape)
    assert spec.layers[0].destinations == (Destination(2, 2, 0),)
    assert spec.layers[1].destinations == (Destination(2, 1, 2),)
    weight = model.layers[1].weight
    np.testing.assert_array_equal(spec.layers[2].weight[:, :2], weight[:, :2] / 4)
    np.testing.assert_array_equal(spec.layers[2].weight[:, 2:], weight[:, 2:])


def test_groups_take_the_memory_of_a_full_kernel():
    """The chip has no groups: zeros stand between them.

    sinabs takes the number of input channels from torch's kernel, (4, 1, 3, 3) with 4 groups, and
    counts 64 words where the chip needs 256.
    """
    model, shape = depthwise()
    spec = dynapcnn.map_network(model, input_shape=shape)
    full = spec.layers[1].weight
    assert full.shape == (4, 4, 3, 3)
    assert spec.layers[1].memory.kernel == 4 * 16 * 4 == 256
    given = model.layers[2].weight
    for out, channel in itertools.product(range(4), range(4)):
        wanted = given[out, 0] if out == channel else np.zeros((3, 3))
        np.testing.assert_array_equal(full[out, channel], wanted)


def test_pools_of_the_input_are_those_of_the_sensors_layer():
    model, shape = pooled_input()
    spec = dynapcnn.map_network(model, input_shape=shape)
    assert spec.sensor == Sensor(size=(12, 16), pool=(2, 4), enabled=False)
    np.testing.assert_array_equal(spec.layers[0].weight, model.layers[1].weight / 8)
    sensor = Sensor(size=(24, 16), pool=(2, 1), mirror_x=True)
    spec = dynapcnn.map_network(model, sensor=sensor)
    assert spec.sensor == dataclasses.replace(sensor, pool=(4, 4))
    cropped = Sensor(size=(24, 32), crop=((3, 15), (0, 16)))
    with pytest.raises(ValueError, match=r"pooled by \(2, 4\) in the network, but its crop"):
        dynapcnn.map_network(model, sensor=cropped)


def test_layers_are_monitored_by_path():
    model, shape = diamond()
    path = model.path("iaf_left")
    spec = dynapcnn.map_network(model, input_shape=shape, monitor=[path])
    assert [layer.path for layer in spec.layers if layer.monitor] == [path, model.path("readout")]
    with pytest.raises(ValueError, match=r"`monitor` must be of layers\[1\], .*; got 'iaf'"):
        dynapcnn.map_network(model, input_shape=shape, monitor=["iaf"])


def outputs(last):
    """A core with two heads."""
    nodes = {
        "conv": conv(2, 3),
        "iaf": IAF((3, 4, 4)),
        "a": conv(3, 2, 2, seed=1),
        "iaf_a": IAF((2, 3, 3)),
        "b": conv(3, 2, 3, seed=2),
        "iaf_b": IAF((2, 2, 2)),
    }
    edges = [("input", "conv"), ("conv", "iaf"), ("iaf", "a"), ("iaf", "b"), ("a", "iaf_a")]
    edges += [("b", "iaf_b"), ("iaf_a", "out_a"), ("iaf_b", "out_b")]
    names = ["out_a", "out_b"]
    return Graph(nodes, edges, outputs=[n for n in names if n != last] + [last])


@pytest.mark.few(1)
@pytest.mark.parametrize("last", ["out_a", "out_b"])
def test_of_several_outputs_the_last_is_the_readout(last):
    model = outputs(last)
    spec = dynapcnn.map_network(model, input_shape=(2, 6, 6))
    assert spec.layers[-1].path == model.path(f"iaf_{last[-1]}")
    assert [layer.monitor for layer in spec.layers] == [False, True, True]
    x = raster((2, 6, 6))
    want, _ = model(x)
    found = dict(zip([layer.path for layer in spec.layers], run_mapped(spec, x), strict=True))
    for name, y in want.items():
        np.testing.assert_array_equal(found[model.path(f"iaf_{name[-1]}")], y)


def graph(edges, **more):
    nodes = {"conv": conv(2, 2, padding=1), "iaf": IAF((2, 4, 4))}
    return Graph(nodes, edges, **more)


CHAIN = [("input", "conv"), ("conv", "iaf"), ("iaf", "output")]
GRAPHS = {
    "a cycle": (graph([*CHAIN, ("iaf", "conv")]), "has a cycle through ('iaf', 'conv')"),
    "two inputs": (
        graph([*CHAIN, ("other", "conv")], inputs=["input", "other"]),
        "has several inputs, but a chip has one",
    ),
    "an output that is pooled": (
        Graph(
            {"conv": conv(2, 2, padding=1), "iaf": IAF((2, 4, 4)), "pool": SumPool2d(2)},
            [*CHAIN[:2], ("iaf", "pool"), ("pool", "output")],
        ),
        "must end in a layer of neurons",
    ),
    "products that are added": (
        Graph(
            {"a": conv(2, 2, padding=1), "b": conv(2, 2, 1), "iaf": IAF((2, 4, 4))},
            [("input", "a"), ("input", "b"), ("a", "iaf"), ("b", "iaf"), ("iaf", "output")],
        ),
        "adds what has not passed neurons",
    ),
    "concatenation along an axis of the map": (
        Sequential(
            Concatenate(
                Sequential(conv(2, 2, padding=1), IAF((2, 4, 4))),
                Sequential(conv(2, 2, 1), IAF((2, 4, 4))),
                axis=1,
            ),
            conv(2, 2, 1),
            IAF((2, 8, 4)),
        ),
        "along axis 1; cores, by channel only",
    ),
    "the input after a branch": (
        Sequential(
            Concatenate(Sequential(conv(2, 2, 1), IAF((2, 4, 4))), eqx.nn.Identity()),
            conv(4, 2, 1),
            IAF((2, 4, 4)),
        ),
        "has the input after other branches",
    ),
    "a sequence of them": (
        Sequential(graph(CHAIN), graph(CHAIN)),
        None,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_no_chip_runs(name):
    model, message = GRAPHS[name]
    if message is None:
        assert len(dynapcnn.map_network(model, input_shape=(2, 4, 4)).layers) == 2
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        dynapcnn.map_network(model, input_shape=(2, 4, 4))


# --- placement ------------------------------------------------------------------------------


def by_hand(**fields):
    rng = np.random.default_rng(0)
    first = Core(
        rng.integers(-60, 60, (30, 2, 3, 3)),
        threshold=100,
        input_shape=(2, 20, 20),
        destinations=((1, 2, 0),),
    )
    last = Core(rng.integers(-60, 60, (10, 30, 9, 9)), threshold=100, input_shape=(30, 9, 9))
    return Spec((first, last), chip=SPECK_2F, **fields)


def test_a_network_made_by_hand_is_placed():
    spec = dynapcnn.place(by_hand())
    cores = [layer.core for layer in spec.layers]
    assert cores[0] in range(5)
    assert cores[1] in (5, 6)
    assert dynapcnn.check(spec) == ()
    on = dynapcnn.place(spec, chip="dynapcnn", cores=[2, np.int64(6)])
    assert [layer.core for layer in on.layers] == [2, 6]
    assert on.chip is dynapcnn.DYNAPCNN
    with pytest.raises(ValueError, match=r"words of kernel memory, but core 0 has"):
        dynapcnn.place(spec, cores=[1, 0])
    with pytest.raises(ValueError, match=r"`cores\[1\]` must be an integer of at least 0; got 1.5"):
        dynapcnn.place(spec, cores=[1, 1.5])
    with pytest.raises(TypeError, match="`spec` must be a Spec"):
        dynapcnn.place(depthwise()[0])


# --- the sensor -----------------------------------------------------------------------------


def sensing(**settings):
    sensor = Sensor(**({"size": (6, 6), "enabled": False} | settings))
    rng = np.random.default_rng(0)
    channels = sensor.output_shape[0]
    core = Core(
        rng.integers(-60, 80, (2, channels, 3, 3)),
        threshold=60,
        input_shape=sensor.output_shape,
        core=0,
    )
    return Spec((core,), sensor=sensor, chip=SPECK_2F)


@pytest.mark.few(1)
@pytest.mark.parametrize(("polarity", "kept"), [("off", 0), ("on", 1)])
@pytest.mark.parametrize("merge", [False, True])
def test_one_polarity_and_killed_pixels(polarity, kept, merge):
    killed = ((0, 0), (3, 2), (5, 5))
    spec = sensing(polarity=polarity, killed=killed, merge=merge)
    x = np.random.default_rng(0).poisson(1, (5, 2, 6, 6))
    left = x.copy()
    left[:, 1 - kept] = 0
    for y, column in killed:
        left[:, :, y, column] = 0
    plain = sensing(merge=merge)
    for both in (dynapcnn.simulate(spec, x), dynapcnn.simulate(plain, left)):
        assert both.counts[0].sum() > 5
    np.testing.assert_array_equal(
        dynapcnn.simulate(spec, x).spikes_out, dynapcnn.simulate(plain, left).spikes_out
    )
    by_event = simulate_events(spec, to_events(x))
    without = simulate_events(plain, to_events(left))
    np.testing.assert_array_equal(by_event.counts[0], without.counts[0])


@pytest.mark.parametrize("size", [(3, 3), (1, 5), (5, 3)])
def test_the_noise_filter_is_what_plain_python_computes(size):
    rng = np.random.default_rng(0)
    n, period = 400, 20
    time, y, x = np.sort(rng.integers(0, 900, n)), rng.integers(0, 6, n), rng.integers(0, 6, n)
    found = NoiseFilter(size=size, period=period).passed(time, y, x)
    for i in range(n):
        near = [
            j
            for j in range(i)
            if abs(y[j] - y[i]) <= size[0] // 2
            and abs(x[j] - x[i]) <= size[1] // 2
            and (y[j], x[j]) != (y[i], x[i])
            and time[i] - time[j] <= period
        ]
        assert found[i] == bool(near)
    assert 0.1 < found.mean() < 0.9


def test_only_single_events_are_filtered_for_noise():
    spec = sensing(noise_filter=NoiseFilter(period=10), killed=((1, 1),))
    events = Events(*np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 2], [99, 0, 4, 4]]).T)
    # Killed pixels do not support others: only what two live neighbours share would pass.
    assert simulate_events(spec, events).arrived[0].sum() == 0
    events = events._replace(y=np.array([0, 2, 1, 4]))
    assert simulate_events(spec, events).arrived[0].sum() == 1
    with pytest.raises(ValueError, match=r"`spec.sensor.noise_filter` must be None in"):
        dynapcnn.simulate(spec, np.zeros((1, 2, 6, 6), int))


# --- from networks of ReLUs -----------------------------------------------------------------


@pytest.mark.slow
def test_a_network_of_relus_with_norms_runs_on_the_chip():
    keys = jax.random.split(jax.random.key(0), 2)
    ann, state = eqx.nn.make_with_state(eqx.nn.Sequential)(
        [
            eqx.nn.Conv2d(1, 4, 3, padding=1, use_bias=False, key=keys[0]),
            eqx.nn.BatchNorm(4, "batch", mode="ema"),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.AvgPool2d(2, 2),
            eqx.nn.Lambda(jax.numpy.ravel),
            eqx.nn.Linear(64, 3, key=keys[1]),
        ]
    )
    data = np.random.default_rng(0).random((16, 1, 8, 8)).astype(np.float32)
    _, state = jax.vmap(ann, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(data, state)
    quiet = eqx.nn.inference_mode(ann)
    settings = {"min_vmem": -1.0, "spiking_readout": True, "statistics": state}
    network = from_ann(quiet, data, **settings)
    spec = dynapcnn.quantize(dynapcnn.map_network(network, input_shape=(1, 8, 8)), min_sqnr=0)
    assert spec.layers[0].bias is not None
    steps = 200
    x = np.random.default_rng(1).random((steps, 1, 8, 8)) < data[0]
    rates = np.asarray(dynapcnn.simulate(spec, x).counts[-1]).ravel() / steps
    wanted, _ = quiet(data[0], state)
    wanted = np.maximum(np.asarray(wanted), 0)
    assert wanted.max() > 0.1
    scale = rates.max() / wanted.max()
    np.testing.assert_allclose(rates / scale, wanted, atol=0.25 * wanted.max())
    with pytest.raises(ValueError, match=r"`layers\[1\]`: BatchNorm has running statistics"):
        from_ann(quiet, data)
