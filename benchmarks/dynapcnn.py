"""Images per second of the integer simulation of a Speck, beside sinabs' discretised twin of it.

The network is that of `snnjax train images --data MNIST`, with weights as they are drawn
and random images. The twin is what sinabs makes of the same weights for the same chip: whole
numbers in float32, run by PyTorch in the same process, in turns with ours. Both are asked for the
spike counts of the last layer, which are the same. Without sinabs only ours is timed.

    pip install "snnjax[peers]"
    python -m benchmarks.dynapcnn
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import jax
import jax.numpy as jnp
import numpy as np

from snnjax.datasets import evenly
from snnjax.hardware import dynapcnn
from snnjax.nn import Sequential
from snnjax.train.recipes import Images

from .harness import Call, Settings, compare, main, report


def run(settings: Settings) -> Path:
    channels, batches = ((8, 16), (1, 100)) if not settings.quick else ((2, 2), (2,))
    config = Images(data="MNIST", steps=4, channels=channels)
    model = config.make_network()
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=config.input_shape))
    groups, title = {}, f"28 by 28, channels {channels}, T={config.steps}, batch {{}}"
    for batch in batches:
        drawn = jax.random.uniform(jax.random.key(0), (batch, *config.input_shape))
        raster = np.asarray(jax.vmap(lambda x: evenly(x**3, config.steps))(drawn), np.int32)
        calls: dict[str, Call | Callable[[], Any]] = {
            "snnjax: simulate": (_counts, (spec, jnp.asarray(raster)))
        }
        theirs = _sinabs(model, spec, raster)
        if theirs is not None:
            np.testing.assert_array_equal(_counts(spec, raster), theirs().reshape(batch, -1))
            calls["sinabs: discretised twin"] = theirs
        found = compare(calls, settings)
        groups[title.format(batch)] = found
        for label, measured in found.items():
            print(f"batch {batch}, {label}: {batch / measured.seconds:,.0f} images/s")
    path = report("dynapcnn", groups, settings)
    if theirs is None:
        print('\nleft out: sinabs; it comes with pip install "snnjax[peers]"')
    return path


def _counts(spec: dynapcnn.Spec, raster: Any) -> jax.Array:
    return spec.classes(dynapcnn.simulate(spec, raster, record=False).counts[-1])


def _sinabs(
    model: Sequential, spec: dynapcnn.Spec, raster: np.ndarray
) -> Callable[[], np.ndarray] | None:
    """The twin's spike counts; None without sinabs."""
    # Its import asks for a package of the vendor's that simulations do not need.
    for name in ("samna", "samnagui", "samna.speck2e", "samna.speck2f", "samna.specksim"):
        sys.modules.setdefault(name, MagicMock(name=name))
    for name in ("speck2e.configuration", "speck2f.configuration", "specksim.nodes"):
        sys.modules.setdefault(f"samna.{name}", MagicMock(name=name))
    try:
        import sinabs.layers as sl
        import torch
        from sinabs.backend.dynapcnn import DynapcnnNetwork
    except ImportError:
        return None
    batch, steps, *shape = raster.shape
    layers: list[Any] = []
    for core, at in zip(spec.layers, (0, 2, 5), strict=True):
        weight = torch.tensor(np.asarray(model.layers[at].weight).reshape(core.weight.shape))
        settings = {"stride": core.stride, "padding": core.padding, "bias": False}
        conv = torch.nn.Conv2d(*weight.shape[1::-1], core.kernel_size, **settings)
        conv.weight.data = weight
        layers += [conv, sl.IAFSqueeze(batch_size=batch, min_v_mem=-1.0)]
    twin = DynapcnnNetwork(torch.nn.Sequential(*layers), input_shape=tuple(shape), discretize=True)
    x = torch.tensor(raster, dtype=torch.float32).flatten(0, 1)

    @torch.no_grad()
    def run() -> np.ndarray:
        for layer in twin.dynapcnn_layers.values():  # its own `reset_states` fails
            layer.spk.reset_states()
        return twin(x).reshape(batch, steps, -1).sum(1).numpy()

    return run


if __name__ == "__main__":
    main(run)
