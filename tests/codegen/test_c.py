"""Generated C computes what the simulators do, bit for bit, whatever compiles it."""

import dataclasses
import subprocess

import numpy as np
import pytest

from snnjax.codegen import c
from snnjax.hardware import dynapcnn, xylo

from .compilers import VARIANTS, Built, assert_same, compile_c
from .networks import FAMILIES, dynapcnn_network, xylo_network

QUICK = ("gcc -O0 sanitized", "clang -O3")

each_family = pytest.mark.parametrize("family", FAMILIES)
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def check(family, seeds, variant, folder):
    make, simulate = FAMILIES[family]
    for seed in seeds:
        spec, raster = make(seed)
        built = Built(spec, folder / f"{family}{seed}")
        assert_same(spec, simulate(spec, raster), built.run(variant, raster))


@pytest.mark.few(1)
@pytest.mark.parametrize("variant", QUICK)
@each_family
def test_a_random_network_is_bit_equal(family, variant, tmp_path):
    check(family, [1], variant, tmp_path)


@pytest.mark.few(0, slow=8)
@each_variant
@each_family
def test_random_networks_are_bit_equal(family, variant, tmp_path):
    check(family, range(4), variant, tmp_path)


@pytest.mark.long
@each_variant
@each_family
def test_many_random_networks_are_bit_equal(family, variant, tmp_path):
    check(family, range(200), variant, tmp_path)


def run_host(built, raster):
    """What the program for a PC prints of a raster, `(recordings, time, outputs)`."""
    file, program = built.folder / "raster.npy", built.folder / "host"
    np.save(file, raster)
    if not program.exists():
        sources = [built.folder / "network.c", built.folder / "network_host.c"]
        compile_c("gcc -O0 sanitized", built.folder, sources, program)
    done = subprocess.run([program, file], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    if done.returncode == 1:
        return done.stderr
    recordings = done.stdout.removesuffix("\n\n").split("\n\n")
    return np.array([[line.split() for line in one.splitlines()] for one in recordings], int)


@pytest.mark.few(1)
@each_family
def test_the_program_for_a_pc_runs_rasters_of_all_types(family, tmp_path):
    make, simulate = FAMILIES[family]
    spec, raster = make(1)
    raster = np.stack([raster[:6], raster[6:12]])
    spikes = np.asarray(simulate(spec, raster).spikes_out)
    if family == "dynapcnn":
        spikes = np.moveaxis(spikes, 2, -1).reshape(*spikes.shape[:2], -1)
    built = Built(spec, tmp_path)
    for dtype in (np.uint8, np.int16, np.uint32, np.int64, np.float32, np.float64):
        np.testing.assert_array_equal(run_host(built, raster.astype(dtype)), spikes)
    np.testing.assert_array_equal(run_host(built, raster[0]), spikes[:1])


@each_family
def test_the_program_for_a_pc_refuses_what_is_no_raster(family, tmp_path):
    spec, raster = FAMILIES[family][0](1)
    built = Built(spec, tmp_path)
    assert "must have the shape" in run_host(built, raster[..., :-1])
    assert "must have the shape" in run_host(built, raster[0])
    assert "order of C" in run_host(built, np.asfortranarray(raster))
    assert "little-endian" in run_host(built, raster.astype(">i4"))
    assert "little-endian" in run_host(built, raster.astype(complex))
    assert "negative or not whole" in run_host(built, raster + 0.5)
    assert "negative" in run_host(built, -1 - raster)


def xylo_spec(**fields):
    n = 40
    zeros = {
        "w_in": np.zeros((4, n, 1), int),
        "w_rec": np.zeros((n, n, 1), int),
        "w_out": np.zeros((n, 2), int),
        "dash_mem": np.full(n, 4),
        "dash_syn": np.full((n, 1), 3),
        "dash_mem_out": [4, 4],
        "dash_syn_out": [3, 3],
        "threshold": np.full(n, 100),
        "threshold_out": [100, 100],
        "dt": 1e-3,
        "chip": xylo.XYLO_AUDIO_2,
    }
    return xylo.Spec(**(zeros | fields))


@pytest.mark.parametrize(("largest", "bits"), [(1, 2), (2, 4), (7, 4), (8, 8), (127, 8)])
def test_weights_take_as_many_bits_as_they_need(largest, bits):
    weight = np.full((4, 40, 1), largest)
    assert c.generate(xylo_spec(w_in=weight)).footprint.flash == 160 * bits // 8


def test_zeros_are_left_out_where_that_is_smaller():
    weight = np.zeros((40, 40, 1), int)
    weight[np.arange(40), np.arange(40)] = 100
    scattered = c.generate(xylo_spec(w_rec=weight)).footprint
    assert (scattered.flash, scattered.additions) == (40 + 40 + 41, 40)
    weight = np.zeros((40, 40, 1), int)
    weight[:, 10:30] = 100
    block = c.generate(xylo_spec(w_rec=weight)).footprint
    assert (block.flash, block.additions) == (40 * 20 + 2 * 41, 40 * 20)
    dense = c.generate(xylo_spec(w_rec=np.full((40, 40, 1), 100))).footprint
    assert (dense.flash, dense.additions) == (1600, 1600)


def test_constants_of_all_neurons_take_no_memory_and_the_state_is_counted():
    footprint = c.generate(xylo_spec()).footprint
    assert footprint == (0, 2 * (40 + 40 + 2 + 2) + 40, 0, 42)
    assert c.generate(xylo_spec(threshold=np.arange(1, 41))).footprint.flash == 40
    assert c.generate(xylo_spec(threshold=np.arange(1, 41) * 100)).footprint.flash == 80


def test_all_names_and_files_begin_with_the_name(tmp_path):
    program = c.export(xylo_network(0)[0], tmp_path / "new", name="keywords")
    assert sorted(program.files()) == ["keywords.c", "keywords.h", "keywords_host.c"]
    for file, text in program.files().items():
        assert (tmp_path / "new" / file).read_text() == text
        assert max(map(len, text.splitlines())) <= 100
    assert "void keywords_step(keywords_state *state" in program.header


@pytest.mark.parametrize("name", ["", "2net", "a-b", "a" * 25, None])
def test_a_name_that_c_does_not_take_is_refused(name):
    with pytest.raises(ValueError, match="`name` must be a letter"):
        c.generate(xylo_spec(), name=name)


def test_what_is_no_quantised_network_is_refused():
    with pytest.raises(TypeError, match="`spec` must be a Spec"):
        c.generate(np.zeros(3))
    with pytest.raises(ValueError, match="`spec` holds real numbers"):
        c.generate(xylo_spec(w_in=np.ones((4, 40, 1))))
    with pytest.raises(ValueError, match="`threshold\\[0\\]` is 0"):
        c.generate(xylo_spec(threshold=np.zeros(40, int)))


def test_a_sensor_that_needs_times_is_refused():
    spec, _ = dynapcnn_network(11)
    sensor = dataclasses.replace(spec.sensor, noise_filter=dynapcnn.NoiseFilter())
    with pytest.raises(ValueError, match=r"`spec.sensor.noise_filter` must be None in C"):
        c.generate(dataclasses.replace(spec, sensor=sensor))


def test_a_chip_with_larger_numbers_than_the_c_holds_is_refused():
    chip = xylo.Chip(name="large", core=2, n_hidden=99, n_outputs=9, n_synapses=1, state_bits=20)
    with pytest.raises(ValueError, match=r"`spec.chip.state_bits` must be at most 16 .* got 20"):
        c.generate(xylo_spec(chip=chip))
