"""Every limit of a chip has a network just inside and one just outside of it."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.dynapcnn import (
    CHIPS,
    DYNAPCNN,
    SPECK_2F,
    Core,
    Destination,
    Memory,
    Sensor,
    Spec,
    check,
    quantize,
    require,
    simulate,
)
from snnjax.hardware.dynapcnn._check import require_integers
from snnjax.nn import IAF

ROOMY = dataclasses.replace(
    SPECK_2F, name="a roomy chip", cores=(Memory(2**30, 2**30, 2**20),) * 12
)
"""Memory for anything, so that no other limit is in the way."""


def core(channels=1, out=1, kernel=(1, 1), size=(4, 4), **fields):
    drawn = {
        "weight": np.ones((out, channels, *kernel), int),
        "threshold": 1,
        "min_vmem": 0,
        "input_shape": (channels, *size),
        "core": 0,
    }
    return Core(**(drawn | fields))


def one(chip=ROOMY, **fields):
    return Spec((core(**fields),), chip=chip)


def chain(n, chip=ROOMY, cores=None):
    """Layers one after another."""
    cores = range(n) if cores is None else cores
    layers = [
        core(core=number, destinations=(Destination(i + 1),) if i < n - 1 else ())
        for i, number in enumerate(cores)
    ]
    return Spec(tuple(layers), chip=chip)


def fan(n):
    """A layer that sends to `n` others."""
    first = core(destinations=tuple(Destination(i + 1) for i in range(n)))
    return Spec((first, *(core(core=i + 1) for i in range(n))), chip=ROOMY)


def pooled(pool):
    second = core(core=1, size=(16 // pool, 16 // pool))
    first = core(size=(16, 16), destinations=(Destination(1, pool),))
    return Spec((first, second), chip=ROOMY)


def sensing(sensor, chip=ROOMY, inputs=1):
    channels, *size = sensor.output_shape
    layers = tuple(core(channels, size=size, core=i) for i in range(inputs))
    return Spec(layers, inputs=tuple(range(inputs)), sensor=sensor, chip=chip)


def readout(classes, stride=4, chip=ROOMY):
    layer = core(out=(classes - 1) * stride + 1)
    return Spec((layer,), readout_stride=stride, chip=chip)


def placed(number, chip=SPECK_2F, **fields):
    return one(chip, core=number, **fields)


def weight(value):
    return {"weight": np.array(value).reshape(1, 1, 1, 1)}


# name: what is inside, what is outside, then the latter's parameter, value and limit
LIMITS = {
    "cores": (chain(9, SPECK_2F), chain(10, SPECK_2F, (*range(9), None)), "layers", 10, 9),
    "height of the input": (
        one(size=(128, 4), stride=(2, 1)),
        one(size=(129, 4), stride=(4, 1)),
        "layers[0].input_shape",
        (129, 4),
        (128, 128),
    ),
    "width of the input": (
        one(size=(4, 128), stride=(1, 2)),
        one(size=(4, 129), stride=(1, 4)),
        "layers[0].input_shape",
        (4, 129),
        (128, 128),
    ),
    "height of the output": (
        one(size=(64, 4)),
        one(size=(65, 4)),
        "layers[0].output_shape",
        (65, 4),
        (64, 64),
    ),
    "width of the output": (
        one(size=(4, 64)),
        one(size=(4, 65)),
        "layers[0].output_shape",
        (4, 65),
        (64, 64),
    ),
    "input channels": (
        one(channels=1024),
        one(channels=1025),
        "layers[0].in_channels",
        1025,
        1024,
    ),
    "output channels": (one(out=1024), one(out=1025), "layers[0].out_channels", 1025, 1024),
    "kernel": (
        one(kernel=(16, 16), size=(16, 16)),
        one(kernel=(17, 17), size=(17, 17)),
        "layers[0].kernel_size",
        (17, 17),
        16,
    ),
    "square kernel": (
        one(kernel=(3, 3)),
        one(kernel=(3, 2)),
        "layers[0].kernel_size",
        (3, 2),
        "square",
    ),
    "stride along y": (
        one(stride=(8, 1), size=(9, 4)),
        one(stride=(3, 1)),
        "layers[0].stride",
        (3, 1),
        (1, 2, 4, 8),
    ),
    "stride along x": (
        one(stride=(2, 4)),
        one(stride=(1, 16), size=(4, 17)),
        "layers[0].stride",
        (1, 16),
        (1, 2, 4, 8),
    ),
    "padding along y": (
        one(padding=(7, 0)),
        one(padding=(8, 0)),
        "layers[0].padding",
        (8, 0),
        7,
    ),
    "padding along x": (
        one(padding=(0, 7)),
        one(padding=(0, 8)),
        "layers[0].padding",
        (0, 8),
        7,
    ),
    "pool": (pooled(4), pooled(8), "layers[0].pool", (8,), (1, 2, 4)),
    "pool that is no power of two": (pooled(2), pooled(3), "layers[0].pool", (3,), (1, 2, 4)),
    "destinations": (fan(2), fan(3), "layers[0].destinations", 3, 2),
    "number of the core": (placed(8), placed(9), "layers[0].core", 9, (0, 8)),
    "number of the core, below": (placed(0), placed(-1), "layers[0].core", -1, (0, 8)),
    "one layer on a core": (
        chain(2, cores=(3, 4)),
        chain(2, cores=(3, 3)),
        "layers[0].core",
        3,
        1,
    ),
    "kernel memory": (
        placed(0, channels=4, out=1024, kernel=(2, 2)),
        placed(0, channels=5, out=1024, kernel=(2, 2)),
        "layers[0].memory.kernel",
        20 * 1024,
        16 * 1024,
    ),
    "kernel memory, in powers of two": (
        placed(5, channels=32, out=128, kernel=(4, 4)),
        placed(5, channels=32, out=129, kernel=(4, 4)),
        "layers[0].memory.kernel",
        128 * 1024,
        64 * 1024,
    ),
    "neuron memory": (
        placed(1, out=16, size=(64, 64)),
        placed(1, out=17, size=(64, 64)),
        "layers[0].memory.neuron",
        17 * 4096,
        16 * 4096,
    ),
    "neuron memory, in powers of two": (
        placed(3, out=8, size=(64, 64)),
        placed(3, out=16, size=(64, 33)),
        "layers[0].memory.neuron",
        64 * 1024,
        32 * 1024,
    ),
    "neuron memory of the last core": (
        placed(8, out=4, size=(64, 64)),
        placed(8, out=5, size=(64, 64)),
        "layers[0].memory.neuron",
        20 * 1024,
        16 * 1024,
    ),
    "bias memory": (
        placed(0, out=1024, bias=np.zeros(1024, int)),
        placed(0, out=1025, bias=np.zeros(1025, int)),
        "layers[0].memory.bias",
        1025,
        1024,
    ),
    "kernel memory of any core": (
        placed(None, channels=16, out=1024, kernel=(2, 2)),
        placed(None, channels=17, out=1024, kernel=(2, 2)),
        "layers[0].memory.kernel",
        68 * 1024,
        64 * 1024,
    ),
    "neuron memory of any core": (
        placed(None, out=16, size=(64, 64)),
        placed(None, out=17, size=(64, 64)),
        "layers[0].memory.neuron",
        68 * 1024,
        64 * 1024,
    ),
    "both memories of one core": (
        placed(None, channels=8, out=64, kernel=(8, 8), size=(23, 23)),
        placed(None, channels=8, out=64, kernel=(8, 8), size=(24, 24)),
        "layers[0].memory",
        (32 * 1024, 64 * 32 * 32, 0),
        32 * 1024,
    ),
    "weight, above": (
        one(**weight(127)),
        one(**weight(128)),
        "layers[0].weight[0, 0, 0, 0]",
        128,
        (-128, 127),
    ),
    "weight, below": (
        one(**weight(-128)),
        one(**weight(-129)),
        "layers[0].weight[0, 0, 0, 0]",
        -129,
        (-128, 127),
    ),
    "bias, above": (one(bias=[127]), one(bias=[128]), "layers[0].bias[0]", 128, (-128, 127)),
    "bias, below": (one(bias=[-128]), one(bias=[-129]), "layers[0].bias[0]", -129, (-128, 127)),
    "threshold, above": (
        one(threshold=32767),
        one(threshold=32768),
        "layers[0].threshold",
        32768,
        (1, 32767),
    ),
    "threshold, below": (
        one(threshold=1, min_vmem=-1),
        one(threshold=0, min_vmem=-1),
        "layers[0].threshold",
        0,
        (1, 32767),
    ),
    "lower bound": (
        one(min_vmem=-32768),
        one(min_vmem=-32769),
        "layers[0].min_vmem",
        -32769,
        (-32768, 32767),
    ),
    "lower bound below the threshold": (
        one(threshold=5, min_vmem=4),
        one(threshold=5, min_vmem=5),
        "layers[0].min_vmem",
        5,
        5,
    ),
    "state, above": (
        one(vmem=np.full((1, 4, 4), 32767)),
        one(vmem=np.full((1, 4, 4), 32768)),
        "layers[0].vmem[0, 0, 0]",
        32768,
        (-32768, 32767),
    ),
    "state, below": (
        one(vmem=np.full((1, 4, 4), -32768)),
        one(vmem=np.full((1, 4, 4), -32769)),
        "layers[0].vmem[0, 0, 0]",
        -32769,
        (-32768, 32767),
    ),
    "classes of the readout": (readout(15), readout(16), "layers[0].weight", 16, 15),
    "channels of the readout": (
        readout(3, stride=4),
        readout(3, stride=2),
        "readout_stride",
        2,
        4,
    ),
    "height of the sensor": (
        sensing(Sensor(size=(128, 128), pool=(2, 2))),
        sensing(Sensor(size=(129, 128), pool=(4, 4))),
        "sensor.size",
        (129, 128),
        (128, 128),
    ),
    "width of the sensor": (
        sensing(Sensor(size=(60, 128), pool=(1, 2))),
        sensing(Sensor(size=(60, 129), pool=(1, 4))),
        "sensor.size",
        (60, 129),
        (128, 128),
    ),
    "pool of the sensor": (
        sensing(Sensor(size=(60, 60), pool=(4, 1))),
        sensing(Sensor(size=(60, 60), pool=(1, 3))),
        "sensor.pool",
        (1, 3),
        (1, 2, 4),
    ),
    "destinations of the sensor": (
        sensing(Sensor(size=(8, 8)), inputs=2),
        sensing(Sensor(size=(8, 8)), inputs=3),
        "inputs",
        3,
        2,
    ),
    "a sensor on the chip": (
        sensing(Sensor(size=(8, 8), enabled=False), chip=DYNAPCNN),
        sensing(Sensor(size=(8, 8), enabled=True), chip=DYNAPCNN),
        "sensor.enabled",
        "True",
        "False",
    ),
    "finite weight": (
        one(**weight(0.5), threshold=1.0, min_vmem=-1.0),
        one(**weight(np.inf), threshold=1.0, min_vmem=-1.0),
        "layers[0].weight[0, 0, 0, 0]",
        np.inf,
        "finite",
    ),
    "real threshold": (
        one(**weight(0.5), threshold=1e-6, min_vmem=-1.0),
        one(**weight(0.5), threshold=0.0, min_vmem=-1.0),
        "layers[0].threshold",
        0,
        0,
    ),
}


def numbers_of(parameter, *given):
    """The numbers that a message must have; for two memories at once it has those that matter."""
    if parameter.endswith(".memory"):
        return []
    return [number for n in given if not isinstance(n, str) for number in np.ravel(n)]


@pytest.mark.parametrize("case", LIMITS)
def test_limit(case):
    inside, outside, parameter, value, limit = LIMITS[case]
    errors = [v for v in check(inside) if v.severity == "error"]
    assert errors == []
    found = {v.parameter: v for v in check(outside)}
    assert parameter in found
    violation = found[parameter]
    assert (violation.value, violation.limit) == (value, limit)
    assert violation.severity == "error"
    assert parameter.split(".")[-1].split("[")[0] in violation.message
    for number in numbers_of(parameter, value, limit):
        assert f"{number:g}" in violation.message or f"{number:,.0f}" in violation.message, number
    # The other layer on the same core, and so many biases that there are too many channels.
    assert set(found) - {parameter} <= {"layers[1].core", "layers[0].out_channels"}
    with pytest.raises(ValueError, match=re.escape(violation.message)):
        require(outside)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_memories_of_every_chip(chip):
    kernel = [16, 16, 16, 32, 32, 64, 64, 16, 16]
    neuron = [64, 64, 64, 32, 32, 16, 16, 16, 16]
    for number, has in enumerate(CHIPS[chip].cores):
        assert has == (kernel[number] * 1024, neuron[number] * 1024, 1024)
        # 4 channels in and 1024 out with 2 by 2 kernels are 16 Ki words.
        spec = placed(
            number, chip=CHIPS[chip], channels=kernel[number] // 4, out=1024, kernel=(2, 2)
        )
        assert check(spec) == ()
        spec = placed(
            number, chip=CHIPS[chip], channels=kernel[number] // 4 + 1, out=1024, kernel=(2, 2)
        )
        assert [v.parameter for v in check(spec)] == ["layers[0].memory.kernel"]


def test_all_violations_at_once(make_spec, replace):
    spec = make_spec()
    spec = replace(spec, 0, weight=spec.layers[0].weight.at[2, 1, 0, 1].set(300), threshold=40000)
    spec = replace(spec, 1, core=0, padding=(9, 0), bias=np.array([1, -200, 3, 500]))
    parameters = [v.parameter for v in check(spec)]
    assert parameters == [
        "layers[1].padding",
        "layers[0].core",
        "layers[1].core",
        "layers[0].weight[2, 1, 0, 1]",
        "layers[0].threshold",
        "layers[1].bias[1]",
    ]
    with pytest.raises(ValueError, match="cannot hold this network") as error:
        require(spec)
    assert str(error.value).count("\n  - ") == len(parameters)


def test_entries_that_break_the_same_limit_are_counted(make_spec, replace):
    spec = make_spec()
    (found,) = check(replace(spec, 1, weight=spec.layers[1].weight.at[1].set(128)))
    assert found.message == (
        "`layers[1].weight[1, 0, 0, 0]` (`layers[4]`) is 128; it must be from -128 to 127 "
        "(and 26 more)"
    )


def test_messages_name_the_layer_in_the_model(make_spec, replace):
    (found,) = check(replace(make_spec(), 1, padding=(0, 9)))
    assert found.message == "`layers[1] (`layers[4]`)`: `padding` is (0, 9); padding is at most 7"


def test_a_network_for_another_chip(make_spec):
    spec = make_spec()
    assert check(spec, chip="dynapcnn") == ()
    small = dataclasses.replace(SPECK_2F, name="a small chip", cores=SPECK_2F.cores[:1])
    assert {v.parameter for v in check(spec, chip=small)} == {"layers", "layers[1].core"}


def test_values_are_checked_and_sizes_are_not_by_the_simulator(make_spec, replace):
    spec = make_spec()
    require_integers(replace(spec, 0, core=99))
    with pytest.raises(ValueError, match=r"`layers\[0\].threshold` .* is 0"):
        require_integers(replace(spec, 0, threshold=0))
    real = jax.tree.map(lambda x: x.astype(jnp.float32), spec)
    with pytest.raises(ValueError, match="make it integers with `quantize` first"):
        require_integers(real)


def test_real_numbers_among_integers(make_spec, replace):
    spec = make_spec()
    (found,) = check(replace(spec, 0, threshold=jnp.float32(3.5)))
    assert found.parameter == "layers[0].threshold"
    assert "a quantised network holds integers only" in found.message


def test_what_is_not_known_is_passed_over(make_spec):
    spec = make_spec()

    @eqx.filter_jit
    def run(spec):
        require_integers(spec)
        return spec.layers[0].weight + 1

    assert run(spec).shape == spec.layers[0].weight.shape


@pytest.mark.parametrize("call", [check, require, simulate, quantize])
def test_a_model_in_place_of_a_spec(call):
    arguments = (np.zeros((1, 1, 4, 4)),) if call is simulate else ()
    with pytest.raises(
        TypeError,
        match=r"`spec` must be a Spec of .*dynapcnn; got IAF: `map_network` makes",
    ):
        call(IAF(3), *arguments)
