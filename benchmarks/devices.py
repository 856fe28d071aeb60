"""An epoch on a mesh of devices, beside one on a single device of it.

Devices of a CPU share its cores, and so do processes on one machine. There the ratio is the price
of the mesh, and nothing is gained. Where jax has several devices, such as GPUs, those are measured
as well.

In each round, the first process trains an epoch by itself while the others wait, and then all train
one together. The network is that of the main job, through the plan.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

from .harness import Measurement, Settings, main, measurement, report

BATCHES = 64, 512
EIGHT = "--xla_force_host_platform_device_count=8"
CPU = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
MACHINES: dict[str, tuple[int, dict[str, str]]] = {
    "8 devices of one CPU": (1, {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": EIGHT}),
    "2 processes": (2, CPU),
    "4 processes": (4, CPU),
}
"""By name, the number of processes and what their environment has."""


def run(settings: Settings) -> Path:
    machines = dict(MACHINES)
    if jax.device_count() > 1:
        machines[f"{jax.device_count()} devices of this machine"] = 1, {}
    groups = {}
    for batch_size in BATCHES[:1] if settings.quick else BATCHES:
        for name, (processes, environment) in machines.items():
            title = f"an epoch, {batch_size} sequences a step, {name}"
            if settings.only in title:
                times = _start(processes, environment, batch_size, settings)
                groups[title] = _compared(np.array(times))
    return report("devices", groups, settings)


def _compared(times: np.ndarray) -> dict[str, Measurement]:
    names = "one device", "all devices"
    return {name: measurement(own, times[0]) for name, own in zip(names, times, strict=True)}


def _start(
    processes: int, environment: dict[str, str], batch_size: int, settings: Settings
) -> list[list[float]]:
    """The times on one device and on all, which the first of some processes found."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        at = f"localhost:{free.getsockname()[1]}"
    given = map(str, (at, processes, settings.rounds, batch_size, int(settings.quick)))
    command = [sys.executable, "-m", "benchmarks._devices", *given]
    started = [
        subprocess.Popen(
            [*command, str(i)], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
        )
        for i in range(processes)
    ]
    first, *_ = [process.communicate()[0] for process in started]
    return json.loads(first.splitlines()[-1])


if __name__ == "__main__":
    main(run)
