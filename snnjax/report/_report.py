"""The page about one run."""

from collections.abc import Iterator

import numpy as np

from .._checks import explained
from ..hardware import Fidelity
from . import _pictures
from ._findings import Findings
from ._page import accuracy, page, paragraph, table, text

_EXAMPLES = 2


@explained
def report(found: Findings) -> str:
    """A page about a run: one file of HTML, with all pictures in it.

    Args:
        found: from `examine`.
    """
    scores = found.scores
    name = found.run.recipe.rpartition(":")[2]
    lead = f"<p>Recipe {text(name)} for {text(found.spec.chip.name)}</p><ul class='big'>"
    for label, right, share in scores.rows():
        lead += f"<li><strong>{share:.2%}</strong>{text(label)}, {right} of {scores.total}</li>"
    return page(f"Run {found.run.path.name}", lead + "</ul>", list(_sections(found)))


def _sections(found: Findings) -> Iterator[tuple[str, str]]:
    yield "Accuracy", _accuracy(found)
    if found.rows:
        yield "Training", _pictures.curves(found)
    yield "Network", _pictures.network(found)
    yield "Network and integers", _fidelity(found)
    yield "Examples", _examples(found)
    yield "Activity", _pictures.rates(found)
    yield "Parameters", _parameters(found)
    yield "Chip", _chip(found)
    if found.cost is not None:
        yield "Costs", _costs(found)
    if found.mismatch is not None:
        yield "Robustness", _robustness(found)
    rows = [(name, _as_text(value)) for name, value in found.settings.items()]
    yield "Settings", table("Settings of the recipe", ("setting", "value"), rows, words=[1])


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_as_text, value))
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _accuracy(found: Findings) -> str:
    total = found.scores.total
    rows = [(name, *accuracy(right, total)) for name, right, _ in found.scores.rows()]
    heads = ("network", "right", "share", "95 % interval")
    matrix = np.zeros((int(max(found.labels.max(), found.answers.max())) + 1,) * 2, int)
    np.add.at(matrix, (found.labels, found.answers), 1)
    classes = range(len(matrix))
    by_class = [
        (n, int(matrix[n].sum()), f"{matrix[n, n] / max(matrix[n].sum(), 1):.1%}")
        for n in classes
        if matrix[n].any()
    ]
    return (
        table(f"Right answers among {total:,} held-out recordings", heads, rows)
        + "<h3>Confusion</h3>"
        + _pictures.confusion(matrix)
        + table(
            "Right answers of the integers by class", ("class", "recordings", "right"), by_class
        )
    )


def _fidelity(found: Findings) -> str:
    report = found.fidelity
    same = f"The same answer in {report.agreement:.2%} of {report.recordings:,} recordings."
    causes = "".join(f"<li>{text(cause)}</li>" for cause in report.causes())
    parts = [paragraph(same), f"<p>Likely causes, most important first:</p><ol>{causes}</ol>"]
    parts.append(_layers("The network in float and its integers, by layer", report))
    if report.through_plan is not None:
        caption = "The network through its plan and its integers, by layer"
        parts.append(_layers(caption, report.through_plan))
    return "".join([*parts, _pictures.fidelity(found)])


def _layers(caption: str, report: Fidelity) -> str:
    heads = (
        "layer",
        "spikes",
        "integers",
        "count error",
        "equal",
        "parts at",
        "SQNR, dB",
        "silent",
    )
    rows = [
        (
            layer.path,
            f"{layer.spikes:,}",
            f"{layer.spikes_integers:,}",
            f"{layer.count_error:.2%}",
            f"{layer.equal:.2%}",
            "never" if layer.parts_at is None else layer.parts_at,
            f"{layer.sqnr:.1f}",
            len(layer.silent),
        )
        for layer in report.layers
    ]
    return table(caption, heads, rows)


def _examples(found: Findings) -> str:
    order = np.argsort(found.margins, kind="stable")
    best, worst = order[::-1][:_EXAMPLES], order[:_EXAMPLES]
    parts = []
    for title, chosen in (("Well recognised", best), ("Badly recognised", worst)):
        parts.append(f"<h3>{title}</h3>")
        parts += [_pictures.example(found, int(i)) for i in chosen]
    return "".join(parts)


def _parameters(found: Findings) -> str:
    decays = [row for row in found.parameters if row.scale is None]
    others = [row for row in found.parameters if row.scale is not None]
    parts: list[str] = []
    if decays:
        times = [
            (
                row.parameter,
                row.size,
                _ms(row.before),
                _ms(row.after),
                f"{row.after / row.before - 1:+.1%}" if row.before else "",
                row.integers[0],
            )
            for row in decays
        ]
        names = ("parameter", "neurons", "before", "after", "change", "bit shift")
        parts.append(table("Each time constant, before and after", names, times))
    rows = [
        (
            row.parameter,
            f"{row.size:,}",
            f"{row.before:.3g}",
            f"{row.integers[0]} to {row.integers[1]}",
            f"{row.scale:.4g}",
            f"{row.sqnr:.1f}",
            row.zeroed,
            row.clipped,
        )
        for row in others
    ]
    heads = ("parameter", "size", "mean", "integers", "scale", "SQNR, dB", "become 0", "clipped")
    parts.append(table("Weights, thresholds and biases as integers", heads, rows))
    return "".join([*parts, "<h3>Weights before and after</h3>", _pictures.histograms(found)])


def _ms(seconds: float) -> str:
    """Three digits of a time, never as a power of ten."""
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def _chip(found: Findings) -> str:
    rows = [
        (
            row.resource if row.layer is None else f"{row.resource}, {row.layer}",
            f"{row.used:,}",
            "no limit" if row.has is None else f"{row.has:,}",
            "" if not row.has else f"{row.used / row.has:.1%}",
        )
        for row in found.recipe.target.family.usage(found.spec)
    ]
    heads = ("resource", "used", "limit", "share")
    return table(f"How full {found.spec.chip.name} is", heads, rows)


def _costs(found: Findings) -> str:
    cost = found.cost
    assert cost is not None
    rows = [
        (x.layer, f"{x.neurons:,}", *(f"{n:,.1f}" for n in (x.events, x.spikes, x.synops, x.reads)))
        for x in cost.layers
    ]
    sums = [f"{cost.total(k):,.1f}" for k in ("events", "spikes", "synops", "reads")]
    table_rows: list[tuple[str, ...]] = [*rows, ("all", f"{cost.total('neurons'):,.0f}", *sums)]
    heads = ("layer", "neurons", "events", "spikes", "operations", "reads of memory")
    work = cost.workload
    metrics = [
        ("footprint", f"{work.footprint:,} bytes"),
        ("weights that are 0", f"{work.connection_sparsity:.2%}"),
        ("activations that are 0", f"{work.activation_sparsity:.2%}"),
        ("operations if dense", f"{work.dense:,.0f}"),
        ("effective additions", f"{work.effective_acs:,.0f}"),
        ("effective multiplications", f"{work.effective_macs:,.0f}"),
        ("spikes per neuron and step", f"{cost.rate:.4g}"),
    ]
    if cost.cycles is not None:
        c = cost.cycles
        metrics += [
            ("clock cycles of a step, on average", f"{c.mean:,.0f}"),
            ("clock cycles of the busiest step", f"{c.most:,.0f}"),
            ("clock cycles if all fire", f"{c.worst:,.0f}"),
            (f"lowest clock for steps of {c.dt * 1e3:g} ms", f"{c.clock / 1e6:.3g} MHz"),
        ]
    return table("A recording on the chip, on average", heads, table_rows) + table(
        "The same in sum", ("number", "value"), metrics
    )


def _robustness(found: Findings) -> str:
    sweep = found.mismatch
    assert sweep is not None
    rows = [
        (f"{level:.0%}", f"{a.mean():.2%}", f"{a.std():.2%}", f"{a.min():.2%}")
        for level, a in zip(sweep.levels, sweep.accuracies, strict=True)
    ]
    heads = ("mismatch", "mean", "standard deviation", "worst")
    draws = sweep.accuracies.shape[1]
    caption = f"Right answers with weights that are off, {draws} draw{'s' * (draws > 1)} each"
    return _pictures.robustness(found) + table(caption, heads, rows)
