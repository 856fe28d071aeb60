"""Recordings per second of generated C, beside the simulation in JAX and the vendor's simulator.

Two networks with weights as they are drawn, on random events: a SynNet for spoken digits on a Xylo,
and the convolutions of `snnjax train --target dynapcnn` on a Speck, from which the C gets a list of
events for each step. The C runs on one core, one recording after the other, compiled by
`gcc -O3 -march=native`; JAX takes all recordings at once on as many cores as it likes; xylosim, in
C++, takes one at a time as lists from Python. All are asked for the output spikes, which are the
same. What is not installed is left out.

    pip install "snnjax[test]"
    python -m benchmarks.c_code
"""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnjax.codegen import c
from snnjax.hardware import dynapcnn, xylo
from snnjax.networks import SynNet
from snnjax.nn import IAF, Flatten, Sequential

from .harness import Call, Measurement, Settings, compare, main, report
from .xylo_simulate import xylosim_of

_XYLO = """
#include "network.h"
void run(const uint8_t *events, uint32_t recordings, uint32_t steps, uint8_t *spikes)
{
    static network_state state;
    for (; recordings > 0; recordings--) {
        network_init(&state);
        for (uint32_t t = 0; t < steps; t++) {
            network_step(&state, events, spikes);
            events += NETWORK_INPUTS;
            spikes += NETWORK_OUTPUTS;
        }
    }
}
"""

_DYNAPCNN = """
#include "network.h"
void run(const network_event *events, const uint32_t *n_events, uint32_t recordings,
    uint32_t steps, uint32_t *spikes)
{
    static network_state state;
    for (; recordings > 0; recordings--) {
        network_init(&state);
        for (uint32_t t = 0; t < steps; t++) {
            network_step(&state, events, *n_events, spikes);
            events += *n_events++;
            spikes += NETWORK_OUTPUTS;
        }
    }
}
"""


def run(settings: Settings) -> Path:
    groups = {}
    for measure in (_xylo, _dynapcnn):
        for batch in (2,) if settings.quick else (1, 64):
            title, found = measure(settings, batch)
            groups[title] = found
            for label, measured in found.items():
                print(f"{title}, {label}: {batch / measured.seconds:,.0f} recordings/s")
    return report("c_code", groups, settings)


def _xylo(settings: Settings, batch: int) -> tuple[str, dict[str, Measurement]]:
    hidden, steps = ((6,), 10) if settings.quick else ((60, 60, 60), 100)
    model = SynNet(10, 16, hidden, (2, 4, 8)[: len(hidden)], key=jax.random.key(0))
    spec = xylo.quantize(xylo.map_network(model))
    raster = np.random.default_rng(0).poisson(0.5, (batch, steps, 16)).clip(max=15)
    title = f"Xylo, SynNet 16-{'-'.join(map(str, hidden))}-10, T={steps}, {batch} recordings"
    ours = lambda spec, events: xylo.simulate(spec, events).spikes_out  # noqa: E731
    calls = _calls(spec, raster, _XYLO, np.uint8, ours)
    theirs = xylosim_of(spec, raster)
    if theirs is not None:
        calls["xylosim: XyloLayer"] = functools.partial(theirs, ("spikes_out",))
    return title, compare(calls, settings)


def _dynapcnn(settings: Settings, batch: int) -> tuple[str, dict[str, Measurement]]:
    channels, steps = ((2, 2), 2) if settings.quick else ((8, 16), 4)
    keys = jax.random.split(jax.random.key(0), 3)
    neurons = {"min_vmem": -1.0, "threshold": 0.3}
    model = Sequential(
        eqx.nn.Conv2d(1, channels[0], 5, 2, use_bias=False, key=keys[0]),
        IAF((channels[0], 12, 12), **neurons),
        eqx.nn.AvgPool2d(2, 2),
        eqx.nn.Conv2d(channels[0], channels[1], 3, use_bias=False, key=keys[1]),
        IAF((channels[1], 4, 4), **neurons),
        Flatten(),
        eqx.nn.Linear(16 * channels[1], 10, use_bias=False, key=keys[2]),
        IAF(10, **neurons),
    )
    spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=(1, 28, 28)))
    raster = np.random.default_rng(0).binomial(1, 0.1, (batch, steps, 1, 28, 28))
    title = f"Speck, 28 by 28, channels {channels}, T={steps}, {batch} recordings"

    def ours(spec: dynapcnn.Spec, events: Any) -> Any:
        return dynapcnn.simulate(spec, events, record=False).spikes_out

    return title, compare(_calls(spec, raster, _DYNAPCNN, np.uint32, ours), settings)


def _calls(
    spec: Any, raster: np.ndarray, driver: str, dtype: Any, ours: Callable[..., Any]
) -> dict[str, Call | Callable[[], Any]]:
    calls: dict[str, Call | Callable[[], Any]] = {}
    events = jnp.asarray(raster, jnp.int32)
    spikes = np.asarray(ours(spec, events))
    if shutil.which("gcc") is None:
        print("left out: C, which needs gcc")
    else:
        calls["C"] = theirs = _compiled(spec, raster, driver, dtype, spikes.shape)
        np.testing.assert_array_equal(theirs(), spikes)
    return calls | {"snnjax: simulate": (ours, (spec, events))}


def _compiled(
    spec: Any, raster: np.ndarray, driver: str, dtype: Any, shape: tuple[int, ...]
) -> Callable[[], np.ndarray]:
    """The output spikes of the C, in an array that the next call overwrites."""
    with tempfile.TemporaryDirectory() as folder:
        c.export(spec, folder)
        (Path(folder) / "driver.c").write_text(driver)
        command = "gcc -std=c99 -O3 -march=native -shared -fPIC network.c driver.c -o network.so"
        subprocess.run(command.split(), cwd=folder, check=True)
        library = ctypes.CDLL(f"{folder}/network.so")
    spikes = np.empty(shape, dtype)
    arrays = [raster.astype(np.uint8)]
    if dtype == np.uint32:
        places = np.argwhere(raster)
        events = np.concatenate([places[:, 2:], raster[tuple(places.T)][:, None]], axis=1)
        n_events = np.count_nonzero(raster.reshape(*shape[:2], -1), axis=-1)
        arrays = [events.astype(np.uint16, order="C"), n_events.astype(np.uint32)]
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*arrays, spikes)]
    sizes = [ctypes.c_uint32(n) for n in shape[:2]]

    def call(held: Any = arrays) -> np.ndarray:
        library.run(*pointers[:-1], *sizes, pointers[-1])
        return spikes

    return call


if __name__ == "__main__":
    main(run)
