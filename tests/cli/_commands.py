"""How the tests of this folder call a command."""

from typer.testing import CliRunner

from snnjax.cli._app import app


def call(*arguments):
    """The result of `snnjax ARGUMENTS`."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


def trained(folder, *options):
    """The folder of a run with these options, and what training printed."""
    result = call("train", "--out", folder, *options)
    assert result.exit_code == 0, result.output
    return folder, result.output
