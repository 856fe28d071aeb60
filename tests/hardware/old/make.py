"""Specs of every chip as snnjax 0dd9ceb saved them, in version 1 of both formats.

To be run with that snnjax: `git worktree add old 0dd9ceb; PYTHONPATH=old python make.py`.
"""

from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from snnjax import IAF, Sequential
from snnjax.hardware import dynapcnn, xylo


def xylo_spec(name):
    chip, rng = xylo.CHIPS[name], np.random.default_rng(sorted(xylo.CHIPS).index(name))
    synapses = chip.n_synapses

    def draw(low, high, *shape):
        return rng.integers(low, high + 1, shape)

    return xylo.Spec(
        w_in=draw(-128, 127, 3, 6, synapses),
        w_rec=draw(-128, 127, 6, 6, synapses),
        w_out=draw(-128, 127, 6, 2),
        dash_mem=draw(1, 15, 6),
        dash_syn=draw(1, 15, 6, synapses),
        dash_mem_out=draw(1, 15, 2),
        dash_syn_out=draw(1, 15, 2),
        threshold=draw(1, 32767, 6),
        threshold_out=draw(1, 32767, 2),
        bias=draw(-32768, 32767, 6) if chip.has_bias else None,
        bias_out=draw(-32768, 32767, 2) if chip.has_bias else None,
        aliases=[2, -1, 4, -1, -1, -1],
        weight_shift_in=1,
        weight_shift_rec=0,
        weight_shift_out=3,
        dt=0.01,
        chip=chip,
    )


def dynapcnn_spec(name):
    keys = jax.random.split(jax.random.key(list(dynapcnn.CHIPS).index(name)), 3)
    model = Sequential(
        eqx.nn.Conv2d(2, 3, 3, padding=1, key=keys[0]),
        IAF((3, 6, 6), min_vmem=-1.0),
        eqx.nn.Conv2d(3, 2, 3, stride=2, use_bias=False, key=keys[1]),
        IAF((2, 2, 2)),
    )
    mapped = dynapcnn.map_network(model, name, input_shape=(2, 6, 6))
    return dynapcnn.quantize(mapped, min_sqnr=0)


def main():
    here, arrays = Path(__file__).parent, {}
    for name in xylo.CHIPS:
        spec = xylo_spec(name)
        xylo.save(spec, here / f"{name}.json")
        arrays |= {f"{name}/{k}": np.asarray(v) for k, v in spec.arrays().items()}
    for name in dynapcnn.CHIPS:
        spec = dynapcnn_spec(name)
        dynapcnn.save(spec, here / f"{name}.json")
        for i, layer in enumerate(spec.layers):
            found = {f"{name}/layers[{i}].{k}": v for k, v in layer.arrays().items()}
            arrays |= {k: np.asarray(v) for k, v in found.items()}
    np.savez_compressed(here / "integers.npz", **arrays)


if __name__ == "__main__":
    main()
