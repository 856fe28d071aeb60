"""Calls of chips, codegen and interop."""

import equinox as eqx
import jax.numpy as jnp
import nir
import numpy as np

import snnjax
from snnjax import interop
from snnjax.codegen import c, program
from snnjax.datasets import to_events
from snnjax.hardware import dynapcnn, xylo
from snnjax.hardware.dynapcnn import compat
from snnjax.hardware.xylo import frontend
from snnjax.interop import modules, nir as snnjax_nir, rockpool, torch

from ._arrays import KEY, X


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
    yield "hardware.load", snnjax.hardware.load, {"path": folder / "spec.json"}
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
    yield "hardware.Device", snnjax.hardware.Device, {}
    yield "hardware.Chip", snnjax.hardware.Chip, {"name": "a chip"}
    sizes = {"core": 3, "n_hidden": 8, "n_outputs": 2, "n_synapses": 1}
    yield "hardware.xylo.Chip", xylo.Chip, {"name": "a chip", **sizes}
    numbers = {"a1": -30000, "a2": 14000, "a_shift": 14, "b_shift": 8}
    yield "hardware.xylo.frontend.BandPass", frontend.BandPass, numbers


def calls_of_bridges(folder):
    model = snnjax.SynNet(2, 3, (4,), (2,), key=KEY)
    spec = xylo.quantize(xylo.map_network(model))
    yield "codegen.c.generate", c.generate, {"spec": spec}
    yield "codegen.c.export", c.export, {"spec": spec, "folder": folder}
    rockpool.save(model, folder / "rockpool.json")
    yield "interop.rockpool.save", rockpool.save, {"network": model, "path": folder / "r.json"}
    yield "interop.rockpool.load", rockpool.load, {"source": folder / "rockpool.json"}
    yield "interop.as_lif", interop.as_lif, {"network": model}

    vendor = {
        "weights_in": np.ones((2, 3)), "weights_out": np.ones((3, 1)), "threshold": np.ones(3),
        "threshold_out": np.ones(1), "dash_mem": np.ones(3), "dash_mem_out": np.ones(1),
        "dash_syn": np.ones(3), "dash_syn_out": np.ones(1), "dt": 0.01,
    }  # fmt: skip
    of = {"specification": vendor, "chip": "audio3"}
    yield "interop.rockpool.from_specification", rockpool.from_specification, of
    linear = eqx.nn.Linear(3, 2, key=KEY)
    network = snnjax.Sequential(linear, snnjax.CubaLIF(2))
    made = {"network": network}
    yield "interop.nir.to_graph", snnjax_nir.to_graph, made
    yield "interop.nir.save", snnjax_nir.save, {**made, "path": folder / "graph.nir"}
    nir.write(folder / "graph.nir", snnjax_nir.to_graph(network))
    yield "interop.nir.load", snnjax_nir.load, {"source": folder / "graph.nir"}
    yield "interop.nir.outline", snnjax_nir.outline, {"source": folder / "graph.nir"}
    yield "interop.nir.Delay", snnjax_nir.Delay, {"steps": 1, "shape": (3,)}
    state = {"fc.weight": np.ones((2, 3), np.float32), "fc.bias": np.ones(2, np.float32)}
    loaded = {"network": snnjax.Sequential(linear, snnjax.IAF(2)), "state": state}
    yield "interop.torch.load_state_dict", torch.load_state_dict, loaded
    flatten = type("Flatten", (), {"__module__": "torch.nn", "start_dim": 1, "end_dim": -1})
    of = {"modules": [flatten()], "input_shape": 3}
    yield "interop.modules.from_modules", modules.from_modules, of
    only = {"platforms": ("cpu",)}
    exported = program.network(network, (3,), **only)
    yield "codegen.program.shapes", program.shapes, {"*": ((3,),)}
    yield "codegen.program.simulator", program.simulator, {"spec": spec, **only}
    yield "codegen.program.emulator", program.emulator, {"model": model, "chip": xylo, **only}
    yield "codegen.program.network", program.network, {"model": network, "shape": (3,), **only}
    trained = {"run": lambda state, batch: (state, {}), "state": [X], "batch": X, **only}
    yield "codegen.program.step", program.step, trained
    saved = {"exported": exported, "path": folder / "program"}
    yield "codegen.program.save", program.save, saved


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
    for name in ("simulate", "compare_events", "cost"):
        yield f"hardware.dynapcnn.{name}", getattr(dynapcnn, name), run
    yield "hardware.dynapcnn.fidelity", dynapcnn.fidelity, {"model": model, **run}
    events = {"spec": spec, "events": to_events(np.asarray(raster)), "bias_period": 1000}
    yield "hardware.dynapcnn.simulate_events", dynapcnn.simulate_events, events
    path = {"path": folder / "dynapcnn.json"}
    yield "hardware.dynapcnn.save", dynapcnn.save, {"spec": spec, **path}
    dynapcnn.save(spec, **path)
    yield "hardware.dynapcnn.load", dynapcnn.load, path
    yield "hardware.dynapcnn.Chip", dynapcnn.Chip, {"name": "a chip"}
    yield "hardware.dynapcnn.Plan", dynapcnn.Plan, {"input_shape": (1, 4, 4)}
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
