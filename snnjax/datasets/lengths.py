"""Sequences of different lengths: padded to one, with a mask, in batches of like lengths."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Num

from .._checks import count, explained, whole


class Padded(NamedTuple):
    """Sequences of one length.

    Attributes:
        values: the sequences, `(n, time, *shape)`, with zeros after the end of each.
        mask: True at the steps that each sequence has, `(n, time)`; the losses and
            `snnjax.train.right` take it.
    """

    values: Num[np.ndarray, "n time *shape"]
    mask: Bool[np.ndarray, "n time"]


@explained
def pad(sequences: Sequence[np.ndarray], *, multiple: int = 1) -> Padded:
    """Sequences of different lengths as one array, with a mask.

    A network looks ahead nowhere, so that its outputs at the steps that count are those of the
    sequence alone, in float, through a plan and through a chip's integers.

    Args:
        sequences: `(time, *shape)` each, of one shape and dtype.
        multiple: the common length is rounded up to one of these: with few lengths, few programs
            are compiled.

    Raises:
        ValueError: if there is no sequence, or they differ in the shape of a step or in dtype.

    >>> import numpy as np
    >>> from snnjax.datasets import pad
    >>> values, mask = pad([np.ones((1, 2)), np.ones((3, 2))])
    >>> values.shape, mask.tolist()
    ((2, 3, 2), [[True, False, False], [True, True, True]])
    """
    count("multiple", multiple)
    arrays = [np.asarray(sequence) for sequence in sequences]
    kinds = {(array.shape[1:], array.dtype.name) for array in arrays if array.ndim}
    if len(kinds) != 1 or not all(array.ndim for array in arrays):
        found = "; ".join(f"{kind} {('time', *shape)}" for shape, kind in sorted(kinds, key=str))
        raise ValueError(
            "`sequences` must be one or more arrays (time, *shape) of one shape and dtype; got "
            f"{found or 'none'}"
        )
    lengths = np.array([len(array) for array in arrays])
    time = -(-int(lengths.max()) // multiple) * multiple
    values = np.zeros((len(arrays), time, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(values, arrays, strict=True):
        row[: len(array)] = array
    return Padded(values, np.arange(time) < lengths[:, None])


@explained
def batches_by_length(
    lengths: Sequence[int] | np.ndarray, batch_size: int, *, seed: int
) -> list[np.ndarray]:
    """Batches of sequences of like lengths, in random order, so that little of them is padding.

    Args:
        lengths: the length of each sequence.
        batch_size: sequences of a batch; the last sequences, by length, may make a smaller one.
        seed: of the order of the batches and of sequences of one length.

    Returns:
        Of each batch the numbers of its sequences, each sequence once.

    Raises:
        ValueError: if `batch_size` is not above 0 or a length is negative.

    >>> from snnjax.datasets import batches_by_length
    >>> sorted(map(sorted, batches_by_length([9, 2, 8, 1, 3], 2, seed=0)))
    [[np.int64(0)], [np.int64(1), np.int64(3)], [np.int64(2), np.int64(4)]]
    """
    count("batch_size", batch_size)
    found = np.array([whole(f"lengths[{i}]", n, 0) for i, n in enumerate(lengths)], np.int64)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(found)), found))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
