"""Seconds of sound and motion per second that the front ends compute, beside Rockpool's.

All on one core. Rockpool runs in a process of its own, with the Python of `SNNJAX_PEERS_PYTHON`: it
has Rockpool 3.1, NumPy below 2.4 and no jax, with which Rockpool computes in float32. Without it
only the time of the sound itself is there to compare with.

    SNNJAX_PEERS_PYTHON=.venv-rockpool/bin/python python -m benchmarks.xylo_frontend
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from snnjax.hardware.xylo.frontend import CLOCK, IMU_RATE, Audio3, Imu

from .harness import Measurement, Settings, compare, main, report

BATCH = 64


def run(settings: Settings) -> Path:
    one_core()
    seconds = 0.02 if settings.quick else 1.0
    audio, motion = round(seconds * CLOCK), round(10 * seconds * IMU_RATE)
    rng = np.random.default_rng(0)
    sound = rng.integers(-4000, 4001, (BATCH, audio)).astype(np.int32)
    moves = rng.integers(-16000, 16001, (BATCH, motion, 3)).astype(np.int32)
    groups: dict[str, dict[str, Measurement]] = {}
    with rockpool() as peer:
        for name, front_end, x, length in (
            ("audio3", Audio3(), sound, seconds),
            ("imu", Imu(), moves, 10 * seconds),
        ):
            samples = x.shape[1]
            calls: dict[str, Callable[[], Any]] = {
                "1 recording": lambda f=front_end, x=x[0]: jax.block_until_ready(f(x)[0]),
                f"{BATCH} recordings": lambda f=front_end, x=x: jax.block_until_ready(f(x)[0]),
            }
            if peer is not None:
                own = {"Rockpool, 1 recording": lambda n=name, s=samples: peer(n, s)}
                calls = {**own, **calls}
            title = f"{name}, recordings of {length:g} s"
            groups[title] = compare(calls, settings)
            print_speeds(title, groups[title], length)
    return report("xylo_frontend", groups, settings)


def print_speeds(title: str, measured: dict[str, Measurement], length: float) -> None:
    """Seconds of sound or motion for each second of computing."""
    print(f"\n{title}: seconds computed in a second, and times Rockpool's in the same round")
    for label, m in measured.items():
        recordings = BATCH if label.startswith(str(BATCH)) else 1
        times = f"x{recordings / m.ratio:8.0f}" if "Rockpool, 1 recording" in measured else ""
        print(f"  {label:28}{recordings * length / m.seconds:10.1f} {times}")


def one_core() -> None:
    """Keep this process, and those that it starts, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextlib.contextmanager
def rockpool() -> Iterator[Callable[[str, int], None] | None]:
    """A function that has Rockpool compute a recording, if it is installed somewhere."""
    python = os.environ.get("SNNJAX_PEERS_PYTHON")
    if python is None:
        print("`SNNJAX_PEERS_PYTHON` names no Python with Rockpool: it is left out")
        yield None
        return
    script = Path(__file__).with_name("_rockpool_front_ends.py")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([python, str(script)], stderr=sys.stderr, **pipes) as process:

        def call(name: str, samples: int) -> None:
            process.stdin.write(f"{name} {samples}\n")
            process.stdin.flush()
            while True:
                line = process.stdout.readline()
                if not line:
                    raise SystemExit("Rockpool's process has ended; see its message above")
                with contextlib.suppress(ValueError):
                    float(line)
                    return

        yield call
        process.stdin.close()


if __name__ == "__main__":
    main(run)
