"""A network from a list of modules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx

from ..._checks import explained
from ...nn import Flatten, Sequential
from ...surrogate import Surrogate
from ._context import DEFAULT, Build, Context, output_shape
from ._jax import JAXPIKE, SPYX
from ._tools import NORSE, SINABS, SNNTORCH, SPIKINGJELLY
from ._torch import TORCH

BUILDERS: Mapping[str, Mapping[str, Build]] = {
    "torch": TORCH,
    "snntorch": SNNTORCH,
    "sinabs": {**TORCH, **SINABS},
    "spikingjelly": {**TORCH, **SPIKINGJELLY},
    "norse": NORSE,
    "spyx": SPYX,
    "flax": SPYX,
    "jaxpike": JAXPIKE,
}
"""The builders of layers by the package and the class of a module."""

_CONTAINERS = ("Sequential", "SequentialState", "Network", "StepModeContainer")


@explained
def from_modules(
    modules: Any,
    input_shape: int | Sequence[int],
    *,
    dt: float = 1e-3,
    surrogate: Surrogate | None = None,
) -> Sequential:
    """A network from modules of torch, snnTorch, sinabs, SpikingJelly, Norse, Spyx or jaxpike.

    The modules go one after another; lists within lists are opened. Weights, biases, decays,
    thresholds, resets and bounds are those of the modules as they are now; so is how each tool
    steps its neurons and whether they fire at the threshold or above it. Surrogates are functions
    there, and are given here.

        net = sinabs.from_torch.from_model(ann, input_shape=(2, 34, 34), batch_size=1)
        model = from_modules(net.spiking_model, (2, 34, 34))

    Args:
        modules: a `Sequential` of the tool, a network of sinabs' `from_model`, or a list.
        input_shape: shape of one step of the input, channels first, without the batch.
        dt: length of a step in seconds, for the neurons whose tool counts in steps.
        surrogate: spike function of all neurons; `PiecewiseLinear()` if None.

    Raises:
        ValueError: if there is a module or a setting that has no layer here; the message has its
            number and class.
    """
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    chosen = DEFAULT if surrogate is None else surrogate
    layers: list[Any] = []
    flattened: tuple[int, ...] | None = None
    for place, module in _opened(modules, ""):
        at = Context(shape, flattened, dt, chosen)
        try:
            made = _builder(module)(module, at)
            new = [] if made is None else made if isinstance(made, list) else [made]
            for layer in new:
                if isinstance(layer, Flatten):
                    flattened = shape
                elif isinstance(layer, eqx.nn.Linear):
                    flattened = None
                shape = output_shape(layer, shape)
        except (ValueError, TypeError, AttributeError) as error:
            name = type(module).__name__
            raise ValueError(f"`modules`, number {place}, {name}: {error}") from None
        layers += new
    return Sequential(*layers)


def _opened(modules: Any, place: str) -> Iterator[tuple[str, Any]]:
    """The modules in order, with their places, those within containers included."""
    inner = getattr(modules, "spiking_model", modules)
    layers: Iterable[Any] | None = None
    if isinstance(inner, list | tuple):
        layers = inner
    elif type(inner).__name__ in _CONTAINERS:
        layers = inner.layers if hasattr(inner, "layers") else inner.children()
    if layers is None:
        yield place or "0", inner
        return
    for i, module in enumerate(layers):
        yield from _opened(module, f"{place}.{i}" if place else str(i))


def _builder(module: Any) -> Build:
    for cls in type(module).__mro__:
        package = cls.__module__.partition(".")[0]
        if cls.__name__ in BUILDERS.get(package, {}):
            return BUILDERS[package][cls.__name__]
        if not _only_made_otherwise(cls):
            break
    package = type(module).__module__.partition(".")[0]
    if package in BUILDERS:
        raise ValueError(
            f"there is no layer for it; of {package}, there is: {', '.join(BUILDERS[package])}"
        )
    raise ValueError(
        f"there is no layer for it. Give the layers of a class of your own in order, as "
        f"`torch.nn.Sequential(net.fc1, net.lif1)`; there are layers of {', '.join(BUILDERS)}, and "
        "`interop.rockpool.load` for a file of Rockpool"
    )


def _only_made_otherwise(cls: type) -> bool:
    """Whether a class adds nothing to its base but another way to make it: it steps alike."""
    methods = {name for name, value in vars(cls).items() if callable(value)}
    return methods <= {"__init__", "__repr__", "extra_repr"}
