"""Networks of any wiring."""

import equinox as eqx
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from snnjax import (
    IAF,
    LIF,
    Graph,
    Parallel,
    Recurrent,
    Sequential,
    quant,
    record,
    run_chunked,
    transforms,
)
from snnjax.nn import run_batch
from snnjax.nn._schedule import schedule

STEPS = 12
run = eqx.filter_jit(lambda model, x, state=None, key=None: model(x, state, key=key))


def linear(n_in, n_out, seed=0):
    return eqx.nn.Linear(n_in, n_out, key=jax.random.key(seed))


def lif(n, **kwargs):
    return LIF(n, tau_mem=5e-3, tau_syn=5e-3, threshold=0.2, **kwargs)


def fed_back():
    """A cycle, and a way past it."""
    nodes = {"rec": linear(4, 4), "w": linear(3, 4, 1), "lif": lif(4), "skip": linear(3, 4, 2)}
    edges = [
        ("input", "w"),
        ("w", "lif"),
        ("lif", "rec"),
        ("rec", "lif"),
        ("lif", "output"),
        ("input", "skip"),
        ("skip", "output"),
    ]
    return nodes, Graph(nodes, edges)


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(0.5, 1, (STEPS, 3)), jnp.float32)


def assert_trees_close(a, b, atol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), a, b)


def test_a_chain_is_a_sequential(x):
    first, neurons, last = linear(3, 4), lif(4), linear(4, 2, 1)
    nodes = {"last": last, "lif": neurons, "first": first}
    edges = [("last", "output"), ("first", "lif"), ("lif", "last"), ("input", "first")]
    graph = Graph(nodes, edges)
    assert graph.late == ()
    y, (states, waiting) = run(graph, x)
    wanted, inner = run(Sequential(first, neurons, last), x)
    np.testing.assert_array_equal(y, wanted)
    assert_trees_close((states, waiting), ((None, inner[1], None), ()))


def test_a_cycle_is_a_recurrent_and_branches_are_a_parallel(x):
    nodes, graph = fed_back()
    wanted = Parallel(Sequential(nodes["w"], Recurrent(nodes["lif"], nodes["rec"])), nodes["skip"])
    np.testing.assert_allclose(run(graph, x)[0], run(wanted, x)[0], atol=1e-6)


@pytest.mark.slow
def test_gradients_pass_through_a_cycle_as_through_a_recurrent(x):
    nodes, graph = fed_back()
    inner = Recurrent(nodes["lif"], nodes["rec"])
    wanted = Parallel(Sequential(nodes["w"], inner), nodes["skip"])
    grad = eqx.filter_jit(eqx.filter_grad(lambda m: (m(x)[0] ** 2).sum()))
    a, b = grad(graph), grad(wanted).layers[0].layers
    np.testing.assert_allclose(a.layers[0].weight, b[1].layers[1].weight, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(a.layers[1].weight, b[0].weight, rtol=1e-3, atol=1e-5)


def test_one_node_feeds_two_merges():
    nodes = {"a": jnp.tanh, "b": jnp.sin, "m": jnp.cos, "n": jnp.exp}
    edges = [("input", "a"), ("input", "b"), ("a", "m"), ("b", "m"), ("a", "n"), ("input", "n")]
    edges += [("m", "output"), ("n", "output")]
    x = jnp.linspace(-1, 1, 6).reshape(3, 2)
    y, _ = Graph(nodes, edges)(x)
    wanted = jnp.cos(jnp.tanh(x) + jnp.sin(x)) + jnp.exp(jnp.tanh(x) + x)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


@pytest.mark.slow
def test_several_inputs_and_outputs_are_dictionaries(x):
    nodes = {"w": linear(3, 4), "lif": lif(4)}
    edges = [("a", "w"), ("w", "lif"), ("b", "lif"), ("lif", "spikes"), ("w", "drive")]
    graph = Graph(nodes, edges, inputs=["a", "b"], outputs=["spikes", "drive"])
    inputs = {"a": x, "b": jnp.ones((STEPS, 4), int)}
    y, _ = run(graph, inputs)
    assert set(y) == {"spikes", "drive"}
    drive = jax.vmap(nodes["w"])(x)
    np.testing.assert_allclose(y["drive"], drive, atol=1e-6)
    np.testing.assert_array_equal(y["spikes"], run(nodes["lif"], drive + 1)[0])
    one, _ = graph.step({name: value[0] for name, value in inputs.items()})
    np.testing.assert_array_equal(one["spikes"], y["spikes"][0])
    assert record(graph, inputs)[2]["layers[0].output"].shape == (STEPS, 4)


def test_step_by_step_it_does_as_over_a_sequence(x):
    _, graph = fed_back()
    y, end = run(graph, x)
    step = eqx.filter_jit(lambda x, state: graph.step(x, state))
    state = graph.initial_state()
    for t in range(STEPS):
        y_t, state = step(x[t], state)
        np.testing.assert_allclose(y_t, y[t], atol=1e-6)
    assert_trees_close(state, end)
    first, state = run(graph, x[:5])
    np.testing.assert_allclose(jnp.concatenate([first, run(graph, x[5:], state)[0]]), y, atol=1e-6)
    np.testing.assert_allclose(run_chunked(graph, x, chunk=5)[0], y, atol=1e-6)


def test_a_batch_is_each_of_its_sequences(x):
    _, graph = fed_back()
    batch = jnp.stack([x, 2 * x])
    y, _ = run_batch(graph, batch)
    np.testing.assert_allclose(y[1], run(graph, 2 * x)[0], atol=1e-5)


def test_records_and_plans_go_by_the_place_of_a_node(x):
    _, graph = fed_back()
    assert graph.path("lif") == "layers[2]"
    y, _, records = record(graph, x)
    np.testing.assert_allclose(
        records["layers[2].output"] + records["layers[3].output"], y, atol=1e-6
    )
    assert records["layers[2].vmem"].shape == (STEPS, 4)
    plan = transforms.plan(
        graph, {"weights": quant.Int(4)}, activations={"layers[0]": quant.Int(3)}
    )
    quantised = transforms.apply(plan, graph)
    assert len(np.unique(quantised.layers[0].weight)) <= 15
    assert len(np.unique(record(quantised, x)[2]["layers[0].output"])) <= 8


def test_randomness_comes_from_the_key(x):
    nodes = {"lif": lif(3), "drop": eqx.nn.Dropout(0.5)}
    edges = [("input", "lif"), ("lif", "drop"), ("drop", "lif"), ("lif", "output")]
    graph = Graph(nodes, edges)
    a, b = (run(graph, x, None, jax.random.key(i))[0] for i in range(2))
    assert not np.array_equal(a, b)


# ----- where a cycle is cut


@pytest.mark.parametrize(
    ("edges", "stateful", "late"),
    [
        ([("input", "a"), ("a", "a")], "", [("a", "a")]),
        ([("input", "a"), ("a", "b"), ("b", "a")], "", [("b", "a")]),
        ([("input", "a"), ("a", "b"), ("b", "a")], "a", [("a", "b")]),
        # Of two layers with a state, the later one's output waits: the input passes unhindered.
        ([("input", "a"), ("a", "c"), ("c", "b"), ("b", "d"), ("d", "a")], "ab", [("b", "d")]),
        # What follows a cycle is no part of it.
        ([("input", "b"), ("b", "c"), ("c", "b"), ("b", "a"), ("c", "d")], "b", [("b", "c")]),
    ],
)
def test_a_cycle_is_cut_after_a_state_and_late(edges, stateful, late):
    nodes = sorted({name for edge in edges for name in edge} - {"input"})
    assert list(schedule(nodes, edges, ["input"], frozenset(stateful))[1]) == late


@hypothesis.given(st.data())
def test_every_wiring_is_run_in_an_order_that_has_what_it_needs(data):
    nodes = [f"n{i}" for i in range(data.draw(st.integers(1, 6)))]
    pairs = st.tuples(st.sampled_from(["input", *nodes]), st.sampled_from(nodes))
    edges = data.draw(st.lists(pairs, unique=True, min_size=1))
    stateful = data.draw(st.frozensets(st.sampled_from(nodes)))
    stages, late = schedule(nodes, edges, ["input"], stateful)
    order = [nodes[i] for stage in stages for i in stage]
    assert sorted(order) == sorted(nodes)
    for a, b in edges:
        if a != "input":
            assert ((a, b) in late) == (order.index(a) >= order.index(b))
            assert (a, b) not in late or any({a, b} <= {nodes[i] for i in s} for s in stages)


# ----- misuse


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ([("input", "a"), ("a", "c")], {}, r"\('a', 'c'\) has a target that is none of: a, b"),
        ([("input", "a"), ("a", "b")], {}, "nothing leads to 'output'"),
        ([("input", "a"), ("a", "output")], {}, "nothing leads to 'b'"),
        ([("input", "a"), ("input", "b"), ("a", "output")], {}, "'b' leads nowhere"),
        ([("input", "a")] * 2, {}, "given twice"),
        ([("input", "a")], {"inputs": "a"}, "must not share a name; got 'a'"),
        (
            [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")],
            {},
            "`shapes`: the shape of the output of 'b' is needed",
        ),
    ],
)
def test_a_wiring_that_cannot_be_is_an_error(edges, options, message):
    with pytest.raises(ValueError, match=message):
        Graph({"a": jnp.tanh, "b": jnp.sin}, edges, **options)


def test_inputs_that_do_not_fit_are_errors(x):
    nodes = {"w": linear(3, 4), "v": linear(3, 5), "lif": IAF(4)}
    edges = [("input", "w"), ("input", "v"), ("w", "lif"), ("v", "lif"), ("lif", "output")]
    with pytest.raises(ValueError, match=r"`layers\[2\]`: all that comes together .*4.*5"):
        Graph(nodes, edges)(x)
    edges = [("a", "w"), ("w", "lif"), ("b", "lif"), ("lif", "output")]
    graph = Graph({"w": nodes["w"], "lif": IAF(4)}, edges, inputs=("a", "b"))
    with pytest.raises(ValueError, match="`x` must be a dictionary with a, b; got"):
        graph(x)
    with pytest.raises(ValueError, match="same number of steps"):
        graph({"a": x, "b": jnp.ones((3, 4))})
    _, cyclic = fed_back()
    with pytest.raises(ValueError, match="`state` must be a pair"):
        cyclic(x, (None, None, None))
    wrong = Graph({"a": jnp.tanh}, [("input", "a"), ("a", "a"), ("a", "output")], shapes={"a": 2})
    with pytest.raises(ValueError, match="2"):
        wrong(x)
