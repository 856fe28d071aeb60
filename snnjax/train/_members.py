"""Members of a sweep: a recipe with many settings, trained in one program."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxtyping import Array, Int

from .. import transforms
from .._typing import Key, PyTree
from ._fit import Data
from ._loop import Metrics, TrainState, batches, make_step
from ._recipe import Recipe
from ._stages import Through

MEMBERS = "members"
"""The axis of devices over which members are split."""


class Members:
    """Members of a sweep that differ only in settings that one program takes as numbers.

    Every array of the state has the members as its first axis. They are split over the devices of
    this process, over as many as divide their number. A member whose loss is not finite goes on as
    NaN and leaves the others alone.

    Attributes:
        recipes: the recipe of each member, in the order of the axis.

    Raises:
        ValueError: as `Recipe.start` does; or if the members cannot be one program.
    """

    def __init__(self, recipes: Sequence[Recipe], rules: transforms.Rules | None = None):
        self.recipes = tuple(recipes)
        first = self.recipes[0]
        if type(first).train is not Recipe.train:
            raise ValueError(
                f"`recipe`: {type(first).__name__} has a `train` of its own, which a sweep does "
                "not call; train its members one by one"
            )
        if first.loader != "memory":
            raise ValueError(f"`loader` of a sweep must be memory; got {first.loader!r}")
        loaded: dict[int | None, Data] = {}
        for recipe in self.recipes:
            seed = recipe.seed if recipe.seeded_data else None
            if seed not in loaded:
                loaded[seed] = recipe.load_data()
        self._data = [loaded[r.seed if r.seeded_data else None] for r in self.recipes]
        self._shares_data = len(loaded) == 1
        self._starts = [r.start(d, rules) for r, d in zip(self.recipes, self._data, strict=True)]
        devices = jax.local_devices()
        count = max(n for n in range(1, len(devices) + 1) if len(self.recipes) % n == 0)
        kinds = (AxisType.Auto,)
        self._mesh = jax.make_mesh((count,), (MEMBERS,), kinds, devices=devices[:count])

    def __len__(self) -> int:
        return len(self.recipes)

    def data(self, index: int) -> Data:
        """The data of a member."""
        return self._data[index]

    def start(self) -> TrainState:
        """The state before the first epoch."""
        return _stacked(self._starts)

    def member(self, state: TrainState, index: int) -> TrainState:
        """The state of one member, as `Recipe.train` would give it."""
        here = jax.local_devices()[0]

        def taken(own: Any, of_all: Any) -> Any:
            return jax.device_put(of_all[index], here) if eqx.is_array(own) else own

        return jax.tree.map(taken, self._starts[index], state)

    def train(self, state: TrainState) -> Iterator[tuple[TrainState, Metrics]]:
        """Train all members from `state` to their last epoch.

        Yields:
            The state and the metrics after each epoch, each with an entry for every member.
        """
        inputs, state = self._inputs(), self._placed(state, MEMBERS)
        for stage in self.recipes[0].schedule:
            epoch = _make_epoch(self.recipes[0], stage.through)
            while _epoch_of(state) < stage.end:
                with jax.set_mesh(self._mesh):
                    state, metrics = epoch(state, *inputs)
                yield state, metrics

    def _inputs(self) -> "tuple[_Own, PyTree]":
        """The inputs of an epoch: those of each member, and the data that all share."""
        keys = jnp.stack([jax.random.key(recipe.seed + 1) for recipe in self.recipes])
        settings = _differing(self.recipes)
        if self._shares_data:
            own = _Own(settings, None, keys)
            return self._placed(own, MEMBERS), self._placed(self._data[0].train)
        data = _stacked([data.train for data in self._data])
        return self._placed(_Own(settings, data, keys), MEMBERS), None

    def _placed(self, tree: PyTree, *axes: str) -> PyTree:
        arrays, rest = eqx.partition(tree, eqx.is_array)
        where = NamedSharding(self._mesh, P(*axes))
        return eqx.combine(jax.device_put(arrays, where), rest)


class _Own(NamedTuple):
    """The settings, data and key of each member.

    Attributes:
        settings: those that differ among members, as arrays.
        data: the sequences to train on; None if all members share them.
        key: for the order of the data and all that is random.
    """

    settings: Mapping[str, Array]
    data: PyTree
    key: Key


def _make_epoch(recipe: Recipe, through: Through) -> Callable[..., tuple[TrainState, Metrics]]:
    """A function that trains all members for one pass: epoch(state, own, shared data)."""
    each = eqx.if_array(0)

    def draw(state: TrainState, own: _Own, shared: PyTree) -> tuple[Array, Key]:
        data = shared if own.data is None else own.data
        return batches(state, data, own.key, recipe.batch_size)

    def one(
        state: TrainState, own: _Own, order: Int[Array, " batch_size"], key: Key, shared: PyTree
    ) -> tuple[TrainState, Metrics]:
        data = shared if own.data is None else own.data
        member = copy.copy(recipe)
        for name, value in own.settings.items():
            object.__setattr__(member, name, value)
        optimizer = member.optimizer(state.model, len(jax.tree.leaves(data)[0]))
        step = make_step(member.loss(through), optimizer)
        return step(state, (jax.tree.map(lambda x: x[order], data), key))

    draw_all = eqx.filter_vmap(draw, in_axes=(each, 0, None), out_axes=1)
    step = eqx.filter_vmap(one, in_axes=(each, 0, 0, 0, None))

    def in_one_call(state: TrainState, own: _Own, shared: PyTree) -> tuple[TrainState, Metrics]:
        arrays, static = eqx.partition(state, eqx.is_array)

        def body(arrays: PyTree, inputs: tuple[Array, Key]) -> tuple[PyTree, Metrics]:
            after, metrics = step(eqx.combine(arrays, static), own, *inputs, shared)
            return eqx.filter(after, eqx.is_array), metrics

        arrays, metrics = jax.lax.scan(body, arrays, draw_all(state, own, shared))
        return eqx.combine(arrays, static), metrics

    def call_by_call(state: TrainState, own: _Own, shared: PyTree) -> tuple[TrainState, Metrics]:
        found = []
        for order, key in zip(*draw_compiled(state, own, shared), strict=True):
            state, metrics = step_compiled(state, own, order, key, shared)
            found.append(metrics)
        return state, jax.tree.map(lambda *ms: jnp.stack(ms), *found)

    step_compiled, draw_compiled = eqx.filter_jit(step), eqx.filter_jit(draw_all)
    run = eqx.filter_jit(in_one_call) if recipe.compiled == "epoch" else call_by_call

    def epoch(state: TrainState, own: _Own, shared: PyTree) -> tuple[TrainState, Metrics]:
        after, metrics = run(state, own, shared)
        after = TrainState(after.model, after.opt_state, after.epoch + 1, after.statistics)
        return after, jax.tree.map(lambda m: m.mean(axis=0), metrics)

    return epoch


def _differing(recipes: Sequence[Recipe]) -> dict[str, Array]:
    """The settings that differ among members, as arrays of one entry for each."""
    found = {}
    for name in sorted(recipes[0].traced):
        values = [getattr(recipe, name) for recipe in recipes]
        if any(value != values[0] for value in values):
            found[name] = _array(values)
    return found


def _array(values: Sequence[Any]) -> Array:
    whole = all(isinstance(value, int) for value in values)
    return jnp.asarray(np.asarray(values, np.int64 if whole else np.float64))


def _stacked(trees: Sequence[PyTree]) -> PyTree:
    """One pytree, with the arrays of all along a new first axis; numbers that differ become one.

    Raises:
        ValueError: if the pytrees have other structures, or other values that differ.
    """
    structures: list[Any] = [jax.tree.structure(tree) for tree in trees]
    alike = all(structure == structures[0] for structure in structures)
    leaves = list(zip(*map(jax.tree.leaves, trees), strict=alike))
    if not alike or not all(map(_can_be_stacked, leaves)):
        raise ValueError(
            "`recipe`: the networks or plans of the members are of different structures, or have "
            "settings that are no numbers; leave such a setting out of `traced` of the recipe"
        )
    return jax.tree.unflatten(structures[0], map(_stack, leaves))


def _can_be_stacked(leaves: Sequence[Any]) -> bool:
    if all(map(eqx.is_array, leaves)):
        return len({(x.shape, x.dtype) for x in leaves}) == 1
    return _are_equal(leaves) or all(isinstance(leaf, int | float) for leaf in leaves)


def _stack(leaves: Sequence[Any]) -> Any:
    if all(map(eqx.is_array, leaves)):
        return jnp.stack(leaves)
    return leaves[0] if _are_equal(leaves) else _array(leaves)


def _are_equal(leaves: Sequence[Any]) -> bool:
    return all(leaf is leaves[0] or bool(np.all(leaf == leaves[0])) for leaf in leaves)


def _epoch_of(state: TrainState) -> int:
    return int(np.asarray(state.epoch)[0])
