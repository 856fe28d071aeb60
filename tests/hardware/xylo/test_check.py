"""Every limit of a chip has a network just inside and one just outside of it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware.xylo import (
    CHIPS,
    XYLO_1,
    XYLO_AUDIO_2,
    XYLO_AUDIO_3,
    Part,
    get_chip,
)
from snnjax.hardware.xylo._check import check, require, require_integers

# A chip of the size of `make_spec`'s networks: 3 inputs, 6 hidden and 2 output neurons.
SMALL = dataclasses.replace(XYLO_AUDIO_2, n_inputs=3, n_hidden=6, n_outputs=2, n_synapses=2)


def chip(**limits):
    return {"chip": dataclasses.replace(SMALL, **limits)}


def at(name, index, value):
    """A field of zeros, ones where zero is not allowed, with one entry of that value."""
    shape = {"w_in": (3, 6, 2), "w_rec": (6, 6, 2), "w_out": (6, 2), "dash_syn": (6, 2)}.get(
        name, (2,) if name.endswith("_out") else (6,)
    )
    array = np.full(shape, 0 if name.startswith(("w_", "bias")) else 1)
    array[index] = value
    return {name: array}


def w_in_of(neurons):
    weight = np.zeros((3, 6, 2), int)
    weight[1, neurons, 1] = -1
    return {"w_in": weight}


def w_out_of(neurons):
    weight = np.zeros((6, 2), int)
    weight[neurons, 1] = -1
    return {"w_out": weight}


def w_rec_of(count):
    weight = np.zeros((6, 6, 2), int)
    weight[..., 1].flat[:count] = -1
    return {"w_rec": weight}


def aliases(*targets):
    return {"aliases": list(targets) + [-1] * (6 - len(targets))}


# name: what is inside, what is outside, then the latter's parameter, value and limit
LIMITS = {
    "inputs": (chip(), chip(n_inputs=2), "n_inputs", 3, 2),
    "hidden": (chip(), chip(n_hidden=5), "n_hidden", 6, 5),
    "outputs": (chip(), chip(n_outputs=1), "n_outputs", 2, 1),
    "synapses": (chip(), chip(n_synapses=1), "n_synapses", 2, 1),
    "recurrent weights": (
        chip(max_recurrent_weights=9) | w_rec_of(9),
        chip(max_recurrent_weights=9) | w_rec_of(10),
        "w_rec[:, :, 1]",
        10,
        9,
    ),
    "input neurons": (
        chip(max_input_neurons=4) | w_in_of([0, 3]),
        chip(max_input_neurons=4) | w_in_of([0, 4]),
        "w_in[:, 4]",
        4,
        3,
    ),
    "output neurons": (
        chip(max_output_neurons=4) | w_out_of([2, 5]),
        chip(max_output_neurons=4) | w_out_of([1, 5]),
        "w_out[1]",
        1,
        2,
    ),
    "no biases": ({}, chip(has_bias=False) | at("bias", 4, -7), "bias", 7, 0),
    "aliases' range": (aliases(5), aliases(6), "aliases[0]", 6, (-1, 5)),
    "aliases' range below": (aliases(-1), aliases(-2), "aliases[0]", -2, (-1, 5)),
    "an alias of itself": (aliases(1), aliases(2, 1), "aliases[1]", 1, "another"),
    "weight shift": (
        {"weight_shift_rec": 15} | at("w_rec", 0, 0),
        {"weight_shift_rec": 16} | at("w_rec", 0, 0),
        "weight_shift_rec",
        16,
        (0, 15),
    ),
    "weight shift below": ({}, {"weight_shift_in": -1}, "weight_shift_in", -1, (0, 15)),
}
WEIGHT, DASH, THRESHOLD, STATE = (-128, 127), (0, 15), (1, 32767), (-32768, 32767)
RANGES = [
    ("w_in", (2, 1, 0), WEIGHT),
    ("w_rec", (5, 1, 1), WEIGHT),
    ("w_out", (3, 1), WEIGHT),
    ("dash_mem", (3,), DASH),
    ("dash_syn", (3, 1), DASH),
    ("dash_mem_out", (1,), DASH),
    ("dash_syn_out", (1,), DASH),
    ("threshold", (3,), THRESHOLD),
    ("threshold_out", (1,), THRESHOLD),
    ("bias", (3,), STATE),
    ("bias_out", (1,), STATE),
]
for field, index, (low, high) in RANGES:
    entry = f"{field}[{', '.join(map(str, index))}]"
    for inside, outside in ((low, low - 1), (high, high + 1)):
        fields = at(field, index, inside), at(field, index, outside)
        LIMITS[f"{entry} = {outside}"] = (*fields, entry, outside, (low, high))

WARNINGS = {
    "outputs advised": (
        chip(max_outputs_advised=2),
        chip(max_outputs_advised=1),
        "n_outputs",
        2,
        1,
    ),
    "a synapse that forgets": (
        at("dash_syn", (2, 1), 1),
        at("dash_syn", (2, 1), 0),
        "dash_syn[2, 1]",
        0,
        1,
    ),
    "an output synapse that forgets": (
        at("dash_syn_out", 1, 1),
        at("dash_syn_out", 1, 0),
        "dash_syn_out[1]",
        0,
        1,
    ),
    "an alias downwards": (aliases(3), aliases(-1, 0), "aliases[1]", 0, "above"),
    "a weight that wraps": (
        {"weight_shift_out": 10} | at("w_out", (0, 1), 31),
        {"weight_shift_out": 10} | at("w_out", (0, 1), 32),
        "w_out[0, 1]",
        32,
        (-32, 31),
    ),
}


@pytest.fixture
def make_fitting(make_spec):
    """`make_spec`, for the chip that it just fits."""
    return lambda **fields: make_spec(**({"chip": SMALL} | fields))


@pytest.mark.parametrize(
    ("case", "severity"),
    [(case, "error") for case in LIMITS.items()] + [(case, "warning") for case in WARNINGS.items()],
    ids=lambda x: x[0] if isinstance(x, tuple) else x,
)
def test_just_inside_and_just_outside(make_fitting, case, severity):
    _, (inside, outside, parameter, value, limit) = case
    found = check(make_fitting(**inside))
    assert "error" not in [v.severity for v in found]
    assert (parameter, severity) not in [(v.parameter, v.severity) for v in found]
    violation = next(v for v in check(make_fitting(**outside)) if v.severity == severity)
    assert (violation.parameter, violation.value, violation.limit) == (parameter, value, limit)
    assert f"`{parameter}`" in violation.message
    assert str(abs(value)) in violation.message
    for number in limit if isinstance(limit, tuple) else (limit,):
        assert str(number) in violation.message


def test_all_violations_come_at_once_and_require_raises_them(make_fitting):
    spec = make_fitting(
        **chip(n_hidden=5, max_outputs_advised=1),
        **at("threshold", 2, 0),
        w_out=np.full((6, 2), 300),
    )
    found = {v.parameter: v for v in check(spec)}
    assert set(found) == {"n_hidden", "n_outputs", "w_out[0, 0]", "threshold[2]"}
    assert "and 11 more" in found["w_out[0, 0]"].message
    with pytest.raises(ValueError, match="cannot hold this network") as error:
        require(spec)
    errors = [v.message for v in found.values() if v.severity == "error"]
    assert all(message in str(error.value) for message in errors)
    assert found["n_outputs"].message not in str(error.value)


def test_another_chip_than_the_specs(make_fitting):
    spec = make_fitting(bias=np.ones(6, int), chip=XYLO_AUDIO_2)
    assert check(spec) == ()
    require(spec)
    for other in (XYLO_1, "xylo1"):
        assert [v.parameter for v in check(spec, chip=other)] == ["bias"]
        with pytest.raises(ValueError, match=r"`bias` reaches 1, but Xylo 1 .* has no biases"):
            require(spec, chip=other)


def test_a_mapped_network_is_checked_for_what_it_has(make_fitting):
    """Real numbers have no range yet, but are numbers; sizes and places are what they will be."""
    quantized = make_fitting(**aliases(1))
    spec = jax.tree.map(lambda x: 1000.5 * x.astype(jnp.float32), quantized)
    spec = eqx.tree_at(lambda s: s.aliases, spec, quantized.aliases)
    never_fires = eqx.tree_at(lambda s: s.threshold_out, spec, jnp.full(2, jnp.inf))
    assert check(never_fires) == ()
    bad = eqx.tree_at(
        lambda s: (s.w_in, s.dash_mem, s.threshold),
        spec,
        (
            spec.w_in.at[2, 5, 1].set(jnp.nan),
            spec.dash_mem.at[3].set(jnp.inf),
            spec.threshold.at[1].set(-1),
        ),
    )
    found = [v.parameter for v in check(bad, chip=chip(max_input_neurons=5)["chip"])]
    assert found == ["w_in[:, 5]", "w_in[2, 5, 1]", "dash_mem[3]", "threshold[1]"]


def test_real_numbers_in_a_quantised_network(make_fitting):
    spec = make_fitting(dash_mem=np.full(6, 2.5), aliases=np.full(6, -1.0))
    violations = check(spec)
    assert [v.parameter for v in violations] == ["dash_mem", "aliases"]
    assert all("float32, but a quantised network holds integers" in v.message for v in violations)


def test_require_integers(make_fitting):
    require_integers(make_fitting(**chip(n_hidden=1)))
    with pytest.raises(ValueError, match=r"`bias\[3\]` is 32768"):
        require_integers(make_fitting(**at("bias", 3, 32768)))
    with pytest.raises(ValueError, match="real numbers; make it integers"):
        require_integers(make_fitting(dash_mem=np.full(6, 2.5)))


def test_the_chips():
    limits = {
        name: (c.n_inputs, c.n_hidden, c.n_outputs, c.n_synapses, c.max_recurrent_weights)
        for name, c in CHIPS.items()
    }
    assert limits == {
        "xylo1": (16, 1000, 8, 2, None),
        "audio2": (16, 1000, 8, 2, None),
        "audio3": (16, 992, 32, 2, 31744),
        "imu": (16, 496, 16, 1, 31744),
    }
    assert [c.core for c in CHIPS.values()] == [1, 2, 2, 2]
    assert get_chip("audio3") is get_chip(XYLO_AUDIO_3) is XYLO_AUDIO_3
    with pytest.raises(ValueError, match="xylo1, audio2, audio3, imu; got 'audio4'"):
        get_chip("audio4")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"w_in": np.zeros((3, 6), int)}, r"`w_in` must have the shape .* got \(3, 6\)"),
        ({"w_rec": np.zeros((6, 5, 2), int)}, r"`w_rec` .*= \(6, 6, 2\); got \(6, 5, 2\)"),
        ({"bias": np.zeros(5, int)}, r"`bias` must be \(hidden\) = \(6,\); got \(5,\)"),
        ({"w_out": np.zeros((6, 0), int)}, "`w_out` is empty"),
        ({"dt": 0.0}, "`dt` must be a number of seconds above 0; got 0.0"),
        ({"dash_mem": np.full(6, 2**40)}, "integers must fit in 32 bits"),
    ],
)
def test_what_no_chip_could_hold_is_refused_at_construction(make_fitting, fields, message):
    with pytest.raises(ValueError, match=message):
        make_fitting(**fields)


@pytest.mark.parametrize("end", [-(2**31), 2**31 - 1])
def test_both_ends_of_32_bits_can_be_held_and_none_beyond(make_fitting, end):
    assert make_fitting(dash_mem=np.full(6, end)).dash_mem.tolist() == [end] * 6
    with pytest.raises(ValueError, match="integers must fit in 32 bits"):
        make_fitting(dash_mem=np.full(6, end + np.sign(end)))


def test_violations_name_the_layer_of_the_model(make_fitting):
    layers = (Part("layers[1]", 4), Part("layers[3]", 2), Part("layers[5]", 2))
    spec = make_fitting(layers=layers, **at("w_rec", (0, 4, 1), 300), **at("w_out", (0, 1), -200))
    assert [v.message.partition(";")[0] for v in check(spec)] == [
        "`w_rec[0, 4, 1]` (`layers[3]`) is 300",
        "`w_out[0, 1]` (`layers[5]`) is -200",
    ]


def test_a_spec_can_be_made_under_jit(make_fitting):
    spec = make_fitting()
    made = jax.jit(lambda s: dataclasses.replace(s, w_out=s.w_out // 2))(spec)
    assert made.quantized
    assert (made.n_inputs, made.n_hidden, made.n_outputs, made.n_synapses) == (3, 6, 2, 2)


def test_what_is_no_number_is_named_at_construction(make_spec):
    for name, value in (("w_in", "abc"), ("dash_mem", None), ("bias", [[1.0], [1.0, 2.0]])):
        with pytest.raises(TypeError, match=f"`{name}` must be an array of real numbers"):
            make_spec(**{name: value})
