"""Cases of the chips' front ends, for the scripts that compute golden vectors and their tests.

Signals are made of whole numbers alone, so they are the same with every version of NumPy.
"""

import hashlib

import numpy as np

FULL = 8191
"""Largest sample that Audio 3's filters take."""


def noise(length, seed, most):
    """Whole numbers from -most to most, of a generator that is written out here."""
    x = np.arange(1, length + 1, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    with np.errstate(over="ignore"):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x = (x ^ (x >> np.uint64(31))) >> np.uint64(33)
    return (x % np.uint64(2 * most + 1)).astype(np.int64) - most


def _square(length, period, height):
    return np.where(np.arange(length) // max(1, period // 2) % 2, -height, height)


def _triangle(length, period, height):
    phase = np.arange(length) * 4 * height // period % (4 * height)
    return height - np.abs(phase - 2 * height)


def _impulse(length, height):
    x = np.zeros(length, np.int64)
    x[length // 3] = height
    return x


def _chirp(length, height):
    n = np.arange(length)
    return np.where((n * n // 256) % 2, -height, height)


def _bursts(length, seed, full):
    return noise(length, seed, full) * (np.arange(length) // 150 % 3 == 1)


SIGNALS = {
    "silence": lambda n, seed, full: np.zeros(n, np.int64),
    "impulse": lambda n, seed, full: _impulse(n, full),
    "negative_impulse": lambda n, seed, full: _impulse(n, -full),
    "constant": lambda n, seed, full: np.full(n, full),
    "alternating": lambda n, seed, full: _square(n, 2, full),
    "square_105_hz": lambda n, seed, full: _square(n, 464, full),
    "triangle_1_khz": lambda n, seed, full: _triangle(n, 46, full),
    "chirp": lambda n, seed, full: _chirp(n, full // 2),
    "noise": lambda n, seed, full: noise(n, seed, full),
    "quiet_noise": lambda n, seed, full: noise(n, seed, max(1, full // 800)),
    "one_bit": lambda n, seed, full: noise(n, seed, 1),
    "bursts": lambda n, seed, full: _bursts(n, seed, full),
    "walk": lambda n, seed, full: np.clip(np.cumsum(noise(n, seed, full // 64)), -full, full),
}


def signals(length, seed, full=FULL):
    """One signal of every kind, `(kinds, length)`."""
    made = [make(length, seed + i, full) for i, make in enumerate(SIGNALS.values())]
    return np.stack(made).astype(np.int64)


def digest(array):
    """The first 64 bits of a hash of whole numbers and their shape."""
    array = np.ascontiguousarray(array, dtype="<i8")
    data = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).digest()
    return np.frombuffer(data[:8], "<u8")[0]


_MIXED = tuple(range(3, 19))

AUDIO_3 = {
    "defaults": {"length": 5000},
    "one_clock": {"length": 1},
    "two_clocks": {"length": 2, "window": 1},
    "three_clocks": {"length": 3, "window": 2},
    "short_of_a_window": {"length": 49},
    "a_window": {"length": 50},
    "past_a_window": {"length": 51},
    "window_488": {"length": 1500, "window": 488},
    "window_7": {"length": 977, "window": 7},
    "every_clock": {"length": 333, "window": 1},
    "fast_mean": {"length": 1000, "k": 5, "b1": 4, "b2": 1},
    "no_mean": {"length": 500, "k": 0, "b1": 3, "b2": 2},
    "slow_mean": {"length": 2048, "k": 16, "b1": 10, "b2": 9},
    "frequent": {"length": 1000, "b1": 1, "b2": 0},
    "separate": {"length": 1000, "joint": False},
    "mixed_separate": {
        "length": 700,
        "joint": False,
        "k": _MIXED,
        "b1": tuple(4 + i % 7 for i in range(16)),
        "b2": tuple(i % 4 for i in range(16)),
        "eps": tuple(1 << i for i in range(16)),
    },
    "mixed_joint": {"length": 700, "k": _MIXED, "eps": tuple(65535 >> i for i in range(16))},
    "high_eps": {"length": 1000, "eps": 65535},
    "fixed": {"length": 2048, "normalise": False, "threshold": 1 << 20},
    "fixed_mixed": {
        "length": 700,
        "normalise": False,
        "threshold": tuple(1 << (2 * i) for i in range(16)),
    },
    "partly_normalised": {
        "length": 700,
        "normalise": tuple(i % 3 > 0 for i in range(16)),
        "threshold": 1 << 16,
    },
    "some_filters": {"length": 977, "select": (0, 2, 4, 8, 15)},
    "filters_turned": {"length": 333, "select": (15, 1, 7, 6), "eps": 32, "window": 64},
    "rate_8000": {"length": 800, "rate": 8000.0},
    "rate_16000": {"length": 700, "rate": 16000.0, "scale": 0.7, "window": 488},
    "rate_44100": {"length": 1234, "rate": 44100.0, "scale": 0.999},
    "rate_48000": {"length": 2000, "rate": 48000.0},
    "rate_96000": {"length": 2000, "rate": 96000.0, "scale": 0.3},
    "scaled": {"length": 500, "rate": 50e6 / 1024, "scale": 1 / 3},
}
"""Settings of groups of cases, each with a signal of every kind; those of `Audio3`, and `length`,
and `select`, which of the 16 filters. With a `rate` the signal is sound, its samples over 2^13."""


IMU_FULL = 32767
"""Largest sample of Xylo IMU."""


def _turning(length, seed):
    """Motion along one axis, later along another, which stands at a right angle to it."""
    x = np.zeros((length, 3), np.int64)
    half = length // 2
    x[:half, 0] = noise(half, seed, IMU_FULL)
    x[half:, 2] = noise(length - half, seed + 1, IMU_FULL)
    return x


def motions(length, seed):
    """Motion of every kind, `(kinds, length, 3)`."""
    single = signals(length, seed, IMU_FULL)
    mixed = [np.stack([single[(i + 4 * axis) % 13] for axis in range(3)], 1) for i in range(13)]
    walk = single[-1]
    line = np.stack([walk, -(2 * walk) // 3, walk // 5], axis=1)
    return np.stack([*mixed, line, np.stack([walk] * 3, axis=1), _turning(length, seed)])


MOTIONS = 16

IMU = {
    "defaults": {"length": 1360},
    "one_step": {"length": 1},
    "two_steps": {"length": 2},
    "short_of_a_period": {"length": 9},
    "a_period": {"length": 10},
    "past_a_period": {"length": 11},
    "long": {"length": 5000, "period": 500},
    "every_step": {"length": 60, "period": 1},
    "period_3": {"length": 200, "period": 3},
    "longest_period": {"length": 300, "period": 2047},
    "no_mean": {"length": 100, "k": 0},
    "short_mean": {"length": 200, "k": 1},
    "long_mean": {"length": 400, "k": 9},
    "longest_mean": {"length": 100, "k": 31},
    "no_shift": {"length": 200, "shift": 0},
    "long_shift": {"length": 200, "shift": 11},
    "mixed_shifts": {"length": 200, "shift": tuple(range(15))},
    "iaf": {"length": 400, "encoder": "iaf"},
    "iaf_mixed": {
        "length": 200,
        "encoder": "iaf",
        "threshold": tuple(1 << (2 * i) for i in range(15)),
    },
    "no_rotation": {"length": 200, "remove_rotation": False},
    "no_rotation_iaf": {
        "length": 200,
        "remove_rotation": False,
        "encoder": "iaf",
        "threshold": (1 << 31) - 1,
    },
    "other_bands": {
        "length": 200,
        "bands": ((0.5, 0.9), (3.0, 5.0), (6.0, 30.0), (40.0, 60.0), (70.0, 90.0)) * 3,
    },
    "scaled": {"length": 200, "scale": 0.7},
}
"""Settings of groups of cases, those of `Imu`, and `length`, and `bands`, cut-off frequencies.
With a `scale` the signal is floating-point numbers, its samples over 2^15."""
