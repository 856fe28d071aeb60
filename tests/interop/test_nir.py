"""NIR files of every tool as networks."""

import ast
import re
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from snnjax import Graph, Sequential
from snnjax.interop.nir import DIALECTS, load

from ._arrays import arrays
from ._peers import BY_HAND, NIR, PEERS, TOLD, assert_as_recorded, run

PAPER = Path(__file__).parents[1] / "parity/nir_paper.npz"
needs_data = pytest.mark.skipif(not PEERS.exists(), reason="needs shared/data/nir")


@pytest.mark.few(3)
@needs_data
@pytest.mark.parametrize("name", TOLD)
def test_files_of_the_peers_run_as_their_tools_ran_them(name):
    loaded = load(PEERS / f"{name}.nir", **TOLD[name])
    assert loaded.dialect == name.partition("_")[0]
    assert_as_recorded(loaded.network, arrays(PEERS / f"{name}.npz"))


@pytest.mark.few(2)
@needs_data
@pytest.mark.parametrize("dialect", ["euler", "exact"])
@pytest.mark.parametrize("name", BY_HAND)
def test_graphs_made_by_hand_run_as_nirs_equations_say(name, dialect):
    with jax.enable_x64(True):
        loaded = load(PEERS / f"hand_{name}.nir", dialect=dialect, dt=1e-3)
        recorded = arrays(PEERS / f"hand_{name}.npz")
        assert_as_recorded(loaded.network, recorded, f"ref_{dialect}_")


LOST = {
    "snntorch_leaky_subtract": "snntorch .*lost.*'1': reset\n  '3': reset",
    "snntorch_rleaky": "snntorch .*lost.*'1.lif': reset\n  '3.lif': reset",
    "sinabs_iaf_conv": "sinabs .*lost.*'1': reset, max_spikes, min_vmem\n  '4': .*\n  '7': ",
    "sinabs_lif_mlp": "sinabs .*lost.*'1': .*, tau_syn, norm_input\n  '3': tau_syn, norm_input",
    "norse_lif_cuba": "norse .*lost.*'1': v_reset\n  '3': v_reset",
    "norse_lifbox_li": "norse .*lost.*'1': v_reset\n",
    "rockpool_lif_mlp": "rockpool .*lost.*'1_LIFTorch': bias, w_rec\n  '3_LIFTorch': bias, w_rec",
    "rockpool_lif_scalar": "rockpool .*lost.*'1_LIFTorch': bias, w_rec",
    "jaxpike_conv": "it bears no tool's marks. Say it with `dialect`",
    **{f"hand_{name}": "it bears no tool's marks. Say it with `dialect`" for name in BY_HAND},
}


@needs_data
@pytest.mark.parametrize("name", [*TOLD, *(f"hand_{name}" for name in BY_HAND)])
def test_without_settings_a_file_loads_right_or_is_refused_by_what_is_lost(name):
    path = PEERS / f"{name}.nir"
    if name in LOST:
        with pytest.raises(ValueError, match=f"(?s){re.escape(str(path))}: .*{LOST[name]}"):
            load(path)
    else:
        assert_as_recorded(load(path).network, arrays(PEERS / f"{name}.npz"))


@needs_data
def test_what_the_error_tells_to_pass_is_what_loads():
    path = PEERS / "sinabs_iaf_conv.nir"
    with pytest.raises(ValueError, match="nodes=") as error:
        load(path)
    nodes = ast.literal_eval(str(error.value).rpartition("nodes=")[2])
    loaded = load(path, nodes=nodes)
    assert loaded.losses["1"][0] == "reset is not in the file; told: subtract"


@needs_data
def test_what_is_assumed_is_a_warning_that_names_the_node():
    settings = {"bias": 0.0, "w_rec": None}
    with pytest.warns(UserWarning, match="'1_LIFTorch' of rockpool: max_spikes .* assumed: 65536"):
        load(PEERS / "rockpool_lif_scalar.nir", nodes={"*": settings})


# ----- the graphs of NIR's paper


@needs_data
def test_the_papers_neuron_runs_as_norse_ran_it():
    loaded = load(NIR / "lif_norse.nir", dialect="euler", dt=1e-4)
    x = np.loadtxt(NIR / "lif_input.csv")[:, None]
    recorded = np.loadtxt(NIR / "lif_norse.csv", delimiter=",")
    y, records = run(loaded.network, x)
    np.testing.assert_array_equal(y[:, 0], recorded[:, 2])
    np.testing.assert_allclose(records["1.vmem"][:, 0], recorded[:, 1], atol=1e-6)
    exact = load(NIR / "lif_norse.nir", dialect="exact", dt=1e-4)
    wanted = np.loadtxt(NIR / "lif_exact.csv", delimiter=",")
    np.testing.assert_array_equal(run(exact.network, x)[0][:, 0], wanted[:, 2])


@needs_data
def test_the_papers_convolutions_run_as_in_sinabs():
    nodes = {"*": {"reset": "subtract", "max_spikes": None, "min_vmem": -1}}
    loaded = load(NIR / "cnn_sinabs.nir", nodes=nodes)
    assert loaded.dialect == "sinabs"
    assert loaded.network.names == tuple(map(str, range(13)))
    golden = arrays(PAPER)
    y, records = run(loaded.network, golden["input"])
    np.testing.assert_array_equal(y, golden["spikes_12"])
    for name in ("1", "3", "6", "10", "12"):
        wanted = golden[f"spikes_{name}"]
        assert wanted.sum() > 20
        np.testing.assert_array_equal(records[f"{name}.output"], wanted)


# ----- settings


@needs_data
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "brian"}, "`dialect` must be one of euler, exact, .*; got 'brian'"),
        ({"dialect": "euler"}, "`dt` is needed: a graph of euler does not hold it"),
        ({"dialect": "euler", "dt": 0}, "`dt` must be above 0 and finite; got 0"),
        ({"dialect": "euler", "dt": np.inf}, "`dt` must be above 0 and finite; got inf"),
        ({"nodes": {"9": {"reset": "zero"}}}, "`nodes`: '9' matches none of: "),
        ({"nodes": {"1": {"tau": 3}}}, "'1', a LIF, has no setting 'tau' in .* it has: reset"),
        ({"nodes": {"*": {"reset": "never"}}}, "node '1', a LIF: `reset` must be one of"),
    ],
)
def test_settings_that_do_not_fit_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        load(PEERS / "snntorch_leaky_subtract.nir", **options)


@needs_data
def test_a_graph_is_read_like_its_file():
    nir = pytest.importorskip("nir")
    name = "snntorch_rleaky"
    graph = nir.read(PEERS / f"{name}.nir")
    loaded = load(graph, **TOLD[name])
    assert isinstance(loaded.network, Sequential)
    assert_as_recorded(loaded.network, arrays(PEERS / f"{name}.npz"))


def test_every_dialect_says_in_a_line_how_it_steps():
    assert all(len(dialect.about) < 160 for dialect in DIALECTS.values())


# ----- primitives


def graph_of(nodes, edges):
    nir = pytest.importorskip("nir")
    return nir.NIRGraph(nodes, edges, type_check=False)


def nir_nodes():
    return pytest.importorskip("nir")


def test_several_inputs_and_outputs_are_dictionaries():
    nir = nir_nodes()
    nodes = {
        "a": nir.Input(np.array([2])),
        "b": nir.Input(np.array([2])),
        "w": nir.Scale(np.array([2.0, 3.0])),
        "y": nir.Output(np.array([2])),
        "z": nir.Output(np.array([2])),
    }
    edges = [("a", "w"), ("b", "w"), ("w", "y"), ("b", "z")]
    network = load(graph_of(nodes, edges)).network
    assert isinstance(network, Graph)
    x = {"a": np.ones((3, 2), np.float32), "b": 2 * np.ones((3, 2), np.float32)}
    y, _ = network(x)
    np.testing.assert_array_equal(y["y"], 3 * np.array([[2, 3]] * 3))
    np.testing.assert_array_equal(y["z"], x["b"])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_in_one_dimension_with_groups(groups):
    nir = nir_nodes()
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 4 // groups, 3)), rng.normal(size=4)
    nodes = {
        "input": nir.Input(np.array([4, 9])),
        "c": nir.Conv1d(9, weight, 2, 1, 1, groups, bias),
        "output": nir.Output(np.array([4, 5])),
    }
    network = load(graph_of(nodes, [("input", "c"), ("c", "output")])).network
    x = rng.normal(size=(1, 4, 9)).astype(np.float32)
    padded = np.pad(x[0], ((0, 0), (1, 1)))
    wanted = np.zeros((4, 5))
    for out in range(4):
        first = out // (4 // groups) * (4 // groups)
        for t in range(5):
            seen = padded[first : first + 4 // groups, 2 * t : 2 * t + 3]
            wanted[out, t] = (seen * weight[out]).sum() + bias[out]
    np.testing.assert_allclose(network(x)[0][0], wanted, rtol=1e-5, atol=1e-6)


def test_matrices_for_each_index_of_an_axis():
    nir = nir_nodes()
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3))
    nodes = {
        "input": nir.Input(np.array([2, 4])),
        "w": nir.Affine(weight, bias),
        "output": nir.Output(np.array([2, 3])),
    }
    network = load(graph_of(nodes, [("input", "w"), ("w", "output")])).network
    x = rng.normal(size=(2, 2, 4)).astype(np.float32)
    wanted = np.stack([weight[i] @ x[:, i].T + bias[i][:, None] for i in range(2)])
    np.testing.assert_allclose(network(x)[0], wanted.transpose(2, 0, 1), rtol=1e-5, atol=1e-6)


def exact_solution(x, dt, tau_mem, tau_syn, r, v_leak, w_in):
    """The potential of a CubaLI after each step, by many small steps of a Runge-Kutta method."""
    v = i = 0.0
    many = 400
    h = dt / many
    found = []

    def slope(v, i, x):
        return (v_leak - v + r * i) / tau_mem, (w_in * x - i) / tau_syn

    for x_t in x:
        for _ in range(many):
            a, b = slope(v, i, x_t)
            c, d = slope(v + h / 2 * a, i + h / 2 * b, x_t)
            v, i = v + h * c, i + h * d
        found.append(v)
    return np.array(found)


@pytest.mark.parametrize("tau_syn", [5e-3, 20e-3, 20.001e-3])
def test_a_synapse_is_solved_exactly_with_its_membrane(tau_syn):
    nir = nir_nodes()
    settings = {"tau_mem": 20e-3, "tau_syn": tau_syn, "r": 1.7, "v_leak": 0.3, "w_in": 1.2}
    nodes = {
        "input": nir.Input(np.array([1])),
        "n": nir.CubaLI(**{name: np.array([value]) for name, value in settings.items()}),
        "output": nir.Output(np.array([1])),
    }
    x = np.random.default_rng(0).normal(size=30)
    with jax.enable_x64(True):
        graph = graph_of(nodes, [("input", "n"), ("n", "output")])
        network = load(graph, dialect="exact", dt=2e-3).network
        y, _ = run(network, x[:, None])
    np.testing.assert_allclose(y[:, 0], exact_solution(x, 2e-3, **settings), atol=1e-6)


def test_thresholds_may_be_negative_and_parameters_single_numbers():
    nir = nir_nodes()
    nodes = {
        "input": nir.Input(np.array([3])),
        "n": nir.LIF(*(np.array(v) for v in (10e-3, 1.0, -65.0, -50.0)), np.array(-70.0)),
        "output": nir.Output(np.array([3])),
    }
    graph = graph_of(nodes, [("input", "n"), ("n", "output")])
    network = load(graph, dialect="euler", dt=1e-3).network
    x = np.ones((40, 3)) * [10.0, 20.0, 30.0]
    y, records = run(network, x)
    v = np.zeros(3)
    for t in range(40):
        v = v + 0.1 * (-65 - v + x[t])
        fires = v > -50
        np.testing.assert_array_equal(y[t], fires)
        v = np.where(fires, -70, v)
        np.testing.assert_allclose(records["n.vmem"][t], v, rtol=1e-4)


def neurons(n=3):
    return nir_nodes().LIF(*(np.full(n, v, np.float32) for v in (1e-2, 1, 0, 0.5)))


def opened(nodes, edges, **options):
    return load(graph_of(nodes, edges), **{"dialect": "euler", "dt": 1e-3, **options})


def test_names_of_nodes_may_hold_slashes_but_not_clash_with_inner_graphs():
    nir = nir_nodes()
    door = np.array([3])
    nodes = {"in/1": nir.Input(door), "a/b": neurons(), "out/1": nir.Output(door)}
    loaded = opened(nodes, [("in/1", "a/b"), ("a/b", "out/1")])
    assert loaded.network.names == ("a/b",)
    inner = {"input": nir.Input(door), "b": neurons(), "output": nir.Output(door)}
    nodes["a"] = graph_of(inner, [("input", "b"), ("b", "output")])
    with pytest.raises(ValueError, match="two nodes are called 'a/b' once inner graphs are"):
        opened(nodes, [("in/1", "a"), ("a", "a/b"), ("a/b", "out/1")])


def test_delays_off_the_grid_are_losses_with_a_warning():
    nir = nir_nodes()
    door = np.array([2])
    nodes = {
        "input": nir.Input(door),
        "late": nir.Delay(np.array([1e-3, 2.4e-3])),
        "output": nir.Output(door),
    }
    edges = [("input", "late"), ("late", "output")]
    with pytest.warns(UserWarning, match=r"'late' .*: a delay of 0.0024 s .* assumed: 2 steps"):
        loaded = opened(nodes, edges)
    assert list(loaded.losses) == ["late"]
    assert opened(nodes, edges, dt=1e-4).losses == {}


def test_what_comes_together_in_different_shapes_is_refused_by_node():
    nir = nir_nodes()
    nodes = {
        "input": nir.Input(np.array([3])),
        "n": neurons(2),
        "output": nir.Output(np.array([2])),
    }
    nodes |= {f"w{n}": nir.Linear(np.ones((n, 3), np.float32)) for n in (2, 4)}
    edges = [("input", "w2"), ("input", "w4"), ("w2", "n"), ("w4", "n"), ("n", "output")]
    with pytest.raises(ValueError, match=r"node 'n' adds .*: \(2,\) of 'w2', \(4,\) of 'w4'"):
        opened(nodes, edges)


# ----- damaged and hostile files


@pytest.fixture
def written(tmp_path):
    nir = nir_nodes()
    graph = nir.NIRGraph.from_list(
        nir.Affine(np.ones((2, 3), np.float32), np.zeros(2, np.float32)),
        nir.LIF(*(np.full(2, v, np.float32) for v in (1e-2, 1, 0, 1))),
    )
    path = tmp_path / "net.nir"
    nir.write(path, graph)
    return path


def edited(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file["node"])
    return path


def replaced(name, value):
    def edit(node):
        del node[name]
        if value is not None:
            node[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (replaced("nodes/lif/tau", None), "node 'lif', a LIF, has no 'tau'"),
        (replaced("nodes/lif/tau", [1.0, np.nan]), "has a tau that is not a number"),
        (replaced("nodes/lif/tau", [1.0, 0.0]), "has a tau that is not above 0: 0.0"),
        (replaced("nodes/lif/tau", [1.0] * 3), r"shape \(3,\) do not fit an input of \(2,\)"),
        (replaced("nodes/lif/tau", "long"), "has the tau 'long'"),
        (replaced("nodes/lif/type", "HodgkinHuxley"), "'HodgkinHuxley', which is no primitive"),
        (replaced("nodes/lif/type", None), "node 'lif' has no type"),
        (replaced("nodes/affine/weight", np.ones((2, 4))), r"take \(4,\); got \(3,\)"),
        (replaced("nodes/affine", None), "there is no 'affine'"),
        (replaced("edges", [["input", "affine", "lif"]]), "no pair of names"),
        (replaced("edges", None), "no nodes and edges"),
        (replaced("nodes/lif", h5py.ExternalLink("/etc/passwd", "/")), "a link out of its group"),
        (replaced("nodes/output", None), "there is no 'output'"),
    ],
)
def test_a_damaged_graph_is_one_error_that_names_the_file(written, edit, message):
    with pytest.raises(ValueError, match=f"(?s)net.nir.*{message}"):
        load(edited(written, edit), dialect="euler", dt=1e-3)


def test_every_cut_of_a_file_is_one_error_that_names_it(written):
    content = written.read_bytes()
    for size in range(0, len(content), 97):
        written.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"net\.nir is no NIR file, or a damaged one"):
            load(written, dialect="euler", dt=1e-3)


def test_a_file_that_claims_more_than_it_holds_is_refused_before_it_is_read(written):
    def huge(node):
        del node["nodes/affine/weight"]
        node.create_dataset("nodes/affine/weight", (1 << 20, 1 << 20), "f4", chunks=(1, 1024))

    with pytest.raises(ValueError, match="weight` holds more than a file of this size can"):
        load(edited(written, huge), dialect="euler", dt=1e-3)


def test_damage_in_the_heap_of_texts_is_found_before_hdf5_meets_it(written):
    content = written.read_bytes()
    heap = content.index(b"GCOL")
    written.write_bytes(content[: heap + 16] + bytes(16) + content[heap + 32 :])
    with pytest.raises(ValueError, match=rf"net\.nir .*its heap from byte {heap} on is damaged"):
        load(written, dialect="euler", dt=1e-3)


def test_paths_that_are_no_files_are_errors(tmp_path):
    with pytest.raises(ValueError, match="is a directory"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.nir does not exist"):
        load(tmp_path / "none.nir")
