"""Front ends as registers and fields of the vendor's objects."""

import pytest

from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, Audio3, Imu, export


def test_registers_hold_the_numbers_of_all_channels():
    front_end = Audio3(eps=tuple(range(100, 116)), k=11, b1=7, b2=5, threshold=(1 << 40) + 3)
    made = export(front_end)
    registers = made["registers"]
    assert len(registers) == 3 * 2 + 2 * 8 + 4 * 8 + 2 * 16
    for i, band in enumerate(AUDIO_3_FILTERS):
        for name, value in (("a1", band.a1), ("a2", band.a2)):
            field = registers[f"bpf_{name}_reg{i // 2}"] >> 16 * (i % 2) & 0xFFFF
            assert (field ^ 0x8000) - 0x8000 == value
        for name, value in (("bb", band.b_shift), ("baf", band.a_shift), ("bwf", 8)):
            assert registers[f"bpf_{name}_reg{i // 8}"] >> 4 * (i % 8) & 0xF == value
        for name, value in (("eps", 100 + i), ("b", 11), ("k1", 7), ("k2", 5)):
            assert registers[f"dn_{name}_reg{i // 2}"] >> 16 * (i % 2) & 0xFFFF == value
        assert registers[f"iaf_thr{i}_l"] + (registers[f"iaf_thr{i}_h"] << 32) == (1 << 40) + 3
    assert made["filter_bank"]["dn_enable"] is True
    assert made["filter_bank"]["bpf_a1_values"][0] == -32694
    assert made["dt"] == front_end.dt


def test_channels_without_a_filter_are_zero_and_one_switch_serves_all():
    two = export(Audio3(filters=AUDIO_3_FILTERS[:2], normalise=False))
    assert two["registers"]["bpf_a2_reg1"] == 0
    assert two["filter_bank"]["dn_enable"] is False
    with pytest.raises(ValueError, match="`normalise` must be the same of all channels"):
        export(Audio3(filters=AUDIO_3_FILTERS[:2], normalise=(True, False)))


def test_the_imu_has_the_arguments_of_its_interface():
    made = export(Imu(encoder="iaf", k=3, period=20, shift=4, threshold=tuple(range(1, 16))))
    assert made["select_iaf_output"] is True
    assert made["bypass_jsvd"] is False
    assert (made["estimator_k_setting"], made["update_matrix_threshold"]) == (3, 20)
    assert made["scale_values"] == [4] * 15
    assert made["iaf_threshold_values"] == list(range(1, 16))
    assert made["bpf_a1_values"][:2] == [-64458, -63288]
    assert {len(v) for k, v in made.items() if k.startswith("bpf")} == {15}
