"""torch's own layers, those of SpikingJelly that wrap them, and sinabs' pooling."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax

from ...nn import Flatten, SumPool2d
from ._context import Build, Context, conv, linear, number, require


def _linear(m: Any, at: Context) -> eqx.nn.Linear:
    return linear(number(m.weight), m.bias)


def _conv(m: Any, at: Context) -> Any:
    padding = m.padding
    require(m.padding_mode == "zeros", f"it pads with {m.padding_mode!r}, not with zeros")
    return conv(
        number(m.weight),
        m.bias,
        stride=m.stride,
        padding=padding.upper() if isinstance(padding, str) else padding,
        dilation=m.dilation,
        groups=m.groups,
    )


def _avgpool(m: Any, at: Context) -> eqx.nn.AvgPool2d:
    padded = m.padding not in (0, (0, 0))
    require(not m.ceil_mode, "`ceil_mode` must be off")
    require(m.count_include_pad or not padded, "`count_include_pad` must be on where it pads")
    require(m.divisor_override is None, "`divisor_override` must be None")
    return eqx.nn.AvgPool2d(_pair(m.kernel_size), _pair(m.stride), _pair(m.padding))


def _maxpool(m: Any, at: Context) -> eqx.nn.MaxPool2d:
    require(not m.ceil_mode, "`ceil_mode` must be off")
    require(m.dilation in (1, (1, 1)), "`dilation` must be 1")
    return eqx.nn.MaxPool2d(_pair(m.kernel_size), _pair(m.stride), _pair(m.padding))


def _batch_norm(m: Any, at: Context) -> Any:
    fuse = "fuse_linear_bn_eval" if type(m).__name__ == "BatchNorm1d" else "fuse_conv_bn_eval"
    raise ValueError(
        "fold it into the layer before it first, once trained: "
        f"`torch.nn.utils.fusion.{fuse}(layer.eval(), norm.eval())`"
    )


def _sumpool(m: Any, at: Context) -> SumPool2d:
    stride = m.kernel_size if m.stride is None else m.stride
    require(not m.ceil_mode, "`ceil_mode` must be off")
    return SumPool2d(_pair(m.kernel_size), _pair(stride))


def _flatten(m: Any, at: Context) -> Flatten:
    whole = m.start_dim == 1 and m.end_dim in (-1, len(at.shape))
    require(whole, "it must flatten all axes but that of the batch")
    return Flatten()


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


TORCH: Mapping[str, Build] = {
    "Linear": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _avgpool,
    "MaxPool2d": _maxpool,
    "SumPool2d": _sumpool,
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), _batch_norm),
    "Flatten": _flatten,
    "Identity": lambda m, at: None,
    "Dropout": lambda m, at: eqx.nn.Dropout(m.p, inference=not getattr(m, "training", True)),
    "ReLU": lambda m, at: jax.nn.relu,
}
