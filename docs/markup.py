"""Our Markdown and our docstrings as Sphinx reads them."""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COPIED = {
    "CONTRIBUTING.md": "pages/contributing.md",
    "CHANGELOG.md": "pages/changelog.md",
    "benchmarks/README.md": "pages/measuring.md",
    "tests/parity/README.md": "pages/golden_vectors.md",
    "notebooks": "pages/notebooks.md",
    "README.md": "index.md",
}
"""Pages of the site that lie elsewhere in the repository."""

SKIPPED = re.compile(r"<!-- not run: ([^\n]+) -->\n```python\n(.*)")
"""A block of code that the tests leave out: the reason, and its first line."""
LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)((?:#[^)]*)?)\)")
ARRAY_LIKE = re.compile(
    r"~?[\w.]*Array \| ~?[\w.]*ndarray( \| ~?[\w.]*(bool|number|int|float|complex))+"
)
TYPED = re.compile(r"\*([^*]+)\* --? ")
"""napoleon takes the words before a colon for a type."""
QUOTED = re.compile(r"(``.*?``|`.*?`)")


def copy_pages(folder: Path) -> None:
    """Copy pages and notebooks from elsewhere in the repository, with their links."""
    folder.mkdir(exist_ok=True)
    for source, page in COPIED.items():
        if (ROOT / source).is_file() and page.startswith("pages/"):
            text = relink((ROOT / source).read_text(), (ROOT / source).parent, folder)
            (DOCS / page).write_text(text)
    names = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    for name in names:
        shutil.copy2(ROOT / f"notebooks/{name}.ipynb", folder)
    listed = "\n".join(names)
    text = f"# Notebooks\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    (folder / "notebooks.md").write_text(text)


def list_skipped(folder: Path) -> list[str]:
    """Write the page of the blocks of code that no test runs, and return its rows."""
    pages = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
    rows = [
        f"| {page.relative_to(ROOT).as_posix()} | `{line.strip()}` | {reason} |"
        for page in pages
        for reason, line in SKIPPED.findall(page.read_text())
    ]
    head = "Every block of Python on these pages runs in the tests, but for those below.\n\n"
    table = "| Page | First line | Reason |\n|---|---|---|\n" + "\n".join(rows)
    (folder / "not_run.md").write_text(f"# Code that is not run\n\n{head}{table}\n")
    return rows


def relink(text: str, where: Path, to: Path) -> str:
    """The links of a page in `where` as they read from `to`.

    A link to a file that is no page of the site becomes its text.
    """

    def replaced(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        path = (where / target).resolve()
        if not path.exists():
            return match[0]
        inside = path.relative_to(ROOT).as_posix()
        if inside in COPIED:
            path = DOCS / COPIED[inside]
        elif not path.is_relative_to(DOCS):
            return words
        return f"[{words}]({os.path.relpath(path, to)}{anchor})"

    return LINK.sub(replaced, text)


def relink_page(app, docname, content):
    """Mend the links of a page of `docs`."""
    path = DOCS / f"{docname}.md"
    if path.exists() and not docname.startswith(("pages/", "api/")):
        content[0] = relink(content[0], path.parent, path.parent)


def shorten(app, what, name, obj, options, signature, returns):
    """A signature with jax's aliases by their names."""

    def short(text: str | None) -> str | None:
        return text and ARRAY_LIKE.sub("ArrayLike", text).replace("jaxlib._jax.Array", "Array")

    return short(signature), short(returns)


def to_rest(app, what, name, obj, options, lines):
    """Make reStructuredText of a docstring: a star is a product, an indented block is code."""
    found: list[str] = []
    doctest = False
    for before, line in zip(["", *lines], lines, strict=False):
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        last = next((text for text in reversed(found) if text.strip()), "")
        marked = last.lstrip().startswith((":", "..")) or last.endswith("::")
        begins = line.strip() and not before.strip() and _indent(line) > _indent(last)
        if begins and not doctest and not marked:
            found += [" " * _indent(last) + "::", ""]
        found.append(line if doctest else _escaped(line))
    lines[:] = found


def _escaped(line: str) -> str:
    parts = QUOTED.split(TYPED.sub(r"\1: ", line))
    parts[::2] = [re.sub(r"(?<!\\)([*|])", r"\\\1", part) for part in parts[::2]]
    # "`Module`s": the markup ends where the word goes on.
    return re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", "".join(parts))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
