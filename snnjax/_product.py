"""Products of weights with sequences, and their gradients, as sums over one axis.

With `jax.vmap` around it, `x @ weight.T` has two leading axes, time and batch. Its gradient by the
weight is a sum over both, for which XLA transposes a whole array; for a sum over one axis it does
not. So the product is a primitive that notes that more axes are mapped, and makes one of all. With
several devices it is that of JAX: one axis of time and batch cannot be split as the batch is. It is
none of the products that `jax.checkpoint_policies.dots_saveable` stores.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from ._mesh import is_there as is_mesh
from ._typing import FloatArray


def product(
    x: Float[Array, "*any inputs"], weight: Float[Array, "outputs inputs"]
) -> Float[Array, "*any outputs"]:
    """x @ weight.T."""
    if not _is_one_device():
        return x @ weight.T
    kind = jnp.result_type(x, weight)
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return _bind(x.astype(kind), weight.astype(kind), precision)


def summed_products(
    x: Float[Array, "*any n"], y: Float[Array, "*any m"], precision: Any = None
) -> Float[Array, "n m"]:
    """The sum of x[..., :, None] * y[..., None, :] over all leading axes."""
    leading = tuple(range(x.ndim - 1))
    if _is_one_device():
        x, y, leading = _rows(x), _rows(y), (0,)
    return lax.dot_general(x, y, ((leading, leading), ((), ())), precision=precision)


def _is_one_device() -> bool:
    # Arrays may be split with no mesh set, which a program sees only once it is compiled.
    return jax.device_count() == 1 and not is_mesh()


def _rows(x: FloatArray) -> Float[Array, "rows n"]:
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _bind(x: FloatArray, weight: FloatArray, precision: Any) -> FloatArray:
    found: FloatArray = sequence_product.bind(x, weight, precision=precision)
    return found


def _evaluate(x: FloatArray, weight: FloatArray, *, precision: Any) -> FloatArray:
    y = lax.dot_general(_rows(x), weight, (((1,), (1,)), ((), ())), precision=precision)
    return y.reshape(*x.shape[:-1], len(weight))


def _type(x: Any, weight: Any, *, precision: Any) -> Any:
    return jax.core.ShapedArray((*x.shape[:-1], weight.shape[0]), x.dtype)


def _by_x(by_y: FloatArray, x: Any, weight: FloatArray, *, precision: Any) -> FloatArray:
    return _bind(by_y, weight.T, precision)


def _by_weight(by_y: FloatArray, x: FloatArray, weight: Any, *, precision: Any) -> FloatArray:
    return summed_products(by_y, x, precision)


def _batched(operands: Any, axes: Any, *, precision: Any) -> tuple[FloatArray, int]:
    (x, weight), (of_x, of_weight) = operands, axes
    if of_weight is None:
        if of_x == x.ndim - 1:
            x, of_x = jnp.moveaxis(x, -1, 0), 0
        return _bind(x, weight, precision), of_x
    run = jax.vmap(functools.partial(_evaluate, precision=precision), axes)
    return run(x, weight), 0


sequence_product = Primitive("sequence_product")
sequence_product.def_impl(_evaluate)
sequence_product.def_abstract_eval(_type)
ad.defbilinear(sequence_product, _by_x, _by_weight)
batching.primitive_batchers[sequence_product] = _batched
mlir.register_lowering(sequence_product, mlir.lower_fun(_evaluate, multiple_results=False))
