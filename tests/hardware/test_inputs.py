"""Rasters and states that are no such thing are refused before anything runs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.hardware._inputs import Register, as_counts, batch_of, in_batch, require_state


class State(NamedTuple):
    """Two layers of potentials."""

    vmem: tuple


REGISTERS = State((Register((2,), -8, 7), Register((3,), 0, 1)))


def state(first=(0, 0), second=(0, 0, 0)):
    return State((jnp.array(first), jnp.array(second)))


@pytest.mark.parametrize("raster", [np.ones((4, 2), bool), np.ones((4, 2)), [[0, 1]] * 4])
def test_numbers_of_events_in_any_type(raster):
    counts = as_counts(raster, (2,))
    assert counts.dtype == jnp.int32
    np.testing.assert_array_equal(counts, raster)


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (np.zeros((4, 3)), r"shape \(time, 2\) or \(batch, time, 2\), .* got \(4, 3\)"),
        (np.zeros(2), r"got \(2,\)"),
        (np.zeros((1, 1, 1, 2)), r"got \(1, 1, 1, 2\)"),
        ([[0, -1]], r"`raster\[0, 1\]` is -1, negative"),
        ([[0.5, 0]], r"`raster\[0, 0\]` is 0.5, not a whole number"),
        ([[np.nan, 0]], "is nan, NaN"),
        ([[np.inf, 0]], "is inf, infinite"),
        ([[1, 100]], r"`raster\[0, 1\]` is 100, above 99"),
        ([[2**40, 0]], "is 1099511627776, above 99"),
        ([["a", "b"]], "whole numbers; got <U1"),
    ],
)
def test_what_is_no_raster(raster, message):
    with pytest.raises(ValueError, match=message):
        as_counts(raster, (2,), most=99)


def test_a_traced_raster():
    run = jax.jit(lambda x: as_counts(x, (2,), most=99))
    assert run(jnp.ones((4, 2), bool)).dtype == jnp.int32
    assert run(jnp.full((4, 2), 99)).max() == 99
    assert run(jnp.full((4, 2), 99, jnp.int8)).max() == 99
    for wrong in (-1, 100):
        with pytest.raises(Exception, match="whole numbers from 0 to 99"):
            jax.block_until_ready(run(jnp.full((4, 2), wrong)))
    with pytest.raises(ValueError, match="integer type within jit and vmap; got float32"):
        run(jnp.ones((4, 2)))


def test_one_recording_is_a_batch_of_one():
    def total(factor, raster, before):
        sums = factor * raster.sum((1, 2))
        return sums if before is None else sums + before

    batch = jnp.arange(12).reshape(2, 3, 2)
    assert in_batch(total, 2, batch, None, (2,)).tolist() == [30, 102]
    assert in_batch(total, 2, batch[1], 3, (2,)).tolist() == 105
    assert (batch_of(batch, (2,)), batch_of(batch[0], (2,))) == ((2,), ())


def test_a_state_that_fits():
    require_state(state((-8, 7), (0, 1, 1)), REGISTERS, ())
    require_state(State((jnp.zeros((4, 2), int), jnp.zeros((4, 3), int))), REGISTERS, (4,))
    require_state(state((1.0, 0.0), (0.0, 0.0, 0.0)), REGISTERS, (), floats=True)
    jax.jit(lambda s: require_state(s, REGISTERS, ()))(state((100, 0)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "`state` must be a State from an earlier call, .* got NoneType"),
        (State(()), "got one of nothing"),
        (State((None, jnp.zeros(3, int))), r"of vmem\[0\], vmem\[1\]; got one of vmem\[1\]"),
        (state((0, 0, 0)), r"`state.vmem\[0\]` must be integers of the shape \(2,\), .*\(3,\)"),
        (state((0.0, 0.0)), r"`state.vmem\[0\]` must be integers .* got float32"),
        (state((0, 8)), r"`state.vmem\[0\]` must be from -8 to 7; got 0 to 8"),
        (state((-9, 0)), "got -9 to 0"),
        (state((0, 0), (0, -1, 0)), r"`state.vmem\[1\]` must be from 0 to 1"),
    ],
)
def test_a_state_that_does_not(given, message):
    with pytest.raises(ValueError, match=message):
        require_state(given, REGISTERS, ())
