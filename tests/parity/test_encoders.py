"""Encoders against golden vectors of snnTorch, SpikingJelly and Norse."""

import numpy as np
import pytest

from snnjax.datasets import delta, latency, population

from ._compare import TOLERANCE, deviation, golden

ARRAYS, MANIFEST = golden("encoders")


@pytest.mark.parametrize("case", MANIFEST["cases"])
def test_latencies_agree(case):
    wanted = ARRAYS[f"out/{case}"]
    found = latency(ARRAYS["x"], len(wanted), **MANIFEST["cases"][case])
    np.testing.assert_array_equal(found, wanted)


def test_changes_agree():
    found = delta(ARRAYS["signal"], 0.7)
    np.testing.assert_array_equal(found[:, 0] - found[:, 1], ARRAYS["out/delta"])


def test_populations_agree():
    found = population(ARRAYS["x"], **MANIFEST["population"])
    assert deviation(found, ARRAYS["out/population"]) < TOLERANCE
    # Norse's scale is the largest number, 1 here.
    norse = population(ARRAYS["x"], 5, low=0.0, high=1.0, width=1.0)
    assert deviation(norse, ARRAYS["out/norse"]) < TOLERANCE
