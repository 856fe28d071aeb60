"""A front end in C gives the events of the chip's, and holds the same registers."""

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from snnjax.codegen import c
from snnjax.datasets.fsdd import load_fsdd
from snnjax.hardware.xylo.frontend import Audio3
from snnjax.train.recipes import Speech

from ..parity._front_ends import AUDIO_3, signals
from .compilers import VARIANTS, compile_c, hear
from .test_c import xylo_spec

SPOKEN = Path(__file__).parents[3] / "shared/data/free-spoken-digit-dataset"
CASES = [name for name, settings in AUDIO_3.items() if "rate" not in settings]
QUICK = {"mixed_joint": "gcc -O0 sanitized", "partly_normalised": "clang -O3"}


def made(name):
    settings = dict(AUDIO_3[name])
    length, select = settings.pop("length"), settings.pop("select", range(16))
    plain = Audio3(**settings)
    return length, dataclasses.replace(plain, filters=tuple(plain.filters[i] for i in select))


def program_of(front_end):
    network = xylo_spec(w_in=np.zeros((front_end.channels, 40, 1), int))
    return c.generate(network, front_end=front_end)


def assert_as_the_chip(front_end, samples, events, state):
    """That events and registers are those of the chip."""
    expected, after = front_end.step(jnp.asarray(samples, jnp.int32))
    np.testing.assert_array_equal(events, np.asarray(expected).ravel())
    n, read = front_end.channels, io.BytesIO(state)
    halves = [after.charge]
    if any(front_end.by_channel["normalise"]):
        halves.insert(0, after.high)
    for register in halves:
        wide = np.asarray(register).astype(np.int32).view("<i8")[:, 0]
        np.testing.assert_array_equal(np.frombuffer(read.read(8 * n), "<i8"), wide)
    w = np.frombuffer(read.read(12 * n), "<i4").reshape(n, 3)
    np.testing.assert_array_equal(w, after.w)
    assert int.from_bytes(read.read(4), sys.byteorder) == int(after.clock)
    counts = np.frombuffer(read.read(n), np.uint8)
    np.testing.assert_array_equal(counts, np.minimum(after.counts, 15))


def check(name, variant, folder):
    length, front_end = made(name)
    program = program_of(front_end)
    for samples in signals(length, 1):
        assert_as_the_chip(front_end, samples, *hear(variant, program, folder, samples))


@pytest.mark.few(1)
@pytest.mark.parametrize(("name", "variant"), QUICK.items())
def test_it_is_the_chip_s(name, variant, tmp_path):
    check(name, variant, tmp_path)


@pytest.mark.few(0, slow=4)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CASES)
def test_all_settings_are_the_chip_s(name, variant, tmp_path):
    check(name, variant, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", ["gcc -O3", pytest.param("clang -O0 sanitized", marks=pytest.mark.long)]
)
def test_spoken_digits_are_heard_as_on_the_chip(variant, tmp_path):
    if not SPOKEN.is_dir():
        pytest.skip("needs the Free Spoken Digit Dataset")
    recipe = Speech(front_end="audio3")
    _, test = load_fsdd(SPOKEN)
    samples = np.asarray(recipe.audio3.trace(test.audio[:60]).samples)
    front_end = dataclasses.replace(recipe.audio3, rate=None)
    program = program_of(front_end)
    for one in samples:
        events, state = hear(variant, program, tmp_path, one)
        assert_as_the_chip(front_end, one, events, state)


def test_a_sample_out_of_range_is_left_out(tmp_path):
    program = program_of(Audio3())
    (tmp_path / "network_front_end.h").write_text(program.front_end.header)
    (tmp_path / "network_front_end.c").write_text(program.front_end.source)
    (tmp_path / "main.c").write_text(
        """
        #include "network_front_end.h"
        int main(void)
        {
            network_front_end state;
            uint8_t events[NETWORK_CHANNELS];
            network_front_end_init(&state);
            return network_front_end_step(&state, 8192, events) != -1
                || network_front_end_step(&state, -8192, events) != -1
                || network_front_end_step(&state, -32768, events) != -1 || state.clock != 0
                || network_front_end_step(&state, 8191, events) != 0 || state.clock != 1;
        }
        """
    )
    sources = [tmp_path / "network_front_end.c", tmp_path / "main.c"]
    built = compile_c("gcc -O0 sanitized", tmp_path, sources, tmp_path / "main")
    assert subprocess.run([built], check=False).returncode == 0


def test_memory_is_counted_and_files_begin_with_the_name(tmp_path):
    spec = xylo_spec(w_in=np.zeros((16, 40, 1), int))
    program = c.export(spec, tmp_path, name="ears", front_end=Audio3())
    assert program.files().keys() > {"ears_front_end.h", "ears_front_end.c"}
    assert (tmp_path / "ears_front_end.c").read_text() == program.front_end.source
    # a1 and a2 of 16 bits, two shifts of 8; w_shift and the normalisation are alike.
    assert program.front_end.flash == 16 * (2 + 2 + 1 + 1)
    assert program.front_end.ram == 16 * (8 + 8 + 12) + 4 + 16 + 4
    assert program.front_end.multiplications == 32
    assert max(map(len, program.front_end.source.splitlines())) <= 100


def test_a_front_end_that_does_not_fit_is_refused():
    spec = xylo_spec()
    with pytest.raises(TypeError, match="`front_end` must be an Audio3"):
        c.generate(spec, front_end="audio3")
    with pytest.raises(ValueError, match="`front_end` has 16 channels, but the network has 4 inp"):
        c.generate(spec, front_end=Audio3())
    with pytest.raises(ValueError, match=r"`front_end\.warm_up` is 'mirrored'"):
        program_of(Audio3(warm_up="mirrored"))
