"""Kill `snnjax train` at random moments, resume it, and hold the end against a run in one go.

    python -m tests.faults.kills --count 300

Training is killed, resumed, killed again and so on, some times in a row, and then left to end. The
integers, the metrics but `seconds`, and the checkpoint must be those of a run that nobody stopped,
to the bit. Each kill is aimed at the kind of moment of which there were too few so far, be it
inside a save, between epochs, or before or after all of them, and it counts as what it met. There
are more kills than asked for until a third of that number met a save and a third fell between
epochs. Each process is forked from one that has imported all, so that none is spent on imports.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}
EPOCHS = 40
SETTINGS = {
    "hidden": "8",
    "time_constants": "2",
    "steps": "8",
    "hold": "1",
    "batch_size": "512",
    "stages": f"plan:{EPOCHS}",
}
OPTIONS = ["--checkpoint-every", "0.15"]
IN_A_ROW = 12
SAVE, BETWEEN, BEFORE, AFTER = (
    "inside a save",
    "between epochs",
    "before the first epoch",
    "after the last epoch",
)
AIMS = {SAVE: 4, BETWEEN: 4, BEFORE: 1, AFTER: 1}
"""How often each kind of moment is wanted."""


class Kills:
    """A folder of runs, the run that nobody stopped, and what became of the others."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random, self.found = folder, random.Random(seed), Counter()
        self.processes = 0
        settings = [part for item in SETTINGS.items() for part in ("--set", "=".join(item))]
        self.new = ["train", *settings, *OPTIONS, "--out"]
        self.whole = folder / "whole"
        pid = self.start([*self.new, str(self.whole)])
        self.saves = list(self.lengths_of_saves(pid, self.whole))

    def lengths_of_saves(self, pid: int, run: Path) -> Iterator[float]:
        """The seconds that each save of a process takes that is left to end."""
        began = None
        while not self.ended(pid):
            if saving(run) and began is None:
                began = time.monotonic()
            elif began is not None and not saving(run):
                yield time.monotonic() - began
                began = None
            time.sleep(0.001)

    def words(self) -> str:
        """The output of the last process."""
        return (self.folder / "output.txt").read_text()

    def start(self, arguments: list[str]) -> int:
        """Run a command in a process of its own."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            output = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.argv = ["snnjax", *arguments]
            from snnjax.cli import main

            main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def ended(self, pid: int, options: int = os.WNOHANG) -> bool:
        """Whether a process has ended by itself, and then without an error."""
        found, status = os.waitpid(pid, options)
        if found:
            assert os.waitstatus_to_exitcode(status) == 0, self.words()
        return bool(found)

    def kill(self, pid: int, run: Path) -> str | None:
        """Kill a process at a random moment; the kind that it was, or None if it had ended."""
        aims = AIMS.keys() - ({BEFORE} if epochs_of(run) else set())
        aim = min(sorted(aims), key=lambda kind: self.found[kind] / AIMS[kind])
        wait = {SAVE: self.save, BETWEEN: self.between, BEFORE: self.before, AFTER: self.after}
        begun = False  # what a process that was killed left of a save is none of this one
        with contextlib.suppress(StopIteration):
            for _ in wait[aim](run):
                begun |= not saving(run)
                if self.ended(pid):
                    return None
                time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            return None
        if begun and saving(run):
            return SAVE
        return {0: BEFORE, EPOCHS: AFTER}.get(epochs_of(run), BETWEEN)

    def before(self, run: Path) -> Iterator[None]:
        """From when there is a folder of the run, for a random time."""
        while not run.exists():
            yield
        yield from self.a_while(0.5)

    def between(self, run: Path) -> Iterator[None]:
        """From when some more epochs are done, until no save goes on."""
        lines = min(epochs_of(run) + self.random.randint(1, 4), EPOCHS - 1)
        while epochs_of(run) < lines:
            yield
        yield from self.a_while(0.02)
        while saving(run):
            yield

    def after(self, run: Path) -> Iterator[None]:
        """From when the last epoch is done, for a random time."""
        while epochs_of(run) < EPOCHS:
            yield
        yield from self.a_while(0.1)

    def save(self, run: Path) -> Iterator[None]:
        """From when one of the saves has begun, for a random share of what one takes."""
        for _ in range(self.random.randint(0, 2)):
            yield from self.until_a_save(run)
        inside = False
        while not inside:
            yield from self.until_a_save(run)
            for _ in self.a_while(self.random.choice(self.saves)):
                yield
            inside = saving(run)

    def until_a_save(self, run: Path) -> Iterator[None]:
        """Until the next save begins."""
        while saving(run):
            yield
        while not saving(run):
            yield

    def a_while(self, longest: float) -> Iterator[None]:
        until = time.monotonic() + self.random.uniform(0, longest)
        while time.monotonic() < until:
            yield

    def enough(self, count: int) -> bool:
        """Whether there were so many kills, and enough of either kind."""
        third = -(-count // 3)
        return self.kills >= count and min(self.found[SAVE], self.found[BETWEEN]) >= third

    @property
    def kills(self) -> int:
        return sum(self.found[kind] for kind in AIMS)

    def one_run(self, count: int) -> None:
        """Kill a run some times in a row, or until there is enough, let it end, and compare."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        for _ in range(IN_A_ROW):
            self.processes += 1
            where = self.kill(self.start(self.next(run)), run)
            if where is None:
                break
            self.found[where] += 1
            if self.enough(count) or epochs_of(run) == EPOCHS:
                break
        self.ended(self.start(self.next(run)), 0)
        require_same(run, self.whole)
        self.found["runs that ended as in one go"] += 1

    def next(self, run: Path) -> list[str]:
        """The command that goes on with a run, or begins it."""
        if run.exists():
            return ["train", "--resume", str(run), *OPTIONS]
        return [*self.new, str(run)]


def epochs_of(run: Path) -> int:
    """Epochs that the log of a run has."""
    log = run / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def saving(run: Path) -> bool:
    """Whether a save is going on: its folder has another name until it is whole."""
    folder = run / "checkpoint"
    return folder.exists() and any(not p.name.isdecimal() for p in folder.iterdir())


def metrics(run: Path) -> list[dict[str, object]]:
    """The lines of a run's log, without the time that they took."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def checksums(run: Path) -> object:
    """The checksums of the arrays in the newest checkpoint."""
    step = max((run / "checkpoint").iterdir(), key=lambda p: int(p.name))
    return step.name, json.loads((step / "contents/metadata").read_text())


def require_same(run: Path, whole: Path) -> None:
    """Raise AssertionError unless two runs ended alike."""
    for look in (
        lambda at: (at / "xylo.json").read_bytes(),
        lambda at: (at / "summary.txt").read_text(),
        metrics,
        checksums,
    ):
        found, wanted = look(run), look(whole)
        if found != wanted:
            rows = [str(x).splitlines() if isinstance(x, str) else [x] for x in (found, wanted)]
            apart = [pair for pair in zip(*rows, strict=False) if pair[0] != pair[1]]
            raise AssertionError(f"the end is not as in one go: {apart or (found, wanted)}")


def run(count: int, seed: int, folder: Path, notify: Callable[[str], None]) -> Counter[str]:
    """Kill and compare until there were so many kills, a third of them of either main kind."""
    os.environ.update(CACHE)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
    # All that a run imports: what is left for the processes is work.
    import filelock  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401

    import snnjax.cli._app  # noqa: F401

    kills = Kills(folder, seed)
    while not kills.enough(count):
        assert kills.processes < 5 * count + 20, f"too few kills met their aim: {kills.found}"
        kills.one_run(count)
        notify(f"{kills.kills} kills: {dict(kills.found)}")
    return kills.found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="print the last line only")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notify = (lambda line: None) if given.quiet else (lambda line: print(line, flush=True))
        found = run(given.count, given.seed, Path(folder), notify)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
