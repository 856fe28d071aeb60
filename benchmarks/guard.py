"""Ratios of times that a change must stay within: `guard.json` holds their bounds, each with why.

Every ratio is that of two programs that take turns in one process, one of which is no work of ours,
or does less; so it hardly depends on the machine. One beyond its bound is measured again, up to
three times, since whoever else uses the machine has a say. It takes less than a minute.

    python -m benchmarks.guard
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax import quant, transforms
from snnjax.datasets import Events
from snnjax.hardware import dynapcnn, xylo
from snnjax.networks import SynNet
from snnjax.neurons import lif
from snnjax.nn import LIF, Leaky, Sequential
from snnjax.train.recipes import Images

from . import events, xylo_simulate
from ._reference import ALPHA, reference
from ._steps import training_step
from .harness import Call, Measurement, Settings, compare, main, report

BOUNDS = json.loads((Path(__file__).parent / "guard.json").read_text())

TRIES = 3

Pair = dict[str, Call | Callable[[], Any]]
"""The reference, and then what is held against it."""


def run(settings: Settings) -> Path:
    quick = settings.quick
    if not quick:
        settings = dataclasses.replace(settings, rounds=9, seconds=0.02)
    groups: dict[str, dict[str, Measurement]] = {}
    beyond = []
    for name, make in PAIRS.items():
        pair = make(quick)
        if len(pair) < 2:
            print(f"left out: {name}, whose reference is not installed")
            continue
        most = BOUNDS[name]["most"]
        for _ in range(TRIES):
            found = groups[name] = compare(pair, settings)
            ratio = list(found.values())[1].ratio
            if quick or ratio <= most:
                break
        else:
            beyond.append(f"{name}: {ratio:.2f}, more than {most}. {BOUNDS[name]['why']}")
    path = report("guard", groups, settings)
    if beyond:
        raise SystemExit("\n".join(["", "slower than before:", *beyond]))
    return path


def _layer(quick: bool) -> Pair:
    steps, batch, neurons = (5, 2, 4) if quick else (100, 16, 256)
    keys = jax.random.split(jax.random.key(0), 2)
    linear = eqx.nn.Linear(neurons, neurons, use_bias=False, key=keys[0])
    network = Sequential(linear, LIF(neurons, key=keys[0]))
    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    x = jax.random.bernoulli(keys[1], 0.1, (batch, steps, neurons)).astype(float)

    def bare(network: Sequential, x: jax.Array) -> jax.Array:
        linear, layer = network.layers
        params = lif.LIFParams(*layer.alphas(), layer.threshold, layer.bias)
        current = jax.vmap(linear)(x).reshape(len(x), *layer.shape, layer.synapses)
        step = functools.partial(lif.step, params, fire=layer.settings)
        return jax.lax.scan(step, layer.initial_state(), current)[1]

    def gradients(function: Callable[..., jax.Array]) -> Call:
        def loss(arrays: Any, x: jax.Array) -> jax.Array:
            return jax.vmap(functools.partial(function, eqx.combine(arrays, static)))(x).sum()

        return jax.grad(loss, argnums=(0, 1)), (arrays, x)

    return {"lax.scan": gradients(bare), "layer": gradients(lambda network, x: network(x)[0])}


def _long_layer(quick: bool) -> Pair:
    steps, batch, neurons = (5, 2, 4) if quick else (500, 16, 256)
    linear = eqx.nn.Linear(neurons, neurons, use_bias=False, key=jax.random.key(0))
    neuron = Leaky(neurons, ALPHA)
    x = jax.random.bernoulli(jax.random.key(1), 0.1, (batch, steps, neurons)).astype(float)

    def layer(weight: jax.Array, x: jax.Array) -> jax.Array:
        product = eqx.tree_at(lambda linear: linear.weight, linear, weight)
        return jax.vmap(lambda x: Sequential(product, neuron)(x)[0])(x).sum()

    def by_hand(weight: jax.Array, x: jax.Array) -> jax.Array:
        return reference(weight, x).sum()

    return {
        "by hand": (jax.grad(by_hand, (0, 1)), (linear.weight, jnp.swapaxes(x, 0, 1))),
        "layer": (jax.grad(layer, (0, 1)), (linear.weight, x)),
    }


def _synnet(quick: bool) -> tuple[SynNet, jax.Array, jax.Array]:
    hidden, steps, batch = ((6,), 5, 2) if quick else ((60, 60, 60), 100, 64)
    model = SynNet(10, 16, hidden, (2, 4, 8)[: len(hidden)], key=jax.random.key(0))
    x = jax.random.poisson(jax.random.key(1), 1.0, (batch, steps, 16)).astype(float)
    return model, x, jax.random.randint(jax.random.key(2), (batch,), 0, 10)


def _plan(quick: bool) -> Pair:
    model, x, labels = _synnet(quick)
    plan = transforms.plan(model, {"weights": quant.Int(8), "decays": quant.Bitshift()})
    return {
        "float": training_step(_counts, model, x, labels),
        "plan": training_step(lambda m, x: _counts(transforms.apply(plan, m), x), model, x, labels),
    }


def _chip(quick: bool) -> Pair:
    model, x, labels = _synnet(quick)

    def emulated(model: SynNet, x: jax.Array) -> jax.Array:
        return xylo.emulate(model)(x).spikes_out.sum(axis=1)

    return {
        "float": training_step(_counts, model, x, labels),
        "chip": training_step(emulated, model, x, labels),
    }


def _counts(model: SynNet, x: jax.Array) -> jax.Array:
    return jax.vmap(model)(x)[0].sum(axis=1)


def _xylo(quick: bool) -> Pair:
    model, x, _ = _synnet(quick)
    spec = xylo.quantize(xylo.map_network(model))
    raster = np.asarray(x, np.int32)
    theirs = xylo_simulate.xylosim_of(spec, raster)
    ours = (lambda raster: xylo.simulate(spec, raster).spikes_out), (jnp.asarray(raster),)
    if theirs is None:
        return {"xylo.simulate": ours}
    return {"xylosim": functools.partial(theirs, ("spikes_out",)), "xylo.simulate": ours}


def _dynapcnn(quick: bool) -> Pair:
    config = Images(data="MNIST", steps=2, channels=(2, 2) if quick else (8, 16))
    model = config.make_network()
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=config.input_shape))
    raster = np.random.default_rng(0).poisson(0.3, (2 if quick else 50, 2, *config.input_shape))

    def simulate(raster: jax.Array) -> jax.Array:
        return dynapcnn.simulate(spec, raster, record=False).counts[-1]

    return {
        "network in float": (jax.vmap(lambda x: model(x)[0]), (jnp.asarray(raster, float),)),
        "dynapcnn.simulate": (simulate, (jnp.asarray(raster, jnp.int32),)),
    }


def _events(quick: bool) -> Pair:
    number = 50 if quick else 5000
    spec = events.network(biased=False)
    core = spec.layers[0]
    rng = np.random.default_rng(0)
    places = [rng.integers(0, size, number) for size in core.input_shape]
    given = Events(np.arange(number), *places)
    (alone,) = (dataclasses.replace(core, destinations=()),)
    single = dynapcnn.Spec((alone,), chip=spec.chip)
    return {
        "NumPy": functools.partial(_in_numpy, alone, given),
        "simulate_events": functools.partial(dynapcnn.simulate_events, single, given),
    }


def _in_numpy(core: dynapcnn.Core, given: Events) -> int:
    """Number of spikes of a core without stride and padding, event by event."""
    weight = np.asarray(core.weight)[..., ::-1, ::-1].transpose(1, 2, 3, 0)
    (rows, columns), threshold = core.kernel_size, int(core.threshold)
    _, height, width = core.output_shape
    out = len(core.weight)
    vmem = np.zeros((height + 2 * (rows - 1), width + 2 * (columns - 1), out), np.int32)
    spikes = 0
    for channel, y, x in zip(*given[1:], strict=True):
        reached = vmem[y : y + rows, x : x + columns]
        total = np.clip(reached + weight[channel], -(2**15), 2**15 - 1)
        fired = total >= threshold
        spikes += np.count_nonzero(fired)
        reached[...] = np.maximum(total - fired * threshold, int(core.min_vmem))
    return spikes


PAIRS: dict[str, Callable[[bool], Pair]] = {
    "layer": _layer,
    "long layer": _long_layer,
    "plan": _plan,
    "chip": _chip,
    "xylo": _xylo,
    "dynapcnn": _dynapcnn,
    "events": _events,
}


if __name__ == "__main__":
    main(run)
