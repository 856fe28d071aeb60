"""That the benchmarks run, and that their harness tells slow from fast. No times are tested."""

import json
import time

import jax
import jax.numpy as jnp
import pytest

from benchmarks import dsr_memory, guard, long_sequences
from benchmarks.__main__ import every_benchmark
from benchmarks.harness import Settings, compare, main

SHORT = (
    "dsr_memory",
    "dynapcnn",
    "events",
    "gpu_loop",
    "lif_layer",
    "long_sequences",
    "neurons",
    "peers",
    "xylo_simulate",
)
MARKS = {"state_quant": (), **dict.fromkeys(SHORT, pytest.mark.slow)}


def test_a_slower_candidate_is_found_slower():
    def work(n):
        return lambda x: jax.lax.fori_loop(0, n, lambda _, x: jnp.sin(x), x)

    x = jnp.ones(20_000)
    found = compare(
        {"reference": (work(20), (x,)), "same": (work(20), (x,)), "triple": (work(60), (x,))},
        Settings(rounds=21, seconds=0.01),
    )
    assert found["reference"].ratio == 1
    # Far from 3 and 1, since whoever else uses the machine has a say in the times.
    assert found["triple"].ratio > 1.5
    assert found["triple"].ratio > found["same"].ratio


@pytest.mark.parametrize(
    "benchmark",
    [
        pytest.param(module, marks=MARKS.get(module.__name__.partition(".")[2], pytest.mark.long))
        for module in every_benchmark()
    ],
    ids=lambda module: module.__name__,
)
def test_a_benchmark_writes_what_it_measured(benchmark, tmp_path, capsys):
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        main(benchmark.run, arguments=["--quick", "--rounds", "2", "--results", str(tmp_path)])
    (path,) = tmp_path.glob("*.json")
    assert benchmark.__name__.endswith(path.stem)
    content = json.loads(path.read_text())
    assert content["environment"]["jax"] == jax.__version__
    assert content["environment"]["backend"] == jax.default_backend()
    assert content["settings"]["rounds"] == 2
    printed = capsys.readouterr().out
    for title, group in content["groups"].items():
        assert title in printed
        for measured in group.values():
            assert measured["seconds"] > 0
            assert measured["ratio_low"] <= measured["ratio"] <= measured["ratio_high"]
            assert measured["temp_bytes"] is None or measured["temp_bytes"] >= 0


def test_the_guard_fails_with_the_reason_of_the_bound(monkeypatch, tmp_path):
    assert guard.BOUNDS.keys() == guard.PAIRS.keys()
    assert all(bound["most"] > 0 and bound["why"] for bound in guard.BOUNDS.values())

    def pair(quick):
        return {"short": lambda: time.sleep(1e-4), "long": lambda: time.sleep(1e-2)}

    monkeypatch.setattr(guard, "PAIRS", {"sleep": pair})
    monkeypatch.setattr(guard, "BOUNDS", {"sleep": {"most": 2, "why": "they are the same"}})
    with pytest.raises(SystemExit, match=r"sleep: .* more than 2. they are the same"):
        guard.run(Settings(results=tmp_path))
    monkeypatch.setattr(guard, "BOUNDS", {"sleep": {"most": 1e6, "why": ""}})
    assert guard.run(Settings(results=tmp_path)).exists()


@pytest.mark.slow
def test_a_training_step_by_dsr_needs_less_than_0_6_of_the_memory_of_bptt():
    steps = dsr_memory.training_steps(dsr_memory.NEURONS["IF"], steps=400, batch=4, channels=4)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        compiled = {name: jax.jit(f).lower(*args).compile() for name, (f, args) in steps.items()}
    # What the compiler plans for, not what is measured: it is the same on every run.
    memory = {name: c.memory_analysis().temp_size_in_bytes for name, c in compiled.items()}
    spikes_of_a_layer = 400 * 4 * 4 * 8 * 8 * 4
    assert memory["DSR"] > 3 * spikes_of_a_layer  # it is that of the whole step
    assert memory["DSR"] < 0.6 * memory["BPTT"]
    # They are the same network.
    losses = [float(compiled[name](*args)[2]) for name, (_, args) in steps.items()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow
def test_a_sequence_in_pieces_needs_less_memory_than_an_eighth_of_it_at_once():
    def memory(steps, whole):
        function, args = long_sequences.gradient(steps, batch=4, neurons=32, whole=whole)
        return jax.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes

    assert memory(4000, whole=False) < memory(500, whole=True) < memory(4000, whole=True) / 7
