"""Random quantised networks: few shapes, and anything from silence to saturation in each."""

import numpy as np

from snnjax.hardware.dynapcnn import SPECK_2F, Core, Destination, Sensor, Spec

from .reference import HIGH, LOW


def core(rng, n_in, n_out, kernel, size, *, to=(), bias=False, state=False, bound=True, **fields):
    """A layer from quiet to saturating."""
    shape = (n_out, n_in, kernel, kernel)
    made = Core(
        weight=rng.integers(-128, 128, shape) * rng.choice([20, 128]) // 128,
        bias=rng.integers(-128, 128, n_out) if bias else None,
        threshold=rng.integers(1, rng.choice([60, 300])),
        min_vmem=-rng.integers(0, 300) if bound else None,
        input_shape=(n_in, *size),
        destinations=tuple(Destination(*one) for one in to),
        **fields,
    )
    if not state:
        return made
    # Far enough out that single events saturate, as sums of thousands of them would.
    vmem = rng.integers(LOW, HIGH + 1, made.output_shape) * rng.choice([0, 1], made.output_shape)
    vmem = np.where(rng.random(vmem.shape) < 0.3, rng.choice([LOW, HIGH - 5], vmem.shape), vmem)
    fields |= {"min_vmem": None, "threshold": rng.choice([32767, 32000])}
    return Core(made.weight, made.bias, **({"vmem": vmem} | fields), input_shape=made.input_shape)


def chain(rng):
    return (
        core(rng, 2, 3, 3, (5, 4), to=[(1, 1)], padding=(1, 1)),
        core(rng, 3, 2, 3, (5, 4)),
    )


def pooled(rng):
    return (
        core(rng, 1, 3, 2, (6, 6), to=[(1, 2)]),  # 5 by 5: what does not fill a window is lost
        core(rng, 3, 2, 2, (2, 2), reset="zero"),
    )


def strided(rng):
    return (
        core(rng, 1, 2, 4, (8, 9), to=[(1, 1)], stride=(2, 4), padding=(1, 0)),
        core(rng, 2, 3, 2, (4, 2), stride=(1, 2), padding=(0, 1), bound=False),
    )


def branched(rng):
    return (
        core(rng, 1, 2, 3, (5, 5), to=[(1, 1), (2, 1)], padding=(1, 1)),
        core(rng, 2, 2, 3, (5, 5), to=[(2, 1)], padding=(1, 1)),
        core(rng, 2, 3, 2, (5, 5)),
    )


def dense(rng):
    return (
        core(rng, 1, 4, 4, (4, 4), to=[(1, 1)]),
        core(rng, 4, 6, 1, (1, 1), to=[(2, 1)], reset="zero"),
        core(rng, 6, 3, 1, (1, 1)),
    )


def biased(rng):
    return (
        core(rng, 1, 2, 3, (5, 4), to=[(1, 1)], bias=True),
        core(rng, 2, 3, 2, (3, 2), bias=True, reset="zero"),
    )


def half_biased(rng):
    return (
        core(rng, 1, 2, 3, (4, 4), to=[(1, 1), (2, 1)], padding=(1, 1)),
        core(rng, 2, 2, 1, (4, 4), to=[(2, 1)], bias=True),
        core(rng, 2, 2, 2, (4, 4), max_spikes=1),
    )


def saturating(rng):
    return (core(rng, 2, 3, 3, (4, 4), padding=(1, 1), state=True, bias=True),)


def sensing(rng):
    return (
        core(rng, 2, 2, 2, (3, 4), to=[(2, 1)], padding=(1, 1)),
        core(rng, 2, 2, 2, (3, 4), to=[(2, 1)], padding=(1, 1)),
        core(rng, 2, 2, 3, (4, 5)),
    )


def large_kernel(rng):
    return (core(rng, 1, 2, 5, (4, 4), padding=(3, 3), stride=(1, 2)),)


ARCHITECTURES = {
    f.__name__: f
    for f in (
        *(chain, pooled, strided, branched, dense),
        *(biased, half_biased, saturating, sensing, large_kernel),
    )
}
SENSOR = Sensor(
    size=(9, 8),
    pool=(2, 2),
    crop=((0, 4), (1, 4)),
    mirror_x=True,
    mirror_diagonal=True,
    enabled=False,
)


def made(name, seed):
    """A network of an architecture, and the generator that drew it."""
    rng = np.random.default_rng((list(ARCHITECTURES).index(name), seed))
    layers = ARCHITECTURES[name](rng)
    keywords = {"inputs": (0, 1), "sensor": SENSOR} if name == "sensing" else {}
    return Spec(layers, chip=SPECK_2F, **keywords), rng
