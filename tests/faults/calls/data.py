"""Calls of data and training."""

import gzip
import wave

import equinox as eqx
import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import snnjax
from snnjax import datasets, train
from snnjax.datasets import audio, augment, counts, events, fsdd, recordings, sound
from snnjax.hardware.xylo import frontend
from snnjax.train import losses, recipes

from ...datasets.files import recording, write_nmnist, write_shd
from ._arrays import COUNTS, KEY, X


def calls_of_data(folder):
    key, image = {"key": KEY}, jnp.ones((3, 3))
    levels, sounds = {"levels": X, **key}, {"sound": jnp.ones(64), **key}
    for name, given in {
        "bernoulli": {"x": image, "steps": 4, **key},
        "poisson": {"x": image, "steps": 4, **key},
        "evenly": {"image": image, "steps": 4},
        "latency": {"x": image, "steps": 4},
        "population": {"x": image[0], "neurons": 4, "low": 0.0, "high": 1.0, "width": 0.2},
        "rows_and_columns": {"image": image, "steps": 6},
        "delta": {"x": X, "threshold": 0.1},
        "step_forward": {"x": X, "threshold": 0.1},
        "load_digits": {},
    }.items():
        yield f"datasets.{name}", getattr(datasets, name), given
    mel = {"rate": 2000, "high": 900.0, "bands": 2}
    yield "datasets.MelEvents", datasets.MelEvents, mel
    yield "datasets.MelEvents()", datasets.MelEvents(**mel), {"audio": jnp.ones(400)}
    counts_of = {"counts": COUNTS, **key}
    for name, settings, given in (
        ("Augment", {"stretch": 0.1, "shift": 1}, levels),
        ("AugmentCounts", {"stretch": 0.1, "shift": 1}, counts_of),
        ("AugmentSound", {"rate": 8000.0, "gain": 2.0}, sounds),
    ):
        yield f"datasets.{name}", getattr(datasets, name), settings
        yield f"datasets.{name}()", getattr(datasets, name)(**settings), given
    resample = {"audio": jnp.ones(400), "rate": 2000, "new_rate": 1000}
    yield "datasets.audio.resample", audio.resample, resample
    filters = {"rate": 2000, "window": 64, "bands": 2, "low": 100.0, "high": 900.0}
    yield "datasets.audio.mel_filters", audio.mel_filters, filters
    for name, given in {
        "shift_time": {"most": 1},
        "stretch_time": {"most": 0.1},
        "change_gain": {"most": 1.0},
        "add_noise": {"quietest": -60.0, "loudest": -40.0},
        "mask_bands": {"widest": 1},
        "mask_time": {"longest": 1},
    }.items():
        yield f"datasets.augment.{name}", getattr(augment, name), {**levels, **given}
    stretch = {**counts_of, "most": 0.1}
    yield "datasets.counts.stretch_counts", counts.stretch_counts, stretch
    mix = {"sound": jnp.ones(64), "noise": jnp.ones(64), "ratio": 10.0}
    yield "datasets.sound.mix", sound.mix, mix
    reverb = {**sounds, "seconds": 0.001, "rate": 8000.0}
    yield "datasets.sound.reverberate", sound.reverberate, reverb


def calls_of_events(folder):
    seen = events.as_int64(recording(40, (2, 8, 8)))
    of = {"events": seen}
    yield "datasets.to_events", datasets.to_events, {"source": np.ones((3, 2, 4, 4), int)}
    yield "datasets.to_raster", datasets.to_raster, {
        **of, "shape": (2, 8, 8), "step": 1000, "steps": 3
    }  # fmt: skip
    by_count = {**of, "shape": (2, 8, 8), "number": 8}
    yield "datasets.to_raster_by_count", datasets.to_raster_by_count, by_count
    window = {"top": 1, "left": 1, "height": 4, "width": 4}
    for name, given in {
        "crop": window,
        "crop_time": {"start": 10, "end": 500},
        "downsample": {"factor": 2},
        "drop_hot_pixels": {"max_rate": 1e5},
        "drop_noise": {"window": 100},
        "offset": {},
        "polarity": {"mode": "merge"},
        "refractory": {"period": 10},
    }.items():
        yield f"datasets.{name}", getattr(datasets, name), {**of, **given}
    yield "datasets.events.as_int64", events.as_int64, of
    lengths = {"lengths": [3, 4], "batch_size": 1, "seed": 0}
    yield "datasets.batches_by_length", datasets.batches_by_length, lengths
    yield "datasets.pad", datasets.pad, {"sequences": [np.ones((3, 2)), np.ones((4, 2))]}


def calls_of_files(folder):
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 28**2)
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    yield "datasets.load_mnist", datasets.load_mnist, {"folder": folder}
    idx = {"path": folder / "train-images-idx3-ubyte.gz"}
    yield "datasets.read_idx", datasets.read_idx, idx
    write_nmnist(folder / "0.bin", recording(40))
    yield "datasets.read_events", datasets.read_events, {"path": folder / "0.bin"}
    write_shd(folder / "shd.h5", [([0.1, 0.2], [3, 4])], [1])
    yield "datasets.read_shd", datasets.read_shd, {"path": folder / "shd.h5"}
    yield "datasets.recordings.reading", recordings.reading, {"path": folder / "0.bin"}
    np.savez(folder / "own.npz", rasters=np.ones((3, 4, 2), int), labels=np.array([0, 1, 0]))
    yield "datasets.load_sequences", datasets.load_sequences, {"path": folder / "own.npz"}
    (folder / "recordings").mkdir(exist_ok=True)
    for i in (0, 9):
        file = folder / f"recordings/{i % 2}_theo_{i}.wav"
        with wave.open(str(file), "wb") as opened:
            opened.setnchannels(1)
            opened.setsampwidth(2)
            opened.setframerate(8000)
            opened.writeframes(bytes(400))
    yield "datasets.load_fsdd", datasets.load_fsdd, {"path": folder}
    yield "datasets.fsdd.read_mono", fsdd.read_mono, {"file": file}


def calls_of_training(folder):
    key, label = {"key": KEY}, {"label": jnp.int32(1)}
    for name, given in {
        "rate_penalty": {"spikes": COUNTS},
        "synops_penalty": {"counts": {"layers[0]": X[0]}, "target": 1.0},
        "latency": {"spikes": COUNTS},
        **{
            f"{of}_cross_entropy": {first: COUNTS, **label}
            for of, first in {
                "count": "spikes", "latency": "spikes", "max_vmem": "vmem", "mean_vmem": "vmem",
                "step": "y",
            }.items()
        },
        "rate_mse": {"spikes": COUNTS, **label},
        "peak_mse": {"y": COUNTS, **label, "window": 1, "on": 1.0},
        "ctc": {"y": X, "labels": jnp.array([1, 2])},
        "van_rossum": {"spikes": COUNTS, "target": COUNTS, "tau": 0.02, "dt": 0.001},
    }.items():  # fmt: skip
        yield f"train.losses.{name}", getattr(losses, name), given
    model, optimizer = eqx.nn.Linear(3, 2, key=KEY), optax.sgd(0.1)
    state = train.init_state(model, optimizer)
    yield "train.init_state", train.init_state, {"model": model, "optimizer": optimizer}
    loss = lambda model, batch, key: ((jax.vmap(model)(batch) ** 2).mean(), {})  # noqa: E731
    made = {"loss": loss, "optimizer": optimizer, "batch_size": 2}
    yield "train.make_epoch", train.make_epoch, made
    epoch = train.make_epoch(**made)
    yield "train.run_epochs", train.run_epochs, {
        "epoch": epoch, "state": state, "data": X, "epochs": 1, **key
    }  # fmt: skip
    yield "train.start_loading", train.start_loading, {"state": state}
    yield "train.make_loader_step", train.make_loader_step, {"loss": loss, "optimizer": optimizer}
    yield "train.run_loader", train.run_loader, {
        "step": train.make_loader_step(loss, optimizer), "loading": train.start_loading(state),
        "loader": grain.MapDataset.source(list(np.asarray(X))).batch(2), **key
    }  # fmt: skip
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    yield "train.Sharding", train.Sharding, {"mesh": mesh}
    yield "train.Checkpoints", train.Checkpoints, {"path": folder / "checkpoints"}
    saved = {"path": folder / "checkpoint", "tree": model}
    yield "train.save_checkpoint", train.save_checkpoint, saved
    train.save_checkpoint(**saved)
    like = {"path": folder / "checkpoint", "like": model}
    yield "train.load_checkpoint", train.load_checkpoint, like
    network = snnjax.Sequential(model, snnjax.LIF(2))
    front = datasets.MelEvents(rate=2000, high=900.0, bands=3, gain="running")
    hears = {"blocks": [np.zeros(400, np.float32)], "front": front, "network": network}
    yield "train.listen", train.listen, hears
    evaluate = lambda model: model.weight.sum()  # noqa: E731
    swept = {"model": model, **key}
    yield "train.attack", train.attack, {"loss": evaluate, **swept, "steps": 1}
    yield "train.mismatch_sweep", train.mismatch_sweep, {
        "evaluate": evaluate, **swept, "levels": (0.1,), "draws": 1
    }  # fmt: skip
    outputs = lambda model, batch, key: jax.vmap(model)(batch)  # noqa: E731
    adversarial = {"outputs": outputs, "task": lambda y, batch: (y.sum(), {})}
    yield "train.adversarial_loss", train.adversarial_loss, adversarial
    yield "train.kl_divergence", train.kl_divergence, {"logits": X, "others": X}
    yield "train.right", train.right, {"spikes": COUNTS[None], "labels": jnp.array([1])}
    yield "train.Target", train.Target, {"chip": "audio3"}
    yield "train.Settings", train.Settings, {}
    for name in ("Arrays", "Digits", "DvsGesture", "Images", "Nmnist", "Shd", "Speech"):
        yield f"train.recipes.{name}", getattr(recipes, name), {}
    yield "train.recipes.find_recipe", recipes.find_recipe, {"name": "digits"}
    front_end = frontend.Audio3()
    yield "train.front_end_text", train.front_end_text, {"front_end": front_end}
    path = folder / "front.json"
    yield "train.save_front_end", train.save_front_end, {"front_end": front_end, "path": path}
    train.save_front_end(front_end, path)
    yield "train.load_front_end", train.load_front_end, {"path": path}
