"""Spoken digits from sound through Audio 3's front end and core, both in the chip's integers.

Accuracy of the whole chip's simulation on the official test set, by bits of the weights: on clean
sound, and with white noise or babble, which is four training recordings at once, at so many dB less
than the sound. Then at 8 bits with each speaker left out of training and tested on. Networks train
through the integers, on clean sound; each noise is the same for all of them.

    python -m benchmarks.audio3_table --data free-spoken-digit-dataset

What each network reaches is written to `audio3_table.jsonl` in the folder for results as soon as it
is known. A run that was interrupted goes on from there.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from snnjax.datasets.fsdd import Recordings, load_fsdd
from snnjax.datasets.sound import mix
from snnjax.train import Data, TrainState
from snnjax.train.recipes import Speech

from ._table import compiled_once, report_accuracies
from .harness import Settings, main

BITS, SEEDS, RATIOS = (8, 4), (0, 1, 2), (20, 10, 0)
BITS_OF_SPEAKERS = BITS[:1]
# Chosen on recordings 5 to 9 of the training set, left out of training for that.
RECIPE: dict[str, Any] = {
    "front_end": "audio3",
    "k": 10,
    "b1": 5,
    "hidden": (128, 96, 64),
    "input_gain": 0.4,
    "spikes_per_logit": 8.0,
    "stages": "float:80,chip:50",
    "learning_rate": 2e-3,
    "later_rate": 1.0,
    "stretch": 0.2,
    "shift": 8,
}
QUICK: dict[str, Any] = {
    **RECIPE,
    "stages": "float:1,chip:1",
    "hidden": (8,),
    "time_constants": (2,),
    "steps": 10,
    "batch_size": 4,
    "bands": "chip",
}
VOICES = 4


Score = Callable[[Any, Any], float]
"""The share of right answers, as a function of events and labels."""


def run(settings: Settings) -> Path:
    recipe = QUICK if settings.quick else {**RECIPE, "data": str(settings.need_data())}
    seeds = SEEDS[:1] if settings.quick else SEEDS
    train, test = _silence() if settings.quick else load_fsdd(settings.need_data())
    settings.results.mkdir(parents=True, exist_ok=True)
    kept = _Kept(settings.results / "audio3_table.jsonl", recipe)
    with compiled_once():
        _of_seeds(kept, recipe, seeds, train, test)
        _of_speakers(kept, recipe, train, test)
    rate = _events_per_second(Speech(**recipe), test)
    print(f"{rate:.0f} events per second go in")
    title = "accuracy of the whole chip on spoken digits, mean and spread of seeds or speakers"
    about = {"recipe": recipe, "seeds": seeds, "events_per_second": rate}
    return report_accuracies("audio3_table", title, kept.rows(), settings, **about)


class _Kept:
    """The accuracies of networks, in a file with a line for each."""

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self.path, self.recipe = path, json.loads(json.dumps(recipe))
        lines = path.read_text().splitlines() if path.exists() else []
        self.lines = [line for line in map(json.loads, lines) if line["recipe"] == self.recipe]

    def missing(self, name: str, bits: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of bits of a network that are yet to be done."""
        done = {line["bits"] for line in self.lines if line["network"] == name}
        return tuple(b for b in bits if b not in done)

    def add(self, name: str, bits: int, found: Mapping[str, float]) -> None:
        line = {"network": name, "bits": bits, "found": dict(found), "recipe": self.recipe}
        self.lines.append(line)
        text = json.dumps(line)
        print(text, flush=True)
        with self.path.open("a") as file:
            file.write(text + "\n")

    def rows(self) -> dict[str, dict[str, list[float]]]:
        """The accuracies by row and column."""
        rows: dict[str, dict[str, list[float]]] = {}
        for line in self.lines:
            for row, accuracy in line["found"].items():
                rows.setdefault(row, {}).setdefault(f"{line['bits']} bits", []).append(accuracy)
        return rows


def _of_seeds(
    kept: _Kept, recipe: dict[str, Any], seeds: tuple[int, ...], train: Recordings, test: Recordings
) -> None:
    plain = Speech(**recipe)
    labels = jnp.asarray(train.labels), jnp.asarray(test.labels)
    sounds = {name: plain.events(x) for name, x in _sounds(train, test).items()}
    data = Data((plain.inputs(train.audio), labels[0]), (sounds["clean"], labels[1]))
    for seed in seeds:
        name = f"seed {seed}"
        for bits, score in _trained({**recipe, "seed": seed}, data, kept.missing(name, BITS)):
            kept.add(name, bits, {row: score(x, labels[1]) for row, x in sounds.items()})


def _of_speakers(kept: _Kept, recipe: dict[str, Any], train: Recordings, test: Recordings) -> None:
    plain = Speech(**recipe)
    speakers = np.array([*train.speakers, *test.speakers])
    inputs = jnp.concatenate([plain.inputs(train.audio), plain.events(test.audio)])
    labels = jnp.asarray(np.concatenate([train.labels, test.labels]))
    official = np.arange(len(speakers)) < len(train.labels)
    for speaker in sorted(set(speakers.tolist())):
        held_out = speakers == speaker
        learned = ~held_out & official
        data = Data((inputs[learned], labels[learned]), (inputs[held_out], labels[held_out]))
        for bits, score in _trained(recipe, data, kept.missing(speaker, BITS_OF_SPEAKERS)):
            kept.add(speaker, bits, {"speaker left out": score(*data.test)})


def _trained(
    recipe: dict[str, Any], data: Data, bits: tuple[int, ...]
) -> Iterator[tuple[int, Score]]:
    """Networks of so many bits, whose first stage is the same."""
    first, _ = Speech(**recipe).schedule
    began = None
    for b in bits:
        config = Speech(**recipe, bits=b)
        if began is None:
            began = _train(config, data, config.start(data), first.end)
        state = _train(config, data, began, config.epochs)
        yield b, functools.partial(_score, config, state, config.deploy(state.model))


def _score(config: Speech, state: TrainState, spec: Any, events: Any, labels: Any) -> float:
    _, answers = config.target.simulate(state.model.network, spec, events)
    right = np.asarray(answers).sum(1).argmax(-1) == np.asarray(labels)
    return float(right.mean())


def _train(config: Speech, data: Data, state: TrainState, epochs: int | None) -> TrainState:
    for after, _ in config.train(data, state):
        state = after
        if int(state.epoch) == epochs:
            break
    return state


def _sounds(train: Recordings, test: Recordings) -> dict[str, np.ndarray]:
    """The test recordings, clean and with noise."""
    rng = np.random.default_rng(0)
    white = rng.standard_normal(test.audio.shape).astype(np.float32)
    voices = rng.integers(0, len(train.audio), (len(test.audio), VOICES))
    babble = sum(_looped(train, voices[:, i], test.audio.shape[1]) for i in range(VOICES))
    # Within the recording, as long as it is; so is the power of both.
    heard = np.arange(test.audio.shape[1]) < test.samples[:, None]
    noisy = jax.jit(jax.vmap(mix, (0, 0, None)))
    found = {"clean": test.audio}
    for name, noise in (("white", white), ("babble", babble)):
        for ratio in RATIOS:
            mixed = np.asarray(noisy(test.audio, np.where(heard, noise, 0), float(ratio)))
            found[f"{name} {ratio} dB"] = np.clip(mixed, -0.999, 0.999)
    return found


def _looped(train: Recordings, numbers: np.ndarray, length: int) -> np.ndarray:
    """Recordings, each again and again, of the same loudness."""
    rows = [np.resize(train.audio[i, : train.samples[i]], length) for i in numbers]
    return np.stack([row / np.sqrt(np.mean(row**2) + 1e-12) for row in rows])


def _events_per_second(config: Speech, test: Recordings) -> float:
    events = np.asarray(config.events(test.audio)).sum()
    return float(events / (np.minimum(test.samples / test.rate, config.steps * config.dt).sum()))


def _silence() -> tuple[Recordings, Recordings]:
    """Something of the shape of the data set, nearly silent."""
    rng = np.random.default_rng(0)
    names = ("one", "two") * 4

    def make(n: int) -> Recordings:
        audio = rng.uniform(-0.1, 0.1, (n, 800)).astype(np.float32)
        return Recordings(audio, np.full(n, 800), np.arange(n) % 10, names[:n], 8000)

    return make(8), make(4)


if __name__ == "__main__":
    main(run)
