"""Compiles generated networks and runs them on rasters."""

import itertools
import shutil
import subprocess

import numpy as np
import pytest

from snnjax.codegen import c
from snnjax.hardware import xylo

WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
VARIANTS = {
    f"{compiler} {level}{' sanitized' if checks else ''}": [compiler, level, *checks]
    for compiler, level, checks in itertools.product(
        ("gcc", "clang"), ("-O0", "-O3"), ([], SANITIZERS)
    )
}


def require(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def compile_c(variant, folder, sources, output, *flags):
    """Compile with every warning an error; skips where the compiler is not installed."""
    command = VARIANTS[variant]
    require(command[0])
    command = [*command, *WARNINGS, f"-I{folder}", *flags, *sources, "-o", output]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


XYLO_DRIVER = """
#include "network.h"
#include <stdio.h>
#include <stdlib.h>
int main(int arguments, char **argument)
{
    const int steps = arguments > 1 ? atoi(argument[1]) : 0;
    int t = 0;
    static network_state state;
    static uint8_t events[NETWORK_INPUTS], spikes[NETWORK_OUTPUTS];
    while (fread(events, sizeof events, 1, stdin) == 1) {
        if (t++ % steps == 0)
            network_init(&state);
        network_step(&state, events, spikes);
        fwrite(spikes, sizeof spikes, 1, stdout);
        fwrite(&state, sizeof state, 1, stdout);
    }
    return 0;
}
"""

DYNAPCNN_DRIVER = """
#include "network.h"
#include <stdio.h>
#include <stdlib.h>
enum { PLACES = NETWORK_CHANNELS * NETWORK_HEIGHT * NETWORK_WIDTH };
int main(int arguments, char **argument)
{
    const int steps = arguments > 1 ? atoi(argument[1]) : 0;
    int t = 0;
    static network_state state;
    static network_event events[PLACES];
    static uint32_t spikes[NETWORK_OUTPUTS];
    uint32_t n;
    while (fread(&n, sizeof n, 1, stdin) == 1) {
        if (t++ % steps == 0)
            network_init(&state);
        if (fread(events, sizeof *events, n, stdin) != n || network_step(&state, events, n, spikes))
            return 1;
        fwrite(spikes, sizeof spikes, 1, stdout);
        fwrite(&state, sizeof state, 1, stdout);
    }
    return 0;
}
"""


FRONT_END_DRIVER = """
#include "network_front_end.h"
#include <stdio.h>
int main(void)
{
    static network_front_end state;
    uint8_t events[NETWORK_CHANNELS];
    int16_t sample;
    network_front_end_init(&state);
    while (fread(&sample, sizeof sample, 1, stdin) == 1) {
        const int ends = network_front_end_step(&state, sample, events);
        if (ends < 0)
            return 1;
        if (ends > 0)
            fwrite(events, sizeof events, 1, stdout);
    }
    fwrite(&state, sizeof state, 1, stdout);
    return 0;
}
"""


def hear(variant, program, folder, samples):
    """Events of each whole window of samples, and the state after them, by the C's front end."""
    for file, text in program.files().items():
        (folder / file).write_text(text)
    driver, binary = folder / "hear.c", folder / variant.replace(" ", "_")
    driver.write_text(FRONT_END_DRIVER)
    if not binary.exists():
        compile_c(variant, folder, [folder / "network_front_end.c", driver], binary)
    given = np.asarray(samples, np.int16).tobytes()
    done = subprocess.run([binary], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    ram = program.front_end.ram
    return np.frombuffer(done.stdout[:-ram], np.uint8), done.stdout[-ram:]


class Built:
    """A network's C in a folder, and programs made from it."""

    def __init__(self, spec, folder):
        self.spec, self.folder = spec, folder
        self.is_xylo = isinstance(spec, xylo.Spec)
        self.program = c.export(spec, folder)
        self.driver = folder / "driver.c"
        self.driver.write_text(XYLO_DRIVER if self.is_xylo else DYNAPCNN_DRIVER)

    def run(self, variant, raster):
        """Spikes and states after each step of a raster, by their names.

        Args:
            variant: one of VARIANTS.
            raster: `(time, *shape)` or `(n, time, *shape)`; each recording starts at rest.
        """
        program = self.folder / variant.replace(" ", "_")
        if not program.exists():
            compile_c(variant, self.folder, [self.folder / "network.c", self.driver], program)
        *lead, steps = raster.shape[: -1 if self.is_xylo else -3]
        frames = np.asarray(raster).reshape(-1, *raster.shape[len(lead) + 1 :])
        given = _xylo_input(frames) if self.is_xylo else _dynapcnn_input(frames)
        command = [str(program), str(steps)]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        layout = np.dtype(self._members(), align=True)
        found = np.frombuffer(done.stdout, [("spikes_out", *self._spikes()), ("state", layout)])
        assert layout.itemsize == self.program.footprint.ram
        found = found.reshape(*lead, steps)
        return {"spikes_out": found["spikes_out"]} | {k: found["state"][k] for k in layout.names}

    def _spikes(self):
        if self.is_xylo:
            return np.uint8, (self.spec.n_outputs,)
        return np.uint32, _by_place(self.spec.layers[-1])

    def _members(self):
        if self.is_xylo:
            n, outputs = self.spec.n_hidden, self.spec.n_outputs
            return [
                ("isyn", np.int16, (n, self.spec.n_synapses)),
                ("vmem", np.int16, n),
                ("isyn_out", np.int16, outputs),
                ("vmem_out", np.int16, outputs),
                ("spikes", np.uint8, n),
            ]
        layers = self.spec.layers
        return [
            *((f"layer{i}", np.int32, _by_place(core)) for i, core in enumerate(layers)),
            ("rooms", np.int32, len(layers)),
            ("overflow", np.int32),
        ]


def _by_place(core):
    out, height, width = core.output_shape
    return height, width, out


def _xylo_input(frames):
    return np.minimum(frames, 255).astype(np.uint8).tobytes()


def _dynapcnn_input(frames):
    parts = []
    for frame in frames:
        places = np.argwhere(frame)
        counts = frame[tuple(places.T)][:, None]
        parts += [np.uint32([len(places)]), np.concatenate([places, counts], 1).astype(np.uint16)]
    return b"".join(part.tobytes() for part in parts)


def assert_same(spec, trace, found):
    """That spikes and states of the C are those of `simulate`, at every step."""
    if isinstance(spec, xylo.Spec):
        expected = {name: getattr(trace, name) for name in found}
    else:
        by_place = [np.moveaxis(np.asarray(x), -3, -1) for x in (trace.spikes_out, *trace.vmem)]
        names = ("spikes_out", *(f"layer{i}" for i in range(len(trace.vmem))))
        expected = dict(zip(names, by_place, strict=True))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
