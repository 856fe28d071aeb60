"""A recipe of which one process ends as if killed: `tests/devices/dying.py:Dying`."""

import os
import signal

import jax

from snnjax.train.recipes import Digits


class Dying(Digits):
    """Digits; process 1 dies after the epoch `SNNJAX_TEST_DIES`."""

    def train(self, data, state, sharding=None):
        for after, metrics in super().train(data, state, sharding):
            yield after, metrics
            dies = os.environ.get("SNNJAX_TEST_DIES") == str(after.epoch)
            if dies and jax.process_index() == 1:
                os.kill(os.getpid(), signal.SIGKILL)
