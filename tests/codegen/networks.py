"""Random quantised networks of both families, in few shapes, from silence to saturation."""

import numpy as np

from snnjax.hardware import dynapcnn, xylo

from ..hardware.dynapcnn.architectures import ARCHITECTURES, core, made

# (inputs, hidden, outputs, synapses): what tables of one byte count, and what they do not
_SIZES = ((5, 12, 3, 1), (3, 9, 2, 2), (16, 290, 4, 1), (1, 1, 1, 1), (2, 140, 1, 2))
_CHIPS = (xylo.XYLO_1, xylo.XYLO_AUDIO_2)
_SHIFTS = ((0, 0, 0), (3, 1, 8), (9, 5, 12), (4, 4, 4))
STEPS = 24


def xylo_network(seed):
    """A network and a raster for it."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs, synapses = _SIZES[seed % len(_SIZES)]
    chip = _CHIPS[rng.integers(2)]
    biases = chip.has_bias and rng.random() < 0.5
    target = np.where(rng.random(hidden) < 0.6, rng.integers(0, hidden, hidden), -1)
    target = np.where(target == np.arange(hidden), -1, target)
    shifts = _SHIFTS[(seed // len(_SIZES)) % len(_SHIFTS)]
    spec = xylo.Spec(
        w_in=_weights(rng, inputs, hidden, synapses),
        w_rec=_weights(rng, hidden, hidden, synapses),
        w_out=_weights(rng, hidden, outputs),
        dash_mem=_dash(rng, hidden),
        dash_syn=_dash(rng, hidden, synapses),
        dash_mem_out=_dash(rng, outputs),
        dash_syn_out=_dash(rng, outputs),
        threshold=_threshold(rng, hidden),
        threshold_out=_threshold(rng, outputs),
        bias=_bias(rng, hidden) if biases else None,
        bias_out=_bias(rng, outputs) if biases and rng.random() < 0.7 else None,
        aliases=target if rng.random() < 0.5 else None,
        weight_shift_in=shifts[0],
        weight_shift_rec=shifts[1],
        weight_shift_out=shifts[2],
        dt=1e-3,
        chip=chip,
    )
    return spec, rng.integers(0, rng.choice([2, 5, 22]), (STEPS, inputs))


def _weights(rng, rows, *columns):
    """Of 2, 4 or 8 bits; all of them, a run for each source, some at random, or none."""
    largest = rng.choice([1, 7, 127])
    drawn = rng.integers(-largest - 1, largest + 1, (rows, *columns))
    pattern = rng.choice(["all", "runs", "some", "few", "none"], p=[0.3, 0.2, 0.2, 0.2, 0.1])
    n = columns[0]
    first, length = rng.integers(0, n, (rows, 1)), rng.integers(0, n, (rows, 1))
    place = np.arange(n)
    kept = {
        "all": np.ones((rows, n), bool),
        "runs": (place >= first) & (place < first + length),
        "some": rng.random((rows, n)) < 0.4,
        "few": rng.random((rows, n)) < 0.05,
        "none": np.zeros((rows, n), bool),
    }[str(pattern)]
    return drawn * kept.reshape(rows, n, *[1] * (len(columns) - 1))


def _dash(rng, *shape):
    drawn = rng.integers(rng.choice([0, 1, 6]), 16, shape)
    return drawn if rng.random() < 0.7 else np.full(shape, drawn.flat[0])


def _threshold(rng, n):
    return rng.integers(1, rng.choice([50, 500, 5000, 32767]), n)


def _bias(rng, n):
    return rng.integers(-300, 300, n) * rng.choice([1, 100])


def dynapcnn_network(seed):
    """A network and a raster for it."""
    kinds = (*ARCHITECTURES, "concatenated", "pixels")
    name = kinds[seed % len(kinds)]
    if name in ARCHITECTURES:
        spec, rng = made(name, seed)
    else:
        rng = np.random.default_rng(seed)
        spec = (_concatenated if name == "concatenated" else _pixels)(rng)
    return spec, rng.poisson(rng.choice([0.2, 2.0, 40.0]), (12, *spec.input_shape))


def _concatenated(rng):
    """Two layers side by side, whose channels a third gets one after the other."""
    layers = (
        core(rng, 1, 2, 3, (6, 6), to=[(2, 1)], padding=(1, 1)),
        core(rng, 1, 3, 3, (6, 6), to=[(2, 1, 2)], padding=(1, 1)),
        core(rng, 5, 4, 2, (6, 6), bias=True, state=True),
    )
    return dynapcnn.Spec(layers, inputs=(0, 1), chip=dynapcnn.DYNAPCNN)


def _pixels(rng):
    """Behind a sensor with dead pixels, of which one polarity counts."""
    sensor = dynapcnn.Sensor(
        size=(8, 6),
        killed=((0, 0), (3, 5), (7, 2)),
        polarity=str(rng.choice(["on", "off"])),
        merge=bool(rng.integers(2)),
        pool=(2, 1),
        mirror_y=True,
    )
    channels, height, width = sensor.output_shape
    layers = (core(rng, channels, 3, 2, (height, width)),)
    return dynapcnn.Spec(layers, sensor=sensor, chip=dynapcnn.SPECK_2F)


FAMILIES = {
    "xylo": (xylo_network, xylo.simulate),
    "dynapcnn": (dynapcnn_network, dynapcnn.simulate),
}
