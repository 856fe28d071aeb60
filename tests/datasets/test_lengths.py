"""Sequences of different lengths: padding changes no answer, no loss and no gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax import SynNet
from snnjax.datasets import batches_by_length, pad
from snnjax.hardware import xylo
from snnjax.train import losses, right

LENGTHS = 7, 12, 4


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [rng.poisson(1.0, (n, 3)).astype(np.float32) for n in LENGTHS]


def test_sequences_are_padded_with_zeros_and_a_mask(sequences):
    values, mask = pad(sequences, multiple=5)
    assert values.shape == (3, 15, 3)
    np.testing.assert_array_equal(mask.sum(1), LENGTHS)
    for row, known, sequence in zip(values, mask, sequences, strict=True):
        np.testing.assert_array_equal(row[known], sequence)
        assert not row[~known].any()


def test_batches_have_each_sequence_once_and_like_lengths():
    lengths = np.random.default_rng(0).integers(1, 100, 103)
    batches = batches_by_length(lengths, 10, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(103))
    assert sorted(map(len, batches)) == [3] + [10] * 10
    assert max(np.ptp(lengths[batch]) for batch in batches) < 25
    again = batches_by_length(lengths, 10, seed=1)
    other = batches_by_length(lengths, 10, seed=2)
    assert all(map(np.array_equal, batches, again))
    assert not all(map(np.array_equal, batches, other))


def test_the_right_answers_are_those_of_the_steps_that_count():
    spikes = jnp.zeros((2, 4, 2)).at[:, 0, 1].set(1).at[:, 2:, 0].set(1)
    labels = jnp.array([1, 1])
    mask = jnp.array([[True, True, False, False], [True] * 4])
    np.testing.assert_array_equal(right(spikes, labels), [False, False])
    np.testing.assert_array_equal(right(spikes, labels, mask), [True, False])


@pytest.mark.slow
@pytest.mark.parametrize("through", ["float", "chip"])
def test_padding_changes_no_loss_and_no_gradient(sequences, through):
    model = SynNet(2, 3, (6,), (2,), key=jax.random.key(0))
    run = (lambda m, x: m(x)[0]) if through == "float" else run_emulated
    values, mask = pad(sequences)
    labels = jnp.array([0, 1, 1])

    def padded(model):
        outputs = jax.vmap(lambda x: run(model, x))(jnp.asarray(values))
        of = lambda y, n, m: losses.count_cross_entropy(y, n, mask=m)  # noqa: E731
        return jax.vmap(of)(outputs, labels, jnp.asarray(mask)).sum()

    def alone(model):
        pairs = zip(sequences, labels, strict=True)
        return sum(losses.count_cross_entropy(run(model, jnp.asarray(x)), n) for x, n in pairs)

    both = (eqx.filter_jit(eqx.filter_value_and_grad(f))(model) for f in (padded, alone))
    (found, grads), (wanted, other) = both
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)
    for one, two in zip(jax.tree.leaves(grads), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def run_emulated(model, x):
    return xylo.emulate(model)(x).spikes_out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: pad([]), "`sequences` must be one or more arrays"),
        (lambda x: pad([x[0], x[1][:, :2]]), "of one shape and dtype; got float32"),
        (lambda x: pad([x[0], x[1].astype(int)]), "of one shape and dtype"),
        (lambda x: pad(x, multiple=0), "`multiple` must be a whole number above 0"),
        (lambda x: batches_by_length([1, -1], 2, seed=0), r"`lengths\[1\]` must be an integer of"),
        (lambda x: batches_by_length([1, 1], 0, seed=0), "`batch_size` must be a whole number"),
    ],
)
def test_what_has_no_common_length_is_refused(sequences, call, message):
    with pytest.raises(ValueError, match=message):
        call(sequences)
