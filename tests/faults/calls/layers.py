"""Calls of layers, networks and kernels."""

import functools
import importlib
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp

import snnjax
from snnjax import networks, neurons, nn, quant, surrogate

from ._arrays import KEY, X


def calls_of_layers(folder):
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
    yield "nn.workload", nn.workload, {"model": model, "x": X, "records": records}
    yield "nn.describe", nn.describe, {"network": model}
    yield "nn.layer_words", nn.layer_words, {"layer": neuron}
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


def calls_of_kernels(folder):
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
        "kernel": functools.partial(neurons.iaf.step, snnjax.IAF(3).params()),
        "state": refractory.init(snnjax.IAF(3).rest(), (3,)),
        "x": x, "fire": fire, "steps": 1,
    }  # fmt: skip
