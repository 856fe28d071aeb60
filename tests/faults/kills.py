"""Kill `snnjax train` at random moments, resume it, and hold the end against a run in one go.

    python -m tests.faults.kills --count 300

Training is killed, resumed, killed again and so on, some times in a row, and then left to end. The
integers, the metrics but `seconds`, and the checkpoint must be those of a run that nobody stopped,
to the bit. Some of the kills are aimed at a save, at a random time after its temporary folder
showed up, others at when there is none. Each process is forked from one that has imported all, so
that no kill is spent on imports.
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
LONGEST_SAVE = 0.12
"""Most seconds from the moment that is waited for to the kill."""


class Kills:
    """A folder of runs, the run that nobody stopped, and what became of the others."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random, self.found = folder, random.Random(seed), Counter()
        settings = [part for item in SETTINGS.items() for part in ("--set", "=".join(item))]
        self.new = ["train", *settings, *OPTIONS, "--out"]
        self.whole = folder / "whole"
        for again in ("compiles", "whole"):  # the second finds its programs in the cache
            began = time.monotonic()
            assert self.finish(self.start([*self.new, str(folder / again)])) == 0, self.words()
            self.seconds = time.monotonic() - began

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

    def finish(self, pid: int) -> int:
        """The exit status of a process that is left to end."""
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self, pid: int, run: Path) -> str | None:
        """Kill a process at a random moment; where it was, or None if it had ended before."""
        wait = self.random.choices([self.in_a_save, self.between, self.anywhere], [4, 5, 1])[0]
        with contextlib.suppress(StopIteration):
            for _ in wait(run):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    assert os.waitstatus_to_exitcode(status) == 0, self.words()
                    return None
                time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            return None
        if saving(run):
            return "inside a save"
        return "between epochs" if (run / "metrics.jsonl").exists() else "before the first epoch"

    def anywhere(self, run: Path) -> Iterator[None]:
        """From when there is a run folder, or from one of the last epochs on, for a random time."""
        last = self.random.choice([0, EPOCHS - 1])
        while not run.exists() or epochs_of(run) < last:
            yield
        yield from self.a_while()

    def between(self, run: Path) -> Iterator[None]:
        """From when some more epochs are done, until no save goes on."""
        lines = min(epochs_of(run) + self.random.randint(1, 4), EPOCHS)
        while epochs_of(run) < lines:
            yield
        for _ in range(self.random.randint(0, 20)):
            yield
        while saving(run):
            yield

    def in_a_save(self, run: Path) -> Iterator[None]:
        """From when one of the saves has begun, for a random share of what it takes."""
        for _ in range(self.random.randint(1, 3)):
            while saving(run):
                yield
            while not saving(run):
                yield
        for _ in self.a_while():
            if not saving(run):
                return
            yield

    def a_while(self) -> Iterator[None]:
        until = time.monotonic() + self.random.uniform(0, LONGEST_SAVE)
        while time.monotonic() < until:
            yield

    def one_run(self, left: int) -> int:
        """Kill a run some times in a row, let it end, and compare; the number of kills."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        done = 0
        for _ in range(min(left, IN_A_ROW)):
            where = self.kill(self.start(self.next(run)), run)
            if where is None:
                break
            self.found[where] += 1
            done += 1
        assert self.finish(self.start(self.next(run))) == 0, self.words()
        require_same(run, self.whole)
        self.found["runs that ended as in one go"] += 1
        return done

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
    """Kill and compare until there were so many kills."""
    os.environ.update(CACHE)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
    # All that a run imports: what is left for the processes is work.
    import filelock  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401

    import snnjax.cli._app  # noqa: F401

    kills = Kills(folder, seed)
    notify(f"a run in one go takes {kills.seconds:.1f} s")
    done = 0
    while done < count:
        done += kills.one_run(count - done)
        notify(f"{done} kills: {dict(kills.found)}")
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
