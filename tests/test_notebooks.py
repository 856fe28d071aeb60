"""The notebooks run from the first cell to the last, and what is stored of them has no error."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHARED = FOLDER.parents[1] / "shared/data"
# The data that a notebook needs: the variable that says where it is, and where it is by default.
DATA = {
    "keyword_spotting_xylo": ("SNNJAX_FSDD", SHARED / "free-spoken-digit-dataset"),
    "from_sound_to_xylo_audio3": ("SNNJAX_XYLO_AUDIO3", SHARED / "xylo-audio3"),
}
# They train for minutes, or tests show what they do.
LONG = {
    *("dsr", "keyword_spotting_xylo", "quantization_aware_training", "speck"),
    *("event_camera_to_speck", "from_rockpool_to_xylo", "many_devices", "my_own_chip"),
}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_a_notebook_is_stored_executed_in_order_and_without_an_error(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
    assert path.stat().st_size < 500_000


@pytest.mark.filterwarnings("default")  # those of the client and its kernel are not ours
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.long if path.stem in LONG else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    if path.stem in DATA:
        variable, default = DATA[path.stem]
        folder = Path(os.environ.get(variable, default)).resolve()
        if not folder.is_dir():
            pytest.skip(f"there is no {folder.name}; set {variable} to its folder")
        monkeypatch.setenv(variable, str(folder))
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    here = {"metadata": {"path": str(tmp_path)}}
    # A cell that fails raises, with its traceback.
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=here).execute()
    ran = [cell for cell in code_cells(notebook) if cell.execution_count]
    assert len(ran) == len(code_cells(notebook)) > 0
    stored = nbformat.read(path, as_version=4)
    # What a cell shows is what it showed: figures where there were figures, text where text.
    assert [kinds(cell) for cell in ran] == [kinds(cell) for cell in code_cells(stored)]


def kinds(cell):
    """The kinds of a cell's outputs, of which text in several pieces counts once."""
    return {
        kind
        for output in cell.outputs
        for kind in (output.get("data", {}) or {output.output_type: None})
    }
