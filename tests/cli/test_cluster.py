"""Options for several processes that are refused before any work."""

import jax
import pytest

from ._commands import call

MEET = {"coordinator": "localhost:1234", "processes": 4, "process": 0}


def options(**changed):
    given = {name: value for name, value in {**MEET, **changed}.items() if value is not None}
    return [part for name, value in given.items() for part in (f"--{name}", value)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--mesh", "data=3"], f"is the number of devices, {jax.device_count()}; got 'data=3'"),
        (["--mesh", "rows=1"], "`mesh` must be like data=4 or data=4,model=2; got 'rows=1'"),
        (options(process=4), "`--process` must be from 0 to 3, as there are 4 processes; got 4"),
        (options(process=-1), "`--process` must be from 0 to 3, as there are 4 processes; got -1"),
        (options(processes=0), "`--processes` must be above 0; got 0"),
        (options(process=None), "`--process` must be given too"),
        (options(coordinator=None), "`--coordinator` must be given too"),
        (options(coordinator="localhost"), "`--coordinator` must be HOST:PORT, such as"),
        (options(coordinator="localhost:0"), "`--coordinator` must be HOST:PORT, such as"),
        (options(coordinator="auto"), "are found with `--coordinator auto`; leave them out"),
    ],
)
def test_what_is_refused(tmp_path, given, words):
    found = call("train", "digits", "--out", tmp_path / "run", *given)
    assert found.exit_code == 2
    assert words in found.output
    assert not (tmp_path / "run").exists()
