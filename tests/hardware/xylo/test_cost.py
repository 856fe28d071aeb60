"""The cost of recordings on a Xylo, counted one by one."""

import dataclasses

import numpy as np
import pytest

from snnjax.hardware import Device, xylo


@pytest.fixture
def recorded(make_spec):
    """A network of two layers, its events, and a trace of drawn spikes."""
    rng = np.random.default_rng(5)
    layers = xylo.Part("layers[1]", 4), xylo.Part("layers[3]", 2), xylo.Part("layers[5]", 2)
    spec = make_spec(layers=layers, aliases=np.array([5, -1, -1, -1, -1, -1]))
    holes = rng.random(spec.w_rec.shape) < 0.5
    spec = dataclasses.replace(spec, w_rec=np.where(holes, 0, spec.w_rec))
    drawn = {
        "spikes": rng.poisson(0.4, (2, 7, 6)),
        "spikes_out": rng.integers(0, 2, (2, 7, 2)),
    }
    trace = xylo.Trace(**dict.fromkeys(xylo.Trace._fields) | drawn)
    return spec, rng.poisson(0.7, (2, 7, 3)), trace


def by_hand(spec, events, trace, first, last):
    """Operations at the hidden neurons from `first` to before `last`, of both recordings."""
    count = 0
    for b, t in np.ndindex(events.shape[:2]):
        for source in range(3):
            if events[b, t, source]:
                count += np.count_nonzero(spec.w_in[source, first:last])
        for source in range(6):
            if t and trace.spikes[b, t - 1, source]:
                count += np.count_nonzero(spec.w_rec[source, first:last])
    return count


def test_layers(recorded):
    spec, events, trace = recorded
    found = xylo.cost(spec, events, trace=trace)
    one, two, out = found.layers
    assert [layer.layer for layer in found.layers] == ["layers[1]", "layers[3]", "layers[5]"]
    assert one.synops == by_hand(spec, events, trace, 0, 4) / 2
    assert two.synops == by_hand(spec, events, trace, 4, 6) / 2
    assert one.reads == one.synops + 7 * 4 * (2 + 1)
    assert out.reads == out.synops + 7 * 2 * 2
    late = trace.spikes[:, :-1]
    assert (
        out.synops
        == (np.count_nonzero(late, axis=(0, 1)) * np.count_nonzero(spec.w_out, axis=1)).sum() / 2
    )
    assert out.events == late.sum() / 2
    assert one.spikes == trace.spikes[..., :4].sum() / 2
    assert found.rate == (trace.spikes.sum() + trace.spikes_out.sum()) / (2 * 7 * 8)
    assert found.seconds == pytest.approx(7e-3)
    assert "layers[3]" in str(found)
    assert found.to_dict()["cycles"]["worst"] == found.cycles.worst


def test_a_run_of_its_own_is_that_of_simulate(make_spec):
    spec, events = make_spec(), np.random.default_rng(1).poisson(1, (2, 7, 3))
    trace = xylo.simulate(spec, events)
    assert xylo.cost(spec, events) == xylo.cost(spec, events, trace=trace)
    assert xylo.cost(spec, events).total("spikes") > 0
    short = xylo.simulate(spec, events, record=False)
    with pytest.raises(ValueError, match="`trace` must be that of `simulate"):
        xylo.cost(spec, events, trace=short)


def test_footprint(recorded):
    spec, events, trace = recorded
    weights = 3 * 6 * 2 + 6 * 6 * 2 + 6 * 2
    dashes = 6 + 12 + 2 + 2
    states = 6 * 3 + 2 * 2
    bits = 8 * weights + 4 * dashes + 16 * (states + 8) + 3 * 6
    assert xylo.cost(spec, events, trace=trace).workload.footprint == -(-bits // 8)


def test_power(recorded):
    spec, events, trace = recorded
    found = xylo.cost(spec, events, trace=trace)
    device = Device(idle=xylo.IMU_IDLE.value, per_spike=1e-9, per_synop=2e-9, per_cycle=1e-12)
    work = 1e-9 * found.total("spikes") + 2e-9 * found.total("synops")
    work += 1e-12 * found.cycles.mean * 7
    assert found.power(device) == pytest.approx(188.2e-6 + work / 7e-3)
    assert found.energy(device) == pytest.approx(found.power(device) * 7e-3)
    with pytest.raises(ValueError, match="`per_synop` must be at least 0; got -1"):
        Device(per_synop=-1)
    old = dataclasses.replace(spec, chip=xylo.XYLO_1, aliases=None)
    old = xylo.cost(old, events, trace=trace)
    assert old.cycles is None
    with pytest.raises(ValueError, match=r"`device.per_cycle` has no use: no formula of Xylo 1"):
        old.power(device)


def test_the_busiest_step_takes_most(recorded):
    spec, _, trace = recorded
    events = np.zeros((7, 3), int)
    events[3] = 1
    spikes = np.zeros((7, 6), int)
    spikes[3] = 1
    cycles = xylo.cost(
        spec, events, trace=trace._replace(spikes=spikes, spikes_out=spikes[:, :2])
    ).cycles
    assert cycles.most == cycles.worst > cycles.mean
    assert cycles.clock_of_recordings == cycles.clock == cycles.worst / 1e-3
