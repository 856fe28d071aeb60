"""Front ends as the registers and fields of the vendor's configuration objects."""

from typing import Any

from ...._checks import explained
from ._audio3 import Audio3
from ._imu import Imu
from ._settings import of_channels

_REGISTERS = 16
"""Channels of Audio 3, which all have registers, in use or not."""


@explained
def export(front_end: Audio3 | Imu) -> dict[str, Any]:
    """The fields of the vendor's configuration for a front end.

    For Audio 3 a dictionary of registers, by the names that Rockpool 3.1's `register_config_XA3` of
    its filter bank and of its divisive normalisation has, and the fields `bpf_a1_values`,
    `bpf_a2_values` and `dn_enable` of samna's `digital_frontend.filter_bank`. Several small numbers
    share a register, the first channel in the lowest bits; numbers below 0 are in two's complement.
    The chip counts the clocks of a step of the core by its own time base, `dt`.

    For IMU the arguments of samna's `InputInterfaceConfig`, as Rockpool's `export_config` has them.

    Args:
        front_end: the front end.

    Raises:
        ValueError: if only some channels of Audio 3 are normalised, for which there is one switch.
    """
    return _audio3(front_end) if isinstance(front_end, Audio3) else _imu(front_end)


def _audio3(front_end: Audio3) -> dict[str, Any]:
    enabled = set(of_channels(front_end, "normalise"))
    if len(enabled) > 1:
        raise ValueError("`normalise` must be the same of all channels, for the chip's switch")
    filters = front_end.filters
    registers: dict[str, int] = {}
    for name, field in (("bb", "b_shift"), ("bwf", "w_shift"), ("baf", "a_shift")):
        values = [getattr(band, field) for band in filters]
        registers |= _packed(f"bpf_{name}_reg", values, 4)
    for name in ("a1", "a2"):
        values = [getattr(band, name) & 0xFFFF for band in filters]
        registers |= _packed(f"bpf_{name}_reg", values, 16)
    for name, field in (("eps", "eps"), ("b", "k"), ("k1", "b1"), ("k2", "b2")):
        registers |= _packed(f"dn_{name}_reg", of_channels(front_end, field), 16)
    for channel, threshold in enumerate(of_channels(front_end, "threshold")):
        registers[f"iaf_thr{channel}_l"] = threshold & 0xFFFF_FFFF
        registers[f"iaf_thr{channel}_h"] = threshold >> 32
    fields = {
        "bpf_a1_values": [band.a1 for band in filters],
        "bpf_a2_values": [band.a2 for band in filters],
        "dn_enable": enabled == {True},
    }
    return {"registers": registers, "filter_bank": fields, "dt": front_end.dt}


def _packed(name: str, values: Any, bits: int) -> dict[str, int]:
    """As many values as fit into each register of 32 bits; unused channels are 0."""
    padded = [*values, *[0] * (_REGISTERS - len(values))]
    each = 32 // bits
    return {
        f"{name}{i}": sum(v << bits * n for n, v in enumerate(padded[i * each : (i + 1) * each]))
        for i in range(_REGISTERS // each)
    }


def _imu(front_end: Imu) -> dict[str, Any]:
    filters = front_end.filters
    return {
        "enable": True,
        "bpf_a1_values": [band.a1 for band in filters],
        "bpf_a2_values": [band.a2 for band in filters],
        "bpf_baf_values": [band.a_shift for band in filters],
        "bpf_bb_values": [band.b_shift for band in filters],
        "bpf_bwf_values": [band.w_shift for band in filters],
        "bypass_jsvd": not front_end.remove_rotation,
        "estimator_k_setting": front_end.k,
        "iaf_threshold_values": list(of_channels(front_end, "threshold")),
        "scale_values": list(of_channels(front_end, "shift")),
        "select_iaf_output": front_end.encoder == "iaf",
        "update_matrix_threshold": front_end.period,
    }
