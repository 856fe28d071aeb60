"""Training in several real processes, which talk by Gloo over this machine's own network."""

import os

import equinox as eqx
import jax
import numpy as np
import pytest

from snnjax.train import Sharding
from snnjax.train._steps import newest_step

from ..cli._commands import settings
from . import processes, training

DYING = "tests/devices/dying.py:Dying"


def train(run, *options, dies=None):
    """Start two processes of the command, which may get a signal; see `Dying`."""
    environment = {} if dies is None else {"SNNJAX_TEST_DIES": dies}
    return processes.train(2, *options, "--checkpoint-every", 0, environment=environment)


def whole_run(folder, **changed):
    """The run of two processes that nobody stopped, and what each of them said."""
    run, given = folder / "run", settings(**processes.SETTINGS, **changed)
    found = processes.ends(train(run, DYING, "--out", run, *given))
    processes.assert_all_well(found)
    return run, found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return whole_run(tmp_path_factory.mktemp("processes"))


@pytest.fixture(scope="module")
def whole_by_grain(tmp_path_factory):
    return whole_run(tmp_path_factory.mktemp("processes"), loader="grain")


def assert_same_to_the_bit(run, wanted, **changed):
    assert (run / "xylo.json").read_bytes() == (wanted / "xylo.json").read_bytes()
    both = [jax.tree.leaves(processes.state_of(at, **changed)) for at in (run, wanted)]
    for found, other in zip(*both, strict=True):
        if eqx.is_array(found):
            np.testing.assert_array_equal(found, other)


@pytest.mark.slow
def test_two_processes_train_as_one_device_does(whole):
    run, ((_, first), (_, second)) = whole
    processes.assert_trained_as_on_one_device(run)
    assert f"wrote {run}/" in first
    assert "training" not in second
    assert "wrote" not in second
    assert {"xylo.json", "summary.txt"} <= {path.name for path in run.iterdir()}


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others_and_the_run_goes_on(whole, tmp_path):
    run = tmp_path / "run"
    options = (DYING, "--out", run, *settings(**processes.SETTINGS))
    _, second = started = train(run, *options, dies="KILL 1 1")
    assert second.wait(processes.LONGEST) == -9
    (status, said), _ = processes.ends(started)
    assert status == 2, said
    assert "error: another process has ended, or is not reached;" in said
    assert f"--resume {run}" in said
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    processes.assert_all_well(processes.ends(train(run, "--resume", run)))
    assert_same_to_the_bit(run, whole[0])


@pytest.mark.long
def test_two_processes_train_through_grain_as_one_device_does(whole_by_grain):
    processes.assert_trained_as_on_one_device(whole_by_grain[0], loader="grain")


@pytest.mark.long
@pytest.mark.parametrize("told", ["1", "0,1"])
def test_sigterm_ends_all_in_an_epoch_and_the_run_goes_on(whole_by_grain, tmp_path, told):
    run = tmp_path / "run"
    options = (DYING, "--out", run, *settings(**processes.SETTINGS, loader="grain"))
    for status, said in processes.ends(train(run, *options, dies=f"TERM {told} 3")):
        assert status == 143, said
        assert f"stopped by SIGTERM after 0 epochs; go on with --resume {run}" in said
    assert 3 < newest_step(run / "checkpoint") < 10
    processes.assert_all_well(processes.ends(train(run, "--resume", run)))
    assert_same_to_the_bit(run, whole_by_grain[0], loader="grain")


NOT_FOUND = "`--coordinator auto` finds no cluster of SLURM, Open MPI, Kubernetes or TPUs here"


@pytest.mark.slow
def test_processes_that_do_not_meet_end_in_one_line(tmp_path):
    code = "from snnjax.cli import _cluster, main; _cluster._MEETING = 2; main()"
    ways = [["--coordinator", "localhost:1", "--processes", "2", "--process", "1"]]
    ways += [["--coordinator", "auto"]]
    command = ["-c", code, "train", "digits", "--out", str(tmp_path / "run")]
    started = [processes.start(1, lambda *_, way=way: [*command, *way])[0] for way in ways]
    (late, first), (none, second) = processes.ends(started)
    assert (late, none) == (2, 2), first + second
    assert "error: not all processes came to `--coordinator localhost:1` in 2 s;" in first
    assert f"error: {NOT_FOUND}" in second
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_the_variables_of_slurm_are_found(whole, tmp_path):
    run = tmp_path / "run"
    slurm = {"SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    started = []
    for i in range(2):
        own = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}
        command = [*processes.COMMAND, "train", DYING, "--out", str(run), "--coordinator", "auto"]
        command += settings(**processes.SETTINGS)
        started += processes.start(1, lambda *_, c=command: c, {**slurm, **own})
    processes.assert_all_well(processes.ends(started))
    assert_same_to_the_bit(run, whole[0])


@pytest.mark.slow
def test_processes_with_other_settings_are_refused(tmp_path):
    both = lambda at, i: [  # noqa: E731
        *processes.COMMAND,
        *("train", "digits", "--out", str(tmp_path / "run"), "--seed", str(i)),
        *("--coordinator", at, "--processes", "2", "--process", str(i)),
        *settings(**processes.SETTINGS),
    ]
    for status, said in processes.ends(processes.start(2, both)):
        assert status == 2, said
        assert "`seed` is not the same in all processes: that of process 1 is not" in said


@pytest.mark.long
def test_four_processes_train_as_one_device_does(tmp_path):
    processes.assert_all_well(processes.ends(processes.perform("by_hand", tmp_path, 4)))
    state, losses = training.train()
    with np.load(tmp_path / "trained.npz") as found:
        np.testing.assert_allclose(found["losses"], losses, rtol=0, atol=1e-5)
        for i, wanted in enumerate(jax.tree.leaves(eqx.filter(state.model, eqx.is_array))):
            np.testing.assert_allclose(found[f"arr_{i}"], wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_batches_are_the_same_on_any_number_of_processes():
    wanted = processes.dataset(0, 1)
    for parts in (2, 4):
        each = [processes.dataset(part, parts) for part in range(parts)]
        for i in range(processes.STEPS):
            found = np.concatenate([data[i]["x"] for data in each])
            np.testing.assert_array_equal(found, wanted[i]["x"])


@pytest.mark.long
def test_a_run_through_grain_goes_on_in_another_number_of_processes(tmp_path):
    weights = []
    for way in ("whole", "killed"):
        (tmp_path / way).mkdir()
    # The step 8 is in the middle of the second epoch.
    (status, said), (killed, words) = processes.ends(
        processes.perform("through_grain", tmp_path / "killed", 2, stop=8)
    )
    assert killed == 9, words
    assert status not in (0, None), said
    (last,) = [8] if (tmp_path / "killed/checkpoint/8").exists() else [7]
    assert not (tmp_path / f"killed/checkpoint/{last + 1}").exists()
    for way in ("whole", "killed"):
        with jax.numpy_dtype_promotion("standard"):
            processes.through_grain(tmp_path / way, 0, Sharding.make("data=1"))
        weights.append(np.load(tmp_path / way / "weights.npy"))
    np.testing.assert_allclose(*weights, rtol=0, atol=1e-6)
