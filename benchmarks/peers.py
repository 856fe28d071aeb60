"""One layer, Linear and LIF, of every library, forward and backward, side by side.

Each library runs in a process of its own, in an environment that holds it: give the Python of each
environment with `--peers`; a library is taken from the first that has it. The processes take turns.
All get the same weights, input and gradient of the output, and are run as is best for them on a
CPU: those on PyTorch with one thread and with two, of which the faster counts; jaxpike without its
unrolling, which is for GPUs; Spyx with its product before the time loop. `--docs FOLDER` writes the
table and the picture of `docs/benchmarks.md`.

    python -m benchmarks.peers --peers A/bin/python --peers B/bin/python --docs docs
"""

import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._worker import LIBRARIES, TORCH
from .harness import Measurement, Settings, main, report

SIZES: tuple[tuple[int, int], ...] = ((100, 256), (500, 256), (100, 1024), (500, 1024))
BATCH, SEED = 16, 0
THREADS = (2, 1)

BEGIN, END = "<!-- measured: peers -->", "<!-- end -->"


class Worker:
    """A library in a process of its own."""

    def __init__(self, python: str, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks._worker", name],
            cwd=Path(__file__).parent.parent,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @functools.cached_property
    def version(self) -> str | None:
        """Its version, once it is imported; None where the environment does not hold it."""
        return json.loads(self._read() or "null")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def seconds(self, *what: Any) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if not answer:
            raise SystemExit(f"{self._name} ended; its error is above")
        return float(answer)

    def close(self) -> None:
        self._process.communicate()


def run(settings: Settings) -> Path:
    sizes, batch = (((5, 4),), 2) if settings.quick else (SIZES, BATCH)
    workers = _workers(settings.peers or (sys.executable,))
    groups = {}
    for steps, neurons in sizes:
        for direction, label in (("forward", "forward"), ("both", "forward and backward")):
            title = f"T={steps}, N={neurons}, batch {batch}, {label}"
            if settings.only in title:
                what = direction, steps, neurons, batch, SEED
                groups[title] = _compare(workers, settings, what)
    versions = {name: worker.version for name, worker in workers.items()}
    for worker in workers.values():
        worker.close()
    path = report("peers", groups, settings)
    if settings.docs is not None:
        page = settings.docs / "benchmarks.md"
        before, rest = page.read_text().split(BEGIN)
        table = _table(groups, versions, settings)
        page.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{rest.split(END)[1]}")
        _picture(groups, settings.docs / "images" / "peers.svg")
    return path


def _workers(pythons: Sequence[str]) -> dict[str, Worker]:
    """A process for each library that one of the environments holds."""
    started = {
        name: [Worker(p, name) for p in ((sys.executable,) if package == "snnjax" else pythons)]
        for name, (package, _) in LIBRARIES.items()
    }
    found = {}
    for name, workers in started.items():
        able = [worker for worker in workers if worker.version is not None]
        for worker in workers:
            if worker not in able[:1]:
                worker.close()
        if able:
            found[name] = able[0]
        else:
            print(f"left out: {name}, which none of `--peers` has")
    return found


def _compare(
    workers: dict[str, Worker], settings: Settings, what: tuple[Any, ...]
) -> dict[str, Measurement]:
    """Time in turns; the reference is the first. Of several numbers of threads the best counts."""
    turns = [
        (name, threads)
        for name in workers
        for threads in (THREADS if LIBRARIES[name][0] in TORCH else (THREADS[0],))
    ]
    calls = {}
    for name, threads in turns:
        once = min(workers[name].seconds(*what, threads, 1) for _ in range(2))
        calls[name, threads] = max(1, round(settings.seconds / once))
    times: dict[tuple[str, int], list[float]] = {turn: [] for turn in turns}
    for i in range(settings.rounds):
        for name, threads in turns[:: 1 if i % 2 == 0 else -1]:
            took = workers[name].seconds(*what, threads, calls[name, threads])
            times[name, threads].append(took)
    best: dict[str, np.ndarray] = {}
    for (name, _), measured in times.items():
        array = np.array(measured)
        if name not in best or np.median(array) < np.median(best[name]):
            best[name] = array
    reference = next(iter(best.values()))
    found = {}
    for name, array in best.items():
        low, ratio, high = map(float, np.quantile(array / reference, (0.25, 0.5, 0.75)))
        found[name] = Measurement(float(np.median(array)), ratio, low, high, None)
    return found


def _table(
    groups: dict[str, dict[str, Measurement]], versions: dict[str, str | None], settings: Settings
) -> str:
    lines = [f"| library | {' | '.join(groups)} |", f"|---|{'---|' * len(groups)}"]
    for name in next(iter(groups.values())):
        cells = (group[name] for group in groups.values())
        shown = (f"{m.ratio:.2f} [{m.ratio_low:.2f}, {m.ratio_high:.2f}]" for m in cells)
        lines.append(f"| {name} {versions[name]} | {' | '.join(shown)} |")
    lines += ["", f"Rounds: {settings.rounds}; turns of {settings.seconds} s; seed {SEED}.", ""]
    return "\n".join(lines)


def _picture(groups: dict[str, dict[str, Measurement]], path: Path) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    columns = min(len(groups), 4)
    rows = -(-len(groups) // columns)
    size = 3.2 * columns, 3 * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True)
    for at, (title, group) in zip(np.ravel(axes), groups.items(), strict=False):
        names = list(group)[::-1]
        at.barh(names, [group[name].ratio for name in names], color="#4c72b0")
        at.set_xscale("log")
        at.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        at.xaxis.set_major_formatter("{x:g}")
        at.xaxis.set_minor_formatter(NullFormatter())
        at.axvline(1, color="black", linewidth=0.8)
        at.set_title(title.replace(", batch", "\nbatch"), fontsize=8)
        at.tick_params(labelsize=8)
    figure.supxlabel("time / snnjax Leaky's", fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main(run)
