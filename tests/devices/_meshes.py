"""A function on one device, and the same on a mesh of eight with axes of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

KINDS = ("explicit", "auto", "manual")


def mesh_of(kind, shape=(8,), names=("data",)):
    kind = AxisType.Auto if kind == "auto" else AxisType.Explicit
    return jax.make_mesh(shape, names, axis_types=(kind,) * len(shape))


def shard(tree, mesh, *spec):
    """The arrays of a pytree, split over a mesh."""
    return jax.tree.map(
        lambda x: jax.device_put(x, NamedSharding(mesh, P(*spec))) if hasattr(x, "shape") else x,
        tree,
    )


def _weighted(y):
    """The mean of a number for each sequence, in which each of its numbers counts differently."""
    weights = jnp.cos(jnp.arange(y.size // len(y), dtype=y.dtype))
    return (y * weights.reshape(y.shape[1:])).mean()


def values_and_gradients(f, axis=None):
    """Loss, outputs and gradients of both arguments; `f` is (shared, batch) -> outputs.

    With the name of an axis of `shard_map`, the loss is the mean over it.
    """

    def loss(shared, batch):
        outputs = f(shared, batch)
        floats = [y for y in jax.tree.leaves(outputs) if jnp.issubdtype(y.dtype, jnp.inexact)]
        total = sum(map(_weighted, floats), jnp.zeros(()))
        return total if axis is None else jax.lax.pmean(total, axis), outputs

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)


def on_one(f, shared, batch):
    return jax.tree.map(np.asarray, jax.jit(values_and_gradients(f))(shared, batch))


def on_eight(kind, f, shared, batch):
    mesh = mesh_of(kind)
    with jax.set_mesh(mesh):
        shared, batch = shard(shared, mesh), shard(batch, mesh, "data")
        if kind == "manual":
            both = jax.shard_map(
                values_and_gradients(f, "data"),
                in_specs=(P(), P("data")),
                out_specs=((P(), P("data")), (P(), P("data"))),
            )
        else:
            both = values_and_gradients(f)
        return jax.tree.map(np.asarray, jax.jit(both)(shared, batch))


def assert_same(kind, f, shared, batch, **tolerance):
    """That eight devices give one device's loss, outputs and gradients."""
    wanted, found = on_one(f, shared, batch), on_eight(kind, f, shared, batch)
    for want, got in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        largest = np.abs(want).max(initial=0) if want.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * largest, **tolerance)
