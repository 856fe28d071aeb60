"""Folders of checkpoints, one for each step, and how orbax writes them."""

import os
from pathlib import Path
from typing import Any

import jax

_OLD = "_METADATA"
"""A file that checkpoints of version 1 have at their top, and those of version 2 further below."""


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is of checkpoints, be they whole or not."""
    return any(entry.name.partition(".")[0].isdecimal() for entry in path.iterdir())


def is_old(path: Path) -> bool:
    """Whether a folder is a checkpoint of version 1."""
    return (path / _OLD).exists()


def newest_step(path: Path) -> int | None:
    """The newest step in a folder of checkpoints; None if there is none."""
    if not path.is_dir():
        return None
    return max((int(p.name) for p in path.iterdir() if p.name.isdecimal()), default=None)


def sync(folder: Path) -> None:
    """Have the files of a folder on the disk, and their names."""
    for entry in (*folder.rglob("*"), folder, folder.parent):
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def alone() -> Any:
    """Options of orbax for a process that waits for no other one."""
    import orbax.checkpoint as ocp

    this = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=this, active_processes={this}, barrier_sync_key_prefix=f"process{this}"
    )
