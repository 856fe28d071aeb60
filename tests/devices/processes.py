"""Several processes on this machine, of a command or of training by hand.

    python -m tests.devices.processes TASK FOLDER HOST:PORT PROCESSES PROCESS STOP

The first process writes what training gave to FOLDER. A process above 0 dies at the step STOP of a
loader, if that is not 0, as if killed.
"""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import grain
import jax
import numpy as np
import optax

from snnjax.cli._cluster import ending_together, join, together
from snnjax.train import (
    Checkpoints,
    init_state,
    load_checkpoint,
    make_loader_step,
    run_loader,
    start_loading,
)
from snnjax.train.recipes import Digits

from ..train import loading as script
from . import training

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "hidden": "8",
    "time_constants": "2",
    "steps": "8",
    "hold": "1",
    "batch_size": "140",  # 10 batches
    "stages": "float:2",
}
COMMAND = ["-c", "from snnjax.cli import main; main()"]
LONGEST = 240


def start(count, command, environment=None):
    """Start processes of a command; it is given the address where they meet, and a number."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        at = f"localhost:{free.getsockname()[1]}"
    flags = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1", **(environment or {})}
    return [
        subprocess.Popen(
            [sys.executable, *command(at, i)],
            cwd=ROOT,
            env={**os.environ, **flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def ends(started):
    """The exit status of each process, and all that it said."""
    try:
        said = [each.communicate(timeout=LONGEST) for each in started]
    finally:
        for each in started:
            each.kill()
    return [(each.returncode, out + err) for each, (out, err) in zip(started, said, strict=True)]


def train(count, *options, environment=None):
    """Start `snnjax train OPTIONS` in several processes."""
    several = lambda at, i: ["--coordinator", at, "--processes", str(count), "--process", str(i)]  # noqa: E731
    return start(
        count, lambda at, i: [*COMMAND, "train", *map(str, options), *several(at, i)], environment
    )


def perform(task, folder, count, stop=0):
    """Start a task of this file in several processes."""
    given = [task, str(folder)]
    return start(
        count,
        lambda at, i: ["-m", "tests.devices.processes", *given, at, str(count), str(i), str(stop)],
    )


def assert_all_well(found):
    for status, said in found:
        assert status == 0, said


def state_of(run, **changed):
    """The state in the checkpoint of a run of Digits with the settings."""
    recipe = recipe_of_settings(**changed)
    return load_checkpoint(run / "checkpoint", recipe.start(recipe.load_data()))


def recipe_of_settings(**changed):
    values = {name: Digits.parse(name, text) for name, text in SETTINGS.items()}
    return Digits.from_dict({**values, **changed})


def assert_trained_as_on_one_device(run, **changed):
    """That the weights and losses of a run are those of training on one device."""
    recipe = recipe_of_settings(**changed)
    data = recipe.load_data()
    losses = {}
    with jax.numpy_dtype_promotion("standard"):
        for after, metrics in recipe.train(data, recipe.start(data)):
            state = after
            losses.setdefault(int(state.epoch), float(metrics["loss"]))
    losses.pop(0, None)  # of an epoch that goes on, where grain tells of each batch
    lines = (run / "metrics.jsonl").read_text().splitlines()
    found = state_of(run, **changed), [json.loads(line)["loss"] for line in lines]
    training.assert_trained_alike(found, (state, list(losses.values())))


# ----- tasks

SEQUENCES, BATCH, STEPS = 22, 4, 17


def by_hand(folder, stop, sharding):
    """Two epochs, with all but the smallest weights split."""
    sharding = dataclasses.replace(sharding, large=100)
    state, losses = training.train(sharding)
    whole = sharding.gather(state)
    if jax.process_index() == 0:
        arrays = jax.tree.leaves(eqx.filter(whole.model, eqx.is_array))
        np.savez(folder / "trained.npz", *arrays, losses=losses)


def dataset(part, parts):
    """A process's part of batches, shuffled anew every epoch of five batches."""
    rng = np.random.default_rng(0)
    x, y = rng.random((SEQUENCES, 4), np.float32), rng.integers(0, 2, SEQUENCES)
    items = grain.MapDataset.source([{"x": a, "y": b} for a, b in zip(x, y, strict=True)])
    items = items.seed(7).shuffle()[: SEQUENCES // BATCH * BATCH]
    return items.batch(BATCH // parts)[part::parts].repeat()


def through_grain(folder, stop, sharding):
    """Steps from where the folder's checkpoint is, with a checkpoint after each."""
    optimizer = optax.adam(1e-2)
    begin = start_loading(init_state(eqx.nn.Linear(4, 2, key=jax.random.key(0)), optimizer))
    with together():  # none begins to save before all have looked
        if (folder / "checkpoint").exists():
            begin = load_checkpoint(folder / "checkpoint", begin)
    step = make_loader_step(script.loss, optimizer, sharding=sharding)
    data, key, first = dataset(*sharding.part()), jax.random.key(1), jax.process_index() == 0
    checkpoints = Checkpoints(folder / "checkpoint") if first else None
    steps = run_loader(step, begin, data, key, steps=STEPS, place=sharding.assemble)
    for loading, _ in steps:
        whole = sharding.gather(loading)
        if first:
            checkpoints.save(int(whole.steps), whole)
            checkpoints.wait()
        elif int(whole.steps) == stop:
            os._exit(9)
    if first:
        checkpoints.close()
        np.save(folder / "weights.npy", whole.state.model.weight)


TASKS = {"by_hand": by_hand, "through_grain": through_grain}
MESHES = {"by_hand": "data=2,model=2", "through_grain": None}


def main(task, folder, at, count, process, stop):
    sharding = join(MESHES[task], at, int(count), int(process))
    with ending_together("start all again"):
        TASKS[task](Path(folder), int(stop), sharding)


if __name__ == "__main__":
    main(*sys.argv[1:])
