"""Rockpool's simulations of the front ends, to be timed by `xylo_frontend` from another process.

Run where Rockpool is installed and jax is not. Each line of the input names a front end; after a
call on one recording, there is a line with the seconds that it took.
"""

import sys
import time
import warnings

import numpy as np

CLOCK = 50e6 / 1024


def audio3(samples):
    """The integer path of Audio 3's simulation, for a number of samples."""
    from rockpool.devices.xylo.syns65302.afe.digital_filterbank import ChipButterworth
    from rockpool.devices.xylo.syns65302.afe.divisive_normalization import DivisiveNormalization
    from rockpool.devices.xylo.syns65302.afe.raster import Raster
    from rockpool.devices.xylo.syns65302.afe.resample_and_quantize import AudioQuantizer

    stages = (ChipButterworth(), DivisiveNormalization(fs=CLOCK, shape=(16, 16)))
    for stage in stages:
        # Its batching makes floating-point numbers, which its integer code refuses.
        batch = stage._auto_batch
        stage._auto_batch = lambda x, batch=batch: (batch(x)[0].astype(np.int64), None)
    raster = Raster(shape=16, fs=CLOCK, rate_downsample_factor=50)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, samples)

    def call():
        quantised, _, _ = AudioQuantizer()(sound)
        filtered, _, _ = stages[0].evolve(quantised.astype(np.int64), num_workers=1)
        spikes, _, _ = stages[1].evolve(filtered)
        raster.evolve(spikes)

    return call


def imu(samples):
    """The simulation of IMU's interface, for a number of samples."""
    from rockpool.devices.xylo.syns63300.imuif_sim import IMUIFSim

    front_end = IMUIFSim()
    motion = np.random.default_rng(0).integers(-16000, 16001, (1, samples, 3)).astype(object)
    return lambda: front_end(motion)


def main():
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    calls = {}
    for line in sys.stdin:
        name, samples = line.split()
        if line not in calls:
            calls[line] = {"audio3": audio3, "imu": imu}[name](int(samples))
        start = time.perf_counter()
        calls[line]()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
