"""Audio 3's front end once more, in plain Python, whose integers have no width."""

MOST = 15


def filter_bank(filters, samples):
    """Outputs of each filter, a clock late."""
    outputs = []
    for band in filters:
        w = [0, 0, 0]
        row = []
        for x in samples:
            row.append(w[0] - w[2])
            fed_back = (-band.a1 * w[0] - band.a2 * w[1]) >> band.a_shift
            w = [((x << band.w_shift) + fed_back) >> band.b_shift, w[0], w[1]]
        outputs.append(row)
    return list(zip(*outputs, strict=True))


def spikes_of(filtered, *, k, b1, b2, eps, threshold, normalise, joint):
    """Spikes at every clock; every setting but `joint` is one for each channel."""
    channels = range(len(k))
    high, charge = [0 for _ in channels], [0 for _ in channels]
    every = []
    for y in filtered:
        level = [max(high[c] >> k[c], eps[c]) for c in channels]
        adaptive = [(level[c] << b1[c]) - (level[c] << b2[c]) for c in channels]
        if joint:
            adaptive = [max(adaptive)] * len(adaptive)
        row = []
        for c in channels:
            limit = adaptive[c] if normalise[c] else threshold[c]
            high[c] += abs(y[c]) - (high[c] >> k[c])
            charge[c] += abs(y[c])
            row.append(charge[c] >= limit)
            charge[c] -= row[-1] * limit
        every.append(row)
    return every


def events_of(spikes, window):
    """Spikes of each window, the last one short."""
    windows = [spikes[i : i + window] for i in range(0, len(spikes), window)]
    return [[min(MOST, sum(column)) for column in zip(*w, strict=True)] for w in windows]
