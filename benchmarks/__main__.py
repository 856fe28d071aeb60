"""Runs every benchmark of this folder, each in a process of its own: `python -m benchmarks`."""

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import benchmarks


def every_benchmark() -> list[ModuleType]:
    """The modules of this folder that measure something, by name."""
    names = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    names = (name for name in names if name != "harness" and not name.startswith("_"))
    return [importlib.import_module(f"benchmarks.{name}") for name in sorted(names)]


if __name__ == "__main__":
    for benchmark in every_benchmark():
        subprocess.run([sys.executable, "-m", benchmark.__name__, *sys.argv[1:]], check=True)
