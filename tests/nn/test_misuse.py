"""What networks and layers of neurons refuse, with an error that says what would do."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import DSRIF, IAF, LIF, Recurrent, Sequential, record, run_chunked
from snnjax.neurons.iaf import IAFState
from snnjax.nn import SumPool1d, SumPool2d, describe, run_batch

# ----- networks


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (({"a": IAF(4)}, IAF(4)), "`layers` must be one dictionary of all layers"),
        ((IAF(4), {"a": IAF(4)}), "`layers` must be one dictionary of all layers"),
        (([IAF(4), IAF(4)],), r"`layers\[0\]` must be a layer; got list; .*Sequential\(\*layers\)"),
        ((IAF(4), LIF), r"`layers\[1\]` must be a layer; got the class LIF; .*LIF\(\.\.\.\)"),
        ((("out", IAF),), r"`layers\[0\]` must be a layer; got the class IAF"),
    ],
)
def test_what_is_no_list_of_layers_is_an_error(layers, message):
    with pytest.raises(TypeError, match=message):
        Sequential(*layers)


def test_a_network_has_as_many_entries_as_layers():
    model = Sequential(IAF(4), ("out", IAF(4)))
    assert len(model) == 2
    assert [layer.shape for layer in model] == [(4,), (4,)]


# ----- states

OTHERS = {
    "IAF in parallel, of another shape": (
        IAF(4, parallel=True),
        IAFState(jnp.zeros((6, 4))),
        r"IAFState\(vmem=\(4,\)\); got IAFState\(vmem=\(6, 4\)\)",
    ),
    "one for all": (IAF(4), IAF(1).initial_state(), r"got IAFState\(vmem=\(1,\)\)"),
    "IAF's to LIF": (LIF(4), IAF(4).initial_state(), "LIFState.*got IAFState"),
    "of no kind": (DSRIF(4), jnp.zeros(4), r"DSRState\(vmem=\(4,\)\); got \(4,\)"),
    "in a network": (Sequential(IAF(4)), (IAFState(jnp.zeros(3)),), r"^`layers\[0\]`: `state`"),
    "a layer's to a network": (
        Sequential(IAF(4)),
        IAF(4).initial_state(),
        "one entry for each of the 1 layers; got one IAFState",
    ),
    "to what has none": (
        Sequential(eqx.nn.Identity()),
        (IAF(4).initial_state(),),
        r"`layers\[0\]`: `state` of Identity must be of the type NoneType; got IAFState",
    ),
    "fed back": (Recurrent(IAF(4)), IAF(4).initial_state(), "`state` must be the states of both"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_state_of_another_shape_or_kind_is_an_error(case):
    layer, state, message = OTHERS[case]
    for run, x in ((layer, jnp.ones((3, 4))), (layer.step, jnp.ones(4))):
        with pytest.raises(ValueError, match=message):
            run(x, state)


def test_a_state_may_be_of_numpy_whatever_its_precision():
    y, state = IAF(4)(np.full((1, 4), 0.5), IAFState(np.full(4, 0.5)))
    np.testing.assert_array_equal(y, np.ones((1, 4)))
    assert state.vmem.dtype == jnp.float32


# ----- dtypes


def in_bfloat16(model):
    arrays, rest = eqx.partition(model, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), arrays), rest)


def test_networks_of_another_dtype_take_and_give_it():
    linear = eqx.nn.Linear(4, 4, key=jax.random.key(0))
    model = in_bfloat16(Recurrent(Sequential(linear, IAF(4), DSRIF(4))))
    for x in (jnp.ones((2, 4), jnp.bfloat16), jnp.ones((2, 4), jnp.int32)):
        y, state = model(x)
        _, again = model(x, model.initial_state())
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves((y, state, again))}
        assert dtypes == {"bfloat16"}


@pytest.mark.parametrize("layer", [IAF(4), IAF(4, parallel=True), LIF(4), DSRIF(4)])
def test_input_of_a_wider_dtype_than_the_parameters_is_an_error_that_names_both(layer):
    message = r"`x` has float32, the parameters bfloat16; convert it: x.astype\('bfloat16'\)"
    with pytest.raises(ValueError, match=message):
        in_bfloat16(layer)(jnp.ones((2, 4)))


def test_a_raster_of_integers_takes_the_dtype_of_the_parameters():
    layer = IAF(4)
    with jax.enable_x64(True):
        y, state = layer(np.ones((2, 4), np.int64))
        assert (y.dtype, state.vmem.dtype) == (jnp.float32, jnp.float32)


def test_complex_input_is_an_error():
    with pytest.raises(ValueError, match="`x` must hold real numbers; got complex64"):
        Sequential(IAF(4))(jnp.ones((2, 4), jnp.complex64))


# ----- arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIF(4, dt=None), "`dt` must be above 0; got None"),
        (lambda: LIF(4, dt="1ms"), "`dt` must be above 0; got '1ms'"),
        (lambda: LIF(4, tau_mem=None), r"`tau_mem` must be one number or .*\(4,\); got None"),
        (lambda: LIF(4, tau_mem="a"), "`tau_mem` must be one number .*; got 'a'"),
        (lambda: IAF(4, threshold=[1.0, "a"]), "`threshold` must be one number .*; got"),
        (lambda: LIF(True), "`shape` must be a whole number above 0, .*; got True"),
        (lambda: IAF((2, True)), "`shape` must be a whole number above 0, or"),
        (lambda: IAF(4, frozen="threshold"), r"`frozen` must be .* such as \('threshold',\)"),
        (lambda: LIF(4, frozen="threshold"), r"`frozen` must be .* such as \('threshold',\)"),
    ],
)
def test_an_argument_of_another_kind_is_an_error_that_names_it(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sizes_may_be_an_array():
    assert IAF(np.array([2, 3])).shape == (2, 3)


def test_an_unknown_argument_is_an_error_of_the_layer_that_has_it_not():
    with pytest.raises(TypeError, match=r"^IAF has no argument 'treshold'$"):
        IAF(4, treshold=1.0)


# ----- layers that are not ours


@pytest.mark.parametrize("run", [record, run_batch, functools.partial(run_chunked, chunk=2)])
def test_what_is_no_layer_with_a_state_is_an_error_that_says_how_to_wrap_it(run):
    with pytest.raises(TypeError, match=r"must be a layer .*got Identity; .*Sequential\(layer\)"):
        run(eqx.nn.Identity(), jnp.ones((2, 4)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0)), r"MLP fails on .* \(4,\): .*dot_general"),
        (jnp.linalg.det, r"det fails on time steps of the shape \(4,\): "),
    ],
)
def test_a_layer_that_fails_is_named_with_what_it_said(layer, message):
    with pytest.raises(ValueError, match=rf"^`layers\[1\]`: {message}") as caught:
        Sequential(IAF(4), layer)(jnp.ones((2, 4)))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "x",
    ["spikes", None, [[1.0], [1.0, 2.0]], np.array([[object()]])],
    ids=["text", "None", "ragged", "objects"],
)
@pytest.mark.parametrize("layer", [IAF(1), LIF(1), Sequential(IAF(1))], ids=["IAF", "LIF", "net"])
def test_an_input_that_is_no_array_of_numbers_is_an_error_of_ours(layer, x):
    for call in (layer, layer.step, functools.partial(record, layer)):
        with pytest.raises(ValueError, match="`x` must be an array of real numbers; got"):
            call(x)


def test_a_layer_of_several_arguments_says_how_to_wrap_it(key):
    cell = eqx.nn.GRUCell(3, 3, key=key)
    with pytest.raises(
        TypeError, match=r"`layers\[1\]` \(GRUCell\) takes input, hidden, .*lambda x"
    ):
        Sequential(IAF(3), cell)
    attention = eqx.nn.MultiheadAttention(1, 3, key=key)
    with pytest.raises(TypeError, match=r"layer\(x, key_, value\)"):
        Sequential(attention)
    y, _ = Sequential(lambda x: cell(x, jnp.zeros(3)), IAF(3))(jnp.ones((2, 3)))
    assert y.shape == (2, 3)


def test_dropout_without_a_key_names_the_layer_and_the_cure():
    with pytest.raises(ValueError, match=r"`layers\[1\]`: `key` is needed by Dropout; .*inference"):
        Sequential(IAF(3), eqx.nn.Dropout(0.5))(jnp.ones((2, 3)))


def test_sizes_may_be_numpy_integers():
    layer = LIF((np.int64(2), np.int32(3)), synapses=np.int64(2), refractory=np.int8(1))
    assert layer.shape == (2, 3)
    assert all(type(n) is int for n in (*layer.shape, layer.synapses, layer.settings.refractory))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SumPool2d(2)(jnp.ones((4, 4))), r"`x` must be \(channels, height, width\)"),
        (lambda: SumPool1d(2)(None), "`x` must be an array of floating-point numbers; got None"),
        (lambda: LIF(1, hold="no"), "`hold` must be True or False; got 'no'"),
        (lambda: LIF(1, max_spikes=jnp.ones(3)), "`max_spikes` must be a whole number"),
        (lambda: describe(LIF(1)), "`network` must be a network"),
    ],
)
def test_what_a_layer_cannot_take_is_an_error_that_names_it(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
