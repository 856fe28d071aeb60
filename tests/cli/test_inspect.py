"""`snnjax inspect`: a NIR file, how it is run, and the chips that it fits."""

import json
from pathlib import Path

import equinox as eqx
import jax
import pytest
from typer.testing import CliRunner

from snnjax import Sequential, Synaptic, SynNet
from snnjax.cli._app import app
from snnjax.interop import nir

PEERS = Path(__file__).parents[3] / "shared/data/nir/peers"
needs_data = pytest.mark.skipif(not PEERS.exists(), reason="needs shared/data/nir")


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


@needs_data
def test_it_shows_the_graph_the_dialect_the_losses_and_the_chips():
    told = {"*": {"reset": "subtract", "max_spikes": None, "min_vmem": -1}}
    result = inspect(PEERS / "sinabs_iaf_conv.nir", "--nodes", json.dumps(told))
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any(line.startswith("6: Affine  bias ") for line in lines)
    assert "1 -> 2" in result.output
    assert "marks of: sinabs" in lines
    assert "dialect: sinabs, dt 1.0 s" in lines
    assert "1: reset is not in the file; told: subtract" in lines
    assert any(line.startswith("speck2f: fits") for line in lines)
    assert any(line.startswith("audio3: no: ") for line in lines)


@needs_data
def test_what_cannot_be_run_is_shown_with_the_reason():
    result = inspect(PEERS / "norse_lif_cuba.nir")
    assert result.exit_code == 1
    assert "marks of: norse" in result.output
    assert "'3': v_reset" in result.output


def test_a_file_of_our_own_fits_its_chip(tmp_path):
    pytest.importorskip("nir")
    model = SynNet(3, 4, (8,), (2,), key=jax.random.key(0))
    nir.save(model, tmp_path / "net.nir")
    result = inspect(tmp_path / "net.nir")
    assert result.exit_code == 0
    assert "marks of: snnjax" in result.output
    assert "audio3: fits Xylo Audio 3" in result.output


@pytest.mark.parametrize(
    ("delay", "line"),
    [
        (False, "audio3: fits Xylo Audio 3 (SYNS65302), its neurons made LIF by `interop.as_lif`"),
        (True, "audio3: no: `layers[1]` must have `reset_delay` off"),
    ],
)
def test_neurons_that_can_become_those_of_the_chip_are_tried_as_such(tmp_path, delay, line):
    pytest.importorskip("nir")
    key = jax.random.key(0)
    layers = []
    for n_in, n_out in ((3, 4), (4, 2)):
        layers.append(eqx.nn.Linear(n_in, n_out, use_bias=False, key=key))
        layers.append(Synaptic(n_out, 0.75, 0.875, reset_delay=delay))
    nir.save(Sequential(*layers), tmp_path / "net.nir", dt=1e-3)
    result = inspect(tmp_path / "net.nir")
    assert line in result.output


def test_a_wrong_file_or_option_is_one_line(tmp_path):
    (tmp_path / "net.nir").write_text("no")
    for arguments in ([tmp_path / "net.nir"], [tmp_path / "none.nir"]):
        result = inspect(*arguments)
        assert result.exit_code == 2
        assert len(result.output.splitlines()) == 1
    pytest.importorskip("nir")
    nir.save(SynNet(3, 4, (8,), (2,), key=jax.random.key(0)), tmp_path / "ok.nir")
    result = inspect(tmp_path / "ok.nir", "--nodes", "{")
    assert result.exit_code == 2
    assert "`--nodes` must be JSON" in result.output
