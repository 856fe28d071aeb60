"""Checkpoints: the arrays of a pytree by path, with a checksum of each, in orbax's format."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import explained
from .._extras import extra
from .._tree import leaves_with_path, map_with_path
from ._steps import alone, is_checkpoint, is_old, newest_step, sync

T = TypeVar("T")

_FORMAT, _VERSION = "snnjax-checkpoint", 2
_ARRAYS, _CONTENTS = "arrays", "contents"


class Checkpoints:
    """The checkpoints of one training run: a folder for each step, of which the newest counts.

    A step's folder has its name only once it is whole, and older ones are removed after that, so
    that there is always a whole one, wherever the process is stopped. Saving goes on in the
    background; an error in it is raised by the next call. Use it as a context manager, or `close`
    it, to wait for the end. Of several processes one saves, all arrays of `Sharding.gather`.

    Args:
        path: a folder, made if it is missing.
        keep: number of the newest steps that are kept; None for all.

    Raises:
        FileExistsError: if `path` has something else in it.
        ImportError: if orbax is missing, naming the extra that brings it.
    """

    @explained
    def __init__(self, path: str | os.PathLike[str], *, keep: int | None = 2):
        with extra("train"):
            import orbax.checkpoint as ocp
        self.path = Path(path).absolute()
        if self.path.exists() and not is_checkpoint(self.path) and any(self.path.iterdir()):
            raise FileExistsError(f"{path} has something else in it than checkpoints")
        self.path.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            cleanup_tmp_directories=True,
            create=False,
            multiprocessing_options=alone(),
        )
        self._manager = ocp.CheckpointManager(self.path, options=options)
        self._args = ocp.args
        self._saved: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def latest(self) -> int | None:
        """The newest step that is whole, or was given to `save`; None if there is none."""
        return self._saved if self._saved is not None else newest_step(self.path)

    def save(self, step: int, tree: object) -> None:
        """Save the arrays of a pytree as a step, in the background.

        Args:
            step: above those that there are.
            tree: any pytree, such as a `TrainState`. Only its arrays are saved, NumPy's as well.

        Raises:
            ValueError: if `tree` has no arrays, or one that is not of numbers.
            OSError: if this step, or the one before, cannot be written.
        """
        arrays, contents = _packed(tree)
        self.wait()
        with _writing(self.path):
            self._manager.save(
                step,
                args=self._args.Composite(
                    **{
                        _ARRAYS: self._args.PyTreeSave(arrays),
                        _CONTENTS: self._args.JsonSave(contents),
                    }
                ),
            )
        self._saved = step

    def wait(self) -> None:
        """Wait until what was saved is on the disk.

        Raises:
            OSError: if it cannot be written.
        """
        with _writing(self.path):
            self._wait()

    def remove_before(self, step: int) -> None:
        """Remove all steps before one."""
        for old in self._manager.all_steps():
            if old < step:
                self._manager.delete(old)

    def close(self) -> None:
        """Wait as `wait` does, and end what goes on in the background."""
        with _writing(self.path), contextlib.closing(self._manager):
            self._wait()

    def _wait(self) -> None:
        saved, self._saved = self._saved, None
        self._manager.wait_until_finished()
        if saved is not None:
            sync(self.path / str(saved))


@explained
def save_checkpoint(path: str | os.PathLike[str], tree: object) -> None:
    """Write the arrays of `tree` to the folder `path`, in place of the checkpoint that is there.

    That one stays until the new one is on the disk and was read back: whatever happens in between,
    `load_checkpoint` gives the one or the other, whole.

    Args:
        path: a folder. Its parent must exist.
        tree: any pytree, such as a `TrainState`. Only its arrays are written, NumPy's as well.

    Raises:
        FileExistsError: if there is something else at `path`.
        ValueError: if `tree` has no arrays, or one that is not of numbers.
        OSError: if it cannot be written.
        ImportError: if orbax is missing, naming the extra that brings it.
    """
    _, contents = _packed(tree)
    with Checkpoints(path, keep=None) as checkpoints:
        latest = checkpoints.latest
        step = 0 if latest is None else latest + 1
        checkpoints.save(step, tree)
        checkpoints.wait()
        _read(checkpoints.path / str(step), contents["arrays"])
        checkpoints.remove_before(step)


@explained
def load_checkpoint(path: str | os.PathLike[str], like: T) -> T:
    """A pytree like `like` with the arrays of a checkpoint, the newest of several.

    Args:
        path: the folder that `save_checkpoint` or a run wrote.
        like: a pytree of the structure that was saved: a freshly made model, or its
            `eqx.filter_eval_shape`. Arrays of JAX are placed as those of `like` are.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is no checkpoint, one of another version, or damaged, or if it has other
            paths, shapes or dtypes than `like`, naming them.
        ImportError: if orbax is missing, naming the extra that brings it.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    step = newest_step(folder)
    if step is None:
        if is_old(folder):
            raise ValueError(
                f"{path} has the format of version 1, this snnjax reads {_VERSION}. Load it with "
                "the snnjax that wrote it and keep its arrays in an .npz file, or train again with "
                "the settings in config.json"
            )
        raise ValueError(f"{path} is not a checkpoint: it has no step that is whole")
    wanted = _contents_of({p: leaf for p, leaf in leaves_with_path(like) if _is_array(leaf)})
    arrays = _read(folder / str(step), wanted)
    return map_with_path(lambda p, leaf: _placed(arrays[p], leaf) if p in arrays else leaf, like)


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray | jax.ShapeDtypeStruct)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _contents_of(leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each array what must agree: its shape and dtype."""
    return {p: {"shape": list(x.shape), "dtype": str(x.dtype)} for p, x in leaves.items()}


def _packed(tree: object) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a pytree by path, and what is written beside them."""
    leaves = {p: leaf for p, leaf in leaves_with_path(tree) if _is_array(leaf)}
    if not leaves:
        raise ValueError("`tree` has no arrays; there is nothing to save")
    contents, arrays = _contents_of(leaves), {}
    for path, leaf in leaves.items():
        if not _is_key(leaf) and leaf.dtype.kind in "OSUMm":
            raise ValueError(f"`tree` has an array of {leaf.dtype} at {path}, not of numbers")
        array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        contents[path]["sha256"] = _checksum(array)
        if array.size:
            arrays[path] = array
    return arrays, {"format": _FORMAT, "version": _VERSION, "arrays": contents}


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _read(folder: Path, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The arrays in the folder of a step, each verified by its checksum."""
    saved = _saved_contents(folder)
    _compare(saved, wanted, folder)
    with extra("train"):
        import orbax.checkpoint as ocp
    try:
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone())
        with ocp.Checkpointer(handler, multiprocessing_options=alone()) as checkpointer:
            arrays = checkpointer.restore(
                folder / _ARRAYS,
                restore_args={
                    p: ocp.RestoreArgs(restore_type=np.ndarray)
                    for p, of in saved.items()
                    if 0 not in of["shape"]
                },
            )
    except Exception as error:  # orbax lets through whatever its parts raise
        raise _damaged(folder, str(error).partition("\n")[0]) from error
    for path, of in saved.items():
        if 0 in of["shape"]:
            arrays[path] = np.zeros(of["shape"], of["dtype"])
        if path not in arrays or _checksum(arrays[path]) != of["sha256"]:
            raise _damaged(folder, f"the array {path} is not what was saved")
    return arrays


def _saved_contents(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads((folder / _CONTENTS / "metadata").read_bytes())
        version, arrays = content["version"], content["arrays"]
        well_formed = all({"shape", "dtype", "sha256"} <= of.keys() for of in arrays.values())
        if content["format"] != _FORMAT or not well_formed:
            raise ValueError("it is not of a checkpoint")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(folder, f"its contents cannot be read: {error}") from error
    if version != _VERSION:
        raise ValueError(f"{folder} has version {version}, this snnjax reads {_VERSION}")
    return arrays


def _damaged(folder: Path, why: str) -> ValueError:
    others = sorted(int(p.name) for p in folder.parent.iterdir() if p.name.isdecimal())
    cure = "" if len(others) < 2 else f"; remove it to go on from step {others[-2]}"
    return ValueError(f"the checkpoint {folder} is damaged: {why}{cure}")


def _compare(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    differences = [f"{p} is missing" for p in wanted if p not in saved]
    differences += [f"{p} is not in the model" for p in saved if p not in wanted]
    for p in saved.keys() & wanted.keys():
        of, like = (f"{x['dtype']}{x['shape']}" for x in (saved[p], wanted[p]))
        if of != like:
            differences.append(f"{p} is {of}, the model has {like}")
    if differences:
        raise ValueError(f"{path} is of another model: {'; '.join(sorted(differences))}")


def _placed(array: np.ndarray, like: Any) -> Any:
    """The array as `like` is: a random key, on the same devices, or NumPy's own."""
    if isinstance(like, np.ndarray):
        return array
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=like.dtype)
    committed = isinstance(like, jax.Array) and like.committed
    return jax.device_put(array, like.sharding) if committed else jnp.asarray(array)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn whatever a failed write raises into an OSError that names the folder."""
    try:
        yield
    except Exception as error:  # orbax lets through whatever its parts raise
        why = str(error).partition("\n")[0]
        raise OSError(f"the checkpoint {path} cannot be written: {why}") from error
