"""Calls of figures and pages."""

from pathlib import Path

import equinox as eqx
import numpy as np
from matplotlib.figure import Figure

import snnjax
from snnjax import quant, report, train, transforms, viz
from snnjax.hardware import dynapcnn, xylo
from snnjax.hardware.xylo import frontend
from snnjax.train import recipes

from ...report.test_report import examined
from ._arrays import KEY

SPIKES = np.array([[0, 1, 2], [1, 0, 0], [0, 0, 4]])


def calls_of_figures(folder):
    model = snnjax.SynNet(2, 3, (4,), (2,), key=KEY)
    rows = [{"epoch": 1, "through": "float", "accuracy": 0.2}]
    for name, given in {
        "raster": {"spikes": SPIKES},
        "traces": {"vmem": SPIKES},
        "rates": {"spikes": {"layers[1]": SPIKES}},
        "weights": {"weight": SPIKES},
        "events": {"raster": np.ones((4, 2, 5, 6), int)},
        "network": {"model": model, "shape": 3},
        "curves": {"rows": rows},
        "colors_of": {"ax": Figure().add_subplot()},
        "style": {},
    }.items():
        yield f"viz.{name}", getattr(viz, name), given
    made, sound = frontend.Audio3(window=100), np.zeros(1230)
    heard = {"made": made, "trace": made.trace(sound), "events": made(sound)[0]}
    yield "viz.front_end", viz.front_end, heard
    spec = xylo.quantize(xylo.map_network(model))
    compared = xylo.fidelity(model, spec, np.ones((4, 3), int))
    yield "viz.fidelity", viz.fidelity, {"report": compared}
    convolution = snnjax.Sequential(eqx.nn.Conv2d(1, 2, 3, key=KEY), snnjax.IAF((2, 2, 2)))
    cores = dynapcnn.quantize(dynapcnn.map_network(convolution, input_shape=(1, 4, 4)))
    yield "viz.core_map", viz.core_map, {"spec": dynapcnn.place(cores)}
    planned = {"plan": transforms.plan(model, {"weights": quant.Int(8)}), "model": model}
    yield "viz.parameter_histograms", viz.parameter_histograms, planned
    sweep = np.array([0.0, 0.1]), np.ones((2, 3))
    yield "viz.robustness", viz.robustness, {"sweeps": {"a": sweep}}


def calls_of_reports(folder):
    sizes = {"hidden": (8,), "time_constants": (2,), "steps": 12, "hold": 1, "batch_size": 16}
    recipe = recipes.Digits(stages="plan:2", **sizes)
    found = examined(Path(folder) / "run", "digits", recipe)
    data = recipe.load_data()
    of = {"recipe": recipe, "trained": found.trained, "data": data}
    yield "report.examine", report.examine, {"run": found.run, **of, "draws": 0}
    yield "report.fidelity", report.fidelity, {**of, "spec": found.spec}
    yield "report.report", report.report, {"found": found}
    events = np.asarray(data.test[0][:2])
    trace = xylo.simulate(found.spec, events)
    counted = {"family": xylo, "spec": found.spec, "rasters": events, "trace": trace}
    yield "report.cost", report.cost, counted
    yield "report.compare", report.compare, {"runs": [found, found]}
    swept = {"recipe": recipes.Digits(stages="plan:1", **sizes), "over": {"bits": [4]}}
    yield "train.sweep", train.sweep, swept
    yield "report.interval", report.interval, {"right": 3, "total": 4}
