"""Networks in words, a line for each layer."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax

from .._checks import require
from .._tree import leaves_with_path
from ..quant import Transform
from ._layer import Hooks
from ._neuron import Neuron


def describe(network: Any) -> str:
    """The layers with their shapes and numbers of parameters; of a plan, its transforms.

    Args:
        network: a network, or a pytree of one's structure.

    Raises:
        ValueError: if it is none.
    """
    require(_is_network(network), "network", network, "a network, such as Sequential(...)")
    rows = [*_rows(network, "")]
    names, words, sizes = zip(*rows, strict=True) if rows else ((), (), ())
    wide, long = (max(map(len, column), default=0) for column in (names, words))
    total = parameters(network)
    lines = [f"{type(network).__name__}" + (f", {total:,} parameters" if total else "")]
    for name, what, size in zip(names, words, sizes, strict=True):
        count = f"{size:,}" if size else ""
        lines.append(f"  {name:{wide}}  {what:{long}}  {count:>{len(f'{total:,}')}}".rstrip())
    return "\n".join(lines)


def parameters(tree: Any) -> int:
    """How many numbers of floating point there are in the arrays of a pytree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf))


def layer_words(layer: Any) -> str:
    """One layer in a few words: `Linear 8 -> 24`, `LIF 24`."""
    kind = type(layer).__name__
    if isinstance(layer, Neuron):
        fed = "" if layer.w_rec is None else ", recurrent"
        return f"{kind} {_by(layer.shape)}{fed}"
    if isinstance(layer, eqx.nn.Linear):
        return f"{kind} {layer.in_features} -> {layer.out_features}{_bias(layer)}"
    if isinstance(layer, eqx.nn.Conv | eqx.nn.ConvTranspose):
        step = "" if set(layer.stride) == {1} else f", stride {_by(layer.stride)}"
        sizes = f"{layer.in_channels} -> {layer.out_channels}"
        return f"{kind} {sizes}, kernel {_by(layer.kernel_size)}{step}{_bias(layer)}"
    if not isinstance(layer, eqx.Module):
        return getattr(layer, "__name__", kind)
    return kind


def _rows(network: Any, indent: str) -> Iterator[tuple[str, str, int]]:
    """The name, the words and the number of parameters of each layer."""
    for i, layer in enumerate(network.layers):
        name = network.names[i]
        label = f"{indent}[{i}]" + ("" if name is None else f" {name}")
        if _is_network(layer):
            yield label, type(layer).__name__, parameters(layer)
            yield from _rows(layer, indent + "  ")
        else:
            yield label, layer_words(layer) + _transforms(layer), parameters(layer)
    for path, hook in _hooks(network.on_output):
        yield f"{indent}[{path}]", f"output: {hook}", 0


def _is_network(layer: Any) -> bool:
    return hasattr(layer, "layers") and hasattr(layer, "names")


def _transforms(layer: Any) -> str:
    """The transforms in the places of a layer's arrays, of a plan."""
    leaves = leaves_with_path(layer, is_leaf=lambda x: isinstance(x, Transform | Hooks))
    found = [f"{path}: {leaf}" for path, leaf in leaves if isinstance(leaf, Transform)]
    for _, hooks in leaves:
        found += [f"{name}: {hook}" for name, hook in _hooks(hooks)]
    return f" ({'; '.join(found)})" if found else ""


def _hooks(hooks: Any) -> list[tuple[str, Any]]:
    return [*hooks.transforms.items()] if isinstance(hooks, Hooks) else []


def _bias(layer: Any) -> str:
    return ", bias" if layer.use_bias else ""


def _by(sizes: Any) -> str:
    """Sizes as they are said: 4 x 5 x 5."""
    return " x ".join(map(str, sizes)) or "one"
