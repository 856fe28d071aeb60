"""Clock cycles of Xylo chips by Rockpool's formula, written to rockpool_cycles.npz.

Run by Rockpool 3.1.0 and numpy 2.3.5 on Python 3.11:

    python tests/parity/make_rockpool_cycles.py

Networks and spikes are drawn: the formula takes any. A configuration has only the fields that
`cycles_model` reads, with the weights of first synapses, as `config_from_specification` fills them.
"""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rockpool
from _rockpool import save  # first: it puts a stub of samna in place


def model(part):
    """The file alone: its package asks for more of the vendor's packages."""
    path = Path(rockpool.__file__).parent / "devices/xylo" / part / "power_cycles_model.py"
    spec = importlib.util.spec_from_file_location(part, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audio2, imu = model("syns61201"), model("syns63300")
# Audio 3 has the model of the IMU's part.
MODELS = {"audio2": (audio2, "reservoir"), "audio3": (imu, "hidden"), "imu": (imu, "hidden")}
DT = 1e-3


def network(rng, synapses, aliases):
    """Weights of a share that is drawn, and aliases."""
    n_in, n, n_out = rng.integers(1, 17), rng.integers(4, 60), rng.integers(1, 9)
    shapes = {"w_in": (n_in, n, synapses), "w_rec": (n, n, synapses), "w_out": (n, n_out)}
    drawn = {
        name: rng.integers(-128, 128, shape) * (rng.random(shape) < rng.uniform(0.02, 0.6))
        for name, shape in shapes.items()
    }
    drawn["w_in"][:, n // 2 :] = 0
    drawn["w_out"][: n // 3] = 0
    target = np.where(np.arange(n) < n // 4, np.arange(n) + n // 2, -1) if aliases else None
    return drawn if target is None else drawn | {"aliases": target}


def config(drawn, hidden):
    aliases = drawn.get("aliases", np.full(len(drawn["w_rec"]), -1))
    neurons = [SimpleNamespace(alias_target=None if a < 0 else int(a)) for a in aliases]
    population = SimpleNamespace(weights=drawn["w_rec"][:, :, 0], neurons=neurons)
    return SimpleNamespace(
        synapse2_enable=drawn["w_in"].shape[2] == 2,
        input=SimpleNamespace(weights=drawn["w_in"][:, :, 0]),
        readout=SimpleNamespace(weights=drawn["w_out"]),
        **{hidden: population},
    )


cases, arrays = {}, {}
for number in range(12):
    rng = np.random.default_rng((16, number))
    chip = list(MODELS)[number % 3]
    formula, hidden = MODELS[chip]
    synapses = 1 if chip == "imu" else 1 + number // 3 % 2
    drawn = network(rng, synapses, aliases=number % 2 == 1)
    made, shape = config(drawn, hidden), (20, len(drawn["w_in"]))
    events = rng.poisson(rng.uniform(0.05, 1), shape)
    spikes = rng.poisson(rng.uniform(0.01, 0.8), (20, len(drawn["w_rec"])))
    mean, worst = formula.cycles_model(made, events, spikes), formula.cycles_model(made)
    found = {"mean": mean, "worst": worst, "clock": formula.est_clock_freq(made, DT, margin=0.0)}
    found["margin"] = formula.est_clock_freq(made, DT)
    if chip == "audio2":
        found |= {"mean": mean[0], "worst": worst[0], "parallel": mean[1]}
    cases[str(number)] = {"kind": "cycles", "chip": chip, **{k: float(v) for k, v in found.items()}}
    stored = drawn | {"events": events, "spikes": spikes}
    arrays |= {f"{number}/{name}": x.astype(np.int16) for name, x in stored.items()}
save(__file__, cases, arrays)
