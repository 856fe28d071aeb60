"""What the chip has not is refused by name, never dropped."""

import re

import equinox as eqx
import jax
import pytest

from snnjax import transforms
from snnjax.hardware import dynapcnn
from snnjax.nn import (
    IAF,
    LIF,
    Concatenate,
    Flatten,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    SumPool2d,
)
from snnjax.quant import Round

from .networks import NETWORKS, conv, linear, norm


def after(*layers):
    """A network whose first convolution is followed by `layers`."""
    return Sequential(conv(1, 2), *layers, Flatten(), linear(32, 3), IAF(3))


def neurons(**keywords):
    return after(IAF((2, 4, 4), **keywords))


def pool(layer, size):
    """A network with a pool of 4 by 4 maps, which then have that size."""
    return Sequential(conv(1, 2), IAF((2, 4, 4)), layer, conv(2, 2, 1), IAF((2, *size)))


def transformed(**rules):
    model = neurons()
    return transforms.apply(transforms.plan(model, **rules), model)


def readout():
    return IAF((2, 4, 4)), Flatten(), linear(32, 3), IAF(3)


PRODUCTS = {
    "dilation": (
        lambda: Sequential(conv(1, 2, 2, dilation=2), *readout()),
        "`layers[0]` (Conv2d) has a dilation of (2, 2)",
    ),
    "padding of other values": (
        lambda: Sequential(conv(1, 2, padding=1, padding_mode="REFLECT"), IAF((2, 6, 6))),
        "`layers[0]` (Conv2d) pads with 'REFLECT'",
    ),
    "padding on one side": (
        lambda: Sequential(conv(1, 2, padding=((0, 1), (0, 0))), IAF((2, 5, 4))),
        "`layers[0]` (Conv2d) pads its sides differently, ((0, 1), (0, 0))",
    ),
    "padding by name": (
        lambda: Sequential(conv(1, 2, padding="SAME"), IAF((2, 6, 6))),
        "`layers[0]` (Conv2d) has a padding of 'SAME'",
    ),
    "one axis": (
        lambda: Sequential(eqx.nn.Conv1d(1, 2, 3, key=jax.random.key(0)), IAF((2, 4))),
        "`layers[0]` (Conv1d) convolves over 1 axes",
    ),
    "a kernel larger than the map": (
        lambda: Sequential(conv(1, 2, 7), IAF((2, 1, 1))),
        "`layers[0]` (Conv2d) `weight`: a kernel of (7, 7) does not fit in a map of (6, 6)",
    ),
    "channels that do not fit": (
        lambda: Sequential(conv(3, 2), *readout()),
        "`layers[0]` (Conv2d) takes 3 channels, but gets maps of (1, 6, 6)",
    ),
    "sizes that do not fit": (
        lambda: Sequential(conv(1, 2), IAF((2, 4, 4)), Flatten(), linear(30, 3), IAF(3)),
        "`layers[3]` (Linear) takes 30 numbers, but gets maps of (2, 4, 4)",
    ),
    "a linear layer on a map": (
        lambda: Sequential(conv(1, 2), IAF((2, 4, 4)), linear(4, 3), IAF((2, 4, 3))),
        "`layers[2]` (Linear) gets a map that is not flattened",
    ),
    "a convolution on a row": (
        lambda: Sequential(Flatten(), conv(1, 2), IAF((2, 4, 4))),
        "`layers[1]` (Conv2d) gets a flattened map",
    ),
    "a scalar": (
        lambda: Sequential(Flatten(), eqx.nn.Linear(36, "scalar", key=jax.random.key(0)), IAF(1)),
        "`layers[1]` (Linear) takes or gives a scalar",
    ),
    "two products": (
        lambda: Sequential(conv(1, 2), conv(2, 2, 1), *readout()),
        "`layers[1]` (Conv2d) stands between a product and its neurons",
    ),
    "a norm before the product": (
        lambda: Sequential(norm(1, "ema"), conv(1, 2), *readout()),
        "`layers[0]` (BatchNorm) does not follow a convolution or linear layer",
    ),
    "a norm after the neurons": (
        lambda: after(IAF((2, 4, 4)), norm(2, "ema")),
        "`layers[2]` (BatchNorm) does not follow a convolution or linear layer",
    ),
    "another norm": (
        lambda: after(eqx.nn.LayerNorm((2, 4, 4)), IAF((2, 4, 4))),
        "`layers[1]` (LayerNorm) stands between a product and its neurons",
    ),
    "an activation": (
        lambda: after(IAF((2, 4, 4)), eqx.nn.Lambda(jax.nn.relu)),
        "`layers[2]` (Lambda) has no counterpart on the chip",
    ),
}

NEURONS = {
    "other neurons": (
        lambda: after(LIF(2)),
        "`layers[1]` (LIF) stands between a product and its neurons",
    ),
    "neurons of another shape": (
        lambda: after(IAF((2, 5, 5))),
        "`layers[1]` (IAF) has neurons of the shape (2, 5, 5), but gets (2, 4, 4)",
    ),
    "no reset": (lambda: neurons(reset="none"), "`layers[1]` (IAF) has a reset of 'none'"),
    "another reset potential": (
        lambda: neurons(reset="zero", v_reset=-0.5),
        "`layers[1]` (IAF) has a `v_reset`, but cores reset to 0",
    ),
    "recurrence": (
        lambda: neurons(recurrent=True, key=jax.random.key(0)),
        "`layers[1]` (IAF) is recurrent",
    ),
    "refractory neurons": (
        lambda: neurons(refractory=2),
        "`layers[1]` (IAF) has a refractory period",
    ),
    "membrane potentials": (
        lambda: neurons(output="vmem"),
        "`layers[1]` (IAF) gives membrane potentials",
    ),
    "thresholds that differ": (
        lambda: neurons(threshold=[1.0, 2.0]),
        "`layers[1]` (IAF) has a `threshold` of the shape (2, 1, 1), but a core has one for all",
    ),
    "lower bounds that differ": (
        lambda: neurons(min_vmem=[-1.0, -2.0]),
        "`layers[1]` (IAF) has a `min_vmem` of the shape (2, 1, 1)",
    ),
    "transformed states": (
        lambda: transformed(states={"layers[1].vmem": Round()}),
        "`layers[1]` (IAF) transforms its state; map what `transforms.burn_in` gives",
    ),
    "transformed outputs": (
        lambda: transformed(activations={"layers[1]": Round()}),
        "`model` (Sequential) transforms outputs; map what `transforms.burn_in` gives",
    ),
    "neurons without a product": (
        lambda: Sequential(IAF((1, 6, 6)), conv(1, 2), *readout()),
        "`layers[0]` (IAF) has no convolution or linear layer before it",
    ),
}

POOLS = {
    "before the neurons": (
        lambda: Sequential(conv(1, 2), SumPool2d(2), IAF((2, 2, 2))),
        "`layers[1]` (SumPool2d) stands between a product and its neurons",
    ),
    "of the largest": (
        lambda: pool(eqx.nn.MaxPool2d(2, 2), (2, 2)),
        "`layers[2]` (MaxPool2d) has no counterpart on the chip",
    ),
    "of an input of one channel": (
        lambda: Sequential(SumPool2d(2), conv(1, 2), IAF((2, 1, 1))),
        "`model` pools its input of 1 channels",
    ),
    "of the input in one branch only": (
        lambda: Sequential(
            Parallel(
                Sequential(SumPool2d(2), conv(1, 2, 1), IAF((2, 3, 3))),
                Sequential(conv(1, 2, 2, stride=2), IAF((2, 3, 3))),
            ),
            conv(2, 2, 1),
            IAF((2, 3, 3)),
        ),
        "`model` pools its input by [(1, 1), (2, 2)] in different branches",
    ),
    "not square": (
        lambda: pool(SumPool2d((2, 1)), (2, 4)),
        "`layers[2]` (SumPool2d) has windows of 2 by 1; cores pool squares",
    ),
    "whose windows overlap": (
        lambda: pool(eqx.nn.AvgPool2d(2), (3, 3)),
        "`layers[2]` (AvgPool2d) has windows of 2, but a stride of (1, 1)",
    ),
    "padded": (
        lambda: pool(SumPool2d(2, padding=1), (3, 3)),
        "`layers[2]` (SumPool2d) pads its input",
    ),
    "larger than the map": (
        lambda: pool(SumPool2d(8), (1, 1)),
        "`layers[2]` (SumPool2d) has windows of 8 on maps of (2, 4, 4)",
    ),
    "of a row": (
        lambda: Sequential(
            conv(1, 2), IAF((2, 4, 4)), Flatten(), SumPool2d(2), linear(8, 2), IAF(2)
        ),
        "`layers[3]` (SumPool2d) gets a flattened map",
    ),
    "averages of different windows into one product": (
        lambda: Sequential(
            conv(1, 2, 2),
            IAF((2, 5, 5)),
            Parallel(
                Sequential(eqx.nn.AvgPool2d(2, 2), conv(2, 2, 1), IAF((2, 2, 2))),
                Sequential(conv(2, 2, 2), IAF((2, 4, 4)), eqx.nn.AvgPool2d(2, 2)),
            ),
            conv(2, 2, 1),
            IAF((2, 2, 2)),
        ),
        "`layers[3]` gets averages over windows of different sizes, with the factors [0.25, 1.0]",
    ),
}

END = "`model` (Sequential) must end in a layer of neurons, with no pool, sum or product after it"

SHAPES = {
    "a pool at the end": (lambda: Sequential(conv(1, 2), IAF((2, 4, 4)), SumPool2d(2)), END),
    "a product at the end": (lambda: Sequential(conv(1, 2), IAF((2, 4, 4)), conv(2, 2, 1)), END),
    "a sum at the end": (
        lambda: Sequential(conv(1, 2), IAF((2, 4, 4)), Residual(conv(2, 2, 1), IAF((2, 4, 4)))),
        END,
    ),
    "no neurons": (lambda: Sequential(Flatten()), END),
    "maps of different shapes added": (
        lambda: Sequential(
            conv(1, 2), IAF((2, 4, 4)), Residual(conv(2, 2, 2), IAF((2, 3, 3))), *readout()
        ),
        "`layers[2]` (Residual) adds maps of different shapes, [(2, 4, 4), (2, 3, 3)]",
    ),
    "the same spikes twice": (
        lambda: pool(Residual(eqx.nn.Identity()), (4, 4)),
        "`layers[2]` (Residual) adds spikes of the same neurons twice",
    ),
    "a branch that ends in a product": (
        lambda: pool(Residual(conv(2, 2, 1)), (4, 4)),
        "`layers[2]` (Residual) adds what has not passed neurons",
    ),
    "concatenation": (
        lambda: Sequential(Concatenate(conv(1, 2), conv(1, 2)), IAF((4, 4, 4))),
        "`layers[0]` (Concatenate) concatenates what has not passed neurons",
    ),
    "a network between product and neurons": (
        lambda: after(Residual(IAF((2, 4, 4)))),
        "`layers[1]` (Residual) stands between a product and its neurons",
    ),
}

REFUSED = {
    f"{kind} {name}": case
    for kind, cases in {"": PRODUCTS | NEURONS | SHAPES, "a pool": POOLS}.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    make, message = REFUSED[name]
    model = make()
    with pytest.raises(ValueError, match=re.escape(message)):
        dynapcnn.map_network(model, input_shape=(1, 6, 6))


def test_feedback_is_refused_by_name():
    inner = Sequential(conv(4, 2, 1), IAF((2, 4, 4)))
    try:
        layer = Recurrent(inner, (2, 4, 4))
    except TypeError:
        layer = Recurrent(inner)
    model = Sequential(conv(1, 2), IAF((2, 4, 4)), layer, *readout()[1:])
    with pytest.raises(ValueError, match=r"`layers\[2\]` \(Recurrent\) has no counterpart"):
        dynapcnn.map_network(model, input_shape=(1, 6, 6))


def test_two_norms_are_refused_by_name():
    model = after(norm(2, "ema"), norm(2, "ema"), IAF((2, 4, 4)))
    state = model.initial_state()
    with pytest.raises(ValueError, match=r"`layers\[2\]` \(BatchNorm\) does not follow"):
        dynapcnn.map_network(model, input_shape=(1, 6, 6), statistics=state)


def test_what_is_no_network():
    with pytest.raises(TypeError, match="`model` must be a Sequential or the like; got Conv2d"):
        dynapcnn.map_network(conv(1, 2), input_shape=(1, 6, 6))


@pytest.mark.parametrize("shape", [None, (6, 6), (1, 0, 6)])
def test_the_shape_of_the_input_is_needed(shape):
    model = NETWORKS["a residual"][1]()
    with pytest.raises(ValueError, match=r"`input_shape` must be \(channels, height, width\)"):
        dynapcnn.map_network(model, input_shape=shape)


def test_an_unknown_chip():
    model = NETWORKS["a residual"][1]()
    with pytest.raises(ValueError, match="one of speck2e, speck2f, dynapcnn; got 'speck3'"):
        dynapcnn.map_network(model, chip="speck3", input_shape=(1, 8, 8))
