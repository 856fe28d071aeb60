"""Optional dependencies: imported where they are used, with an error that says how to get them."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import into an error that names the extra that brings the package."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{error.name or 'a package'} is not installed; it comes with "
            f'pip install "snnjax[{name}]"'
        ) from error
