"""What the simulators compute, in plain Python: loops over events, neurons and steps."""

import numpy as np

LOW, HIGH = -(2**15), 2**15 - 1


class Neurons:
    """The neurons of one core, with Python's integers."""

    def __init__(self, core):
        self.core = core
        self.weight = np.asarray(core.weight).tolist()
        self.bias = [0] * core.output_shape[0] if core.bias is None else core.bias.tolist()
        self.threshold = int(core.threshold)
        self.min_vmem = LOW if core.min_vmem is None else int(core.min_vmem)
        out, height, width = core.output_shape
        start = np.zeros(core.output_shape, int) if core.vmem is None else np.asarray(core.vmem)
        self.places = [(f, y, x) for f in range(out) for y in range(height) for x in range(width)]
        self.vmem = {place: int(start[place]) for place in self.places}
        self.saturated = 0
        self.largest = 0

    def charge(self, place, value):
        """Add to a neuron, saturating."""
        total = self.vmem[place] + value
        self.vmem[place] = min(max(total, LOW), HIGH)
        self.saturated += self.vmem[place] != total

    def bound(self, place):
        self.vmem[place] = max(self.vmem[place], self.min_vmem)

    def visit(self, place, value):
        """One event or tick at one neuron: whether it fires."""
        self.charge(place, value)
        fires = self.vmem[place] >= self.threshold
        if fires:
            self.vmem[place] = 0 if self.core.reset == "zero" else self.vmem[place] - self.threshold
        self.bound(place)
        return fires

    def synapse(self, place, channel, y, x):
        """The weight between a place of the input map and a neuron; None if there is none."""
        f, row, column = place
        ky = y + self.core.padding[0] - row * self.core.stride[0]
        kx = x + self.core.padding[1] - column * self.core.stride[1]
        height, width = self.core.kernel_size
        if 0 <= ky < height and 0 <= kx < width:
            return self.weight[f][channel][ky][kx]
        return None

    def take(self, event):
        """An event (channel, y, x): the spikes that it causes, in order."""
        spikes = []
        for place in self.places:
            weight = self.synapse(place, *event)
            if weight is not None and self.visit(place, weight):
                spikes.append(place)
        return spikes

    def tick(self):
        return [place for place in self.places if self.visit(place, self.bias[place[0]])]

    def step(self, events):
        """A synchronous step on {(channel, y, x): number}: the number of spikes of each neuron."""
        counts = {}
        for place in self.places:
            drive = self.bias[place[0]]
            for event, number in events.items():
                drive += number * (self.synapse(place, *event) or 0)
            total = self.vmem[place] + drive
            self.largest = max(self.largest, abs(total))
            self.saturated += not LOW <= total <= HIGH
            if total >= self.threshold:
                counts[place] = total // self.threshold
                if self.core.max_spikes is not None:
                    counts[place] = min(counts[place], self.core.max_spikes)
                left = total - counts[place] * self.threshold
                total = 0 if self.core.reset == "zero" else left
            self.vmem[place] = min(max(total, LOW), HIGH)
            self.bound(place)
        return counts


def pooled(core, place, pool, shift):
    """Where a spike ends after a pool; None if it does not fill a window."""
    f, y, x = place
    _, height, width = core.pooled(pool)
    inside = y // pool < height and x // pool < width
    return (f + shift, y // pool, x // pool) if inside else None


def seen(sensor, event):
    """Where an event of a pixel leaves the sensor's layer; None if it is cut off."""
    if sensor is None:
        return event
    polarity, y, x = event
    y, x = y // sensor.pool[0], x // sensor.pool[1]
    (top, bottom), (left, right) = sensor.roi
    if not (top <= y < bottom and left <= x < right):
        return None
    y, x = y - top, x - left
    y = bottom - top - 1 - y if sensor.mirror_y else y
    x = right - left - 1 - x if sensor.mirror_x else x
    y, x = (x, y) if sensor.mirror_diagonal else (y, x)
    return (0 if sensor.merge else polarity), y, x


def run_events(spec, events, bias_period=None, duration=None):
    """`simulate_events`: the spikes of each layer as (time, channel, y, x), and the neurons."""
    neurons = [Neurons(core) for core in spec.layers]
    log = [[] for _ in spec.layers]
    listed = [tuple(map(int, event)) for event in zip(*events, strict=True)]
    causes = [(time, 1, event) for time, *event in listed]
    if any(any(n.bias) for n in neurons):
        end = duration if duration is not None else max((c[0] for c in causes), default=0)
        causes += [(time, 0, None) for time in range(bias_period, end + 1, bias_period)]
    for time, _, event in sorted(causes, key=lambda cause: cause[:2]):
        sent = {}
        for i in range(len(spec.layers)):
            fired = neurons[i].tick() if event is None and any(neurons[i].bias) else []
            for source, pool, shift in spec.sources(i):
                if source is None:
                    arriving = [] if event is None else [seen(spec.sensor, tuple(event))]
                else:
                    arriving = [pooled(spec.layers[source], s, pool, shift) for s in sent[source]]
                for one in arriving:
                    if one is not None:
                        fired += neurons[i].take(one)
            sent[i] = fired
            log[i] += [(time, *spike) for spike in fired]
    return log, neurons


def run_steps(spec, raster):
    """`simulate`: the spikes of each layer, (time, out, y, x), and the neurons."""
    neurons = [Neurons(core) for core in spec.layers]
    spikes = [np.zeros((len(raster), *core.output_shape), int) for core in spec.layers]
    for t, frame in enumerate(raster):
        places = {tuple(map(int, p)): int(frame[tuple(p)]) for p in np.argwhere(frame)}
        sent = {}
        for i in range(len(spec.layers)):
            arriving = {}
            for source, pool, shift in spec.sources(i):
                for place, number in (places if source is None else sent[source]).items():
                    if source is None:
                        to = seen(spec.sensor, place)
                    else:
                        to = pooled(spec.layers[source], place, pool, shift)
                    if to is not None:
                        arriving[to] = arriving.get(to, 0) + number
            sent[i] = neurons[i].step(arriving)
            for place, number in sent[i].items():
                spikes[i][(t, *place)] = number
    return spikes, neurons
