"""A run that hears through Audio 3's front end: its picture, what it hears, and what it exports."""

import dataclasses
import json

import equinox as eqx
import numpy as np
import pytest
from scipy.io import wavfile

from snnjax.hardware import xylo
from snnjax.hardware.xylo import frontend
from snnjax.train import Run, load_front_end, save_front_end
from snnjax.train.recipes import Speech

from ._commands import call, settings, trained

RATE = 8000
TINY = {
    "front_end": "audio3",
    "hidden": (6,),
    "time_constants": (2,),
    "steps": 12,
    "batch_size": 4,
    "stages": "float:1,chip:1",
}


def word(path, seed):
    samples = np.random.default_rng(seed).uniform(-(2**14), 2**14, 900).astype(np.int16)
    wavfile.write(path, RATE, samples)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """As training leaves it, with a network that is lively."""
    recipe = Speech(**TINY)
    network = recipe.make_network()
    weights = lambda m: [layer.weight for layer in m.layers[::2]]  # noqa: E731
    lively = eqx.tree_at(weights, network, replace_fn=lambda w: 2 * w + 0.2)
    folder = tmp_path_factory.mktemp("runs") / "heard"
    made = Run.create(folder, "speech", dataclasses.asdict(recipe))
    save_front_end(recipe.audio3, made.front_end)
    xylo.save(xylo.quantize(xylo.map_network(lively), method=recipe.method), made.spec)
    return folder


@pytest.mark.slow
def test_listen_prints_the_answers_as_they_come(run, tmp_path):
    path = word(tmp_path / "word.wav", 1)
    result = call("listen", run, "--wav", path)
    assert result.exit_code == 0, result.output
    front, spec = load_front_end(run / "frontend.json"), xylo.load(run / "xylo.json")
    events, _ = front(wavfile.read(path)[1].astype(np.float32) / 2**15)
    # The readout lags by a step.
    raster = np.pad(np.asarray(events), ((0, 1), (0, 0)))
    totals = np.asarray(xylo.simulate(spec, raster).spikes_out)[1:].sum(0)
    assert totals.max() > 10
    *_, last = result.output.splitlines()
    assert last.startswith("at the end:    0.12 s")
    assert last.split()[5:] == [str(totals.argmax()), "of", "spikes", *map(str, totals)]


def test_the_picture_of_a_recording(run, tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "word.png"
    result = call("listen", run, "--wav", word(tmp_path / "word.wav", 2), "--figure", figure)
    assert result.exit_code == 0, result.output
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_export_writes_the_fields_of_the_front_end(run, tmp_path):
    spec, fields = tmp_path / "spec.json", tmp_path / "registers.json"
    result = call("export", run, spec, "--front-end", fields)
    assert result.exit_code == 0, result.output
    front = load_front_end(run / "frontend.json")
    assert json.loads(fields.read_text()) == json.loads(json.dumps(frontend.export(front)))
    assert f"wrote {fields}, for its front end" in result.output


def test_c_takes_the_front_end_along(run, tmp_path):
    result = call("export", run, tmp_path / "firmware", "--format", "c")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "firmware/network_front_end.c").exists()
    assert "Front end: Tables of 96 bytes" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give either `--wav FILE` or `--microphone`"),
        (("--wav", "none.wav"), "none.wav"),
        (("--microphone", "--figure", "a.png"), "`--figure` shows a recording in a chip's own"),
    ],
)
def test_what_cannot_be_heard_is_refused_in_one_line(options, message, run):
    result = call("listen", run, *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.long
def test_a_run_shows_what_listen_shows(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SNNJAX_CACHE", str(tmp_path / "cache"))
    words = tmp_path / "words"
    words.mkdir()
    for digit in range(2):
        for index in range(3, 8):
            word(words / f"{digit}_ada_{index}.wav", 10 * digit + index)
    tiny = settings(**{**TINY, "hidden": 6, "time_constants": 2})
    folder, output = trained(tmp_path / "run", "speech", *tiny, "--data", words)
    assert "heard.png" in output
    figure = tmp_path / "word.png"
    result = call("listen", folder, "--wav", words / "0_ada_3.wav", "--figure", figure)
    assert result.exit_code == 0, result.output
    assert figure.read_bytes() == (folder / "heard.png").read_bytes()
