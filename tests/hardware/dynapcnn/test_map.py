"""A mapped network is the network, and it is placed if there is any way."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import transforms
from snnjax.hardware import dynapcnn
from snnjax.hardware.dynapcnn import Core, Destination, Sensor, Spec
from snnjax.hardware.dynapcnn._map_network import candidates, match
from snnjax.nn import IAF, Flatten, Sequential, run_batch, statistics

from .networks import NETWORKS, conv, linear, norm, raster, run_mapped


@pytest.mark.few(1)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_mapped_network_is_the_network(name):
    shape, make = NETWORKS[name]
    model, x = make(), raster(shape)
    spec = dynapcnn.map_network(model, input_shape=shape)
    want, _ = model(x)
    found = run_mapped(spec, x)
    np.testing.assert_array_equal(found[-1].reshape(want.shape), want)
    assert found[-1].sum() > 5
    assert not spec.quantized
    assert dynapcnn.check(spec) == ()
    assert [layer.monitor for layer in spec.layers] == [False] * (len(found) - 1) + [True]


def test_an_average_pool_becomes_a_factor_on_the_next_weights_only():
    shape, make = NETWORKS["average pools"]
    model = make()
    first, second, third = dynapcnn.map_network(model, input_shape=shape).layers
    np.testing.assert_array_equal(first.weight, model.layers[0].weight)
    np.testing.assert_array_equal(second.weight, model.layers[3].weight / 4)
    np.testing.assert_array_equal(second.bias, model.layers[3].bias.ravel())
    np.testing.assert_array_equal(third.weight.reshape(3, 4), model.layers[8].weight / 4)
    np.testing.assert_array_equal(third.bias, model.layers[8].bias)
    assert [first.destinations, second.destinations] == [((1, 2, 0),), ((2, 4, 0),)]


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [(3, 6), (7, 2), (4, 4)])
def test_a_linear_layer_on_a_map_that_is_not_square(size):
    """Its kernel is made square with zeros, as cores have them, and sees the same."""
    model = Sequential(Flatten(), linear(2 * size[0] * size[1], 3), IAF(3, threshold=0.3))
    spec = dynapcnn.map_network(model, input_shape=(2, *size))
    (core,) = spec.layers
    side = max(size)
    assert core.weight.shape == (3, 2, side, side)
    assert core.output_shape == (3, 1, 1)
    x = raster((2, *size))
    want, _ = model(x)
    np.testing.assert_array_equal(run_mapped(spec, x)[0][..., 0, 0], want)
    assert want.sum() > 5
    plan = dynapcnn.plan(model, input_shape=(2, *size))
    through, _ = transforms.apply(plan, model)(x)
    found = dynapcnn.simulate(dynapcnn.quantize(spec), x).spikes_out
    np.testing.assert_array_equal(found[..., 0, 0], through)


def test_a_residual_is_two_cores_that_feed_one():
    shape, make = NETWORKS["a residual"]
    spec = dynapcnn.map_network(make(), input_shape=shape)
    assert spec.layers[0].destinations == (Destination(1, 1), Destination(2, 1))
    assert spec.sources(2) == ((0, 1, 0), (1, 1, 0))
    assert [layer.path for layer in spec.layers] == [
        "layers[1]",
        "layers[2].layers[1]",
        "layers[4]",
    ]


def test_each_branch_gets_its_own_factor():
    shape, make = NETWORKS["branches with pools of their own"]
    model = make()
    spec = dynapcnn.map_network(model, input_shape=shape)
    branches = model.layers[2].layers
    np.testing.assert_array_equal(spec.layers[1].weight, branches[0].layers[1].weight / 4)
    np.testing.assert_array_equal(spec.layers[2].weight, branches[1].layers[1].weight / 16)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["batch", "ema"])
@pytest.mark.parametrize("use_bias", [False, True])
def test_a_batch_norm_is_folded_with_its_epsilon(mode, use_bias):
    model = Sequential(
        conv(1, 3, use_bias=use_bias),
        norm(3, mode, eps=0.3),
        IAF((3, 4, 4)),
        Flatten(),
        linear(48, 4, use_bias=use_bias),
        norm(4, mode, eps=0.1, channelwise_affine=False),
        IAF(4, threshold=0.5),
    )
    state = None
    for seed in range(3):
        x = np.stack([raster((1, 6, 6), seed + 10 * i) for i in range(5)])
        _, state = run_batch(model, x, statistics(state))
    state = statistics(state)
    spec = dynapcnn.map_network(model, input_shape=(1, 6, 6), statistics=state)
    x = raster((1, 6, 6), 99)
    want, _ = eqx.nn.inference_mode(model)(x, state)
    np.testing.assert_array_equal(run_mapped(spec, x)[-1][..., 0, 0], want)
    assert want.sum() > 5
    with pytest.raises(ValueError, match=r"`layers\[1\]` \(BatchNorm\) has running statistics"):
        dynapcnn.map_network(model, input_shape=(1, 6, 6))


def test_membrane_potentials_of_the_state_are_those_that_the_chip_starts_with():
    shape, make = NETWORKS["a residual"]
    model = make()
    _, state = model(raster(shape))
    spec = dynapcnn.map_network(model, input_shape=shape, statistics=state)
    np.testing.assert_array_equal(spec.layers[0].vmem, state[1].vmem)
    x = raster(shape, 1)
    want, _ = model(x, state)
    np.testing.assert_array_equal(run_mapped(spec, x)[-1], want)
    _, batched = run_batch(model, raster(shape)[None])
    with pytest.raises(
        ValueError, match=r"`layers\[1\]` \(IAF\) needs `statistics` with .* \(3, 6, 6"
    ):
        dynapcnn.map_network(model, input_shape=shape, statistics=batched)
    with pytest.raises(ValueError, match="`statistics` must be a state of the network, with"):
        dynapcnn.map_network(model, input_shape=shape, statistics=state[:-1])


# --- the sensor and the readout -------------------------------------------------------------


def test_the_sensor_layer_stands_before_the_first_cores():
    sensor = Sensor(size=(24, 20), merge=True, pool=(2, 2), crop=((1, 11), (0, 8)), mirror_x=True)
    assert sensor.output_shape == (1, 10, 8)
    model = Sequential(conv(1, 2), IAF((2, 8, 6)))
    spec = dynapcnn.map_network(model, sensor=sensor)
    assert (spec.input_shape, spec.fed_shape) == ((2, 24, 20), (1, 10, 8))
    assert spec.inputs == (0,)
    x = raster(spec.input_shape)
    seen = np.asarray(sensor(jnp.asarray(x)))
    integers = dynapcnn.quantize(spec)
    alone = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=(1, 10, 8)))
    np.testing.assert_array_equal(
        dynapcnn.simulate(integers, x).spikes_out, dynapcnn.simulate(alone, seen).spikes_out
    )
    with pytest.raises(ValueError, match=r"`input_shape` is \(1, 9, 9\), but `sensor` gives maps"):
        dynapcnn.map_network(model, sensor=sensor, input_shape=(1, 9, 9))


@pytest.mark.few(1)
@pytest.mark.parametrize("quantised", [False, True])
def test_classes_are_spread_for_the_readout(quantised):
    shape, make = NETWORKS["dense only"]
    spec = dynapcnn.map_network(make(), chip="speck2e", input_shape=shape)
    spec = dynapcnn.quantize(spec) if quantised else spec
    padded = dynapcnn.pad_readout(spec)
    weight = np.asarray(padded.layers[-1].weight)
    assert weight.shape == (17, 8, 1, 1)
    assert padded.layers[-1].core == spec.layers[-1].core
    assert padded.n_classes == spec.n_classes == 5
    assert not np.any(np.delete(weight, slice(None, None, 4), axis=0))
    if quantised:
        x = raster(shape)
        a, b = (dynapcnn.simulate(s, x).counts[-1] for s in (spec, padded))
        np.testing.assert_array_equal(padded.classes(b), spec.classes(a))
        assert int(a.sum()) > 0
    with pytest.raises(ValueError, match="has its classes 4 channels apart already"):
        dynapcnn.pad_readout(padded)


def test_more_classes_than_the_readout_has():
    def made(n):
        model = Sequential(Flatten(), linear(16, n), IAF(n))
        return dynapcnn.map_network(model, input_shape=(1, 4, 4))

    assert dynapcnn.pad_readout(made(15)).layers[0].output_shape[0] == 57
    with pytest.raises(ValueError, match="has 16 classes, but the readout of Speck 2f has 15"):
        dynapcnn.pad_readout(made(16))


def test_a_readout_that_outgrows_its_core_gets_another():
    model = Sequential(Flatten(), linear(512, 10), IAF(10))
    spec = dynapcnn.map_network(model, input_shape=(32, 4, 4), cores=[0])
    padded = dynapcnn.pad_readout(spec)
    assert padded.layers[0].memory.kernel == 32 * 1024
    assert padded.layers[0].core in (3, 4, 5, 6)
    assert dynapcnn.check(padded) == ()
    large = Sequential(Flatten(), linear(2048, 10), IAF(10))
    spec = dynapcnn.map_network(large, input_shape=(128, 4, 4))
    with pytest.raises(ValueError, match="it takes 131,072 words of kernel memory"):
        dynapcnn.pad_readout(spec)


def test_the_readout_of_the_dev_kit_needs_no_spreading():
    model = Sequential(Flatten(), linear(16, 5), IAF(5))
    spec = dynapcnn.map_network(model, chip="dynapcnn", input_shape=(1, 4, 4))
    assert dynapcnn.pad_readout(spec).layers[0].output_shape == (5, 1, 1)


# --- cores ----------------------------------------------------------------------------------


def layer_of(rng, memories):
    """A layer that takes the memories of one kind of core, or less."""
    kernel, neuron, _ = memories
    n_in = kernel // 64 if rng.random() < 0.5 else int(rng.integers(1, kernel // 64 + 1))
    side = 2 ** ((neuron // 64).bit_length() // 2 - int(rng.choice([0, 1])))
    shape = (64, n_in, 1, 1)
    return Core(np.ones(shape), input_shape=(n_in, min(side, 32), min(side, 32)))


def placeable(fitting):
    """Whether there is a way to give each its own: all sets of cores that the first n can take."""
    taken = {frozenset()}
    for cores in fitting:
        taken = {used | {core} for used in taken for core in cores if core not in used}
    return bool(taken)


@pytest.mark.slow
def test_layers_are_placed_if_there_is_any_way():
    rng = np.random.default_rng(0)
    chip, placed, refused = dynapcnn.SPECK_2F, 0, 0
    for _ in range(80):
        layers = tuple(
            layer_of(rng, chip.cores[i]) for i in rng.integers(0, 9, rng.integers(5, 10))
        )
        # Layers of any size side by side make no network; only their memories matter here.
        spec = eqx.tree_at(lambda s: s.layers, Spec(layers[:1], chip=chip), layers)
        fitting = candidates(spec)
        if placeable(fitting):
            cores = match(spec)
            assert len(set(cores)) == len(cores)
            assert all(core in fits for core, fits in zip(cores, fitting, strict=True))
            placed += 1
        else:
            with pytest.raises(ValueError, match="cannot be given different cores of Speck 2f"):
                match(spec)
            refused += 1
    assert min(placed, refused) > 10


def test_a_network_that_cannot_be_placed_says_who_competes():
    layers = [conv(1, 256, 2), IAF((256, 9, 9))]
    for i in range(3):
        size = 8 - 2 * i
        layers += [conv(256, 32, 2), IAF((32, size, size)), conv(32, 256, 2)]
        layers += [IAF((256, size - 1, size - 1))]
    with pytest.raises(ValueError, match="cannot be given different cores") as error:
        dynapcnn.map_network(Sequential(*layers), input_shape=(1, 10, 10))
    message = str(error.value)
    assert (
        "`layers[0] (`layers[1]`)` needs 1,024 words of kernel memory, 65,536 of neuron" in message
    )
    assert message.count("32,768 words of kernel memory") == 6
    assert message.count("and fits on cores 3, 4, 5, 6") + message.count("and fits on cores 3, 4\n")


def test_cores_chosen_by_hand():
    shape, make = NETWORKS["a residual"]
    spec = dynapcnn.map_network(make(), input_shape=shape, cores=[8, 0, 4])
    assert [layer.core for layer in spec.layers] == [8, 0, 4]
    with pytest.raises(ValueError, match=r"`cores` must have a core for each of the 3 layers"):
        dynapcnn.map_network(make(), input_shape=shape, cores=[8, 0])
    with pytest.raises(ValueError, match="`core` is 4, which holds 2 layers"):
        dynapcnn.map_network(make(), input_shape=shape, cores=[4, 0, 4])


def test_limits_are_refused_before_training():
    model = Sequential(conv(1, 70, padding=1), IAF((70, 40, 40)), conv(70, 2, 17), IAF((2, 24, 24)))
    with pytest.raises(ValueError, match="cannot hold this network") as error:
        dynapcnn.map_network(model, input_shape=(1, 40, 40))
    message = str(error.value)
    assert "`layers[1] (`layers[3]`)`: `kernel_size` is (17, 17); kernels are at most 16" in message
    assert "`layers[0] (`layers[1]`)`: it takes 286,720 words of neuron memory" in message


def test_works_under_jit():
    shape, make = NETWORKS["a residual"]
    model = make()
    traced = eqx.filter_jit(lambda m: dynapcnn.map_network(m, input_shape=shape))(model)
    assert eqx.tree_equal(traced, dynapcnn.map_network(model, input_shape=shape))
