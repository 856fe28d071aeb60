"""The 1,797 handwritten digits of scikit-learn, 8 by 8 pixels. No download."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from .._checks import explained
from .._extras import extra


class Split(NamedTuple):
    """A training and a held-out part."""

    train_x: Int[np.ndarray, "train 8 8"]
    train_y: Int[np.ndarray, " train"]
    test_x: Int[np.ndarray, "test 8 8"]
    test_y: Int[np.ndarray, " test"]


@explained
def load_digits(test_fraction: float = 0.2, seed: int = 0) -> Split:
    """The digits, split at random with every class in proportion.

    Args:
        test_fraction: share of the held-out part, in (0, 1).
        seed: of the split.

    Returns:
        Pixels from 0 to 16 and labels from 0 to 9. Source: E. Alpaydin and C. Kaynak, "Optical
        Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.

    Raises:
        ImportError: if scikit-learn is missing, naming the extra that brings it.
        ValueError: if `test_fraction` is not within (0, 1).
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"`test_fraction` must be within (0, 1); got {test_fraction}")
    with extra("datasets"):
        from sklearn import datasets, model_selection
    digits = datasets.load_digits()
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        digits.images.astype(np.int32),
        digits.target.astype(np.int32),
        test_size=test_fraction,
        random_state=seed,
        stratify=digits.target,
    )
    return Split(train_x, train_y, test_x, test_y)
