"""Pages about runs: what is on them, and that everyone can read them."""

import base64
import html.parser
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import jax
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pages need matplotlib")
pytest.importorskip("sklearn", reason="the digits need scikit-learn")

from snnjax import report
from snnjax.train import Data, Run
from snnjax.train.recipes import Digits, Images

AXE = Path(os.environ.get("SNNJAX_AXE", "node_modules/axe-core/axe.min.js"))
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(autouse=True, scope="module")
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


def examined(folder, name, recipe, draws=1):
    """A run that was not trained, examined on a few recordings."""
    data = recipe.load_data()
    data = Data(tuple(x[:32] for x in data.train), tuple(x[:12] for x in data.test))
    trained = recipe.start(data).model
    run = Run.create(folder, name, {"chip": recipe.chip})
    recipe.target.family.save(recipe.deploy(trained), run.spec)
    for epoch in (1, 2):
        through = recipe.through(epoch - 1)
        run.log(epoch=epoch, through=through, loss=2 / epoch, accuracy=0.2 * epoch, seconds=1.0)
    return report.examine(run, recipe, data, trained, draws=draws)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    sizes = {"hidden": (8,), "time_constants": (2,), "steps": 12, "hold": 1, "batch_size": 16}
    recipe = Digits(stages="plan:2", **sizes)
    return examined(tmp_path_factory.mktemp("runs") / "tiny <one>", "digits", recipe)


@pytest.fixture(scope="module")
def page(found):
    return report.report(found)


class Reader(html.parser.HTMLParser):
    """The elements of a page, as a screen reader goes through them."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.headings, self.captions = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in ("meta", "link", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing that is open"

    def handle_data(self, data):
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings.append((int(self.open[-1][1]), data))
        if self.open and self.open[-1] == "caption":
            self.captions.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


@pytest.mark.slow
def test_a_screen_reader_finds_its_way(page):
    reader = Reader(page)
    assert not reader.open
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("main")) == len(reader.all("h1")) == len(reader.all("title")) == 1
    levels = [level for level, _ in reader.headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(reader.captions) == len(reader.all("table")) > 5
    assert len(set(reader.captions)) == len(reader.captions)
    assert all(th["scope"] in ("row", "col") for th in reader.all("th"))
    assert all(len(image["alt"]) > 30 for image in reader.all("img"))
    ids = [a["id"] for _, a, _ in reader.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {link["href"].removeprefix("#") for link in reader.all("a")} == set(ids)


def test_nothing_comes_from_elsewhere(page):
    reader = Reader(page)
    assert not reader.all("script")
    assert all(image["src"].startswith("data:image/png;base64,") for image in reader.all("img"))
    assert "http" not in re.sub(r'src(set)?="data:[^"]*"', "", page)
    assert len(page) < 3_000_000


def test_pictures_have_the_ground_of_the_page_on_light_and_on_dark_screens(page):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    grounds = re.search(r"--back: (#\w+).*?dark\) {.*?--back: (#\w+)", page, re.DOTALL)
    light, dark = (to_rgb(color) for color in grounds.groups())
    reader = Reader(page)
    sources = reader.all("source")
    assert len(sources) == len(reader.all("img")) > 5
    assert {s["media"] for s in sources} == {"screen and (prefers-color-scheme: dark)"}
    for image, source in zip(reader.all("img"), sources, strict=True):
        for address, ground in ((image["src"], light), (source["srcset"], dark)):
            png = io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))
            corner = imread(png)[0, 0, :3]
            np.testing.assert_allclose(corner, ground, atol=1 / 255)


def test_what_is_on_a_page(found, page):
    titles = [name for level, name in Reader(page).headings if level < 3]
    assert titles[1:] == [
        *("Accuracy", "Training", "Network", "Network and integers", "Examples", "Activity"),
        *("Parameters", "Chip", "Costs", "Robustness", "Settings"),
    ]
    right = found.scores.integers
    low, high = report.interval(right, 12)
    assert f"<td>{low:.2%} to {high:.2%}</td>" in page
    assert "tiny &lt;one&gt;" in page
    assert right == int((found.answers == found.labels).sum())
    assert found.cost.total("spikes") == pytest.approx(
        sum(x.sum() for x in found.activity.values()) / 12
    )
    for words in ("lowest clock", "hidden neurons", "hold", "Well recognised"):
        assert words in page
    planned = found.fidelity.through_plan
    assert [x.path for x in planned.layers] == [x.path for x in found.fidelity.layers]
    assert planned.layers[0].equal >= found.fidelity.layers[0].equal
    assert "the plan sees" in page


def test_margins_are_leads_of_the_right_class(found):
    *_, out = found.activity.values()
    wrong = found.margins < 0
    assert (found.answers[wrong] != found.labels[wrong]).all()
    assert (found.answers[found.margins > 0] == found.labels[found.margins > 0]).all()
    assert out.shape[0] == 12


def test_runs_side_by_side(found):
    other = found._replace(
        recipe=Digits(hidden=(8,), time_constants=(2,), steps=12, hold=1, noise=3.0),
        run=Run(found.run.path.with_name("two"), "digits", {"chip": "audio3"}),
    )
    page = report.compare([found, other])
    reader = Reader(page)
    assert "Settings that differ" in reader.captions
    assert re.search(
        r'<th scope="row">noise</th><td class="text">2</td><td class="text">3</td>', page
    )
    assert "<td" in page
    assert all(len(image["alt"]) > 30 for image in reader.all("img"))
    with pytest.raises(ValueError, match="`runs` must be two or more; got 1"):
        report.compare([found])


@pytest.mark.slow
def test_a_page_of_a_chip_of_cores(tmp_path):
    recipe = Images(stages="float:2", batch_size=16)
    page = report.report(examined(tmp_path / "run", "images", recipe, draws=0))
    titles = [name for level, name in Reader(page).headings if level < 3]
    assert "Robustness" not in titles
    assert "Costs" in titles
    assert "on core" in page


def test_wilsons_interval():
    low, high = report.interval(0, 10)
    assert low == 0
    assert high == pytest.approx(0.2775, abs=1e-4)
    assert report.interval(10, 10) == pytest.approx((1 - high, 1))
    found = np.array([report.interval(k, 40) for k in range(41)])
    assert (np.diff(found, axis=0) > 0).all()


def test_refused(found):
    with pytest.raises(ValueError, match="`draws` must be at least 0; got -1"):
        report.examine(found.run, found.recipe, None, found.trained, draws=-1)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="Debian's chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it(page, tmp_path, width):
    file, picture = tmp_path / "report.html", tmp_path / "page.png"
    file.write_text(page)
    done = subprocess.run(
        [
            *(
                BROWSER,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--enable-logging=stderr",
            ),
            *(
                f"--screenshot={picture}",
                f"--window-size={width},2000",
                f"--user-data-dir={tmp_path}",
            ),
            file.as_uri(),
        ],
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert picture.exists(), done.stderr.decode()[-2000:]
    assert picture.stat().st_size > 20_000
    assert b"CONSOLE" not in done.stderr


RUN_AXE = """<script>axe.run().then(found => {
    const told = found.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html)]);
    const answer = {violations: told, passes: found.passes.length};
    document.title = "axe:" + encodeURIComponent(JSON.stringify(answer));
});</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="Debian's chromium is not installed")
@pytest.mark.skipif(not AXE.exists(), reason="npm's axe-core is missing; SNNJAX_AXE is its file")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(page, tmp_path, scheme):
    script = f"<script>{AXE.read_text()}</script>{RUN_AXE}"
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", f"{script}</body>"))
    number = {"dark": 0, "light": 1}[scheme]
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
    quiet = ("--disable-background-networking", "--disable-component-update")
    own = f"--user-data-dir={tmp_path}", f"--blink-settings=preferredColorScheme={number}"
    wait = ("--dump-dom", "--virtual-time-budget=30000")
    command = [BROWSER, *flags, *quiet, *own, *wait, file.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=180, check=False)
    told = re.search(r"<title>axe:([^<]*)</title>", done.stdout.decode())
    assert told, done.stderr.decode()[-2000:]
    found = json.loads(urllib.parse.unquote(told[1]))
    assert found["violations"] == []
    assert found["passes"] > 15
