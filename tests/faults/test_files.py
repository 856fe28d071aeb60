"""A damaged file loads as what it says, or is refused by name, within limits of time and memory."""

import concurrent.futures
import multiprocessing
import resource
from pathlib import Path

import pytest

pytest.importorskip("nir", reason="files of every kind need the extras")

from . import files
from .kinds import kinds

MOST_BYTES = 2**30
NAMES = (
    "raster.npy",
    "arrays.npz",
    "packed.npz",
    "images-ubyte",
    "images-ubyte.gz",
    "3_theo_7.wav",
    "plan.toml",
    "frontend.json",
    "xylo.json",
    "dynapcnn.json",
    "config.json",
    "metrics.jsonl",
    "sweep.json",
    "results.jsonl",
    "shd.h5",
    "graph.nir",
    "rockpool.json",
    "state.npz",
    "state.safetensors",
)

each_kind = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("kinds"))


def test_every_kind_is_tried(all_kinds):
    assert set(all_kinds) == set(NAMES)


@each_kind
def test_an_undamaged_file_loads(all_kinds, name, tmp_path):
    kind = all_kinds[name]
    path = tmp_path / name
    path.write_bytes(kind.sample)
    assert kind.same(kind.load(path), kind.sample)


@pytest.mark.few(8)
@each_kind
def test_damaged_files(all_kinds, name, tmp_path):
    others = [kind.sample for kind in all_kinds.values()]
    wrong, loaded = files.faults(all_kinds[name], tmp_path, range(40), others)
    assert wrong == []
    assert loaded < 40


def limit_memory():
    """Let this process have 1 GiB more than it takes now."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES, size + MOST_BYTES))


def in_worker(names, folder, seeds):
    """A part of the count, in a process of its own."""
    folder = Path(folder)
    folder.mkdir()
    found = kinds(folder)
    others = [kind.sample for kind in found.values()]
    for name in names:
        (folder / name).write_bytes(found[name].sample)
        found[name].load(folder / name)
    limit_memory()
    results = [files.faults(found[name], folder, seeds, others) for name in names]
    return [fault for wrong, _ in results for fault in wrong], sum(n for _, n in results)


def run_in_workers(names, seeds, folder, workers=2):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        parts = [
            pool.submit(in_worker, names[i::workers], str(folder / str(i)), seeds)
            for i in range(workers)
        ]
        results = [part.result() for part in parts]
    wrong = [fault for faults, _ in results for fault in faults]
    assert not wrong, f"{len(wrong)} of them, such as\n" + "\n".join(wrong[:30])
    loaded = sum(count for _, count in results)
    print(f"{len(names) * len(seeds)} damaged files: {loaded} loaded as what they say, none wrong")


@pytest.mark.slow
def test_hundreds_of_damaged_files_under_a_limit_of_memory(tmp_path):
    run_in_workers(NAMES, range(1000, 1030), tmp_path)


@pytest.mark.long
def test_30_000_damaged_files_under_a_limit_of_memory(tmp_path):
    run_in_workers(NAMES, range(10_000, 11_580), tmp_path)
