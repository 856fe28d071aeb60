"""Synaptic operations, against connections counted one by one and against sinabs."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import (
    IAF,
    LIF,
    Concatenate,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    record,
)
from snnjax.nn import Flatten, SumPool2d, fan_out, synops

from ..parity._compare import golden

KEY = jax.random.key(0)


def linear(n_in, n_out, **kwargs):
    return eqx.nn.Linear(n_in, n_out, key=KEY, **kwargs)


@eqx.filter_jit
def measured(model, x):
    _, _, records = record(model, x)
    return synops(model, x, records), records


def counted(model, x):
    """Operations by path, as Python numbers, and the records."""
    counts, records = measured(model, x)
    return {path: float(count) for path, count in counts.items()}, records


def spikes(*shape, seed=0, rate=0.7):
    return jnp.asarray(np.random.default_rng(seed).poisson(rate, shape), jnp.float32)


# ----- against sinabs


def of_golden(name, layers):
    """A network of the layers whose products have the weights of the file."""
    arrays = golden("sinabs")[0]
    for i, layer in enumerate(layers):
        if hasattr(layer, "weight"):
            weight = jnp.asarray(arrays[f"synops_{name}/param/{i}/weight"])
            layers[i] = eqx.tree_at(lambda product: product.weight, layer, weight)
    return Sequential(*layers)


GOLDEN = {
    "dense": lambda: [
        linear(6, 8, use_bias=False),
        IAF(8),
        linear(8, 4, use_bias=False),
        IAF(4),
    ],
    "conv": lambda: [
        eqx.nn.Conv2d(2, 4, 3, padding=1, use_bias=False, key=KEY),
        IAF((4, 8, 10)),
        eqx.nn.Conv2d(4, 3, 3, stride=2, use_bias=False, key=KEY),
        IAF((3, 3, 4)),
        Flatten(),
        linear(36, 5, use_bias=False),
        IAF(5),
    ],
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", GOLDEN)
def test_counts_are_those_of_sinabs(name):
    arrays, manifest = golden("sinabs")
    model = of_golden(name, GOLDEN[name]())
    assert len(manifest["synops"][name]) == len(model.layers)
    x = jnp.asarray(arrays[f"synops_{name}/input"])
    found, records = counted(model, x)
    for i in range(len(model.layers)):
        np.testing.assert_allclose(
            records[f"layers[{i}].output"], arrays[f"synops_{name}/out/{i}"], atol=1e-6
        )
    wanted = {
        f"layers[{key.split('/')[-1]}]": value * len(x)  # theirs are means over the steps
        for key, value in arrays.items()
        if key.startswith(f"synops_{name}/synops/")
    }
    assert found.keys() == wanted.keys()
    for path, count in found.items():
        assert count == round(float(wanted[path])), path


# ----- against connections counted one by one


@eqx.filter_jit
def connections(layer, shape):
    """How many outputs each input moves: put one in, and see where something comes out."""
    ones = jax.tree.map(jnp.ones_like, layer)
    at_rest = ones(jnp.zeros(shape))
    each = jnp.eye(int(np.prod(shape))).reshape(-1, *shape)
    moved = jax.vmap(lambda x: (ones(x) != at_rest).sum())(each)
    return moved.reshape(shape)


CONVOLUTIONS = {
    "plain": (eqx.nn.Conv2d, {"kernel_size": 3}),
    "padded": (eqx.nn.Conv2d, {"kernel_size": 3, "padding": 1}),
    "strided": (eqx.nn.Conv2d, {"kernel_size": (2, 3), "stride": (2, 3), "padding": (0, 1)}),
    "dilated": (eqx.nn.Conv2d, {"kernel_size": 2, "dilation": 2, "padding": 1}),
    "grouped": (eqx.nn.Conv2d, {"kernel_size": 3, "groups": 2, "use_bias": False}),
    "circular": (eqx.nn.Conv2d, {"kernel_size": 3, "padding": "SAME", "padding_mode": "CIRCULAR"}),
    "transposed": (eqx.nn.ConvTranspose2d, {"kernel_size": 3, "stride": 2}),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_fan_out_of_a_convolution_is_the_number_of_its_connections(name):
    kind, settings = CONVOLUTIONS[name]
    layer = kind(4, 6, **settings, key=KEY)
    shape = (4, 5, 7)
    found = fan_out(layer, shape)
    np.testing.assert_array_equal(found, connections(layer, shape))
    assert found.max() > 0


def test_a_spike_at_the_border_reaches_fewer_synapses():
    layer = eqx.nn.Conv2d(1, 2, 3, padding=1, key=KEY)
    wanted = 2 * np.outer([2, 3, 3, 2], [2, 3, 3, 3, 2])
    np.testing.assert_array_equal(fan_out(layer, (1, 4, 5))[0], wanted)


@pytest.mark.parametrize("shape", [(7,), ()])
def test_the_fan_out_of_a_linear_layer_is_the_number_of_its_outputs(shape):
    layer = linear(*(shape or ("scalar",)), 5)
    np.testing.assert_array_equal(fan_out(layer, shape), np.full(shape, 5.0))


def test_weights_of_zero_and_of_half_precision_count_like_others():
    layer = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float16), linear(3, 3000))
    # 3000 + 3000 + ... passes 2048, where float16 loses the odd numbers.
    np.testing.assert_array_equal(fan_out(layer, (3,)), [3000.0] * 3)


def test_recurrent_weights_count_the_spikes_of_the_step_before():
    dense = IAF(4, w_rec=0.5 * np.eye(4))
    near = IAF((2, 3, 3), w_rec=0.1 * np.ones((2, 2, 3, 3)))
    several = LIF(3, synapses=2, threshold=0.1, w_rec=0.1 * np.ones((3, 6)))
    for layer, shape, each in (
        (dense, (4,), np.full(4, 4)),
        (near, (2, 3, 3), 2 * np.outer([2, 3, 2], [2, 3, 2]) * np.ones((2, 1, 1))),
        (several, (3,), np.full(3, 6)),
    ):
        inputs = 6 if isinstance(layer, LIF) else shape
        x = spikes(10, *np.atleast_1d(inputs), rate=0.9)
        found, records = counted(layer, x)
        assert records["spikes"][-1].sum() > 0  # the last ones reach nobody any more
        assert found == {"w_rec": float((np.asarray(records["spikes"])[:-1] * each).sum())}


# ----- within networks


def test_every_layer_with_weights_is_counted_by_its_path():
    model = Sequential(
        ("in", linear(3, 4)),
        IAF(4, threshold=0.3),
        Residual(linear(4, 4), IAF(4, threshold=0.3, w_rec=0.1 * np.ones((4, 4)))),
        Parallel(linear(4, 5), Sequential(jnp.tanh, linear(4, 5))),
        Concatenate(linear(5, 2), linear(5, 3)),
        Recurrent(Sequential(linear(5, 6), IAF(6, threshold=0.3)), linear(6, 5)),
    )
    x = spikes(8, 3)
    found, records = counted(model, x)
    out = {path.removesuffix(".output"): np.asarray(y) for path, y in records.items()}
    y = out["layers[5].layers[0]"]
    before = np.concatenate([np.zeros_like(y[:1]), y[:-1]])
    recurrent = out["layers[2].layers[1]"][:-1]
    wanted = {
        "layers[0]": 4 * np.asarray(x),
        "layers[2].layers[0]": 4 * out["layers[1]"],
        "layers[2].layers[1].w_rec": 4 * recurrent,
        "layers[3].layers[0]": 5 * out["layers[2]"],
        "layers[3].layers[1].layers[1]": 5 * np.tanh(out["layers[2]"]),
        "layers[4].layers[0]": 2 * out["layers[3]"],
        "layers[4].layers[1]": 3 * out["layers[3]"],
        "layers[5].layers[0].layers[0]": 6 * (out["layers[4]"] + out["layers[5].layers[1]"]),
        "layers[5].layers[1]": 5 * before,
    }
    assert found.keys() == wanted.keys()
    for path, operations in wanted.items():
        np.testing.assert_allclose(found[path], operations.sum(), rtol=1e-5, err_msg=path)
    assert y.sum() > 0
    assert recurrent.sum() > 0


def test_pooled_spikes_count_with_their_number():
    model = Sequential(
        IAF((2, 4, 4)), SumPool2d(2), eqx.nn.Conv2d(2, 3, 1, key=KEY), IAF((3, 2, 2))
    )
    x = spikes(6, 2, 4, 4)
    assert counted(model, x)[0] == {"layers[2]": 3 * float(x.sum())}


def test_a_batch_by_vmap_equals_a_loop():
    model = Sequential(linear(3, 4), IAF(4, threshold=0.3), linear(4, 2), IAF(2))
    batch = spikes(3, 8, 3)
    together, _ = eqx.filter_vmap(measured, in_axes=(None, 0))(model, batch)
    for i, x in enumerate(batch):
        found = counted(model, x)[0]
        assert {path: float(value[i]) for path, value in together.items()} == found


def test_counts_have_gradients_for_a_regulariser():
    model = Sequential(linear(3, 4), IAF(4, threshold=0.3), linear(4, 2), IAF(2))
    x = spikes(8, 3)

    grads = eqx.filter_grad(lambda model: measured(model, x)[0]["layers[2]"])(model)
    assert np.any(grads.layers[0].weight)
    assert not np.any(grads.layers[2].weight)
    # A spike of the input costs its fan-out, whatever the weights are.
    alone = Sequential(linear(3, 4))
    slope = jax.grad(lambda x: measured(alone, x)[0]["layers[0]"])(x)
    np.testing.assert_array_equal(slope, 4 * np.ones_like(x))


def test_large_counts_are_exact():
    layer = linear(1000, 160)
    x = jnp.ones((104, 1000)).at[0, 0].set(0)
    found, _ = counted(Sequential(layer), x)
    assert found == {"layers[0]": (104 * 1000 - 1) * 160}
    assert 1.6e7 < found["layers[0]"] < 2**24


# ----- errors


def test_records_of_another_network_are_an_error_that_names_what_is_missing():
    model = Sequential(linear(3, 4), IAF(4))
    with pytest.raises(ValueError, match=r"`records` must be .*; there is no 'layers\[0\].output'"):
        synops(model, spikes(5, 3), {})
    recurrent = IAF(3, w_rec=np.eye(3))
    with pytest.raises(ValueError, match="there is no 'spikes'"):
        synops(recurrent, spikes(5, 3), {"output": spikes(5, 3)})


@pytest.mark.parametrize(
    "layer",
    [
        eqx.nn.Sequential([linear(3, 3)]),
        eqx.nn.MLP(3, 3, 4, 1, key=KEY),
        eqx.nn.WeightNorm(linear(3, 3)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_weights_that_record_does_not_see_are_an_error_that_names_the_layer(layer):
    model = Sequential(IAF(3), Residual(layer))
    with pytest.raises(ValueError, match=r"`layers\[1\].layers\[0\]`: .* has weights inside"):
        counted(model, spikes(5, 3))


@pytest.mark.parametrize("layer", [IAF(3), jnp.tanh, SumPool2d(2)])
def test_what_has_no_weights_has_no_fan_out(layer):
    with pytest.raises(TypeError, match=r"`layer` must be an eqx.nn.Linear, .* got "):
        fan_out(layer, (3,))


@pytest.mark.slow
def test_layers_without_weights_cost_nothing():
    layers = (IAF((2, 2, 2)), SumPool2d(2), Flatten(), jnp.tanh, LIF(2), eqx.nn.Dropout(0.0))
    counts = [counted(Sequential(*part), spikes(4, 2, 2, 2))[0] for part in (layers, layers[:3])]
    assert list(itertools.chain(*counts)) == []
