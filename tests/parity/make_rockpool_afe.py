"""Golden vectors of Rockpool's simulation of Audio 3's front end, written to rockpool_afe.npz.

377 cases: 13 signals in each of 29 settings, by Rockpool's integer functions, both as they are and
with the reversed recording before them, as its modules do. Kept are hashes of the samples, the
filter outputs, the spikes and the events, and the number of events per channel; and the taps of the
microphone's filter. Its module for batches makes floating-point numbers, which its own integer code
refuses; they are cast back.

Run by rockpool 3.1.0 and numpy 2.3.5 on Python 3.11; its construction needs numpy below 2.4, and
no jax may be installed, with which it computes in float32:

    python tests/parity/make_rockpool_afe.py
    python tests/parity/make_rockpool_afe.py --stages FILE --groups defaults rate_8000

The second form writes every number of the stages, for `compare_front_ends.py`.
"""

import argparse
import warnings

import numpy as np
from _front_ends import AUDIO_3, SIGNALS, digest, signals
from _golden import save
from rockpool.devices.xylo.syns65302.afe.digital_filterbank import ChipButterworth, JAX_Filter
from rockpool.devices.xylo.syns65302.afe.divisive_normalization import py_spike_gen
from rockpool.devices.xylo.syns65302.afe.pdm import PolyPhaseFIR
from rockpool.devices.xylo.syns65302.afe.raster import Raster
from rockpool.devices.xylo.syns65302.transform import AudioQuantizer, ResampleAudio

CLOCK = 50e6 / 1024
STAGES = ("samples", "filtered", "spikes", "events")


def samples_of(x, case):
    """What the filters take: whole numbers as they are, sound resampled and quantised."""
    if "rate" not in case:
        return x
    sound, _, _ = ResampleAudio(fs_target=CLOCK)((x / 2**13, case["rate"]))
    samples, _, _ = AudioQuantizer(scale=case.get("scale", 1.0))(sound)
    return samples.ravel().astype(np.int64)


def per_channel(case, name, default, channels):
    return np.broadcast_to(case.get(name, default), channels).astype(np.int64)


def encode(filtered, case):
    channels = filtered.shape[1]
    k, b1, b2, eps, normalise, threshold = (
        per_channel(case, name, default, channels)
        for name, default in (
            ("k", 12),
            ("b1", 6),
            ("b2", 0),
            ("eps", 1),
            ("normalise", 1),
            ("threshold", 1 << 27),
        )
    )
    joint = case.get("joint", True)
    spikes, _ = py_spike_gen(filtered, normalise, b1, b2, k, eps, threshold, joint)
    return spikes.reshape(filtered.shape)


def after_itself(stage, x):
    """A stage's output for `x`, begun with `x` reversed."""
    return stage(np.concatenate([x[::-1], x]))[len(x) :]


def evolve(x, case, mirrored):
    """Every stage of a case, by its name."""
    bank = ChipButterworth(select_filters=case.get("select"))

    def filters(samples):
        return np.stack([bank._filter(band, samples) for band in bank.bd_list], axis=1)

    begin = after_itself if mirrored else lambda stage, x: stage(x)
    samples = samples_of(x, case)
    filtered = begin(filters, samples)
    spikes = begin(lambda y: encode(y, case), filtered)
    raster = Raster(shape=spikes.shape[1], fs=CLOCK, rate_downsample_factor=case.get("window", 50))
    events = raster.evolve(spikes)[0].reshape(-1, spikes.shape[1])
    return dict(zip(STAGES, (samples, filtered, spikes, events), strict=True))


def run(name):
    """Every stage of all signals of a group, `(kinds, ...)`, at rest and mirrored."""
    case = AUDIO_3[name]
    x = signals(case["length"], list(AUDIO_3).index(name))
    for mirrored in (False, True):
        made = [evolve(row, case, mirrored) for row in x]
        stages = {stage: np.stack([each[stage] for each in made]) for stage in STAGES}
        yield ("mirrored" if mirrored else "rest"), stages


def main():
    """Write the hashes, or all numbers of some groups."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages")
    parser.add_argument("--groups", nargs="*", default=list(AUDIO_3))
    arguments = parser.parse_args()
    assert not JAX_Filter, "jax is installed, with which Rockpool computes in float32"
    warnings.simplefilter("ignore")
    arrays = {}
    for name in arguments.groups:
        for start, stages in run(name):
            print(name, start, stages["events"].shape, stages["events"].sum(), flush=True)
            if arguments.stages:
                arrays |= {f"{name}/{start}/{k}": v.astype(np.int32) for k, v in stages.items()}
                continue
            hashes = [[digest(x) for x in stages[stage]] for stage in STAGES]
            arrays[f"{name}/{start}/hashes"] = np.array(hashes, np.uint64)
            arrays[f"{name}/{start}/counts"] = stages["events"].sum(1).astype(np.int32)
    if arguments.stages:
        np.savez_compressed(arguments.stages, **arrays)
        return
    arrays["taps"] = PolyPhaseFIR().h.astype(np.int32)
    cases = {name: {"signals": list(SIGNALS)} for name in AUDIO_3}
    save(__file__, ("rockpool",), cases, arrays)


if __name__ == "__main__":
    main()
