"""The base of all networks of layers."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import equinox as eqx
import jax

from .._checks import InputError, explained
from .._typing import FloatArray, Key, PyTree
from ._describe import describe
from ._layer import Hooks, Layer, Records
from ._static import alike, apply_static, require_one_argument, static_state

Block: TypeAlias = Callable[..., Any]
"""A `Layer`, or anything else callable: applied at every time step."""

Entry: TypeAlias = Block | tuple[str, Block]
"""A layer, or its name and the layer."""


class Network(Layer):
    """Layers, each with its place in the network's state, records and transforms.

    A layer with a state is a `Layer`. Any other callable, such as a layer of equinox, is applied at
    every time step, as one batched call.

    `network[1]` and `network["name"]` are its layers. The paths of `record` and `transforms` go by
    number, also for a layer with a name; `network.path("name")` gives them.

    Attributes:
        layers: the layers.
        names: the name of each; None for one without.
        on_output: transforms of the outputs of layers by their number as text; None for none.
    """

    layers: tuple[Block, ...]
    names: tuple[str | None, ...] = eqx.field(static=True)
    on_output: Hooks | None

    @explained
    def __init__(self, *layers: Entry | Mapping[str, Block]):
        """Make a network.

        Args:
            *layers: layers, in order; each alone or as (name, layer); or one dictionary of all by
                name.

        Raises:
            ValueError: if there are none, or if two have the same name.
            TypeError: if one of them cannot be called, is a class or needs several arguments, or
                if there is more than a dictionary.
        """
        if len(layers) > 1 and any(isinstance(entry, Mapping) for entry in layers):
            raise TypeError("`layers` must be one dictionary of all layers, or layers without one")
        given = layers[0].items() if layers and isinstance(layers[0], Mapping) else layers
        pairs = [_named(entry) for entry in given]
        if not pairs:
            raise ValueError("`layers` is empty; give at least one layer")
        for i, (name, layer) in enumerate(pairs):
            if not callable(layer) or isinstance(layer, type):
                raise TypeError(f"`layers[{i}]` must be a layer; got {_instead(layer)}")
            if not isinstance(layer, Layer):
                require_one_argument(f"layers[{i}]", layer)
            if name is not None and name in [other for other, _ in pairs[:i]]:
                raise ValueError(f"`layers[{i}]` must have a name of its own; got {name!r} again")
        self.names = tuple(name for name, _ in pairs)
        self.layers = tuple(alike(layer) for _, layer in pairs)
        self.on_output = None

    def __getitem__(self, which: int | str) -> Block:
        return self.layers[self._index(which) if isinstance(which, str) else which]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return describe(self)

    def path(self, *names: str) -> str:
        """The path of a layer by its name, or by those of the networks around it and its own."""
        index = self._index(names[0])
        path, inner = f"layers[{index}]", self.layers[index]
        if len(names) == 1:
            return path
        if not isinstance(inner, Network):
            raise ValueError(f"`names`: {names[0]!r} is no network; got {names[1]!r} inside it")
        return f"{path}.{inner.path(*names[1:])}"

    def _index(self, name: str) -> int:
        if name not in self.names:
            known = ", ".join(repr(name) for name in self.names if name is not None)
            raise KeyError(f"no layer is called {name!r}; there is: {known or 'no named layer'}")
        return self.names.index(name)

    def initial_state(self) -> PyTree:
        """A tuple with the state of each layer, None for one without."""
        return tuple(
            layer.initial_state() if isinstance(layer, Layer) else static_state(layer)
            for layer in self.layers
        )

    def _states(self, state: PyTree) -> PyTree:
        """`state`, one for each layer; None is the resting state of a layer, or of all."""
        if state is None:
            return self.initial_state()
        plain = type(state) in (tuple, list)
        if not plain or len(state) != len(self.layers):
            found = len(state) if plain else f"one {type(state).__name__}"
            raise InputError(
                f"`state` must have one entry for each of the {len(self.layers)} layers; "
                f"got {found}"
            )
        return state

    def _evolve_layer(
        self, i: int, x: FloatArray, state: PyTree, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """Layer `i` over time, with its transform. `key` is the network's; records have paths."""
        layer, path = self.layers[i], f"layers[{i}]"
        own, hook_key = (
            (None, None) if key is None else jax.random.split(jax.random.fold_in(key, i))
        )
        found: Records = {}
        try:
            if isinstance(layer, Layer):
                x, state, found = layer.evolve(x, state, key=own, record=record)
            else:
                x, state = apply_static(layer, x, state, own)
        except InputError as error:
            raise error.inside(path) from error.__cause__
        if self.on_output is not None:
            x = self.on_output(str(i), x, key=hook_key)
        if not record:
            return x, state, {}
        return x, state, {f"{path}.{name}": v for name, v in {**found, "output": x}.items()}


def _named(entry: Any) -> tuple[str | None, Any]:
    match entry:
        case (str(name), layer):
            return name, layer
    return None, entry


def _instead(given: Any) -> str:
    """A description of a value given in the place of a layer, with a hint at the likely mistake."""
    if isinstance(given, type):
        return f"the class {given.__name__}; make a layer of it: {given.__name__}(...)"
    hint = "; give the layers in it one by one: Sequential(*layers)"
    return type(given).__name__ + (hint if isinstance(given, list | tuple) else "")
