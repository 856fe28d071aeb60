"""The code in the README and in the pages runs."""

import re
import sys
import types
from pathlib import Path

import jax
import pytest

from snnjax import SynNet
from snnjax.hardware import xylo

from .test_layout import OPTIONAL

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# A block that does not run has `<!-- not run: REASON -->` on the line above it.
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?```python\n(.*?)```", re.DOTALL)

SWEEPS = ROOT / "README.md", ROOT / "docs/sweeps.md"

LONG_PAGES = {
    "c_for_any_board",
    "concepts",
    "costs",
    "from_rockpool_to_xylo",
    "from_sinabs_to_speck",
    "from_snntorch_to_xylo",
    "from_spikingjelly",
    "frontends",
    "pictures",
    "silent_networks",
    "start",
    "streaming",
    "training_through_integers",
}


def blocks(page):
    """The blocks of a page that run."""
    return [code for skip, code in BLOCK.findall(page.read_text()) if not skip]


def test_the_readme_has_code():
    assert blocks(ROOT / "README.md")


def test_the_table_of_the_readme_is_that_of_the_sweep():
    rows = [re.findall(r"^\| +\w.*\|$", page.read_text(), re.MULTILINE) for page in SWEEPS]
    readme, page = ([row for row in found if "seeds" in row or " ± " in row] for found in rows)
    assert readme == page
    assert len(page) == 5


def test_the_lines_to_a_board_hand_the_integers_to_rockpool(monkeypatch):
    module = types.SimpleNamespace(
        config_from_specification=lambda weights_in, weights_out, **others: (weights_in, True, ""),
        XyloSamna=lambda board, config, dt: config,
    )
    monkeypatch.setitem(sys.modules, "rockpool.devices.xylo.syns65302", module)
    text = (ROOT / "README.md").read_text()
    (lines,) = [code for skip, code in BLOCK.findall(text) if "XyloSamna(" in code]
    model = SynNet(2, 3, (4,), (2,), key=jax.random.key(0))
    names = {"xylo": xylo, "spec": xylo.quantize(xylo.map_network(model)), "board": None}
    exec(lines, names)
    assert names["chip"].tolist() == names["spec"].w_in.tolist()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.stem in LONG_PAGES else ())
        for page in PAGES
        if blocks(page)
    ],
    ids=lambda page: page.stem,
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with jax.numpy_dtype_promotion("standard"):
        for code in blocks(page):
            try:
                exec(compile(code, page.name, "exec"), names)
            except ImportError as error:
                missing = (error.__cause__ or error).name
                if missing not in OPTIONAL:
                    raise
                pytest.skip(f"needs {missing}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        # The reference is made with the site.
        assert target.startswith("api/") or (page.parent / target).exists(), target


def test_every_page_is_in_the_index_of_the_site():
    listed = re.findall(r"^[\w/]+$", (ROOT / "docs/index.md").read_text(), re.MULTILINE)
    pages = {path.stem for path in ROOT.glob("docs/*.md")} - {"index"}
    assert pages == {name for name in listed if "/" not in name}
