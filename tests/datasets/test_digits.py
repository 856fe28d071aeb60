import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.datasets import evenly, load_digits, rows_and_columns


def test_a_fifth_is_held_out_with_every_class_in_proportion_and_no_image_twice():
    split = load_digits()
    assert len(split.test_x) == 360
    assert len(split.train_x) == 1437
    assert np.bincount(split.test_y).min() >= 34
    images = np.concatenate([split.train_x, split.test_x]).reshape(1797, 64)
    assert images.min() == 0
    assert images.max() == 16
    assert not np.array_equal(split.test_y, load_digits(seed=1).test_y)
    np.testing.assert_array_equal(split.test_y, load_digits(seed=0).test_y)


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_a_fraction_that_holds_nothing_out_is_an_error(fraction):
    with pytest.raises(ValueError, match="`test_fraction` must be within"):
        load_digits(fraction)


def test_row_and_column_come_together_and_stay():
    image = jnp.arange(9.0).reshape(3, 3) * 2.2
    events = rows_and_columns(image, steps=8, hold=2, max_events=15)
    assert events.shape == (8, 6)
    whole = np.minimum(np.round(image), 15)
    for t in range(3):
        for step in (2 * t, 2 * t + 1):
            np.testing.assert_array_equal(events[step], [*whole[t], *whole[:, t]])
    assert not events[6:].any()


def test_an_image_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match=r"`image` must be square; got the shape \(2, 3\)"):
        rows_and_columns(jnp.zeros((2, 3)), 9)
    with pytest.raises(ValueError, match="`steps` must be at least 6"):
        rows_and_columns(jnp.zeros((3, 3)), 5, hold=2)


def test_events_at_regular_intervals_as_many_as_a_pixel_is_bright():
    image = jnp.array([[0.0, 1.0], [0.5, 0.3]])
    events = evenly(image, 10)
    assert events.shape == (10, 2, 2)
    np.testing.assert_array_equal(events.sum(0), [[0, 10], [5, 3]])
    np.testing.assert_array_equal(events[:, 1, 0], [1, 0] * 5)
    np.testing.assert_array_equal(evenly(image, 4, max_events=3).sum(0), [[0, 12], [6, 4]])
    assert evenly(jnp.float32(0.5), 3).shape == (3,)
    with pytest.raises(ValueError, match="`steps` must be at least 1; got 0"):
        evenly(image, 0)
