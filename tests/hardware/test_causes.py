"""Causes in words, the most important first."""

import numpy as np

from snnjax.hardware import Fidelity, LayerFidelity, Share


def layer(path="layers[1]", neurons=4, **fields):
    """A layer whose integers are equal to the network, but for some fields."""
    spikes = np.ones((3, neurons), int)
    alike = {
        "path": path,
        "spikes": 3 * neurons,
        "spikes_integers": 3 * neurons,
        "count_error": 0.0,
        "equal": 1.0,
        "parts_at": None,
        "sqnr": 40.0,
        "saturated_states": 0,
        "at_cap": 0,
        "at_bound": None,
        "clipped": 0,
        "silent": {},
        "saturated": {},
        "error_over_time": np.zeros(3),
        "drift": np.zeros(3),
        "rasters": (spikes, spikes),
    }
    return LayerFidelity(**alike | fields)


def causes(*layers, cut_events=0, shares=None):
    return Fidelity(layers, 2, cut_events, np.ones(3), shares=shares).causes()


def test_nothing_is_wrong():
    assert causes(layer(at_cap=2)) == ("the network and the integers spike alike at every step",)


def test_the_first_layer_that_never_fires_is_told():
    dead = [layer(path, spikes=0, spikes_integers=0) for path in ("layers[3]", "layers[5]")]
    found = causes(layer(), *dead)
    assert len(found) == 2
    assert found[0].startswith("layers[3] never fires, in the network and in integers: scale its")
    found = causes(layer(parts_at=2, equal=0.9), *dead)
    assert found[0].startswith("layers[3] never fires")
    assert found[1].startswith("rounding alone")


def test_what_cuts_potentials_alone_is_told():
    (words,) = causes(layer(saturated={0: "too much"}))
    assert words.startswith("1 of 4 neurons of layers[1] reach an end of the chip's range")
    (words,) = causes(layer(), cut_events=7)
    assert words.startswith("7 events are more than an input channel takes")


def test_rounding_alone():
    (words,) = causes(layer(), layer("layers[3]", parts_at=2, equal=0.9))
    assert (
        words == "rounding alone: layers[3] parts first, at step 2; 90.00% of its steps are equal"
    )


def test_the_most_important_comes_first():
    first = layer(parts_at=1, saturated={0: "too much"}, at_cap=6, clipped=2)
    silent = {n: "the scale was lost" if n < 3 else "its threshold is too high" for n in range(4)}
    last = layer("layers[5]", silent=silent, spikes_integers=0)
    some = layer("layers[3]", silent={1: "its threshold is too high"})
    found = causes(first, some, last, cut_events=7)
    starts = [
        "layers[5] is silent in integers, so what follows it hears nothing: the scale was lost (3 ",
        "7 events are more than an input channel takes in a step",
        "1 of 4 neurons of layers[3] fire in the network and never in integers: its threshold",
        "layers[1] emits as many spikes as the chip allows 6 times",
        "1 of 4 neurons of layers[1] reach an end of the chip's range: too much",
        "2 weights of layers[1] are cut to fit their bits",
    ]
    assert len(found) == len(starts)
    for words, start in zip(found, starts, strict=True):
        assert words.startswith(start)


def test_what_the_chip_changes_comes_by_its_share_of_the_difference():
    apart = layer(parts_at=1, equal=0.5, at_cap=9)
    shares = Share("spike caps", "one and 31", 0.2), Share("decays", "5 ms becomes 7 ms", 0.7)
    found = causes(apart, shares=(*shares, Share("rounding", "", 0.1)))
    assert found == (
        "decays make 70% of the difference: 5 ms becomes 7 ms",
        "spike caps make 20% of the difference: one and 31",
        "rounding makes 10% of the difference",
    )
    slight = Share("decays", "5 ms becomes 5.01 ms", 0.04)
    (words,) = causes(apart, shares=(slight, Share("rounding", "", 0.96)))
    assert words.startswith("rounding alone: layers[1] parts first")
    cut = layer(parts_at=1, equal=0.5, saturated={0: "too much"})
    found = causes(cut, shares=(*shares, Share("rounding", "", 0.1)))
    assert [words.partition(" ")[0] for words in found] == ["decays", "spike", "1"]


def test_they_are_in_the_report_and_in_its_file():
    report = Fidelity((layer(parts_at=1, at_cap=2),), 2, 0, np.ones(3))
    assert "likely cause 1: layers[1] emits as many spikes" in str(report)
    assert report.to_dict()["causes"] == report.causes()
    measured = report._replace(shares=(Share("rounding", "", 1.0),))
    assert measured.to_dict()["shares"] == [{"name": "rounding", "details": "", "share": 1.0}]
