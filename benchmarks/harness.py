"""Times functions against a reference measured in the same run.

A time depends on the machine and on who else uses it; a ratio of times taken side by side hardly
does. So every candidate is compiled ahead and warmed up, then reference and candidates take turns
for a number of rounds, and the ratio is that of each round, its median and its quartiles.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        rounds: how often reference and candidates take turns.
        seconds: length of one turn; a function is called as often as fits, at least once.
        quick: sizes so small that the numbers mean nothing: whether it runs is all that is asked.
        results: folder for the JSON files.
        data: folder of the data set of a benchmark that has one.
        peers: the Pythons of the environments that hold other libraries.
        docs: folder of the pages whose figures are to be written; None for none.
        only: part of the titles of the groups that are measured, where a benchmark has many.
    """

    rounds: int = 25
    seconds: float = 0.05
    quick: bool = False
    results: Path = RESULTS
    data: Path | None = None
    peers: tuple[str, ...] = ()
    docs: Path | None = None
    only: str = ""

    def need_data(self) -> Path:
        """The folder of the data set; ends the program if there is none."""
        if self.data is None:
            raise SystemExit("this benchmark needs `--data FOLDER`, the data set that it names")
        return self.data


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one function took.

    Attributes:
        seconds: median time of one call.
        ratio: median over the rounds of its time divided by that of the reference.
        ratio_low: first quartile of that ratio.
        ratio_high: third quartile.
        temp_bytes: peak memory besides arguments and results; None where jax does not tell, or has
            not compiled the function.
    """

    seconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    temp_bytes: int | None


Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of arrays, to be compiled, and its arguments."""


def compare(
    calls: Mapping[str, Call | Callable[[], Any]], settings: Settings
) -> dict[str, Measurement]:
    """Time functions side by side.

    Args:
        calls: by name, functions and their arguments; or functions without, which are called as
            they are and must be done when they return. The first one is the reference.
        settings: how long to measure.

    Returns:
        What each took, by name, the reference included.
    """
    ready = {name: _ready(call) for name, call in calls.items()}
    turns = {name: _turn(*ready[name], settings.seconds) for name in calls}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(settings.rounds):
        # There and back, so that no function always runs in the wake of the same other one.
        for name in list(turns)[:: 1 if i % 2 == 0 else -1]:
            times[name].append(turns[name]())
    reference = np.array(times[next(iter(calls))])
    return {name: measurement(np.array(times[name]), reference, ready[name][0]) for name in calls}


def _ready(call: Call | Callable[[], Any]) -> Call:
    if callable(call):
        return call, ()
    function, args = call
    return jax.jit(function).lower(*args).compile(), args


def _turn(compiled: Any, args: tuple[Any, ...], seconds: float) -> Callable[[], float]:
    def call() -> float:
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        return time.perf_counter() - start

    call()
    calls = max(1, round(seconds / call()))
    return lambda: sum(call() for _ in range(calls)) / calls


def measurement(times: np.ndarray, reference: np.ndarray, compiled: Any = None) -> Measurement:
    """The measurement of a function, from its times and the reference's in the same rounds."""
    low, ratio, high = np.quantile(times / reference, (0.25, 0.5, 0.75))
    memory = compiled.memory_analysis() if hasattr(compiled, "memory_analysis") else None
    return Measurement(
        seconds=float(np.median(times)),
        ratio=float(ratio),
        ratio_low=float(low),
        ratio_high=float(high),
        temp_bytes=None if memory is None else int(memory.temp_size_in_bytes),
    )


def report(name: str, groups: Mapping[str, Mapping[str, Measurement]], settings: Settings) -> Path:
    """Print what was measured and write it to `<name>.json` in the folder for results.

    Args:
        name: of the benchmark.
        groups: what `compare` gave, by a title that says what the group has in common.
        settings: those it was measured with.

    Returns:
        The path of the file.
    """
    for title, group in groups.items():
        print(f"\n{name}: {title}")
        for label, m in group.items():
            memory = "" if m.temp_bytes is None else f"{m.temp_bytes / 2**20:9.1f} MiB"
            spread = f"[{m.ratio_low:.2f}, {m.ratio_high:.2f}]"
            print(f"  {label:44}{1e3 * m.seconds:9.2f} ms  x{m.ratio:6.2f} {spread:16}{memory}")
    content = {
        "name": name,
        "environment": environment(),
        "settings": {"rounds": settings.rounds, "seconds": settings.seconds},
        "quick": settings.quick,
        "groups": {
            title: {label: dataclasses.asdict(m) for label, m in group.items()}
            for title, group in groups.items()
        },
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "jax": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
        "python": platform.python_version(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "flags": os.environ.get("XLA_FLAGS", ""),
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


def main(*benchmarks: Callable[[Settings], Any], arguments: list[str] | None = None) -> None:
    """Run benchmarks with the settings of the command line."""
    parser = argparse.ArgumentParser(description="Times snnjax; see benchmarks/README.md.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all")
    parser.add_argument("--rounds", type=int, help="how often reference and candidates take turns")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    parser.add_argument("--data", type=Path, help="folder of the data set, where one is needed")
    parser.add_argument("--peers", action="append", default=[], help="Python of other libraries")
    parser.add_argument("--docs", type=Path, help="folder of the pages whose figures to write")
    parser.add_argument("--only", default="", help="part of the titles of what is measured")
    args = parser.parse_args(arguments)
    peers = tuple(args.peers)
    settings = Settings(
        results=args.results, data=args.data, peers=peers, docs=args.docs, only=args.only
    )
    if args.quick:
        settings = dataclasses.replace(settings, quick=True, rounds=3, seconds=0.0)
    if args.rounds is not None:
        settings = dataclasses.replace(settings, rounds=args.rounds)
    for benchmark in benchmarks:
        benchmark(settings)
