"""Generated C computes what the simulators do, bit for bit, whatever compiles it."""

import pytest

from .compilers import VARIANTS, Built, assert_same
from .networks import FAMILIES

QUICK = ("gcc -O0 sanitized", "clang -O3")


def check(family, seed, variants, folder):
    make, simulate = FAMILIES[family]
    spec, raster = make(seed)
    built, trace = Built(spec, folder), simulate(spec, raster)
    for variant in variants:
        assert_same(spec, trace, built.run(variant, raster))


@pytest.mark.parametrize("variant", QUICK)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_random_network_is_bit_equal(family, variant, tmp_path):
    check(family, 1, [variant], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks_are_bit_equal(family, variant, tmp_path):
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(family, seed, [variant], folder)
