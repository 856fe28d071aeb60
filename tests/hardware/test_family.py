"""The parts that the families share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import hardware
from snnjax.hardware import ParameterReport, Usage, _family, dynapcnn, xylo
from snnjax.hardware._family import Chip, as_array, entries, find_chip, name_of

CHIPS = {"one": Chip(name="One"), "two": Chip(name="Two", weight_bits=4)}


@pytest.mark.parametrize("of", ["xylo", "imu", xylo.XYLO_IMU])
def test_a_chip_names_its_family(of):
    assert hardware.family(of) is xylo
    assert hardware.family("speck2f") is hardware.family(dynapcnn.SPECK_2E) is dynapcnn


def test_a_spec_names_its_family(small_xylo):
    assert hardware.family(small_xylo) is xylo


@pytest.fixture
def small_xylo():
    return xylo.Spec(
        w_in=np.zeros((1, 1, 1), int),
        w_rec=np.zeros((1, 1, 1), int),
        w_out=np.zeros((1, 1), int),
        dash_mem=[1],
        dash_mem_out=[1],
        dash_syn_out=[1],
        dash_syn=[[1]],
        threshold=[1],
        threshold_out=[1],
        dt=1e-3,
        chip=xylo.XYLO_AUDIO_3,
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weight_bits", 10**30, "`weight_bits` must be from 1 to 32 bits; got 1000"),
        ("state_bits", 0, "`state_bits` must be from 1 to 32 bits; got 0"),
        ("weight_bits", 8.0, "`weight_bits` must be a whole number; got 8.0"),
        ("name", None, "`name` must be text; got None"),
    ],
)
def test_a_chip_of_impossible_bits_is_an_error(field, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Chip(**({"name": "own"} | {field: value}))


@pytest.mark.parametrize("of", ["xylo4", Chip(name="other"), None, 3])
def test_an_unknown_chip_is_an_error_that_lists_the_chips(of):
    with pytest.raises(ValueError, match=r"xylo \(xylo1, .*imu\) or dynapcnn \(speck2e, .*; got "):
        hardware.family(of)


def test_short_names_of_chips_are_unique_over_the_families():
    names = [name for family in hardware.FAMILIES for name in hardware.family(family).CHIPS]
    assert len(set(names)) == len(names)


def test_find_chip_and_name_of():
    assert find_chip("two", CHIPS) is find_chip(CHIPS["two"], CHIPS) is CHIPS["two"]
    assert name_of(dataclasses.replace(CHIPS["two"]), CHIPS) == "two"
    for chip in ("three", None, ["one"]):
        with pytest.raises(ValueError, match="`chip` must be a Chip or one of one, two; got"):
            find_chip(chip, CHIPS)
    with pytest.raises(ValueError, match=r"`spec.chip` must be one of one, two; got .*'Three'"):
        name_of(Chip(name="Three"), CHIPS)
    assert (CHIPS["two"].max_weight, CHIPS["two"].max_state) == (7, 32767)


def test_as_array_keeps_both_ends_of_32_bits_and_refuses_what_is_beyond():
    ends = [-(2**31), 2**31 - 1]
    assert as_array(ends).tolist() == ends
    assert as_array(None) is None
    assert as_array([1.5]).dtype == jnp.float32
    assert as_array(np.zeros(0, np.int64)).dtype == jnp.int32
    for end in (-(2**31) - 1, 2**31, np.uint64(2**63)):
        with pytest.raises(ValueError, match="integers must fit in 32 bits; got"):
            as_array(np.array([end]))


def test_entries_name_the_first_and_count_the_others():
    array = np.array([[1, 9], [8, 2]])
    (found,) = entries("w", array, array > 5, 5, "must be at most 5", owner="layers[0]")
    assert (found.parameter, found.value, found.limit) == ("w[0, 1]", 9, 5)
    assert found.message == "`w[0, 1]` (`layers[0]`) is 9; must be at most 5 (and 1 more)"
    assert not list(entries("w", array, array > 9, 5, ""))
    (scalar,) = entries("v", np.array(0.5), np.array(True), 1, "must be above 1")
    assert scalar.message == "`v` is 0.5; must be above 1"


def test_known_values():
    arrays = {"a": jnp.ones(2), "b": jnp.zeros(1)}

    def traced(b):
        assert not _family.is_known(b)
        assert set(_family.known(arrays | {"b": b})) == {"a"}

    jax.jit(traced)(arrays["b"])
    assert set(_family.known(arrays)) == {"a", "b"}


def test_the_rows_of_usage_and_parameters_as_text():
    assert str(Usage("hidden neurons", 1234, 2000)) == "hidden neurons: 1,234 of 2,000"
    assert str(Usage("kernel memory", 8, None, "layers[0]")) == "kernel memory (layers[0]): 8"
    decay = ParameterReport("layers[1].tau_mem", 24, 20e-3, 16e-3, None, (4, 4), 14.0)
    assert str(decay) == "layers[1].tau_mem: 24 x 20 ms -> 16 ms (-20.0%), integer 4"


def test_a_row_of_a_scaled_parameter():
    row = _family.report_parameter("weight", [0.0, 0.01, -1.0], [0, 0, -10], 10.0, clipped=2)
    assert (row.size, row.integers, row.zeroed, row.clipped) == (3, (-10, 0), 1, 2)
    assert row.before == pytest.approx(1.01 / 3)
    assert row.after == pytest.approx(1 / 3)
    assert row.sqnr == pytest.approx(10 * np.log10(1.0001 / 0.0001))
    assert str(row).endswith("integers -10 to 0, scale 10, SQNR 40.0 dB, 1 become 0, 2 clipped")
    assert _family.report_parameter("bias", [0.0], [0], 3.0).sqnr == float("inf")
