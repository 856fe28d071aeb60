"""Networks as programs that run without snnjax: `jax.export`, for CPU, CUDA and TPU at once.

A program takes and gives arrays of any batch and any number of steps. Any process with jax runs it:

    from jax import export
    program = export.deserialize(open("network.jaxexport", "rb").read())
    found = program.call(counts)

Programs hold the numbers of the network; that of a training step takes and gives them. Functions of
one's own are exported in the same way, with `jax.export.export` and `shapes`. The checks of
`simulate` and `emulate`, which ask the host, need `checked=False` in them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import export as jax_export
from jaxtyping import Array

from .._checks import explained
from .._extras import extra
from .._files import write_whole
from .._typing import PyTree
from ..hardware import family
from ..hardware.xylo import Spec as XyloSpec
from ..nn import Layer

Exported: TypeAlias = jax_export.Exported
"""A compiled program as `jax.export` writes it."""

PLATFORMS = ("cpu", "cuda", "tpu")
"""The platforms that a program runs on."""


@explained
def shapes(*trailing: tuple[int, ...], names: str = "batch, time") -> list[tuple[Any, ...]]:
    """Shapes that begin with the same symbolic sizes.

    Args:
        *trailing: the rest of each shape.
        names: names of the symbolic sizes.
    """
    scope = jax_export.SymbolicScope()
    sizes = jax_export.symbolic_shape(names, scope=scope)
    return [(*sizes, *rest) for rest in trailing]


@explained
def simulator(spec: Any, *, platforms: Sequence[str] = PLATFORMS) -> Exported:
    """The bit-exact simulator of a quantised network, from rest.

    The program takes numbers of events in int32, `(batch, time, ...)` as `simulate` does; numbers
    that no input can have are cut. It gives a dictionary in int32: `spikes_out`, and of Xylo also
    `vmem_out`.

    Args:
        spec: a quantised network of any family.
        platforms: where the program can run.
    """
    of = family(spec)
    of.require_integers(spec)

    def run(counts: Array) -> dict[str, Array]:
        trace = of.simulate(spec, counts, record=False, checked=False)
        return {name: getattr(trace, name) for name in _outputs(spec)}

    return _exported(run, _input_of(spec), jnp.int32, platforms)


@explained
def emulator(
    model: Layer, chip: ModuleType, *, platforms: Sequence[str] = PLATFORMS, **options: Any
) -> Exported:
    """The emulation of a network by a chip's family, as `simulator` but in float32.

    Args:
        model: the network.
        chip: the family, `snnjax.hardware.xylo` for instance.
        platforms: where the program can run.
        **options: arguments of the family's `emulate`, as for `chip.map_network`.
    """
    mapped = chip.map_network(model, **{k: v for k, v in options.items() if k != "bits"})

    def run(counts: Array) -> dict[str, Array]:
        found = chip.emulate(model, checked=False, **options)(counts, record=False)
        return {name: getattr(found, name) for name in _outputs(mapped)}

    return _exported(run, _input_of(mapped), jnp.float32, platforms)


@explained
def network(
    model: Layer, shape: tuple[int, ...], *, platforms: Sequence[str] = PLATFORMS
) -> Exported:
    """A network in float32, from rest and without dropout: `(batch, time, *shape)` to its output.

    Args:
        model: the network.
        shape: one time step of its input.
        platforms: where the program can run.
    """
    resting = eqx.nn.inference_mode(model)
    return _exported(lambda x: jax.vmap(resting)(x)[0], shape, jnp.float32, platforms)


@explained
def step(
    run: Callable[[list[Array], PyTree], tuple[list[Array], PyTree]],
    state: PyTree,
    batch: PyTree,
    *,
    platforms: Sequence[str] = PLATFORMS,
) -> Exported:
    """A step of training: `(arrays, batch) -> (arrays, metrics)`.

    Args:
        run: (state, batch) -> (state, metrics), all of it pytrees.
        state: a state; the program takes and gives the list of its arrays, `jax.tree.leaves`.
        batch: arrays, or their shapes and dtypes, which may be of `shapes`.
        platforms: where the program can run.
    """
    arrays, static = eqx.partition(state, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)

    def flat(leaves: list[Array], batch: PyTree) -> tuple[list[Array], PyTree]:
        before = eqx.combine(jax.tree.unflatten(structure, leaves), static)
        after, metrics = run(before, batch)
        return jax.tree.leaves(eqx.filter(after, eqx.is_array)), metrics

    return jax_export.export(jax.jit(flat), platforms=platforms)(leaves, batch)


@explained
def save(exported: Exported, path: str | Path) -> None:
    """Write a program to a file, whole or not at all.

    Raises:
        ImportError: if flatbuffers is missing, naming the extra that brings it.
    """
    with extra("export"):
        import flatbuffers  # noqa: F401  jax.export needs it
    write_whole(Path(path), bytes(exported.serialize()))


def _exported(
    run: Callable[[Array], Any], shape: tuple[int, ...], dtype: Any, platforms: Sequence[str]
) -> Exported:
    (full,) = shapes(shape)
    return jax_export.export(jax.jit(run), platforms=platforms)(jax.ShapeDtypeStruct(full, dtype))


def _input_of(spec: Any) -> tuple[int, ...]:
    return (spec.n_inputs,) if isinstance(spec, XyloSpec) else spec.input_shape


def _outputs(spec: Any) -> tuple[str, ...]:
    return ("spikes_out", "vmem_out") if isinstance(spec, XyloSpec) else ("spikes_out",)
