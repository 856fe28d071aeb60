"""Public names, and a correct call of each."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import snnjax
from snnjax import (
    datasets,
    decay,
    interop,
    networks,
    neurons,
    nn,
    params,
    passthrough,
    quant,
    scan,
    surrogate,
    train,
    transforms,
)
from snnjax.codegen import c
from snnjax.datasets import audio, augment, counts, sound, to_events, to_raster
from snnjax.hardware import dynapcnn, xylo
from snnjax.hardware.dynapcnn import compat
from snnjax.hardware.xylo import frontend
from snnjax.interop import rockpool
from snnjax.train import losses, recipes

KEY = jax.random.key(0)
X = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
COUNTS = jnp.ones((4, 3))

KEEP_WHAT_THEY_ARE_GIVEN = {
    "codegen.c.Program",
    "hardware.Violation",
    "interop.nir.Loaded",
    "train.TrainState",
    "train.Trained",
}
"""Classes without a check of their own: the library makes them."""


def public_names():
    """All functions and classes, by the first name under which they are public.

    Public is what modules without an underscore define, and what their packages import "as"
    itself. Left out are abstract classes, protocols, errors and named tuples.
    """
    found = {}
    walked = pkgutil.walk_packages(snnjax.__path__, "snnjax.")
    for path in ("snnjax", *(m.name for m in walked if "._" not in m.name)):
        module = importlib.import_module(path)
        for name in _names_in(Path(module.__file__)):
            value = getattr(module, name)
            if _is_called(value) and not any(value is other for other in found.values()):
                found[f"{path}.{name}".removeprefix("snnjax.")] = value
    return found


def _names_in(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.asname == alias.name)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def _is_called(value):
    if not inspect.isclass(value):
        return inspect.isfunction(value) or hasattr(value, "__wrapped__")
    passive = issubclass(value, tuple | BaseException) or getattr(value, "_is_protocol", False)
    return not passive and not inspect.isabstract(value)


def arguments_of(function, given):
    """The names of the arguments that a function takes, and the places of `*args`."""
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield from range(len(given["*"]))
        elif parameter.kind is not parameter.VAR_KEYWORD:
            yield name


def call(function, given, replaced=(), value=None):
    """Call a function, with one argument replaced if it is named."""
    given = dict(given)
    several = list(given.pop("*", ()))
    if isinstance(replaced, int):
        several[replaced] = value
    elif replaced:
        given[replaced] = value
    return function(*several, **given)


def calls_of_the_core():
    alpha = {"alpha": 0.9}
    layer = {"layer": snnjax.IAF(3), "x": X}
    linear = eqx.nn.Linear(3, 2, key=KEY)
    model = snnjax.Sequential(linear, snnjax.LIF(2))
    plan = transforms.plan(model, {"weights": quant.Int(8)})
    made = {"model": model}
    yield "record", snnjax.record, layer
    yield "run_chunked", snnjax.run_chunked, {"model": layer["layer"], "x": X, "chunk": 2}
    yield "bounded", snnjax.bounded, {"optimizer": optax.sgd(0.1), **made}
    yield "check_parameters", snnjax.check_parameters, made
    yield "families", snnjax.families, made
    yield "trainable", snnjax.trainable, made
    yield "param", snnjax.param, {"family": "weights"}
    yield "params.stop_frozen", params.stop_frozen, made
    yield "params.ranges", params.ranges, made
    yield "scan.scan", scan.scan, {"step": lambda s, x: (s, x), "state": X[0], "inputs": X}
    for name in ("round_passthrough", "floor_passthrough", "ceil_passthrough"):
        yield f"passthrough.{name}", getattr(passthrough, name), {"x": X}
    yield "passthrough.straight_through", passthrough.straight_through, {"x": X, "value": X}
    clip = {"x": X, "low": -0.5, "high": 0.5}
    yield "passthrough.clip_passthrough", passthrough.clip_passthrough, clip
    for name, given in {
        "tau_to_alpha": {"tau": 0.02, "dt": 0.001},
        "alpha_to_tau": {"alpha": 0.9, "dt": 0.001},
        "alpha_to_dash": alpha,
        "dash_to_alpha": {"dash": 3.0},
        "tau_to_dash": {"tau": 0.02, "dt": 0.001},
        "dash_to_tau": {"dash": 3.0, "dt": 0.001},
        "nearest_dash": {"dash": 3.2},
    }.items():
        yield f"decay.{name}", getattr(decay, name), given
    yield "transforms.plan", transforms.plan, {**made, "by_family": {"weights": quant.Int(8)}}
    for name in ("apply", "burn_in", "report"):
        yield f"transforms.{name}", getattr(transforms, name), {"plan": plan, **made}
    yield "transforms.merge", transforms.merge, {"first": plan, "second": plan}
    yield "transforms.rules", transforms.rules, {"plan": plan}
    yield "surrogate.whole_thresholds", surrogate.whole_thresholds, {"vmem": X, "threshold": X}
    yield "surrogate.from_function", surrogate.from_function, {"function": jnp.tanh}
    fires = {"vmem": X, "threshold": jnp.ones(3), "max_spikes": 2.0}
    for name, value in vars(surrogate).items():
        if inspect.isclass(value) and not inspect.isabstract(value):
            given = {"function": jnp.tanh} if name == "FromFunction" else {}
            yield f"surrogate.{name}", value, given
            yield f"surrogate.{name}()", value(**given), fires


def calls_of_quantisers():
    x, key = {"x": X}, {"key": KEY}
    for name, given in {
        "int_scale": {**x, "bits": 8},
        "int_quant": x,
        "bitshift_decay": {"alpha": jnp.array([0.5, 0.9])},
        "deterministic_rounding": x,
        "stochastic_rounding": {**x, **key},
        "dropout": {**x, "rate": 0.5, **key},
        "mismatch": {**x, **key},
        "prune": {**x, "sparsity": 0.5},
        "state_levels": {},
        "state_quant": x,
    }.items():
        yield f"quant.{name}", getattr(quant, name), given
    settings = {
        "Int": {"bits": 8},
        "Prune": {"sparsity": 0.5},
        "Clip": {"low": -1.0, "high": 1.0},
        "StateQuant": {"threshold": 1.0},
    }
    for name, value in vars(quant).items():
        if inspect.isclass(value) and not inspect.isabstract(value):
            yield f"quant.{name}", value, settings.get(name, {})
            given = {"x": jnp.array([0.5, 0.9]), **key, "threshold": None}
            yield f"quant.{name}()", value(**settings.get(name, {})), given


def calls_of_layers():
    key = {"key": KEY}
    linear = eqx.nn.Linear(3, 3, key=KEY)
    neuron = snnjax.LIF(3)
    given = {
        "Leaky": {"shape": 3, "alpha_mem": 0.9},
        "Synaptic": {"shape": 3, "alpha_syn": 0.8, "alpha_mem": 0.9},
    }
    names = [
        "ALIF",
        "DSRIF",
        "DSRLIF",
        "IAF",
        "LI",
        "LIF",
        "PLIF",
        "AdEx",
        "CubaLIF",
        "Izhikevich",
        "Leaky",
        "LIFEuler",
        "Synaptic",
    ]
    made = {name: (getattr(snnjax, name), given.get(name, {"shape": 3})) for name in names}
    for name in ("Concatenate", "Parallel", "Residual", "Sequential"):
        made[name] = getattr(snnjax, name), {"*": (linear, neuron)}
    made["nn.Chain"] = nn.Chain, {"*": (linear, neuron)}
    made["Recurrent"] = snnjax.Recurrent, {"layer": neuron}
    edges = [("input", "a"), ("a", "b"), ("b", "output")]
    made["Graph"] = snnjax.Graph, {"nodes": {"a": linear, "b": neuron}, "edges": edges}
    made["SynNet"] = snnjax.SynNet, {"n_classes": 2, "n_channels": 3, **key}
    dsr = snnjax.DSRIF(3)
    own = {"shape": (3,), "settings": dsr.settings, "frozen": (), "threshold": dsr.threshold}
    made["nn.DSR"] = nn.DSR, own
    for name, (layer, own) in made.items():
        yield name, layer, own
        runs = layer(*own.get("*", ()), **{k: v for k, v in own.items() if k != "*"})
        yield f"{name}()", runs, {"x": X, "state": None, **key}
        yield f"{name}.step", runs.step, {"x": X[0], "state": None, **key}
    for name in ("SumPool1d", "SumPool2d"):
        pool = getattr(nn, name)
        yield f"nn.{name}", pool, {"kernel_size": 2}
        yield f"nn.{name}()", pool(2), {"x": jnp.ones((1, 4, 4)[: int(name[-2]) + 1])}
    yield "nn.Flatten", nn.Flatten, {}
    yield "nn.Flatten()", nn.Flatten(), {"x": X}
    yield "nn.TimeStepDropout", nn.TimeStepDropout, {"p": 0.5}
    yield "nn.TimeStepDropout()", nn.TimeStepDropout(0.5), {"x": X, **key}
    hooks = nn.Hooks({"vmem": quant.Round()})
    yield "nn.Hooks", nn.Hooks, {"transforms": hooks.transforms}
    yield "nn.Hooks()", hooks, {"name": "vmem", "x": X}
    for name in ("Bitshifts", "Decays", "Taus"):
        leak = getattr(nn, name)
        first, second = inspect.signature(leak).parameters
        yield f"nn.{name}", leak, {first: jnp.ones(3), second: jnp.ones((3, 1))}
    yield "nn.Settings", nn.Settings, {}
    model = snnjax.Sequential(linear, neuron)
    yield "nn.run_batch", nn.run_batch, {"model": model, "x": X[None]}
    yield "nn.statistics", nn.statistics, {"state": model.initial_state()}
    yield "nn.optional", nn.optional, {"name": "bias", "value": 1.0, "shape": (3,)}
    yield "nn.per_neuron", nn.per_neuron, {"name": "bias", "value": 1.0, "shape": (3,)}
    yield "nn.fan_out", nn.fan_out, {"layer": linear, "shape": (3,)}
    *_, records = snnjax.record(model, X)
    yield "nn.synops", nn.synops, {"model": model, "x": X, "records": records}
    yield "fold_dsr", snnjax.fold_dsr, {"model": snnjax.Sequential(linear, dsr, linear)}
    ann = eqx.nn.Sequential([linear, eqx.nn.Lambda(jax.nn.relu), linear])
    yield "from_ann", snnjax.from_ann, {"model": ann, "data": X}
    norm = eqx.nn.BatchNorm(3, "batch", mode="ema")
    batch = snnjax.Sequential(linear, norm, neuron)
    statistics = nn.statistics(batch.initial_state())
    yield "fold_batch_norm", snnjax.fold_batch_norm, {"model": batch, "statistics": statistics}
    yield "networks.with_values", networks.with_values, {
        "product": linear, "weight": linear.weight, "bias": linear.bias
    }  # fmt: skip
    yield "networks.fold_into", networks.fold_into, {
        "weight": linear.weight, "bias": linear.bias, "norm": norm,
        "statistics": eqx.nn.State(norm),
    }  # fmt: skip


def calls_of_kernels():
    shape, x, one, fire = {"shape": (3,)}, X[0], jnp.ones(3), neurons.Firing(max_spikes=1)
    yield "neurons.Firing", neurons.Firing, {}
    spikes = {"vmem": x, "spikes": x, "threshold": one, "reset": "subtract"}
    yield "neurons.after_reset", neurons.after_reset, spikes
    yield "neurons.bounded", neurons.bounded, {"vmem": x, "min_vmem": None}
    yield "neurons.later", neurons.later, {"x": X}
    yield "neurons.unchanged", neurons.unchanged, {"name": "vmem", "x": x}
    classes = {
        "adex": "AdEx", "alif": "ALIF", "cubalif": "CubaLIF", "iaf": "IAF", "leaky": "Leaky",
        "izhikevich": "Izhikevich", "li": "LI", "lif": "LIF", "lif_euler": "LIFEuler",
        "plif": "PLIF",
    }  # fmt: skip
    for name, of in classes.items():
        module, layer = importlib.import_module(f"snnjax.neurons.{name}"), getattr(snnjax, of)
        made = layer(3, 0.9) if name == "leaky" else layer(3)
        parameters = inspect.signature(module.init).parameters
        own = {k: one for k in ("v_leak", "b") if k in parameters}
        yield f"neurons.{name}.init", module.init, {**shape, **own}
        given = {"params": made.params(), "state": made.rest(), "x": x, "fire": fire, "dt": 1e-3}
        if name == "lif":
            given["x"] = x[:, None]
        takes = inspect.signature(module.step).parameters
        step = {k: v for k, v in given.items() if k in takes}
        yield f"neurons.{name}.step", module.step, step
    leaky, of_leaky = neurons.leaky, snnjax.Leaky(3, 0.9)
    settled = {"params": of_leaky.params(), "state": of_leaky.rest(), "fire": fire}
    yield "neurons.leaky.settled", leaky.settled, settled
    closed = {"threshold": one, "state": snnjax.IAF(3).rest(), "x": X}
    closed["surrogate"] = surrogate.PiecewiseLinear()
    yield "neurons.iaf.closed_form", neurons.iaf.closed_form, closed
    yield "neurons.plif.tau_to_w", neurons.plif.tau_to_w, {"tau": 2.0}
    yield "neurons.plif.w_to_tau", neurons.plif.w_to_tau, {"w": 0.5}
    theta, rule = {"theta": jnp.float32(6.0)}, neurons.dsr.DSRIF()
    yield "neurons.dsr.dsr_if", neurons.dsr.dsr_if, {"x": X, **theta}
    yield "neurons.dsr.dsr_lif", neurons.dsr.dsr_lif, {"x": X, **theta}
    yield "neurons.dsr.run", neurons.dsr.run, {"x": X, **theta, "settings": rule}
    yield "neurons.dsr.rule_of", neurons.dsr.rule_of, {"settings": rule}
    yield "neurons.dsr_fold.fold", neurons.dsr_fold.fold, {**theta, "settings": rule}
    scale = {"weight": X, "amplitude": jnp.ones(3)}
    yield "neurons.dsr_fold.scale_inputs", neurons.dsr_fold.scale_inputs, scale
    recurrent, refractory, w_rec = neurons.recurrent, neurons.refractory, jnp.eye(3)
    yield "neurons.recurrent.init", recurrent.init, {"inner": x, **shape}
    yield "neurons.recurrent.step", recurrent.step, {
        "kernel": lambda state, x: (state, x), "connect": lambda y: y,
        "state": recurrent.init(x, (3,)), "x": x,
    }  # fmt: skip
    yield "neurons.recurrent.dense", recurrent.dense, {"w_rec": w_rec}
    convolution = {"w_rec": jnp.ones((2, 2, 3, 3))}
    yield "neurons.recurrent.convolution", recurrent.convolution, convolution
    yield "neurons.recurrent.fed_back", recurrent.fed_back, {"w_rec": w_rec, "y": x, **shape}
    yield "neurons.refractory.init", refractory.init, {"inner": x, **shape}
    yield "neurons.refractory.step", refractory.step, {
        "kernel": lambda state, x, **fire: (state, x), "state": refractory.init(x, (3,)),
        "x": x, "fire": fire, "steps": 1,
    }  # fmt: skip


def calls_of_data(folder):
    key, image = {"key": KEY}, jnp.ones((3, 3))
    levels, sounds = {"levels": X, **key}, {"sound": jnp.ones(64), **key}
    for name, given in {
        "bernoulli": {"x": image, "steps": 4, **key},
        "poisson": {"x": image, "steps": 4, **key},
        "evenly": {"image": image, "steps": 4},
        "latency": {"x": image, "steps": 4},
        "population": {"x": image[0], "neurons": 4, "low": 0.0, "high": 1.0, "width": 0.2},
        "rows_and_columns": {"image": image, "steps": 6},
        "delta": {"x": X, "threshold": 0.1},
        "step_forward": {"x": X, "threshold": 0.1},
        "load_digits": {},
    }.items():
        yield f"datasets.{name}", getattr(datasets, name), given
    mel = {"rate": 2000, "high": 900.0, "bands": 2}
    yield "datasets.MelEvents", datasets.MelEvents, mel
    yield "datasets.MelEvents()", datasets.MelEvents(**mel), {"audio": jnp.ones(400)}
    counts_of = {"counts": COUNTS, **key}
    for name, settings, given in (
        ("Augment", {"stretch": 0.1, "shift": 1}, levels),
        ("AugmentCounts", {"stretch": 0.1, "shift": 1}, counts_of),
        ("AugmentSound", {"rate": 8000.0, "gain": 2.0}, sounds),
    ):
        yield f"datasets.{name}", getattr(datasets, name), settings
        yield f"datasets.{name}()", getattr(datasets, name)(**settings), given
    resample = {"audio": jnp.ones(400), "rate": 2000, "new_rate": 1000}
    yield "datasets.audio.resample", audio.resample, resample
    filters = {"rate": 2000, "window": 64, "bands": 2, "low": 100.0, "high": 900.0}
    yield "datasets.audio.mel_filters", audio.mel_filters, filters
    for name, given in {
        "shift_time": {"most": 1},
        "stretch_time": {"most": 0.1},
        "change_gain": {"most": 1.0},
        "add_noise": {"quietest": -60.0, "loudest": -40.0},
        "mask_bands": {"widest": 1},
        "mask_time": {"longest": 1},
    }.items():
        yield f"datasets.augment.{name}", getattr(augment, name), {**levels, **given}
    stretch = {**counts_of, "most": 0.1}
    yield "datasets.counts.stretch_counts", counts.stretch_counts, stretch
    mix = {"sound": jnp.ones(64), "noise": jnp.ones(64), "ratio": 10.0}
    yield "datasets.sound.mix", sound.mix, mix
    reverb = {**sounds, "seconds": 0.001, "rate": 8000.0}
    yield "datasets.sound.reverberate", sound.reverberate, reverb


def calls_of_training(folder):
    key, label = {"key": KEY}, {"label": jnp.int32(1)}
    for name, given in {
        "rate_penalty": {"spikes": COUNTS},
        "synops_penalty": {"counts": {"layers[0]": X[0]}, "target": 1.0},
        "latency": {"spikes": COUNTS},
        **{
            f"{of}_cross_entropy": {first: COUNTS, **label}
            for of, first in {
                "count": "spikes", "latency": "spikes", "max_vmem": "vmem", "mean_vmem": "vmem",
                "step": "y",
            }.items()
        },
        "rate_mse": {"spikes": COUNTS, **label},
        "peak_mse": {"y": COUNTS, **label, "window": 1, "on": 1.0},
        "ctc": {"y": X, "labels": jnp.array([1, 2])},
        "van_rossum": {"spikes": COUNTS, "target": COUNTS, "tau": 0.02, "dt": 0.001},
    }.items():  # fmt: skip
        yield f"train.losses.{name}", getattr(losses, name), given
    model, optimizer = eqx.nn.Linear(3, 2, key=KEY), optax.sgd(0.1)
    state = train.init_state(model, optimizer)
    yield "train.init_state", train.init_state, {"model": model, "optimizer": optimizer}
    loss = lambda model, batch, key: ((jax.vmap(model)(batch) ** 2).mean(), {})  # noqa: E731
    made = {"loss": loss, "optimizer": optimizer, "batch_size": 2}
    yield "train.make_epoch", train.make_epoch, made
    epoch = train.make_epoch(**made)
    yield "train.run_epochs", lambda **given: next(iter(train.run_epochs(**given))), {
        "epoch": epoch, "state": state, "data": X, "epochs": 1, **key
    }  # fmt: skip
    evaluate = lambda model: model.weight.sum()  # noqa: E731
    swept = {"model": model, **key}
    yield "train.attack", train.attack, {"loss": evaluate, **swept, "steps": 1}
    yield "train.mismatch_sweep", train.mismatch_sweep, {
        "evaluate": evaluate, **swept, "levels": (0.1,), "draws": 1
    }  # fmt: skip
    outputs = lambda model, batch, key: jax.vmap(model)(batch)  # noqa: E731
    adversarial = {"outputs": outputs, "task": lambda y, batch: (y.sum(), {})}
    yield "train.adversarial_loss", train.adversarial_loss, adversarial
    yield "train.kl_divergence", train.kl_divergence, {"logits": X, "others": X}
    yield "train.right", train.right, {"spikes": COUNTS[None], "labels": jnp.array([1])}
    yield "train.Target", train.Target, {"chip": "audio3"}
    yield "train.Settings", train.Settings, {}
    for name in ("Arrays", "Digits", "Images", "Speech"):
        yield f"train.recipes.{name}", getattr(recipes, name), {}
    yield "train.recipes.find_recipe", recipes.find_recipe, {"name": "digits"}
    front_end = frontend.Audio3()
    yield "train.front_end_text", train.front_end_text, {"front_end": front_end}
    path = folder / "front.json"
    yield "train.save_front_end", train.save_front_end, {"front_end": front_end, "path": path}
    train.save_front_end(front_end, path)
    yield "train.load_front_end", train.load_front_end, {"path": path}


def calls_of_xylo(folder):
    model = snnjax.SynNet(2, 3, (4,), (2,), key=KEY)
    mapped = xylo.map_network(model)
    spec, raster, made = xylo.quantize(mapped), np.ones((4, 3)), {"model": model}
    yield "hardware.family", snnjax.hardware.family, {"of": "audio3"}
    yield "hardware.xylo.get_chip", xylo.get_chip, {"chip": "audio3"}
    for name in ("check", "require", "require_integers", "usage", "export", "to_json"):
        yield f"hardware.xylo.{name}", getattr(xylo, name), {"spec": spec}
    for name in ("quantize", "report"):
        yield f"hardware.xylo.{name}", getattr(xylo, name), {"spec": mapped}
    for name in ("map_network", "latency", "plan", "emulate"):
        yield f"hardware.xylo.{name}", getattr(xylo, name), made
    yield "hardware.xylo.simulate", xylo.simulate, {"spec": spec, "raster": raster}
    yield "hardware.xylo.cost", xylo.cost, {"spec": spec, "raster": raster}
    yield "hardware.xylo.fidelity", xylo.fidelity, {**made, "spec": spec, "raster": raster}
    yield "hardware.xylo.from_json", xylo.from_json, {"text": xylo.to_json(spec)}
    yield "hardware.xylo.save", xylo.save, {"spec": spec, "path": folder / "spec.json"}
    xylo.save(spec, folder / "spec.json")
    yield "hardware.xylo.load", xylo.load, {"path": folder / "spec.json"}
    yield "hardware.xylo.Plan", xylo.Plan, {"chip": xylo.get_chip("audio3")}
    yield "hardware.xylo.Spec", xylo.Spec, {**spec.arrays(), "dt": 1e-3, "chip": spec.chip}
    yield "hardware.xylo.frontend.Audio3", frontend.Audio3, {}
    yield "hardware.xylo.frontend.Imu", frontend.Imu, {}
    yield "hardware.xylo.frontend.Imu()", frontend.Imu(), {"signal": np.zeros((20, 3))}
    yield "hardware.xylo.frontend.Decimation", frontend.Decimation, {}
    yield "hardware.xylo.frontend.Decimation()", frontend.Decimation(), {"bits": np.ones(64, int)}
    band = {"low": 1000.0, "high": 2000.0}
    yield "hardware.xylo.frontend.audio3_filter", frontend.audio3_filter, band
    yield "hardware.xylo.frontend.imu_filter", frontend.imu_filter, {"low": 2.0, "high": 4.0}
    yield "hardware.xylo.frontend.export", frontend.export, {"front_end": frontend.Imu()}
    delta = {"sound": np.zeros(16, np.float32), "rate": 48000.0}
    yield "hardware.xylo.frontend.sigma_delta", frontend.sigma_delta, delta
    yield "codegen.c.generate", c.generate, {"spec": spec}
    yield "codegen.c.export", c.export, {"spec": spec, "folder": folder}
    rockpool.save(model, folder / "rockpool.json")
    yield "interop.rockpool.save", rockpool.save, {"network": model, "path": folder / "r.json"}
    yield "interop.rockpool.load", rockpool.load, {"source": folder / "rockpool.json"}
    yield "interop.as_lif", interop.as_lif, {"network": model}


def calls_of_dynapcnn(folder):
    conv = eqx.nn.Conv2d(1, 2, 3, key=KEY)
    model = snnjax.Sequential(conv, snnjax.IAF((2, 2, 2), min_vmem=-1.0))
    made, raster = {"model": model, "input_shape": (1, 4, 4)}, np.ones((3, 1, 4, 4))
    mapped = dynapcnn.map_network(**made)
    spec = dynapcnn.quantize(mapped)
    for name in ("map_network", "plan", "emulate"):
        yield f"hardware.dynapcnn.{name}", getattr(dynapcnn, name), made
    for name in ("quantize", "report"):
        yield f"hardware.dynapcnn.{name}", getattr(dynapcnn, name), {"spec": mapped}
    for name in ["check", "require", "require_integers", "place", "pad_readout", "usage", "export"]:
        yield f"hardware.dynapcnn.{name}", getattr(dynapcnn, name), {"spec": spec}
    run = {"spec": spec, "raster": raster}
    for name in ("simulate", "compare_events"):
        yield f"hardware.dynapcnn.{name}", getattr(dynapcnn, name), run
    yield "hardware.dynapcnn.fidelity", dynapcnn.fidelity, {"model": model, **run}
    events = {"spec": spec, "events": to_events(np.asarray(raster))}
    yield "hardware.dynapcnn.simulate_events", dynapcnn.simulate_events, events
    raster_of = {"events": events["events"], "shape": (1, 4, 4), "step": 1000, "steps": 3}
    yield "datasets.to_raster", to_raster, raster_of
    path = {"path": folder / "dynapcnn.json"}
    yield "hardware.dynapcnn.save", dynapcnn.save, {"spec": spec, **path}
    dynapcnn.save(spec, **path)
    yield "hardware.dynapcnn.load", dynapcnn.load, path
    yield "hardware.dynapcnn.Plan", dynapcnn.Plan, {}
    yield "hardware.dynapcnn.NoiseFilter", dynapcnn.NoiseFilter, {}
    yield "hardware.dynapcnn.Sensor", dynapcnn.Sensor, {}
    core = {"weight": np.ones((1, 1, 3, 3)), "input_shape": (1, 4, 4)}
    yield "hardware.dynapcnn.Core", dynapcnn.Core, core
    yield "hardware.dynapcnn.Spec", dynapcnn.Spec, {"layers": spec.layers, "chip": spec.chip}
    joint = {"weight": conv.weight, "bias": conv.bias[:, 0, 0], "threshold": jnp.float32(1.0)}
    joint["min_vmem"] = jnp.float32(-1.0)
    yield "hardware.dynapcnn.joint_scale", dynapcnn.joint_scale, joint
    yield "hardware.dynapcnn.discretize_core", dynapcnn.discretize_core, joint
    yield "hardware.dynapcnn.discretization_scale", dynapcnn.discretization_scale, {
        "x": X, "bits": 8
    }  # fmt: skip
    yield "hardware.dynapcnn.discretize", dynapcnn.discretize, {"x": X, "scale": 10.0}
    neuron, vmem = model.layers[1], {"threshold": 1.0, "min_vmem": -1.0}
    of = {"conv": conv, "neuron": neuron}
    yield "hardware.dynapcnn.compat.discretize_conv_spike", compat.discretize_conv_spike, of
    yield "hardware.dynapcnn.compat.discretize_conv", compat.discretize_conv, {
        "conv": conv, **vmem
    }  # fmt: skip
    spike = {"neuron": neuron, "weight": conv.weight}
    yield "hardware.dynapcnn.compat.discretize_spike", compat.discretize_spike, spike


def all_calls(folder):
    """Name, function and arguments of every call that is here."""
    yield from calls_of_the_core()
    yield from calls_of_quantisers()
    yield from calls_of_layers()
    yield from calls_of_kernels()
    for of in (calls_of_data, calls_of_training, calls_of_xylo, calls_of_dynapcnn):
        yield from of(folder)
