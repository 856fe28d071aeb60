"""Losses against golden vectors of snnTorch, SpikingJelly, Rockpool and torch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.train import losses

from ._compare import TOLERANCE, deviation, golden, load

FILE = "losses"
STEPS = 14


def counts_mse(spikes, label, mask=None):
    """snnTorch divides the square distance of the counts by the steps."""
    return STEPS * losses.rate_mse(spikes, label, on=0.5, off=0.0, mask=mask)


OURS = {
    "ce_rate_loss": losses.step_cross_entropy,
    "temporal_efficient_training": losses.step_cross_entropy,
    "ce_count_loss": losses.count_cross_entropy,
    "mse_count_loss": counts_mse,
    "ce_max_membrane_loss": losses.max_vmem_cross_entropy,
}


def ours(case):
    """Our loss of one sequence, and the input that it is for."""
    on, _, name = case.partition("_")
    if not name.startswith("PeakLoss"):
        return OURS[name], on
    asked, _ = load(FILE, case)
    return functools.partial(
        losses.peak_mse,
        window=asked["max_interval"],
        on=asked["target_output"],
        off_weight=asked["weight_nontarget"],
    ), on


@pytest.mark.few(1)
@pytest.mark.parametrize("case", [c for c in golden(FILE)[1]["cases"] if c != "ctc"])
@pytest.mark.parametrize("padding", [0, 5])
def test_losses_of_labels_agree_and_padding_changes_nothing(case, padding):
    arrays = golden(FILE)[0]
    loss, on = ours(case)
    y = np.pad(arrays[on], ((0, padding), (0, 0), (0, 0)), constant_values=9.0)
    loss = functools.partial(loss, mask=jnp.arange(len(y)) < STEPS) if padding else loss

    def batch(y):
        return jax.vmap(loss, in_axes=(1, 0))(y, arrays["labels"]).mean()

    value, grad = jax.jit(jax.value_and_grad(batch))(jnp.asarray(y))
    assert float(value) == pytest.approx(arrays[f"{case}/value"].item(), rel=TOLERANCE)
    assert deviation(grad[:STEPS], arrays[f"{case}/grad"]) < TOLERANCE
    assert not np.any(grad[STEPS:])


@pytest.mark.few(1)
@pytest.mark.parametrize("padding", [5, 0])
def test_ctc_agrees(padding):
    _, arrays = load(FILE, "ctc")
    y = jnp.asarray(np.pad(arrays["y"], ((0, padding), (0, 0), (0, 0))))
    labels, steps, said = (arrays[name] for name in ("labels", "steps", "said"))

    def batch(y):
        return jax.vmap(
            lambda y, labels, n, m: losses.ctc(
                y, labels, mask=jnp.arange(len(y)) < n, label_mask=jnp.arange(len(labels)) < m
            ),
            in_axes=(1, 0, 0, 0),
        )(y, labels, steps, said).sum()

    value, grad = jax.jit(jax.value_and_grad(batch))(y)
    assert float(value) == pytest.approx(arrays["value"].item(), rel=TOLERANCE)
    assert deviation(grad[:STEPS], arrays["grad"]) < TOLERANCE
    assert not np.any(grad[STEPS:])
