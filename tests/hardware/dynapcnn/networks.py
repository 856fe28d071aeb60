"""Networks of layers that the chips can run, and a mapped network in double precision."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax.nn import IAF, Flatten, Parallel, Residual, Sequential, SumPool2d, TimeStepDropout

STEPS = 8


def conv(n_in, n_out, kernel=3, seed=0, gain=4.0, **keywords):
    layer = eqx.nn.Conv2d(n_in, n_out, kernel, key=jax.random.key(seed), **keywords)
    return eqx.tree_at(lambda m: m.weight, layer, gain * layer.weight)


def linear(n_in, n_out, seed=0, gain=4.0, **keywords):
    layer = eqx.nn.Linear(n_in, n_out, key=jax.random.key(seed), **keywords)
    return eqx.tree_at(lambda m: m.weight, layer, gain * layer.weight)


def norm(channels, mode, **keywords):
    layer = eqx.nn.BatchNorm(channels, ("time", "batch"), mode=mode, momentum=0.9, **keywords)
    if layer.weight is None:
        return layer
    values = jnp.linspace(0.5, 1.5, channels), jnp.linspace(-0.3, 0.4, channels)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, values)


def raster(shape, seed=0, rate=0.4):
    return np.random.default_rng(seed).poisson(rate, (STEPS, *shape)).astype(np.float32)


def run_mapped(spec, x):
    """Spikes of each layer of a mapped, not yet quantised network, in double precision."""
    outputs = []
    for i, core in enumerate(spec.layers):
        arriving = np.zeros((len(x), *core.input_shape))
        for source, pool, shift in spec.sources(i):
            spikes = x if source is None else outputs[source]
            height, width = (n // pool for n in spikes.shape[2:])
            cut = spikes[:, :, : height * pool, : width * pool]
            pooled = cut.reshape(*cut.shape[:2], height, pool, width, pool).sum((3, 5))
            arriving[:, shift : shift + pooled.shape[1]] += pooled
        outputs.append(_run_core(core, arriving))
    return outputs


def _run_core(core, counts):
    (sy, sx), (ky, kx), (py, px) = core.stride, core.kernel_size, core.padding
    padded = np.pad(np.asarray(counts, np.float64), ((0, 0), (0, 0), (py, py), (px, px)))
    weight, threshold = np.asarray(core.weight, np.float64), float(core.threshold)
    drive = np.zeros((len(padded), *core.output_shape))
    for y, column in itertools.product(range(drive.shape[2]), range(drive.shape[3])):
        window = padded[:, :, y * sy : y * sy + ky, column * sx : column * sx + kx]
        drive[:, :, y, column] = np.einsum("tcyx,fcyx->tf", window, weight)
    if core.bias is not None:
        drive += np.asarray(core.bias, np.float64)[:, None, None]
    vmem = np.zeros(core.output_shape) if core.vmem is None else np.array(core.vmem, np.float64)
    spikes = np.zeros_like(drive)
    for t, step in enumerate(drive):
        vmem = vmem + step
        spikes[t] = np.maximum(np.floor(vmem / threshold), 0)
        if core.max_spikes is not None:
            spikes[t] = np.minimum(spikes[t], core.max_spikes)
        kept = np.where(spikes[t] > 0, 0, vmem)
        vmem = kept if core.reset == "zero" else vmem - spikes[t] * threshold
        if core.min_vmem is not None:
            vmem = np.maximum(vmem, float(core.min_vmem))
    return spikes


# name: shape of the input, and what makes the model
NETWORKS = {
    "a sequence": (
        (2, 12, 10),
        lambda: Sequential(
            conv(2, 3, stride=(2, 1), padding=(1, 0)),
            IAF((3, 6, 8)),
            conv(3, 4, 2, 1, use_bias=False),
            IAF((4, 5, 7), threshold=0.7, min_vmem=-0.5),
            Flatten(),
            linear(140, 5, 2),
            IAF(5),
        ),
    ),
    "average pools": (
        (1, 11, 13),
        lambda: Sequential(
            conv(1, 3, 2),
            IAF((3, 10, 12)),
            eqx.nn.AvgPool2d(2, 2),
            conv(3, 4, 2, 1, gain=8.0),
            IAF((4, 4, 5)),
            SumPool2d(2),
            eqx.nn.AvgPool2d(2, 2),
            eqx.nn.Lambda(jnp.ravel),
            linear(4, 3, 2),
            IAF(3),
        ),
    ),
    "a residual": (
        (1, 8, 8),
        lambda: Sequential(
            conv(1, 3),
            IAF((3, 6, 6)),
            Residual(conv(3, 3, padding=1, seed=1), IAF((3, 6, 6), threshold=2.0)),
            conv(3, 2, seed=2),
            IAF((2, 4, 4), max_spikes=1, reset="zero"),
        ),
    ),
    "a residual of two, then a pool": (
        (1, 8, 8),
        lambda: Sequential(
            conv(1, 3),
            IAF((3, 6, 6)),
            Residual(conv(3, 2, 1), IAF((2, 6, 6)), conv(2, 3, padding=1), IAF((3, 6, 6))),
            eqx.nn.AvgPool2d(2, 2),
            Flatten(),
            linear(27, 4),
            IAF(4),
        ),
    ),
    "a residual around the input": (
        (2, 6, 6),
        lambda: Sequential(
            Residual(conv(2, 2, padding=1), IAF((2, 6, 6))), conv(2, 3, seed=1), IAF((3, 4, 4))
        ),
    ),
    "branches with pools of their own": (
        (1, 9, 9),
        lambda: Sequential(
            conv(1, 2, 2),
            IAF((2, 8, 8)),
            Parallel(
                Sequential(eqx.nn.AvgPool2d(2, 2), conv(2, 3, seed=1), IAF((3, 2, 2))),
                Sequential(eqx.nn.AvgPool2d(4, 4), conv(2, 3, 1, seed=2), IAF((3, 2, 2))),
            ),
            Flatten(),
            linear(12, 4),
            IAF(4),
        ),
    ),
    "idle layers": (
        (1, 5, 5),
        lambda: Sequential(
            TimeStepDropout(0.5, inference=True),
            conv(1, 2),
            eqx.nn.Identity(),
            IAF((2, 3, 3)),
            eqx.nn.Dropout(0.5, inference=True),
            Sequential(conv(2, 3, seed=1, gain=16.0), IAF((3, 1, 1))),
        ),
    ),
    "dense only": (
        (1, 4, 4),
        lambda: Sequential(
            Flatten(), linear(16, 8), IAF(8), linear(8, 5, 1, use_bias=False), IAF(5)
        ),
    ),
}
