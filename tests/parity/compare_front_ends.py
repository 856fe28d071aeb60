"""Compare every number of the front ends' stages with a file that Rockpool computed.

    python tests/parity/make_rockpool_afe.py --stages FILE     # where Rockpool is installed
    python -m tests.parity.compare_front_ends FILE

or `make_rockpool_imu.py`.

With `--bits FILE --rates FILE`, text files of Rockpool's own tests of the microphone
(`xylo_a3_input_pdm.txt`, `xylo_a3_afe_sim_pdm_output.txt`), it compares those rates too.
"""

import argparse
import functools

import numpy as np

from snnjax.hardware.xylo.frontend import Audio3, Decimation, ImuTrace

from .test_front_ends import front_end, inputs, motion_front_end, motion_inputs, traces

TAIL = 8
"""Rockpool's filter goes on for so many samples, as if there were more bits, all of them 0."""


def compare(path):
    """Compare every group that the file has."""
    with np.load(path) as file:
        arrays = dict(file)
    for key, wanted in arrays.items():
        group, _, stage = key.rpartition("/")
        wrong = int((stages_of(group)[stage] != wanted).sum())
        print(f"{key}: {wanted.size} numbers, {wrong} differ")
        if wrong:
            raise SystemExit(1)


@functools.lru_cache(maxsize=1)
def stages_of(group):
    """Every stage of a group's signals, by its name."""
    *chip, name, warm_up = group.split("/")
    if chip == ["imu"]:
        made = motion_front_end(name, warm_up=warm_up, compat="rockpool")
        return dict(zip(ImuTrace._fields, traces(made, motion_inputs(name)), strict=True))
    made, x = front_end(name, warm_up), inputs(name)
    return {k: np.asarray(v) for k, v in (made.trace(x)._asdict() | {"events": made(x)[0]}).items()}


def rates(bits):
    """Events per second and channel, as Rockpool's test counts them."""
    samples, _ = Decimation()(np.concatenate([bits, np.zeros(32 * TAIL - 1, int)]))
    events, _ = Audio3(warm_up="mirrored")(samples)
    return np.asarray(events).sum(0) / 0.2


def main():
    """Read the arguments and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stages", nargs="?")
    parser.add_argument("--bits")
    parser.add_argument("--rates")
    arguments = parser.parse_args()
    if arguments.stages:
        compare(arguments.stages)
    if arguments.bits:
        found, wanted = rates(np.loadtxt(arguments.bits, int)), np.loadtxt(arguments.rates)
        print("rates:", found.tolist(), "wanted:", wanted.tolist())
        np.testing.assert_allclose(found, wanted)


if __name__ == "__main__":
    main()
