"""The product of sequences with a weight, beside `x @ weight.T`."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax._product import product, sequence_product

B, T, N, M = 3, 4, 5, 2


@pytest.fixture
def arrays(key):
    keys = jax.random.split(key)
    return jax.random.normal(keys[0], (B, T, N)), jax.random.normal(keys[1], (M, N))


def plain(x, weight):
    return x @ weight.T


def close(made, wanted):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), made, wanted)


def loss(run, x, weight):
    return jnp.sin(run(x, weight)).sum()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("of_weights", [False, True])
def test_values_and_gradients_under_vmap(arrays, axis, of_weights):
    x, weight = arrays
    if of_weights:
        weight = jnp.stack([weight, 2 * weight, -weight])
    x = jnp.moveaxis(x, 0, axis)

    def of(run):
        mapped = jax.vmap(run, (axis, 0 if of_weights else None))
        return mapped(x, weight), jax.grad(functools.partial(loss, mapped), (0, 1))(x, weight)

    close(of(product), of(plain))


@pytest.mark.parametrize(
    "derivative", [jax.hessian, jax.jacfwd, jax.jacrev, lambda f: jax.jacfwd(jax.grad(f))]
)
def test_derivatives(arrays, derivative):
    x, weight = arrays

    def of(run):
        mapped = jax.vmap(lambda weight, x: jnp.tanh(run(x, weight)), (None, 0))
        return derivative(lambda weight: mapped(weight, x).sum())(weight)

    close(of(product), of(plain))
    each = [
        jax.vmap(jax.grad(functools.partial(loss, run), 1), (0, None)) for run in (product, plain)
    ]
    close(each[0](x, weight), each[1](x, weight))


def test_the_gradient_of_a_batch_transposes_no_array(arrays):
    x, weight = jnp.ones((T, B, N)), arrays[1]
    mapped = jax.vmap(product, (1, None), 1)
    gradient = jax.jit(jax.grad(lambda weight: jnp.sin(mapped(x, weight)).sum()))
    text = gradient.lower(weight).compile().as_text()
    assert f"{T * B},{N}]" in text
    assert not re.search(r"= \S+ (transpose|copy)\(", text)


def test_numbers_of_other_kinds_and_precisions(arrays):
    x, weight = arrays
    for kind in (bool, jnp.int8, jnp.bfloat16):
        given = (x > 0).astype(kind)
        with jax.numpy_dtype_promotion("standard"):
            made, wanted = product(given, weight), given @ weight.T
        assert made.dtype == wanted.dtype
        close(made, wanted)
    with jax.default_matmul_precision("highest"):
        (equation,) = jax.make_jaxpr(product)(x, weight).eqns
    assert equation.primitive is sequence_product
    assert equation.params["precision"] == "highest"


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (0, 0), (5,), (0,)])
def test_sizes_of_zero_and_one_vector(shape):
    weight = jnp.ones((6, shape[-1]))
    made = jax.value_and_grad(functools.partial(loss, product), (0, 1))(jnp.ones(shape), weight)
    close(made, jax.value_and_grad(functools.partial(loss, plain), (0, 1))(jnp.ones(shape), weight))


def test_symbolic_sizes(arrays):
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, T, N), jnp.float32)
    made = jax.export.export(jax.jit(jax.vmap(product, (0, None))))(x, arrays[1])
    close(made.call(*arrays), plain(*arrays))
