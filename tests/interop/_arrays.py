"""Arrays of a file, read at once."""

import numpy as np


def arrays(path):
    """The arrays of an `.npz` by name; the file is closed."""
    with np.load(path) as file:
        return dict(file)
