"""Calls of functions on arrays and models."""

import inspect

import equinox as eqx
import jax.numpy as jnp
import optax

import snnjax
from snnjax import decay, params, passthrough, quant, scan, surrogate, transforms

from ._arrays import KEY, X


def calls_of_the_core(folder):
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
    yield "family_labels", snnjax.family_labels, made
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
    path = {"path": folder / "plan.toml"}
    yield "transforms.dump", transforms.dump, {"plan": plan, **path}
    transforms.dump(plan, **path)
    yield "transforms.load", transforms.load, path
    yield "surrogate.whole_thresholds", surrogate.whole_thresholds, {"vmem": X, "threshold": X}
    yield "surrogate.from_function", surrogate.from_function, {"function": jnp.tanh}
    fires = {"vmem": X, "threshold": jnp.ones(3), "max_spikes": 2.0}
    for name, value in vars(surrogate).items():
        if inspect.isclass(value) and not inspect.isabstract(value):
            given = {"function": jnp.tanh} if name == "FromFunction" else {}
            yield f"surrogate.{name}", value, given
            yield f"surrogate.{name}()", value(**given), fires


def calls_of_quantisers(folder):
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
