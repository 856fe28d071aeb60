"""Band-pass filters of the front ends: their design, and that no input takes them out of range."""

import numpy as np
import pytest
from scipy import signal

from snnjax.hardware.xylo.frontend import AUDIO_3_FILTERS, CLOCK, Audio3, BandPass, audio3_filter

from . import reference

WORST_CASE_BITS = (7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 2)
"""Bits that the chip adds to the 14 of an input and the 8 behind the point. Source: Rockpool."""


@pytest.mark.parametrize(("band", "bits"), list(zip(AUDIO_3_FILTERS, WORST_CASE_BITS, strict=True)))
def test_no_input_takes_a_filter_of_the_chip_out_of_its_range(band, bits):
    limit = 2 ** (14 + bits + 8 - 1)
    assert max(band.peaks(8191)) < limit


@pytest.mark.parametrize("number", [7, 11, 15])
def test_the_bound_is_nearly_reached_and_never_passed(number):
    band = AUDIO_3_FILTERS[number]
    unit = 2.0 ** -(band.a_shift + band.b_shift)
    steps = np.zeros(2000)
    steps[0] = 1
    response = signal.lfilter([1], [1, band.a1 * unit, band.a2 * unit], steps)
    worst = np.where(response[::-1] > 0, 8191, -8191)
    w = reached(band, worst.tolist())
    bound, _ = band.peaks(8191)
    assert 0.99 * bound < w <= bound


def reached(band, x):
    w, largest = [0, 0], 0
    for value in x:
        fed_back = (-band.a1 * w[0] - band.a2 * w[1]) >> band.a_shift
        w = [((value << band.w_shift) + fed_back) >> band.b_shift, w[0]]
        largest = max(largest, abs(w[0]))
    return largest


@pytest.mark.parametrize("band", AUDIO_3_FILTERS)
def test_the_design_gives_the_chips_own_filters_back(band):
    point = 2 ** (band.a_shift + band.b_shift)
    a1, a2 = band.a1 / point, band.a2 / point
    width = (1 - a2) / (1 + a2)
    product = (1 + a1 / (1 + a2)) / (1 - a1 / (1 + a2))
    low = (np.sqrt(width**2 * (1 + product) ** 2 + 4 * product) - width * (1 + product)) / 2
    edges = (np.arctan(x) * CLOCK / np.pi for x in (low, product / low))
    made = audio3_filter(*edges)
    assert (made.a_shift, made.b_shift) == (band.a_shift, band.b_shift)
    assert abs(made.a1 - band.a1) <= 1
    assert abs(made.a2 - band.a2) <= 1


@pytest.mark.parametrize("edges", [(100.0, 120.0), (900.0, 1300.0), (9000.0, 16000.0)])
def test_the_design_is_a_butterworth_band_pass(edges):
    band = audio3_filter(*edges)
    _, a = signal.butter(1, edges, "bandpass", fs=CLOCK)
    point = 2 ** (band.a_shift + band.b_shift)
    np.testing.assert_array_equal([band.a1, band.a2], np.trunc(a[1:] * point))


def test_filters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="`low` and `high` must be between 0 and half"):
        audio3_filter(500.0, 400.0)
    with pytest.raises(ValueError, match=r"`filters\[0\]` can reach .* take a wider or a higher"):
        Audio3(filters=(audio3_filter(20.0, 21.0),))
    with pytest.raises(ValueError, match=r"`filters\[0\].a1` must fit into 16 bits"):
        Audio3(filters=(BandPass(a1=-40000, a2=16000, a_shift=6, b_shift=8),))
    with pytest.raises(ValueError, match=r"`filters\[0\].b_shift` must be from 0 to 15"):
        Audio3(filters=(BandPass(a1=0, a2=0, a_shift=6, b_shift=16),))
    with pytest.raises(ValueError, match=r"`filters\[0\]` can reach inf"):
        Audio3(filters=(BandPass(a1=-32700, a2=16390, a_shift=6, b_shift=8),))


def test_the_reference_filter_is_linear_without_rounding():
    # w_shift of 15 leaves roundings of 2^-15 of a sample.
    band = BandPass(a1=-26000, a2=12000, a_shift=12, b_shift=2, w_shift=15)
    x = np.random.default_rng(0).integers(-8191, 8192, 200)
    found = np.array(reference.filter_bank([band], x.tolist()))[1:, 0] / 2**15
    wanted = signal.lfilter([0.25, 0, -0.25], [1, -26000 / 2**14, 12000 / 2**14], x)[:-1]
    np.testing.assert_allclose(found, wanted, atol=0.02)
