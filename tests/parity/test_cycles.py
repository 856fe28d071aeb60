"""Against Rockpool's formula of clock cycles. README.md, beside this file, says what it holds."""

import numpy as np
import pytest

from snnjax.hardware import xylo

from ._compare import cases, load

FILE = "rockpool_cycles"


@pytest.mark.few(3)
@pytest.mark.parametrize("case", cases(FILE))
def test_cycles_are_the_vendors(case):
    settings, arrays = load(FILE, case)
    whole = {name: x.astype(int) for name, x in arrays.items()}
    events, spikes = whole.pop("events"), whole.pop("spikes")
    (n, out), synapses = whole["w_out"].shape, whole["w_in"].shape[2]
    spec = xylo.Spec(
        **whole,
        dash_mem=np.full(n, 3),
        dash_syn=np.full((n, synapses), 3),
        dash_mem_out=np.full(out, 3),
        dash_syn_out=np.full(out, 3),
        threshold=np.full(n, 50),
        threshold_out=np.full(out, 50),
        dt=1e-3,
        chip=xylo.get_chip(settings["chip"]),
    )
    drawn = {"spikes": spikes, "spikes_out": np.zeros((len(spikes), out))}
    trace = xylo.Trace(**dict.fromkeys(xylo.Trace._fields) | drawn)
    found = xylo.cost(spec, events, trace=trace).cycles
    assert found.mean == pytest.approx(settings["mean"], rel=1e-12)
    assert found.worst == pytest.approx(settings["worst"], rel=1e-12)
    assert found.clock == pytest.approx(settings["clock"], rel=1e-12)
    assert 1.2 * found.clock == pytest.approx(settings["margin"], rel=1e-12)
    assert found.parallel == pytest.approx(settings.get("parallel", 0), rel=1e-12)
    assert found.mean <= found.most <= found.worst
