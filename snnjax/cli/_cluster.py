"""Several processes, or several devices, that train one network."""

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import typer
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec as P

from ..train import Sharding
from ._options import StoppedError, one_line_errors

AUTO = "auto"
"""In place of an address: what `jax.distributed.initialize` finds by itself."""

_MEETING = 300
"""Most seconds that a process waits for the others to start."""
_HEARTBEAT = 30
"""Seconds without a word after which a process counts as ended."""
_SCORING = 24 * 60 * 60
"""Most seconds that the others wait at the end for the first process, which scores and writes."""
_ALL_OF_THEM = (
    "start all of them, each with its own `--process`, and an address that all of them reach"
)
_LONGEST = 2000
"""Most bytes of an error that the others tell."""

_REFUSED = ValueError, OSError, ImportError, eqx.EquinoxRuntimeError


class AgreedError(ValueError):
    """An error that all processes end with."""


def join(
    mesh: str | None, coordinator: str | None, processes: int | None, process: int | None
) -> Sharding | None:
    """Meet the other processes, and make the mesh of all their devices.

    Args:
        mesh: sizes such as data=4,model=2; None for all devices along data where there are several
            processes, and for no mesh otherwise.
        coordinator: address of process 0 with a port that is free there, or "auto"; None for one
            process.
        processes: how many there are.
        process: the number of this one, from 0.

    Raises:
        ValueError: if one of these is wrong, or lacks another.
        OSError: if the processes do not meet.
    """
    if coordinator is not None or processes is not None or process is not None:
        _meet(coordinator, processes, process)
        mesh = f"data={jax.device_count()}" if mesh is None else mesh
    with together():
        found = None if mesh is None else Sharding.make(mesh)
    if found is not None:
        _connect(found)
    return found


def _connect(sharding: Sharding) -> None:
    """A sum along each axis of the mesh.

    Gloo gives processes half a minute to connect at the first sum. Here they are all at the same
    place, but after they loaded data and compiled they may be further apart.
    """
    mesh = sharding.mesh
    ones, names = np.ones(mesh.devices.shape, np.float32), mesh.axis_names
    split = NamedSharding(mesh, P(*names))
    x = jax.make_array_from_callback(ones.shape, split, lambda index: ones[index])
    for axis, name in enumerate(names):
        rest = NamedSharding(mesh, P(*(other for other in names if other != name)))
        jax.jit(lambda x, axis=axis: x.sum(axis), out_shardings=rest)(x).block_until_ready()


def _meet(coordinator: str | None, processes: int | None, process: int | None) -> None:
    given: dict[str, Any] = {}
    if coordinator != AUTO:
        given = _numbers(coordinator, processes, process)
    elif processes is not None or process is not None:
        raise ValueError(
            "`--processes` and `--process` are found with `--coordinator auto`; leave them out"
        )
    try:
        with _in_time(coordinator):
            jax.distributed.initialize(
                **given,
                initialization_timeout=2 * _MEETING,
                heartbeat_timeout_seconds=_HEARTBEAT,
                shutdown_timeout_seconds=_SCORING,
            )
    except (ValueError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        if coordinator == AUTO and isinstance(error, ValueError):
            raise ValueError(
                "`--coordinator auto` finds no cluster of SLURM, Open MPI, Kubernetes or TPUs "
                f"here ({why}); give `--coordinator HOST:PORT --processes N --process I`"
            ) from error
        raise OSError(
            f"the processes did not meet at `--coordinator {coordinator}`: {why}; {_ALL_OF_THEM}"
        ) from error


@contextlib.contextmanager
def _in_time(coordinator: str | None) -> Iterator[None]:
    """A part that ends the process where it takes too long. JAX would abort it, with a stack."""

    def end() -> None:
        words = f"error: not all processes came to `--coordinator {coordinator}` in {_MEETING} s; "
        typer.secho(words + _ALL_OF_THEM, fg="red", err=True)
        os._exit(2)

    timer = threading.Timer(_MEETING, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _numbers(coordinator: str | None, processes: int | None, process: int | None) -> dict[str, Any]:
    """The arguments of `jax.distributed.initialize`, looked at."""
    if coordinator is None or processes is None or process is None:
        missing = {"coordinator": coordinator, "processes": processes, "process": process}
        names = " and ".join(f"`--{name}`" for name, value in missing.items() if value is None)
        raise ValueError(
            f"{names} must be given too: `--coordinator HOST:PORT --processes N --process I`, or "
            "`--coordinator auto` on a cluster that JAX knows, such as SLURM's"
        )
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise ValueError(
            f"`--coordinator` must be HOST:PORT, such as 10.0.0.1:1234, or auto; got {coordinator}"
        )
    if processes < 1:
        raise ValueError(f"`--processes` must be above 0; got {processes}")
    if not 0 <= process < processes:
        raise ValueError(
            f"`--process` must be from 0 to {processes - 1}, as there are {processes} processes; "
            f"got {process}"
        )
    return {
        "coordinator_address": coordinator,
        "num_processes": processes,
        "process_id": process,
    }


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


@contextlib.contextmanager
def together() -> Iterator[None]:
    """A part that all processes pass, or none: where one refuses its input, all end.

    Raises:
        AgreedError: if one of several processes refused its input, with its words.
    """
    refused: BaseException | None = None
    try:
        yield
    except _REFUSED as error:
        refused = error
    if jax.distributed.is_initialized():
        for i, text in enumerate(_texts("" if refused is None else str(refused))):
            if text:
                words = str(refused) if refused is not None else f"process {i} ended: {text}"
                raise AgreedError(words) from refused
    elif refused is not None:
        raise refused


def require_same(values: Mapping[str, object]) -> None:
    """Raise `AgreedError` unless all processes have the same values, which arrays may be in."""
    if not jax.distributed.is_initialized():
        return
    own = np.stack([np.frombuffer(_digest(value), np.uint8) for value in values.values()])
    every = multihost_utils.process_allgather(own)
    for i, found in enumerate(every):
        for name, same in zip(values, (found == every[0]).all(1), strict=True):
            if not same:
                raise AgreedError(
                    f"`{name}` is not the same in all processes: that of process {i} is not that "
                    "of process 0; start all of them with the same settings, data and checkpoint"
                )


def _texts(own: str) -> list[str]:
    """A text of each process, of which each gets all."""
    content = own.encode()[:_LONGEST].ljust(_LONGEST, b"\0")
    every = multihost_utils.process_allgather(np.frombuffer(content, np.uint8))
    return [row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in every]


def _digest(value: object) -> bytes:
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(value):
        if eqx.is_array_like(leaf) and not isinstance(leaf, bool | int | float):
            array = np.asarray(leaf)
            found.update(f"{array.shape}{array.dtype}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        else:
            found.update(json.dumps(leaf, default=str).encode())
    return found.digest()


@contextlib.contextmanager
def ending_together(way_on: str) -> Iterator[None]:
    """The end of this process, where it has an error, also ends the others.

    JAX tells of a process that has ended by an error of the next operation that all take part in.
    A process that ends as usual waits for all others; one with an error must not.

    Args:
        way_on: the end of the message where another process has ended.
    """
    if not jax.distributed.is_initialized():
        yield
        return
    try:
        with one_line_errors():
            try:
                yield
            except jax.errors.JaxRuntimeError as error:
                why = str(error).partition("\n")[0][:200]
                raise ConnectionError(
                    f"another process has ended, or is not reached; {way_on} ({why})"
                ) from error
    except typer.Exit as end:
        if isinstance(end.__cause__, AgreedError | StoppedError):
            raise
        status = end.exit_code
    except BaseException:
        traceback.print_exc()
        status = 1
    else:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextlib.contextmanager
def until_told(way_on: str) -> Iterator[Callable[[int, int], None]]:
    """A part that SIGTERM ends only where it asks: by a function of a count and the epoch.

    Of several processes all ask, with the same counts. JAX tells all of a SIGTERM that one of them
    had, and of the count at which they end together. The function raises `StoppedError`.

    Args:
        way_on: the end of the message.
    """
    told: list[bool] = []

    def ask(count: int, epoch: int) -> None:
        if multihost_utils.reached_preemption_sync_point(count) if several else told:
            raise StoppedError(f"stopped by SIGTERM after {epoch} epochs; {way_on}")

    if several := jax.distributed.is_initialized():
        yield ask
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    try:
        yield ask
    finally:
        signal.signal(signal.SIGTERM, before)
