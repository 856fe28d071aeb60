"""A recipe in which processes get a signal while they train: `tests/devices/dying.py:Dying`."""

import os
import signal
import time

import jax

from snnjax.train.recipes import Digits

SECONDS = 3
"""Time until a process that takes notice of a signal has done so: JAX looks once a second."""


class Dying(Digits):
    """Digits, with a signal after an epoch, or after a batch of grain.

    `SNNJAX_TEST_DIES` is like "TERM 0,1 5": the signal, the processes, and the count.
    """

    def train(self, data, state, sharding=None):
        name, processes, count = os.environ.get("SNNJAX_TEST_DIES", "none none none").split()
        for after, metrics in super().train(data, state, sharding):
            yield after, metrics
            if count == str(int(after.count)) and str(jax.process_index()) in processes:
                os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
                time.sleep(SECONDS)
