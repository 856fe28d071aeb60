"""The cost of recordings on a DYNAP-CNN or Speck."""

import numpy as np
import pytest

from snnjax.datasets import to_events
from snnjax.hardware import Device, dynapcnn
from snnjax.hardware.dynapcnn import _kernel

from .architectures import made


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", ["steps", "events"])
def test_the_work_of_the_cores(mode):
    spec, rng = made("pooled", 2)
    raster = rng.poisson(1, (6, *spec.input_shape))
    trace = dynapcnn.simulate(spec, raster)
    if mode == "events":
        trace = dynapcnn.simulate_events(spec, to_events(raster))
    found = dynapcnn.cost(spec, raster, trace=trace, dt=1e-3, max_synops=1e5)
    first, second = found.layers
    assert first.layer.startswith(spec.name(0))
    assert first.events == raster.sum()
    assert first.spikes == int(trace.counts[0].sum()) > 0
    assert second.events == int(trace.arrived[1].sum())
    assert first.synops == int(_kernel.synops(spec.layers[0], raster).sum())
    ticks = 0 if spec.layers[0].bias is None else 6 * trace.counts[0].size
    assert first.reads == 2 * (first.synops + ticks)
    assert found.load(first) == pytest.approx(first.synops / 0.006 / 1e5)
    assert found.cycles is None
    assert found.workload.footprint > 0
    assert found.power(Device(idle=dynapcnn.SPECK_RESTING.value)) == 0.42e-3
    unknown = dynapcnn.cost(spec, raster, trace=trace)
    assert unknown.seconds is unknown.load(first) is None


def test_a_batch_is_averaged():
    spec, rng = made("pooled", 2)
    raster = rng.poisson(1, (2, 6, *spec.input_shape))
    whole = dynapcnn.cost(spec, raster)
    each = [dynapcnn.cost(spec, x) for x in raster]
    for i, layer in enumerate(whole.layers):
        assert layer.synops == pytest.approx(np.mean([one.layers[i].synops for one in each]))
        assert layer.spikes == pytest.approx(np.mean([one.layers[i].spikes for one in each]))
    for name in ("dense", "effective_macs", "effective_acs", "activation_sparsity"):
        values = [getattr(one.workload, name) for one in each]
        assert getattr(whole.workload, name) == pytest.approx(np.mean(values))


@pytest.mark.parametrize(("dt", "shown"), [(0, "0"), (float("inf"), "inf"), (-1.0, "-1.0")])
def test_a_step_without_length(dt, shown):
    spec, _ = made("pooled", 2)
    raster = np.zeros((2, *spec.input_shape), int)
    with pytest.raises(ValueError, match=f"`dt` must be a number of seconds above 0; got {shown}"):
        dynapcnn.cost(spec, raster, dt=dt)


def test_a_trace_without_spikes():
    spec, _ = made("pooled", 2)
    raster = np.zeros((6, *spec.input_shape), int)
    trace = dynapcnn.simulate(spec, raster, record=False)
    with pytest.raises(ValueError, match="`trace` must be that of"):
        dynapcnn.cost(spec, raster, trace=trace)
