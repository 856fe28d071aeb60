"""Files that are written whole or not at all, and the folder of those that can be made anew."""

import os
import secrets
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file under a temporary name beside it, and rename that once it is on the disk.

    Whatever was there before stays until then, so that nobody reads half a file, after a crash or a
    full disk either. A device or a pipe is written to as it is.

    Raises:
        OSError: if it cannot be written; the temporary file is gone by then.
    """
    path = Path(path).resolve()
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def cache_folder() -> Path:
    """`SNNJAX_CACHE`, or `snnjax` in the user's cache folder."""
    if own := os.environ.get("SNNJAX_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "snnjax"
