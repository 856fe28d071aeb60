"""Files of every kind that a user gives: a sample, its reader, and another reader of the same."""

import dataclasses
import functools
import gzip
import io
import json
import struct
import tomllib
import wave
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import h5py
import jax
import nir
import numpy as np

import snnjax
from snnjax import transforms
from snnjax._checks import read_array, read_arrays, read_wav
from snnjax.cli._runs import recipe_of
from snnjax.datasets import read_idx, read_shd
from snnjax.hardware import dynapcnn, xylo
from snnjax.hardware.xylo import frontend
from snnjax.interop import nir as snnjax_nir, rockpool, torch
from snnjax.train import Run, SweepFolder, front_end_text, load_front_end
from snnjax.train.recipes import Digits

from ..codegen.networks import dynapcnn_network, xylo_network
from ..datasets.files import write_shd
from .files import Kind


def _saved(save: Callable[..., Any], *args: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, *args, **arrays)
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.arange(-150, 150, dtype="<i2").tobytes())
    return file.getvalue()


def _text_of(save: Callable[..., Any], spec: Any, path: Any) -> Any:
    save(spec, path)
    return json.loads(path.read_text())


def _placed(spec: dynapcnn.Spec) -> dynapcnn.Spec:
    """With each layer on a core."""
    layers = tuple(dataclasses.replace(core, core=i) for i, core in enumerate(spec.layers))
    return dataclasses.replace(spec, layers=layers)


_IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 9, 7) + bytes(range(126))
_TOML = b"""[by_family]
weights = { transform = "Int", bits = 4 }
decays = { transform = "Bitshift" }

[where]
"layers[6].weight" = { transform = "Int", bits = 8, symmetric = false }

[activations]
Linear = { transform = "Int", bits = 8 }

[states]
"*.vmem" = "none"
"""


def _equal(a: Any, b: Any) -> bool:
    return a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _same_npz(found: Any, content: bytes) -> bool:
    with np.load(io.BytesIO(content)) as file:
        return found.keys() == set(file) and all(_equal(found[k], file[k]) for k in file)


def _same_idx(found: Any, content: bytes) -> bool:
    return content[2] == 8 and content.endswith(found.tobytes())


def _same_wav(found: Any, content: bytes) -> bool:
    return found.samples.tobytes() in content and struct.pack("<I", found.rate) in content


def _same_shd(found: Any, content: bytes, path: Any) -> bool:
    """Events in the order of their times, which are in microseconds."""
    path.write_bytes(content)
    with h5py.File(path) as file:
        rows = zip(file["spikes/times"][()], file["spikes/units"][()], strict=True)
        wanted = [(np.round(t.astype(float) * 1e6), units) for t, units in rows]
        labels = file["labels"][()]
    for events, (times, units) in zip(found.recordings, wanted, strict=True):
        order = np.argsort(times, kind="stable")
        if not np.array_equal(events.time, times[order]) or not np.array_equal(
            events.x, units[order]
        ):
            return False
    return np.array_equal(found.labels, labels)


_LEAKS = {
    "taus": ("tau_mem", "tau_syn"),
    "decays": ("alpha", "beta"),
    "bitshifts": ("dash_mem", "dash_syn"),
}


def _same_rockpool(found: Any, content: bytes) -> bool:
    """Weights, thresholds and time constants are those of the file's modules of the same names."""
    modules = json.loads(content)
    modules = {name: _modules(of) for name, of in modules.get("seq", modules).items()}
    for name, layer in zip(found.names, found.layers, strict=True):
        fields = modules.pop(name)
        if isinstance(layer, eqx.nn.Linear):
            wanted = [(layer.weight.T, fields["weight"])]
        elif isinstance(layer, snnjax.LIF):
            leak = zip(jax.tree.leaves(layer.leak), _LEAKS[fields["leak_mode"]], strict=True)
            own = ("threshold", "bias", "w_rec" if fields["_has_rec"] else "bias")
            wanted = [(ours, fields[theirs]) for ours, theirs in leak]
            wanted += [(getattr(layer, name), fields[name]) for name in own]
        else:
            wanted = [(layer.p, fields["p"])]
        for ours, theirs in wanted:
            theirs = np.asarray(theirs, np.float32)
            if not (np.ravel(ours) == np.ravel(theirs)).all():
                return False
    return not modules


def _modules(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _modules(of) for name, of in value.items()}
    return None if value is None else json.loads(value)


def _safetensors(state: dict[str, np.ndarray]) -> bytes:
    header, body = {}, b""
    for name, value in state.items():
        offsets = [len(body), len(body) + value.nbytes]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        body += value.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    (length,) = struct.unpack("<Q", content[:8])
    header, found = json.loads(content[8 : 8 + length]), {}
    for name, of in header.items():
        start, end = (8 + length + at for at in of["data_offsets"])
        kind = {"F": "f", "I": "i", "U": "u"}[of["dtype"][0]] + str(int(of["dtype"][1:]) // 8)
        found[name] = np.frombuffer(content[start:end], kind).reshape(of["shape"])
    return found


def _same_rules(found: Any, content: bytes) -> bool:
    tables = tomllib.loads(content.decode())
    return all(list(rules) == list(tables.get(t, {})) for t, rules in found._asdict().items())


def kinds(folder: Any) -> dict[str, Kind]:
    """All of them; the folder keeps samples and what other files need."""
    of = (_of_arrays(), _of_texts(), _of_chips(folder), _of_runs(folder), _of_others(folder))
    return {kind.name: kind for found in of for kind in found}


def _of_arrays() -> Iterator[Kind]:
    raster = np.random.default_rng(0).poisson(1.0, (7, 5))
    yield Kind(
        "raster.npy",
        _saved(np.save, raster),
        read_array,
        lambda array, content: _equal(array, np.load(io.BytesIO(content))),
    )
    arrays = {"x": raster, "y": raster[0] / 3}
    yield Kind("arrays.npz", _saved(np.savez, **arrays), read_arrays, _same_npz)
    yield Kind("packed.npz", _saved(np.savez_compressed, x=raster), read_arrays, _same_npz)
    yield Kind("images-ubyte", _IDX, read_idx, _same_idx)
    yield Kind(
        "images-ubyte.gz",
        gzip.compress(_IDX, mtime=0),
        read_idx,
        lambda array, content: _same_idx(array, gzip.decompress(content)),
    )
    yield Kind("3_theo_7.wav", _wav(), read_wav, _same_wav)


def _of_texts() -> Iterator[Kind]:
    yield Kind("plan.toml", _TOML, transforms.load, _same_rules)
    yield Kind(
        "frontend.json",
        front_end_text(frontend.Imu()).encode(),
        load_front_end,
        lambda found, content: json.loads(front_end_text(found)) == json.loads(content),
    )


def _of_chips(folder: Any) -> Iterator[Kind]:
    for family, spec in ((xylo, xylo_network(1)[0]), (dynapcnn, _placed(dynapcnn_network(4)[0]))):
        path = folder / f"{family.__name__.rpartition('.')[2]}.json"
        family.save(spec, path)

        def same(spec: Any, content: bytes, save: Any = family.save) -> bool:
            return bool(_text_of(save, spec, folder / "again.json") == json.loads(content))

        yield Kind(path.name, path.read_bytes(), family.load, same)


def _of_runs(folder: Any) -> Iterator[Kind]:
    """The settings and the log of a run."""
    settings = dataclasses.asdict(Digits())
    run = Run.create(folder / "run", "digits", settings)
    for epoch in range(4):
        run.log(epoch=epoch, through="plan", loss=0.7 / (1 + epoch), accuracy=0.5, seconds=0.1)

    def open_run(path: Any) -> Any:
        found = Run.open(path.parent)
        return recipe_of(found), found.settings

    yield Kind(
        "config.json",
        (run.path / "config.json").read_bytes(),
        open_run,
        lambda found, content: found[1] == json.loads(content)["settings"],
    )
    yield Kind(
        "metrics.jsonl",
        run.metrics.read_bytes(),
        lambda path: dataclasses.replace(run, path=path.parent).rows(),
        lambda rows, content: rows == [json.loads(x) for x in content.split(b"\n")[:-1]],
    )
    sweep = SweepFolder(folder / "sweep", "digits", settings, {"bits": [3, 8]}, 2)
    content = {"format": "snnjax-sweep", "version": 1, **dataclasses.asdict(sweep)}
    del content["path"]
    rows = [{"settings": {"bits": bits}, "seed": 0, "scores": None} for bits in (3, 8)]

    def open_sweep(path: Any) -> Any:
        found = SweepFolder.open(path.parent)
        found.members(Digits)
        return found

    yield Kind(
        "sweep.json",
        json.dumps(content, indent=2).encode(),
        open_sweep,
        lambda found, content: all(
            json.loads(content)[name] == getattr(found, name)
            for name in ("recipe", "settings", "over", "seeds")
        ),
    )
    yield Kind(
        "results.jsonl",
        b"".join(json.dumps(row).encode() + b"\n" for row in rows),
        lambda path: dataclasses.replace(sweep, path=path.parent).outcomes(Digits).values(),
        lambda found, content: (
            {(x.settings["bits"], x.seed) for x in found}
            == {
                (row["settings"]["bits"], row["seed"])
                for row in map(json.loads, content.split(b"\n")[:-1])
            }
        ),
    )


def _of_others(folder: Any) -> Iterator[Kind]:
    """Files of other tools."""
    rng, path = np.random.default_rng(0), folder / "shd.h5"
    spikes = [(np.sort(rng.random(n)), rng.integers(0, 700, n)) for n in (30, 0, 20)]
    write_shd(path, spikes, [1, 0, 1])
    again = folder / "again.h5"
    same = functools.partial(_same_shd, path=again)
    yield Kind(path.name, path.read_bytes(), read_shd, same)

    path = folder / "graph.nir"
    weights = nir.Affine(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    neurons = nir.LIF(*(np.full(2, v, np.float32) for v in (1e-2, 1, 0, 1)))
    nir.write(path, nir.NIRGraph.from_list(weights, neurons))
    load = functools.partial(snnjax_nir.load, dialect="euler", dt=1e-3)

    def same_graph(found: Any, content: bytes) -> bool:
        again.write_bytes(content)
        return bool(eqx.tree_equal(found.network, load(nir.read(again)).network))

    yield Kind(path.name, path.read_bytes(), load, same_graph)

    path = folder / "rockpool.json"
    rockpool.save(snnjax.SynNet(2, 3, (4,), (2,), key=jax.random.key(0)), path)
    yield Kind(path.name, path.read_bytes(), rockpool.load, _same_rockpool)

    network = eqx.nn.Linear(3, 2, key=jax.random.key(0))
    network = snnjax.Sequential(network, snnjax.IAF(2))
    read = functools.partial(torch.load_state_dict, network)
    state = {"fc.weight": rng.random((2, 3), np.float32), "fc.bias": np.ones(2, np.float32)}

    def same_state(found: Any, arrays: dict[str, np.ndarray]) -> bool:
        layer = found.layers[0]
        return all(
            np.array_equal(a, b.astype(a.dtype), equal_nan=True)
            for a, b in zip((layer.weight, layer.bias), arrays.values(), strict=True)
        )

    yield Kind(
        "state.npz",
        _saved(np.savez, **state),
        read,
        lambda found, content: same_state(found, np.load(io.BytesIO(content))),
    )
    yield Kind(
        "state.safetensors",
        _safetensors(state),
        read,
        lambda found, content: same_state(found, _tensors(content)),
    )
