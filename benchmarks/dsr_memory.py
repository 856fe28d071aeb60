"""What DSR saves over back-propagation through time, against the length of the sequence.

The reference is one training step by BPTT of the network that `snnjax.fold_dsr` makes of the DSR
network: the same parameters, the same spikes, ordinary neurons. Memory is what the compiled step
needs besides its arguments and results, and hardly depends on the machine. DSR keeps the spikes,
which the gradients of the weights need; BPTT also keeps the states before and after every step.
"""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax

from snnjax import DSRIF, DSRLIF, Sequential, fold_dsr
from snnjax._typing import PyTree
from snnjax.nn import DSR, Flatten

from ._steps import training_step
from .harness import Call, Settings, compare, main, report

STEPS: tuple[int, ...] = (50, 100, 200, 400)
MakeNeurons = Callable[[tuple[int, ...]], DSR]
NEURONS: dict[str, MakeNeurons] = {
    "IF": lambda shape: DSRIF(shape, threshold=1.0),
    "LIF": lambda shape: DSRLIF(shape, threshold=0.1),
}
_SIDE = 8


def run(settings: Settings) -> Path:
    kinds, lengths, batch, channels = NEURONS, STEPS, 16, 8
    if settings.quick:
        kinds, lengths, batch, channels = {"IF": NEURONS["IF"]}, (4,), 2, 2
    groups, ratios = {}, []
    for label, neurons in kinds.items():
        for steps in lengths:
            found = compare(training_steps(neurons, steps, batch, channels), settings)
            title = f"3 convolutions of {channels} channels, {label}, T={steps}, batch {batch}"
            groups[title] = found
            dsr, bptt = found["DSR"].temp_bytes, found["BPTT"].temp_bytes
            if dsr is not None and bptt:
                ratios.append(f"  {label:4} T={steps:4}  {dsr / bptt:.3f}")
    path = report("dsr_memory", groups, settings)
    print("\ndsr_memory: memory of DSR as a fraction of that of BPTT", *ratios, sep="\n")
    return path


def training_steps(neurons: MakeNeurons, steps: int, batch: int, channels: int) -> dict[str, Call]:
    """One training step by BPTT and one by DSR, of the same network on the same data."""
    keys = jax.random.split(jax.random.key(0), 3)
    model = network(neurons, channels, keys[0])
    x = 3 * jax.random.uniform(keys[1], (batch, steps, 1, _SIDE, _SIDE))
    labels = jax.random.randint(keys[2], (batch,), 0, 10)
    folded, start = fold_dsr(model)
    return {
        "BPTT": training_step(_logits_from(start), folded, x, labels),
        "DSR": training_step(_logits_from(None), model, x, labels),
    }


def _logits_from(state: PyTree) -> Callable[[Sequential, jax.Array], jax.Array]:
    return lambda model, x: jax.vmap(lambda x: model(x, state)[0].mean(0))(x)


def network(neurons: MakeNeurons, channels: int, key: jax.Array) -> Sequential:
    """Three convolutions of 3 by 3 with neurons, and a readout of ten classes."""
    keys, layers = jax.random.split(key, 4), []
    for i in range(3):
        layers += [
            eqx.nn.Conv2d(channels if i else 1, channels, 3, padding=1, key=keys[i]),
            neurons((channels, _SIDE, _SIDE)),
        ]
    return Sequential(*layers, Flatten(), eqx.nn.Linear(channels * _SIDE**2, 10, key=keys[3]))


if __name__ == "__main__":
    main(run)
