"""Golden vectors of Rockpool's simulation of Xylo IMU's interface, written to rockpool_imu.npz.

368 cases: 16 kinds of motion in each of 23 settings, with filters as they are and, as its module
has them, begun with the reversed motion. Kept are hashes of the samples, the rotated motion, the
filter outputs and the events, and the number of events per channel; and the rotated motion of a
batch, in which Rockpool takes rotations over from one recording to the next.

Run by rockpool 3.1.0 and numpy 2.3.5 on Python 3.11:

    python tests/parity/make_rockpool_imu.py
    python tests/parity/make_rockpool_imu.py --stages FILE --groups defaults iaf
    python tests/parity/make_rockpool_imu.py --recording data.npy

The second form writes every number of the stages, for `compare_front_ends.py`. The third prints the
digest of the events of a recording, for `test_vendor_motion.py`.
"""

import argparse
import warnings

import numpy as np
from _digest import digest as whole_digest
from _front_ends import IMU, digest, motions
from _golden import save
from rockpool.devices.xylo.syns63300.imuif import (
    BandPassFilter,
    FilterBank,
    IAFSpikeEncoder,
    RotationRemoval,
    ScaleSpikeEncoder,
)
from rockpool.devices.xylo.syns63300.imuif.params import DEFAULT_FILTER_BANDS
from rockpool.devices.xylo.syns63300.transform import Quantizer

STAGES = ("samples", "rotated", "filtered", "events")


def samples_of(x, case):
    if "scale" not in case:
        return x.astype(object)
    return Quantizer(shape=(3, 3), scale=case["scale"], num_bits=16)(x / 2**15)[0][0]


def rotation_removal(case):
    return RotationRemoval(
        num_avg_bitshift=case.get("k", 4), sampling_period=case.get("period", 10)
    )


def bands_of(case):
    return [BandPassFilter.from_specification(*b) for b in case.get("bands", DEFAULT_FILTER_BANDS)]


def encoder_of(case):
    if case.get("encoder") == "iaf":
        threshold = case.get("threshold", 1024)
        return IAFSpikeEncoder(threshold=threshold if np.isscalar(threshold) else list(threshold))
    shift = case.get("shift", 5)
    return ScaleSpikeEncoder(num_scale_bits=shift if np.isscalar(shift) else list(shift))


def evolve(x, case):
    """Every stage of a case, by its name, with filters at rest and mirrored."""
    samples = rotated = samples_of(x, case)
    if case.get("remove_rotation", True):
        rotated = rotation_removal(case).evolve(samples[None])[0][0]
    bands, encoder = bands_of(case), encoder_of(case)
    at_rest = np.stack([band(rotated[:, i // 5]) for i, band in enumerate(bands)], axis=1)
    mirrored = FilterBank((3, 15), *bands).evolve(rotated[None])[0][0]
    for name, filtered in (("rest", at_rest), ("mirrored", mirrored)):
        events = encoder.evolve(filtered[None])[0][0]
        stages = (samples, rotated, filtered, events)
        yield name, dict(zip(STAGES, (s.astype(np.int64) for s in stages), strict=True))


def run(name):
    """Every stage of all motions of a group, `(kinds, ...)`, at rest and mirrored."""
    case = IMU[name]
    made = [dict(evolve(x, case)) for x in motions(case["length"], list(IMU).index(name))]
    for start in ("rest", "mirrored"):
        yield start, {stage: np.stack([each[start][stage] for each in made]) for stage in STAGES}


def main():
    """Write the hashes, or all numbers of some groups."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages")
    parser.add_argument("--groups", nargs="*", default=list(IMU))
    parser.add_argument("--recording")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.recording:
        motion = Quantizer(scale=0.49, num_bits=16)(np.load(arguments.recording))[0][0]
        rotated = rotation_removal({}).evolve(motion[None])[0]
        filtered = FilterBank((3, 15), *bands_of({})).evolve(rotated)[0]
        print(whole_digest(encoder_of({}).evolve(filtered)[0][0].astype(np.int64)))
        return
    arrays = {}
    for name in arguments.groups:
        for start, stages in run(name):
            print(name, start, stages["events"].shape, stages["events"].sum(), flush=True)
            if arguments.stages:
                stored = {f"imu/{name}/{start}/{k}": v.astype(np.int32) for k, v in stages.items()}
                arrays |= stored
                continue
            hashes = [[digest(x) for x in stages[stage]] for stage in STAGES]
            arrays[f"{name}/{start}/hashes"] = np.array(hashes, np.uint64)
            arrays[f"{name}/{start}/counts"] = stages["events"].sum(1).astype(np.int32)
    if arguments.stages:
        np.savez_compressed(arguments.stages, **arrays)
        return
    # Half a period more, so that the next recording begins within one.
    batch = motions(25, 77)
    carried = rotation_removal({}).evolve(batch.astype(object))[0].astype(np.int64)
    arrays["carried/rotated"] = np.array([digest(x) for x in carried], np.uint64)
    save(__file__, ("rockpool",), {name: {"motions": len(batch)} for name in IMU}, arrays)


if __name__ == "__main__":
    main()
