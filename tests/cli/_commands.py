"""How the tests of this folder call a command."""

import json

from typer.testing import CliRunner

from snnjax.cli._app import app


def call(*arguments):
    """The result of `snnjax ARGUMENTS`."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


def settings(**values):
    """The options that set these."""
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


SMALL = ["--epochs", 3, *settings(hidden="24,16", time_constants="2,4", batch_size=128)]
"""Options of the main job on a small network."""


def trained(folder, *options):
    """The folder of a run with these options, and what training printed."""
    result = call("train", "--out", folder, *options)
    assert result.exit_code == 0, result.output
    return folder, result.output


def lines_of(folder):
    """The lines of a run's metrics."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
