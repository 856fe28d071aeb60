"""Training on a mesh of devices: the batch over one of its axes, large weights over another."""

import dataclasses
import functools
import math
from typing import Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P

from .._checks import explained
from .._tree import leaves_with_path
from .._typing import PyTree
from ..params import families

Tree = TypeVar("Tree")

DATA, MODEL = "data", "model"


@dataclasses.dataclass(frozen=True)
class Sharding:
    """A mesh, and the rule that says where arrays of training are on it.

    Batches are split over the axis "data". Weights of more than `large` numbers, and what an
    optimiser keeps of them, are split over the axis "model", along their first axis that its size
    divides. All else is on every device. A step equals that on one device but for rounding.

    Attributes:
        mesh: a mesh with automatic axes, "data" and, if wanted, "model"; see `make`.
        large: numbers of a weight above which it is split.

    Raises:
        ValueError: if an axis of the mesh has another name, or is not automatic.
    """

    mesh: Mesh
    large: int = 1 << 16

    @explained
    def __post_init__(self) -> None:
        names, kinds = self.mesh.axis_names, set(self.mesh.axis_types)
        if DATA not in names or set(names) - {DATA, MODEL} or kinds != {AxisType.Auto}:
            raise ValueError(
                f"`mesh` must have the axes '{DATA}' and, if wanted, '{MODEL}', both automatic; "
                f"got {self.mesh}"
            )

    @classmethod
    def make(cls, text: str, *, large: int = 1 << 16) -> Self:
        """A mesh of all devices of all processes, from sizes such as "data=4,model=2".

        Raises:
            ValueError: if `text` is something else, or the sizes are not those of all devices.
        """
        sizes: dict[str, int] = {}
        for part in text.split(","):
            name, equals, size = part.strip().partition("=")
            if name not in (DATA, MODEL) or name in sizes or not equals or not size.isdecimal():
                raise ValueError(f"`mesh` must be like data=4 or data=4,model=2; got {text!r}")
            sizes[name] = int(size)
        devices = jax.device_count()
        if DATA not in sizes or math.prod(sizes.values()) != devices:
            raise ValueError(
                f"`mesh` must have an axis data, and sizes whose product is the number of devices, "
                f"{devices}; got {text!r}. On a CPU, JAX_NUM_CPU_DEVICES sets the number"
            )
        kinds = (AxisType.Auto,) * len(sizes)
        return cls(jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=kinds), large)

    def require(self, batch_size: int) -> None:
        """Raise ValueError unless a batch has equal parts for all devices."""
        parts = self.mesh.shape[DATA]
        if batch_size % parts:
            raise ValueError(
                f"`batch_size` must be a multiple of {parts}, the size of the axis '{DATA}'; got "
                f"{batch_size}; take {-(-batch_size // parts) * parts}"
            )

    def of(self, state: PyTree) -> PyTree:
        """The sharding of each array of a model, or of anything that holds one."""
        family = families(state)
        split = {
            leaf.shape
            for path, leaf in leaves_with_path(state)
            if family.get(path) == "weights" and leaf.size > self.large
        }

        def one(leaf: jax.Array) -> NamedSharding:
            spec = self._split(leaf.shape) if leaf.shape in split else P()
            return NamedSharding(self.mesh, spec)

        return jax.tree.map(one, eqx.filter(state, eqx.is_array))

    def _split(self, shape: tuple[int, ...]) -> P:
        parts = self.mesh.shape.get(MODEL, 1)
        for axis, size in enumerate(shape):
            if parts > 1 and size % parts == 0:
                return P(*(None,) * axis, MODEL)
        return P()

    def place(self, state: Tree) -> Tree:
        """A state on the mesh; nothing happens to one that is there."""
        arrays, rest = eqx.partition(state, eqx.is_array)
        return eqx.combine(jax.tree.map(_put, arrays, self.of(state)), rest)

    def share(self, data: Tree) -> Tree:
        """Data in memory, the same in all processes, on every device."""
        everywhere = NamedSharding(self.mesh, P())
        return jax.tree.map(lambda x: _put(x, everywhere), data)

    def held(self, state: Tree) -> Tree:
        """A state within a program, kept where `of` says."""
        arrays, rest = eqx.partition(state, eqx.is_array)
        return eqx.combine(jax.lax.with_sharding_constraint(arrays, self.of(state)), rest)

    def split(self, batch: Tree, axis: int = 0) -> Tree:
        """A batch within a program, split along its axis for sequences."""
        spec = NamedSharding(self.mesh, P(*(None,) * axis, DATA))
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, spec), batch)

    def part(self) -> tuple[int, int]:
        """The part of each batch that this process reads, and the number of parts.

        Processes that share a part, since only the axis "model" is between them, read the same.

        Raises:
            ValueError: if the devices of this process are no whole part.
        """
        axis, process = self.mesh.axis_names.index(DATA), jax.process_index()
        places = np.ndenumerate(self.mesh.devices)
        own = sorted({at[axis] for at, device in places if device.process_index == process})
        first, size, whole = own[0], len(own), self.mesh.shape[DATA]
        if own != list(range(first, first + size)) or first % size or whole % size:
            raise ValueError(
                f"`mesh` must have the devices of each process in a row of the axis '{DATA}'; "
                f"those of process {process} are at {own} of {whole}; order its devices by process"
            )
        return first // size, whole // size

    def assemble(self, batch: Tree) -> Tree:
        """A batch over the mesh, of which each process has the arrays of its `part`."""
        split, (_, parts) = NamedSharding(self.mesh, P(DATA)), self.part()

        def one(x: np.ndarray) -> jax.Array:
            shape = (len(x) * parts, *x.shape[1:])
            return jax.make_array_from_process_local_data(split, np.asarray(x), shape)

        return jax.tree.map(one, batch)

    def gather(self, state: Tree) -> Tree:
        """A state as arrays of this process alone. Every process must call it."""
        arrays, rest = eqx.partition(state, eqx.is_array)
        whole = _spread(arrays, NamedSharding(self.mesh, P()))
        return eqx.combine(jax.tree.map(_local, whole), rest)


def _put(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    if isinstance(x, jax.Array) and x.sharding.is_equivalent_to(sharding, x.ndim):
        return x
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.device_put(x, sharding)
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        return _spread(x, sharding)
    held = np.asarray(x)
    return jax.make_array_from_callback(held.shape, sharding, lambda index: held[index])


@functools.partial(jax.jit, static_argnums=1)
def _spread(arrays: PyTree, sharding: NamedSharding) -> PyTree:
    """Arrays split otherwise. One program for all calls, since it is a function of the file."""
    return jax.lax.with_sharding_constraint(arrays, sharding)


def _local(x: jax.Array) -> jax.Array:
    return jnp.asarray(np.asarray(x.addressable_data(0)))
