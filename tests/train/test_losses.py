"""Losses and regularisers, against NumPy and against finite differences in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.train import losses

STEPS, CLASSES = 12, 4


@pytest.fixture(scope="module")
def spikes():
    draws = np.random.default_rng(0).random((STEPS, CLASSES)) < [0.1, 0.3, 0.6, 0.0]
    return jnp.asarray(draws, jnp.float32)


@pytest.fixture(scope="module")
def vmem():
    return jnp.asarray(np.random.default_rng(1).normal(size=(STEPS, CLASSES)), jnp.float32)


def cross_entropy(logits, label):
    logits = np.asarray(logits, float)
    return np.log(np.exp(logits).sum()) - logits[label]


def first_spikes(spikes):
    return [np.flatnonzero(s)[0] if np.any(s) else len(s) for s in np.asarray(spikes).T]


@pytest.mark.few(3)
@pytest.mark.parametrize("label", range(CLASSES))
def test_losses_are_their_formulas(spikes, vmem, label):
    pairs = [
        (losses.count_cross_entropy(spikes, label), cross_entropy(spikes.sum(0), label)),
        (losses.max_vmem_cross_entropy(vmem, label), cross_entropy(vmem.max(0), label)),
        (losses.mean_vmem_cross_entropy(vmem, label), cross_entropy(vmem.mean(0), label)),
        (
            losses.latency_cross_entropy(spikes, label, sharpness=0.5),
            cross_entropy(-0.5 * np.array(first_spikes(spikes)), label),
        ),
    ]
    for found, wanted in pairs:
        assert found.shape == ()
        assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_the_rate_loss_is_the_distance_from_the_rates_wanted(spikes):
    wanted = np.full(CLASSES, 0.1)
    wanted[2] = 0.7
    found = losses.rate_mse(spikes, 2, on=0.7, off=0.1)
    assert float(found) == pytest.approx(np.mean((np.asarray(spikes).mean(0) - wanted) ** 2))
    assert float(losses.rate_mse(jnp.zeros((5, 2)).at[:4, 0].set(1).at[0, 1].set(1), 0)) < 1e-12


def test_latency_is_the_number_of_steps_before_the_first_spike(spikes):
    np.testing.assert_array_equal(losses.latency(spikes), first_spikes(spikes))
    np.testing.assert_array_equal(losses.latency(3 * spikes), first_spikes(spikes))


def test_the_gradient_of_latency_is_how_much_later_the_first_spike_would_be():
    spikes = jnp.zeros((6, 2)).at[2, 0].set(1).at[4, 0].set(1)
    grads = jax.grad(lambda s: losses.latency(s).sum())(spikes)
    # A spike before the first would come that much earlier; without the first, the next counts.
    np.testing.assert_array_equal(grads[:, 0], [-2, -1, -2, 0, 0, 0])
    np.testing.assert_array_equal(grads[:, 1], [-6, -5, -4, -3, -2, -1])


@pytest.mark.few(1)
@pytest.mark.parametrize("low", [0.0, 0.2])
def test_the_rate_penalty_is_0_inside_the_range_only(spikes, low):
    rates = np.asarray(spikes).mean(0)
    outside = np.maximum(rates - 0.4, 0) + np.maximum(low - rates, 0)
    found = losses.rate_penalty(spikes, low=low, high=0.4)
    assert float(found) == pytest.approx(np.mean(outside**2), rel=1e-5)
    assert float(losses.rate_penalty(spikes, high=1.0)) == 0
    grads = jax.grad(lambda s: losses.rate_penalty(s, low=low, high=0.4))(spikes)
    np.testing.assert_array_equal(np.sign(grads[0]), np.sign(rates - 0.4) * (outside > 0))


def test_the_synops_penalty_counts_what_is_above_the_target():
    counts = {"layers[0]": jnp.array(30.0), "layers[2]": jnp.array(20.0)}
    assert float(losses.synops_penalty(counts, 40.0)) == pytest.approx(0.25**2)
    assert float(losses.synops_penalty(counts, 60.0)) == 0
    with pytest.raises(ValueError, match="`target` must be above 0; got 0"):
        losses.synops_penalty(counts, 0)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.count_cross_entropy(x, 1),
        lambda x: losses.rate_mse(x, 1),
        lambda x: losses.max_vmem_cross_entropy(x, 1),
        lambda x: losses.mean_vmem_cross_entropy(x, 1),
        lambda x: losses.step_cross_entropy(x, 1),
        lambda x: losses.peak_mse(x, 1, window=3, on=1.0, off=-0.2, off_weight=0.5),
        lambda x: losses.van_rossum(x, jnp.zeros_like(x), tau=2.0, dt=1.0).sum(),
        lambda x: losses.ctc(x, jnp.array([2, 2, 1])),
        lambda x: losses.rate_penalty(x, low=-0.1, high=0.1),
        lambda x: losses.synops_penalty({"a": x.sum() + 30}, 10.0),
    ],
    ids=["count", "rate", "max", "mean", "step", "peak", "van_rossum", "ctc", "penalty", "synops"],
)
def test_gradients_are_finite_differences_in_float64(loss, vmem):
    with jax.enable_x64(True):
        x = jnp.asarray(np.asarray(vmem, np.float64))
        grads = np.asarray(jax.grad(loss)(x))
        assert grads.dtype == np.float64
        assert np.any(grads)
        for i in np.ndindex(*x.shape):
            up, down = loss(x.at[i].add(1e-5)), loss(x.at[i].add(-1e-5))
            assert grads[i] == pytest.approx(float(up - down) / 2e-5, rel=1e-5, abs=1e-8)


def test_a_batch_by_vmap_equals_a_loop(spikes):
    batch, labels = jnp.stack([spikes, spikes[::-1]]), jnp.array([0, 2])
    found = jax.vmap(losses.latency_cross_entropy)(batch, labels)
    wanted = [losses.latency_cross_entropy(s, n) for s, n in zip(batch, labels, strict=True)]
    np.testing.assert_allclose(found, jnp.stack(wanted), rtol=1e-6)


LABELLED = [
    losses.count_cross_entropy,
    losses.rate_mse,
    losses.latency_cross_entropy,
    losses.max_vmem_cross_entropy,
    losses.mean_vmem_cross_entropy,
    losses.step_cross_entropy,
    functools.partial(losses.peak_mse, window=3, on=1.0),
]


@pytest.mark.few(17)
@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize("label", [-1, CLASSES, 7, np.int64(2**40), np.uint8(200)])
def test_a_label_out_of_range_is_an_error_and_nan_in_a_program(spikes, loss, label):
    with pytest.raises(ValueError, match=rf"`label` must be from 0 to 3, .*; got {label}"):
        loss(spikes, label)
    if label < 2**31:
        both = jnp.asarray([label, 2], jnp.int32)
        found = jax.jit(jax.vmap(loss, in_axes=(None, 0)))(spikes, both)
        assert np.isnan(found[0])
        assert found[1] == pytest.approx(float(loss(spikes, 2)), rel=1e-5)
        small = jnp.asarray(both, jnp.uint8) if label == 200 else both
        assert np.isnan(jax.jit(loss)(spikes, small[0]))


@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize("label", [[0, 1, 0, 0], [0, 1, 0], 1.0, True, "b", None])
def test_a_label_that_is_no_number_of_a_class_is_an_error(spikes, loss, label):
    given = jnp.asarray(label) if isinstance(label, list) else label
    with pytest.raises(ValueError, match="`label` must be the number of a class"):
        loss(spikes, given)


@pytest.mark.parametrize("loss", [loss for loss in LABELLED if loss is not losses.rate_mse])
def test_a_batch_is_no_sequence(spikes, loss):
    with pytest.raises(ValueError, match="a loss takes one sequence"):
        loss(spikes[None], 1)


def van_rossum_by_pairs(spikes, target, tau):
    """Half the sum of exp(-|t_i - t_j|/tau) over all pairs, each with the product of its signs."""
    signs = np.asarray(spikes - target, float)
    t = np.arange(len(signs))
    kernel = np.exp(-np.abs(t[:, None] - t) / tau)
    return np.einsum("ij,in,jn->n", kernel, signs, signs) / 2


@pytest.mark.few(2)
@pytest.mark.parametrize("tau", [0.5, 3.0, 1000.0])
def test_van_rossum_is_the_sum_over_pairs_of_spikes(spikes, tau):
    target = spikes[::-1]
    found = losses.van_rossum(spikes, target, tau=tau * 1e-3, dt=1e-3)
    np.testing.assert_allclose(found, van_rossum_by_pairs(spikes, target, tau), rtol=1e-4)
    grads = jax.grad(lambda s: losses.van_rossum(s, target, tau=tau, dt=1.0).sum())(spikes)
    kernel = np.exp(-np.abs(np.arange(STEPS)[:, None] - np.arange(STEPS)) / tau)
    np.testing.assert_allclose(grads, kernel @ np.asarray(spikes - target), rtol=1e-3, atol=1e-4)


def test_van_rossum_of_one_spike_and_of_equal_ones(spikes):
    settings = {"tau": 5e-3, "dt": 1e-3}
    np.testing.assert_array_equal(losses.van_rossum(spikes, spikes, **settings), 0)
    one = jnp.zeros((STEPS, 2)).at[0, 0].set(1).at[-1, 1].set(1)
    found = losses.van_rossum(one, jnp.zeros_like(one), **settings)
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)


MASKED = {
    "count": lambda y, mask: losses.count_cross_entropy(y, 1, mask=mask),
    "rate": lambda y, mask: losses.rate_mse(y, 1, mask=mask),
    "latency": lambda y, mask: losses.latency(y, mask=mask),
    "first": lambda y, mask: losses.latency_cross_entropy(y, 1, mask=mask),
    "max": lambda y, mask: losses.max_vmem_cross_entropy(y, 1, mask=mask),
    "mean": lambda y, mask: losses.mean_vmem_cross_entropy(y, 1, mask=mask),
    "step": lambda y, mask: losses.step_cross_entropy(y, 1, mask=mask),
    "peak": lambda y, mask: losses.peak_mse(y, 1, window=5, on=1.0, off=0.1, mask=mask),
    "penalty": lambda y, mask: losses.rate_penalty(y, low=0.2, high=0.4, mask=mask),
    "ctc": lambda y, mask: losses.ctc(y, jnp.array([1, 2]), mask=mask),
    "van Rossum": lambda y, mask: losses.van_rossum(y, 0 * y, tau=3.0, dt=1.0, mask=mask),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", MASKED)
def test_steps_after_the_mask_change_no_loss_and_get_no_gradient(spikes, name):
    loss, long = MASKED[name], jnp.concatenate([spikes, jnp.ones((4, CLASSES))])
    mask = jnp.arange(len(long)) < STEPS
    np.testing.assert_allclose(loss(long, mask), loss(spikes, None), rtol=1e-5)
    grads, wanted = (
        jax.grad(lambda y, mask=mask: loss(y, mask).sum())(y)
        for y, mask in ((long, mask), (spikes, None))
    )
    np.testing.assert_allclose(grads[:STEPS], wanted, rtol=1e-4, atol=1e-6)
    assert not np.any(grads[STEPS:])


@pytest.mark.parametrize(
    "mask", [np.ones(STEPS + 1, bool), np.ones(STEPS), np.ones((1, STEPS), bool)]
)
def test_a_mask_of_another_shape_or_dtype_is_an_error(spikes, mask):
    for name in MASKED:
        with pytest.raises(
            ValueError, match=f"`mask` must be True or False for each of the {STEPS}"
        ):
            MASKED[name](spikes, mask)


def test_losses_of_sequences_refuse_what_they_cannot_take(spikes):
    labels = jnp.array([1, 2])
    for call, message in (
        (
            lambda: losses.ctc(spikes, jnp.array([1, 0])),
            "`labels` must be .*, and not the blank, 0",
        ),
        (lambda: losses.ctc(spikes, jnp.array([1, CLASSES])), "`labels` must be from 0 to 3"),
        (lambda: losses.ctc(spikes, labels * 1.0), "labels of float32"),
        (lambda: losses.ctc(spikes[None], labels), r"`y` must be \(time, classes\)"),
        (lambda: losses.ctc(spikes, labels, blank=CLASSES), "`blank` must be from 0 to 3; got 4"),
        (lambda: losses.van_rossum(spikes, spikes[1:], tau=1, dt=1), "must have one shape"),
        (lambda: losses.van_rossum(spikes, spikes, tau=0, dt=1), "`tau` must be above 0; got 0"),
        (lambda: losses.van_rossum(spikes, spikes, tau=1, dt=-1), "`dt` must be above 0; got -1"),
        (lambda: losses.peak_mse(spikes, 1, window=0, on=1), "`window` must be 1 step or more"),
        (lambda: losses.peak_mse(spikes[:, :1], 0, window=1, on=1), "two classes or more"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
