"""One of the processes that train together in `devices`; the first of them measures.

python -m benchmarks._devices HOST:PORT PROCESSES ROUNDS BATCH_SIZE QUICK PROCESS
"""

import json
import sys
import time
from collections.abc import Callable

import jax
from jax.experimental import multihost_utils

from snnjax.train import Sharding, make_epoch
from snnjax.train.recipes import Digits


def main(at: str, *numbers: str) -> None:
    """Train in turns; the first process prints its times alone and those of all together."""
    processes, rounds, batch_size, quick, process = map(int, numbers)
    if processes > 1:
        jax.distributed.initialize(at, processes, process)
        # Gloo gives processes half a minute to connect at the first sum.
        multihost_utils.sync_global_devices("meet")
    recipe = Digits(batch_size=batch_size, stages="plan:1")
    if quick:
        recipe = Digits(batch_size=batch_size, hidden=(8,), time_constants=(2,), steps=8, hold=1)
    mesh = Sharding.make(f"data={jax.device_count()}")
    alone, together = (_epoch(recipe, sharding) for sharding in (None, mesh))
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        if process == 0:
            times[0].append(alone())
        multihost_utils.sync_global_devices("together")
        times[1].append(together())
    if process == 0:
        print(json.dumps([own[1:] for own in times]))  # without the compilation


def _epoch(recipe: Digits, sharding: Sharding | None) -> Callable[[], float]:
    """A function that trains an epoch, and gives the seconds that it took."""
    data = recipe.load_data()
    start = recipe.start(data)
    optimizer = recipe.optimizer(start.model, len(data.train[1]))
    loss = recipe.loss(recipe.last_stage)
    epoch = make_epoch(loss, optimizer, recipe.batch_size, sharding=sharding)
    train = data.train if sharding is None else sharding.share(data.train)
    state = start if sharding is None else sharding.place(start)

    def timed() -> float:
        begin = time.perf_counter()
        jax.block_until_ready(epoch(state, train, jax.random.key(0))[1])
        return time.perf_counter() - begin

    return timed


if __name__ == "__main__":
    main(*sys.argv[1:])
