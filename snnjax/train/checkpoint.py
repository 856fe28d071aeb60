"""Checkpoints: the arrays of a pytree, by path, in orbax's format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax

from .._extras import extra
from .._tree import leaves_with_path, map_with_path

T = TypeVar("T")


def save_checkpoint(path: str | Path, tree: object) -> None:
    """Write the arrays of `tree` to the folder `path`, in place of what is there.

    The write is atomic: a folder that exists is a whole checkpoint.

    Args:
        path: a folder. Its parent must exist.
        tree: any pytree, such as a `TrainState`. Only its arrays are written.

    Raises:
        ImportError: if orbax is missing, naming the extra that brings it.
    """
    with extra("train"):
        import orbax.checkpoint as ocp
    arrays = {p: leaf for p, leaf in leaves_with_path(tree) if eqx.is_array(leaf)}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(Path(path).absolute(), arrays, force=True)


def load_checkpoint(path: str | Path, like: T) -> T:
    """A pytree like `like` with the arrays of a checkpoint.

    Args:
        path: the folder that `save_checkpoint` wrote.
        like: a pytree of the structure that was saved, a freshly made model for instance.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the checkpoint has other paths, shapes or dtypes than `like`, naming them.
        ImportError: if orbax is missing, naming the extra that brings it.
    """
    with extra("train"):
        import orbax.checkpoint as ocp
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    wanted = {
        p: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
        for p, leaf in leaves_with_path(like)
        if eqx.is_array(leaf)
    }
    with ocp.StandardCheckpointer() as checkpointer:
        metadata = checkpointer.metadata(folder).item_metadata
        if metadata is None:
            raise ValueError(f"{path} is not a checkpoint")
        _compare(dict(metadata.tree), wanted, path)
        arrays = checkpointer.restore(folder, wanted)
    return map_with_path(lambda p, leaf: arrays.get(p, leaf), like)


def _compare(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: str | Path) -> None:
    differences = [f"{p} is missing" for p in wanted if p not in saved]
    differences += [f"{p} is not in the model" for p in saved if p not in wanted]
    for p in saved.keys() & wanted.keys():
        if (tuple(saved[p].shape), saved[p].dtype) != (wanted[p].shape, wanted[p].dtype):
            differences.append(
                f"{p} is {saved[p].dtype}{list(saved[p].shape)}, "
                f"the model has {wanted[p].dtype}{list(wanted[p].shape)}"
            )
    if differences:
        raise ValueError(f"{path} is of another model: {'; '.join(sorted(differences))}")
