"""Losses of a network's output over one sequence; regularisers of its activity.

All are pure functions of one sequence, time first; `jax.vmap` gives those of a batch. Their
gradients go through the spikes, whose own are those of the surrogates.

Sequences of different lengths are padded at the end to one; `mask` `(time,)` is then True at the
steps that count, and what follows them changes neither a loss nor its gradient. None counts all.
"""

from ._activity import rate_penalty as rate_penalty, synops_penalty as synops_penalty
from ._classes import (
    count_cross_entropy as count_cross_entropy,
    latency as latency,
    latency_cross_entropy as latency_cross_entropy,
    max_vmem_cross_entropy as max_vmem_cross_entropy,
    mean_vmem_cross_entropy as mean_vmem_cross_entropy,
    peak_mse as peak_mse,
    rate_mse as rate_mse,
    step_cross_entropy as step_cross_entropy,
)
from ._sequences import ctc as ctc, van_rossum as van_rossum
