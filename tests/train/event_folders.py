"""Folders of published event data, small ones with random events."""

import numpy as np

from ..datasets import files


def write_shd_folder(folder, *, train=6, test=4, classes=3):
    """shd_train.h5 and shd_test.h5, with words of 1.4 s."""
    rng = np.random.default_rng(0)
    for part, n in (("train", train), ("test", test)):
        words = [(np.sort(1.4 * rng.random(k)), rng.integers(0, 700, k)) for k in range(40, 40 + n)]
        files.write_shd(folder / f"shd_{part}.h5", words, np.arange(n) % classes)


def write_nmnist_folder(folder, *, per_digit=2):
    """Train and Test, with a folder for each digit."""
    for part in ("Train", "Test"):
        for digit in range(10):
            (folder / part / str(digit)).mkdir(parents=True)
            for i in range(per_digit):
                path = folder / part / str(digit) / f"0000{i}.bin"
                files.write_nmnist(path, files.recording(200, seed=i, spread=2_000))


def write_gesture_folder(folder, *, per_user=11):
    """Recordings of three users as a DVS128 writes them, each of several gestures of a second."""
    names = [f"user0{i}_led" for i in (1, 2, 3)]
    for i, name in enumerate(names):
        events = files.recording(600 * per_user, (2, 128, 128), seed=i, first=5_000, spread=3_000)
        files.write_aedat3(folder / f"{name}.aedat", events)
        rows = [f"{1 + k % 11},{k * 900_000},{k * 900_000 + 700_000}" for k in range(per_user)]
        table = "\n".join(["class,startTime_usec,endTime_usec", *rows]) + "\n"
        (folder / f"{name}_labels.csv").write_text(table)
    (folder / "trials_to_train.txt").write_text(f"{names[0]}.aedat\n{names[1]}.aedat\n")
    (folder / "trials_to_test.txt").write_text(f"{names[2]}.aedat\n")
