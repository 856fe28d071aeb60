"""64-bit integers for a stretch of a program, whatever the user's settings of JAX are.

Without `jax_enable_x64` JAX has no 64-bit types; a register of a front end needs up to 60 bits.
Within `jax.enable_x64` it has them, also while a function outside of it is traced. Only arrays of
32 bits go in and out: outside, JAX would cut longer ones off.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with 64-bit types inside; what it takes and gives has 32 bits."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return run


def to_halves(x: Int[Array, "*shape"]) -> Int[Array, "*shape 2"]:
    """Integers of 64 bits as two of 32, the lower half first."""
    return jnp.stack([x.astype(jnp.int32), (x >> 32).astype(jnp.int32)], -1)


def from_halves(x: Int[Array, "*shape 2"]) -> Int[Array, "*shape"]:
    """The reverse of `to_halves`."""
    return (x[..., 1].astype(jnp.int64) << 32) | (x[..., 0].astype(jnp.int64) & 0xFFFFFFFF)
