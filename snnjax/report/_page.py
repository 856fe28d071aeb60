"""The parts of a page: text, tables and pictures, readable by screen readers and printers."""

import base64
import html
import io
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from .._checks import explained
from ..viz import style

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --back: #fff; --line: #d5dce4; --soft: #f2f5f8;
  --link: #005a8d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --back: #16202a; --line: #3a4855;
  --soft: #1f2b36; --link: #8cc8f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--back); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem;
  border-bottom: 1px solid var(--line); } h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
a { color: var(--link); } nav ul { columns: 3 12rem; padding-left: 1.2rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; margin: .4rem 0 1rem;
  min-width: min(22rem, 100%); }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; }
th[scope=row], td.text, th.text { text-align: left; font-weight: 400; }
thead th { background: var(--soft); }
figure { margin: .6rem 0 1.2rem; } figure img { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; }
.big { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
.big li { background: var(--soft); border-radius: 8px; padding: .6rem 1rem; }
.big strong { display: block; font-size: 1.4rem; }
@media (max-width: 40rem) { body { font-size: 15px; } th, td { padding: .2rem .4rem; } }
@media print { :root { --ink: #000; --back: #fff; --line: #999; --soft: #f2f2f2; --link: #000; }
  body { max-width: none; font-size: 10pt; } nav { display: none; } figure, table, h2, h3 {
  break-inside: avoid; } h2, h3 { break-after: avoid; } .table { overflow: visible; } }
"""


def text(value: Any) -> str:
    """A value as text of HTML."""
    return html.escape(str(value))


def paragraph(words: Any) -> str:
    """A paragraph."""
    return f"<p>{text(words)}</p>"


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], *, words: Sequence[int] = ()
) -> str:
    """A table with a caption; the first cell of a row heads it.

    Args:
        caption: what it shows.
        heads: of the columns.
        rows: cells, as many as `heads`.
        words: numbers of columns that are text, to the left, besides the first.
    """
    left = [' class="text"' if i in {0, *words} else "" for i in range(len(heads))]

    def cell(i: int, value: Any) -> str:
        if i == 0:
            return f'<th scope="row">{text(value)}</th>'
        return f"<td{left[i]}>{text(value)}</td>"

    head = "".join(
        f'<th scope="col"{side}>{text(name)}</th>' for name, side in zip(heads, left, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(cell(i, value) for i, value in enumerate(row))}</tr>\n" for row in rows
    )
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>\n{body}</tbody></table></div>"
    )


def picture(draw: Callable[[], Any], alt: str, caption: str = "") -> str:
    """A figure of matplotlib within the page: drawn twice, for light screens and for dark ones.

    Args:
        draw: makes the figure, in the style of the moment.
        alt: the figure in words, for those who do not see it.
        caption: a line below it.
    """
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    dark = '<source media="screen and (prefers-color-scheme: dark)"'
    return (
        f'<figure><picture>{dark} srcset="{_drawn(draw, "dark")}">'
        f'<img alt="{text(alt)}" src="{_drawn(draw, "light")}"></picture>{below}</figure>'
    )


def _drawn(draw: Callable[[], Any], mode: Literal["light", "dark"]) -> str:
    """A figure as an address that holds it."""
    content = io.BytesIO()
    with style(mode):
        draw().savefig(content, format="png", dpi=100, bbox_inches="tight")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole page, with links to its sections; nothing in it comes from elsewhere.

    Args:
        title: the title.
        lead: HTML below it.
        sections: the heading of each and its HTML.
    """
    links = "".join(
        f'<li><a href="#part{i}">{text(name)}</a></li>' for i, (name, _) in enumerate(sections)
    )
    parts = "".join(
        f'<section id="part{i}"><h2>{text(name)}</h2>\n{content}</section>\n'
        for i, (name, content) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>\n<body><header>"
        f"<h1>{text(title)}</h1>{lead}</header>\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n'
        f"<main>{parts}</main></body></html>\n"
    )


@explained
def interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, of 95 % by default.

    Args:
        right: how many.
        total: of how many, above 0.
        z: standard deviations to both sides.

    >>> low, high = interval(353, 360)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.960 to 0.991
    """
    share, each = right / total, z * z / total
    middle = (share + each / 2) / (1 + each)
    half = z * math.sqrt(share * (1 - share) / total + each / total / 4) / (1 + each)
    return max(0.0, middle - half), min(1.0, middle + half)


def accuracy(right: int, total: int) -> tuple[str, str, str]:
    """How many are right, their share, and its interval, as cells."""
    low, high = interval(right, total)
    return f"{right:,} of {total:,}", f"{right / total:.2%}", f"{low:.2%} to {high:.2%}"
