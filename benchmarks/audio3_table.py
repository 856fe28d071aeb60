"""Spoken digits from sound through Audio 3's front end and core, both in the chip's integers.

Accuracy of the whole chip's simulation on the official test set, by bits of the weights: on clean
sound, and with white noise or babble, which is four training recordings at once, at so many dB less
than the sound. Then the same with each speaker left out of training and tested on. Networks train
through the integers, on clean sound; each noise is the same for all of them.

    python -m benchmarks.audio3_table --data free-spoken-digit-dataset
"""

import json
from collections.abc import Iterator
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
RECIPE: dict[str, Any] = {"front_end": "audio3", "stages": "float:80,chip:60"}
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


def run(settings: Settings) -> Path:
    recipe = QUICK if settings.quick else {**RECIPE, "data": str(settings.need_data())}
    seeds = SEEDS[:1] if settings.quick else SEEDS
    train, test = _silence() if settings.quick else load_fsdd(settings.need_data())
    rows: dict[str, dict[str, list[float]]] = {}
    with compiled_once():
        for row, bits, accuracy in (
            *_of_seeds(recipe, seeds, train, test),
            *_of_speakers(recipe, train, test),
        ):
            rows.setdefault(row, {}).setdefault(f"{bits} bits", []).append(accuracy)
            print(json.dumps([row, bits, accuracy]), flush=True)
    rate = _events_per_second(Speech(**recipe), test)
    print(f"{rate:.0f} events per second go in")
    title = "accuracy of the whole chip on spoken digits, mean and spread of seeds or speakers"
    about = {"recipe": recipe, "seeds": seeds, "events_per_second": rate}
    return report_accuracies("audio3_table", title, rows, settings, **about)


def _of_seeds(
    recipe: dict[str, Any], seeds: tuple[int, ...], train: Recordings, test: Recordings
) -> Iterator[tuple[str, int, float]]:
    plain = Speech(**recipe)
    labels = jnp.asarray(train.labels), jnp.asarray(test.labels)
    sounds = {name: plain.events(x) for name, x in _sounds(train, test).items()}
    data = Data((plain.inputs(train.audio), labels[0]), (sounds["clean"], labels[1]))
    for seed in seeds:
        for bits, made in _trained({**recipe, "seed": seed}, data):
            for name, events in sounds.items():
                yield name, bits, made(events, labels[1])


def _of_speakers(
    recipe: dict[str, Any], train: Recordings, test: Recordings
) -> Iterator[tuple[str, int, float]]:
    plain = Speech(**recipe)
    speakers = np.array([*train.speakers, *test.speakers])
    inputs = jnp.concatenate([plain.inputs(train.audio), plain.events(test.audio)])
    labels = jnp.asarray(np.concatenate([train.labels, test.labels]))
    official = np.arange(len(speakers)) < len(train.labels)
    for speaker in sorted(set(speakers.tolist())):
        held_out = speakers == speaker
        learned = ~held_out & official
        data = Data((inputs[learned], labels[learned]), (inputs[held_out], labels[held_out]))
        for bits, made in _trained(recipe, data):
            yield "speaker left out", bits, made(*data.test)


def _trained(recipe: dict[str, Any], data: Data) -> Iterator[tuple[int, Any]]:
    """For each number of bits, the share of right answers as a function of events and labels."""
    first, _ = Speech(**recipe).schedule
    began = None
    for bits in BITS:
        config = Speech(**recipe, bits=bits)
        if began is None:
            began = _train(config, data, config.start(data), first.end)
        state = _train(config, data, began, config.epochs)
        spec = config.deploy(state.model)

        def score(events: Any, labels: Any, config: Speech = config, state: Any = state,
                  spec: Any = spec) -> float:  # fmt: skip
            _, answers = config.target.simulate(state.model.network, spec, events)
            right = np.asarray(answers).sum(1).argmax(-1) == np.asarray(labels)
            return float(right.mean())

        yield bits, score


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
