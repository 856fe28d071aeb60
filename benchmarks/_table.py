"""Tables of accuracies and other numbers: mean and spread over seeds."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from .harness import Settings, environment

Rows = Mapping[str, Mapping[str, Sequence[float]]]
"""What each seed reached, by row and column."""


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """Keeps compiled programs for as long as it lasts: the same one trains every network."""
    before = jax.config.jax_compilation_cache_dir
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", before)
            compilation_cache.reset_cache()


def report_accuracies(name: str, title: str, rows: Rows, settings: Settings, **about: Any) -> Path:
    """Print a table of accuracies and write it; see `report_table`."""
    return report_table(name, title, rows, settings, {}, **about)


def report_table(
    name: str,
    title: str,
    rows: Rows,
    settings: Settings,
    formats: Mapping[str, str],
    **about: Any,
) -> Path:
    """Print a table and write it to `<name>.json` in the folder for results.

    Args:
        name: of the benchmark.
        title: what was measured.
        rows: the numbers.
        settings: those of the benchmark.
        formats: of the numbers of a column; a share, as an accuracy is, for those not named.
        about: what else goes into the file.

    Returns:
        The path of the file.
    """
    print(f"\n{name}: {title}")
    table = {
        row: {
            column: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=len(v) > 1)), "all": v}
            for column, v in columns.items()
        }
        for row, columns in rows.items()
    }
    width = max(map(len, table)) + 2
    for row, columns in table.items():
        cells = (_cell(c, v, formats.get(c, ".2%")) for c, v in columns.items())
        print(f"  {row:{width}}{'   '.join(cells)}")
    content = {
        "name": name,
        "environment": environment(),
        "settings": {"rounds": settings.rounds, "seconds": settings.seconds},
        "quick": settings.quick,
        **about,
        "table": table,
        "groups": {},
    }
    settings.results.mkdir(parents=True, exist_ok=True)
    path = settings.results / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def _cell(column: str, value: Mapping[str, Any], form: str) -> str:
    return f"{column} {format(value['mean'], form):>7} ± {value['std']:{form}}"
