"""The picture of a front end's stages shows what they made."""

import numpy as np
import pytest

from snnjax import viz
from snnjax.hardware.xylo.frontend import CLOCK, Audio3

FRONT = Audio3(window=100)
TONE = 0.5 * np.sin(2 * np.pi * 1503 * np.arange(1230) / CLOCK)


def test_it_shows_sound_filters_events_and_answer():
    trace, (events, _) = FRONT.trace(TONE), FRONT(TONE)
    spikes = np.eye(3)[np.arange(len(events)) % 3]
    figure = viz.front_end(FRONT, trace, events, spikes, ("yes", "no", "what"))
    sound, filters, counts, answer = figure.axes[:4]
    np.testing.assert_allclose(sound.lines[0].get_ydata(), np.asarray(trace.samples) / 2**13)
    np.testing.assert_array_equal(counts.images[0].get_array(), events.T)
    levels = filters.images[0].get_array()
    assert levels.shape == (16, len(events))
    # Its own channel hears half of full scale.
    assert levels[:, 5:].argmax(0).tolist() == [8] * (len(events) - 5)
    assert levels[8, -2] == pytest.approx(20 * np.log10(0.5), abs=0.2)
    assert [line.get_label() for line in answer.lines] == ["yes", "no", "what"]
    assert answer.lines[0].get_ydata()[-1] == 5
    assert len(viz.front_end(FRONT, trace, events).axes) == 5


def test_no_two_of_ten_classes_look_the_same():
    trace, (events, _) = FRONT.trace(TONE), FRONT(TONE)
    answer = viz.front_end(FRONT, trace, events, np.zeros((len(events), 10))).axes[3]
    assert len({(line.get_color(), line.get_linestyle()) for line in answer.lines}) == 10


def test_a_batch_is_refused():
    batch = np.stack([TONE[:200]] * 2)
    with pytest.raises(ValueError, match="must be of one recording; got 2"):
        viz.front_end(FRONT, FRONT.trace(batch), np.zeros((2, 16)))
