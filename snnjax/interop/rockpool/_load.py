"""The files of Rockpool's `Module.save`, read.

A file is a dictionary of modules by name, each with its parameters as JSON text within JSON. It
holds neither the classes of the modules nor their order: the first is told by the parameters, the
second by the numbers that Rockpool puts before the names.
"""

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import explained, parse_json, read_json
from ...nn import LEAKS, LIF, Leak, Residual, Sequential, TimeStepDropout
from ...surrogate import PeriodicExponential, PiecewiseLinear, Surrogate
from .._neuron import NIRIntegrator, NIRNeuron

Fields = Mapping[str, Any]

_NUMBERED = re.compile(r"(\d+|out)_(\w+)")
_RANK = {"linear": 0, "neurons": 1, "dropout": 2}
"""The order of SynNet's modules of one number."""

_NEVER = 2**15 - 1
"""The threshold by which SynNet says that the readout's membrane potentials are its output."""


@explained
def load(source: str | os.PathLike[str], *, order: Sequence[str] | None = None) -> Sequential:
    """A network from a file that Rockpool's `net.save` wrote.

    It reads `SynNet`, and `Sequential` and `Residual` of `LinearTorch`, `LIFTorch`, `LIFExodus`,
    `LIFNeuronTorch`, `ExpSynTorch` and `TimeStepDropout`; `UnitDropout` is left out, with a
    warning. Decays, several synapses, recurrence, biases, thresholds, caps on spikes, noise and dt
    are those of the file. Surrogates are not in it: a `SynNet` gets `PeriodicExponential`, other
    neurons `PiecewiseLinear` with the file's window.

    Args:
        source: path of the file.
        order: names of the modules in their order, where they do not begin with numbers.

    Returns:
        A `Sequential` whose layers have the names of the modules. The output of a `SynNet` made
        with `output="vmem"` is that of its last layer, the membrane potentials.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or holds a module that is not among those above; the message
            names the file and the module.
    """
    content = read_json(source)
    try:
        return _network(_parsed(content), order)
    except (ValueError, TypeError) as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{source}: {text}; save the network again") from None


def _parsed(content: Any, place: str = "") -> Any:
    """The file's dictionaries with the JSON in their texts read."""
    if isinstance(content, dict):
        return {key: _parsed(value, f"{place}{key}.") for key, value in content.items()}
    if content is None:
        return None
    if not isinstance(content, str):
        raise ValueError(f"{place[:-1] or 'the file'} must be JSON in a text; got {content!r}")
    return parse_json(content, place[:-1] or "it")


def _network(modules: Any, order: Sequence[str] | None) -> Sequential:
    if not isinstance(modules, dict) or not modules:
        raise ValueError("it holds no modules")
    if _is_module(modules):
        return Sequential(_Reader(False).layer("module", modules))
    if set(modules) == {"seq"}:
        modules = modules["seq"]
    return _Reader("out_neurons" in modules).chain(Sequential, modules, order)


def _is_module(content: Any) -> bool:
    return isinstance(content, dict) and not any(isinstance(v, dict) for v in content.values())


class _Reader:
    """Makes layers one after another, and knows how wide the last one was."""

    def __init__(self, synnet: bool):
        self.width: int | None = None
        self.synnet = synnet

    def chain(self, make: Callable[..., Any], modules: Fields, order: Any = None) -> Any:
        names = _ordered(list(modules), order)
        return make(*((name, self.layer(name, modules[name])) for name in names))

    def layer(self, name: str, fields: Any) -> Any:
        if not isinstance(fields, dict):
            raise ValueError(f"{name!r} must be a module; got {fields!r}")
        if fields and not _is_module(fields):
            return self.chain(Residual if "Residual" in name else Sequential, fields)
        try:
            return self._module(name, fields)
        except KeyError as error:
            raise ValueError(f"module {name!r} has no {error}") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"module {name!r}: {error}") from None

    def _module(self, name: str, fields: Fields) -> Any:
        if "weight" in fields:
            return self._linear(fields)
        if "threshold" in fields and any(key in fields for key in ("tau_syn", "beta", "dash_syn")):
            return self._lif(name, fields)
        if "threshold" in fields and "tau_mem" in fields:
            return self._membrane(fields)
        if "tau" in fields and "dt" in fields:
            return self._synapse(fields)
        if "p" in fields and "Unit" in name:
            warnings.warn(
                f"module {name!r} is left out, as it does nothing but in training; to train on, "
                f"plan `quant.Dropout({fields['p']}, shared=0)` for the layer before it",
                stacklevel=7,
            )
            return eqx.nn.Identity()
        if "p" in fields:
            return TimeStepDropout(float(fields["p"]))
        known = "LinearTorch, LIFTorch, LIFExodus, LIFNeuronTorch, ExpSynTorch, TimeStepDropout"
        raise ValueError(f"it is none of {known}: it has {', '.join(sorted(fields)) or 'nothing'}")

    def _linear(self, fields: Fields) -> eqx.nn.Linear:
        weight = _array(fields["weight"]).T
        bias = fields.get("bias")
        self.width = len(weight)
        layer = eqx.filter_eval_shape(
            eqx.nn.Linear,
            weight.shape[1],
            len(weight),
            use_bias=bias is not None,
            key=jax.random.key(0),
        )
        layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(weight))
        if bias is None:
            return layer
        biases = jnp.broadcast_to(jnp.asarray(_array(bias)), (len(weight),))
        return eqx.tree_at(lambda m: m.bias, layer, biases)

    def _lif(self, name: str, fields: Fields) -> LIF:
        w_rec = _array(fields["w_rec"])
        self.width, inputs = w_rec.shape
        threshold = _array(fields["threshold"])
        shown = name == "out_neurons" and (threshold == _NEVER).all()
        leak = _leak(fields, self.width, inputs // self.width)
        layer = LIF(
            self.width,
            synapses=inputs // self.width,
            threshold=threshold.reshape(-1) if threshold.size > 1 else threshold.reshape(()),
            bias=_of_neurons(fields["bias"]),
            w_rec=w_rec if fields["_has_rec"] else None,
            surrogate=self._surrogate(fields),
            max_spikes=int(fields["max_spikes_per_dt"]),
            noise_std=float(fields["noise_std"]),
            dt=float(fields["dt"]),
            output="vmem" if shown else "spikes",
        )
        return eqx.tree_at(lambda m: m.leak, layer, leak)

    def _membrane(self, fields: Fields) -> NIRNeuron:
        dt, tau = float(fields["dt"]), _of_neurons(fields["tau_mem"])
        if float(fields["noise_std"]) != 0:
            raise ValueError("`noise_std` must be 0 without a synapse")
        self.width = int(fields["n_neurons"])
        return NIRNeuron(
            (self.width,),
            dt=dt,
            tau_mem=tau,
            # In 64 bits, so that it comes back from a file that is written again.
            v_leak=_of_neurons(fields["bias"], float) / -np.expm1(-dt / tau.astype(float)),
            threshold=_of_neurons(fields["threshold"]),
            membrane="sum",
            strict=False,
            reset="subtract",
            max_spikes=int(fields["max_spikes_per_dt"]),
            surrogate=self._surrogate(fields),
        )

    def _synapse(self, fields: Fields) -> NIRIntegrator:
        dt, tau = float(fields["dt"]), _of_neurons(fields["tau"])
        width = tau.size if tau.ndim else self.width
        if width is None:
            raise ValueError("its number of synapses is not in the file")
        if float(fields["noise_std"]) != 0:
            raise ValueError("`noise_std` must be 0 without neurons")
        self.width = width
        # isyn <- exp(-dt/tau)*(isyn + x)
        decay = np.exp(-dt / tau)
        return NIRIntegrator((width,), dt=dt, tau_mem=tau, r=decay, membrane="sum")

    def _surrogate(self, fields: Fields) -> Surrogate:
        if self.synnet:
            return PeriodicExponential()
        return PiecewiseLinear(window=float(np.ravel(fields["learning_window"])[0]))


LEAKS_OF_FILES = {
    "taus": ("tau_mem", "tau_syn"),
    "decays": ("alpha", "beta"),
    "bitshifts": ("dash_mem", "dash_syn"),
}
"""Rockpool's names of the parameters of a leak, by its and our names of the kinds."""


def _leak(fields: Fields, neurons: int, synapses: int) -> Leak:
    """The leak of a layer, with exactly the file's parameters."""
    kind = fields.get("leak_mode", "taus")
    if kind not in LEAKS_OF_FILES:
        raise ValueError(f"`leak_mode` must be one of {', '.join(LEAKS_OF_FILES)}; got {kind!r}")
    mem, syn = (_array(fields[name]) for name in LEAKS_OF_FILES[kind])
    mem = np.broadcast_to(mem.reshape(-1) if mem.size > 1 else mem, (neurons,))
    syn = syn.reshape(neurons, -1) if syn.size > 1 else syn
    syn = np.broadcast_to(syn, (neurons, synapses))
    return LEAKS[kind](jnp.asarray(mem, float), jnp.asarray(syn, float))


def _array(value: Any, dtype: Any = np.float32) -> np.ndarray:
    array = np.asarray(value, dtype)
    if not np.isfinite(array).all():
        raise ValueError("it holds numbers that are not finite")
    return array


def _of_neurons(value: Any, dtype: Any = np.float32) -> np.ndarray:
    array = _array(value, dtype)
    return array.reshape(()) if array.size == 1 else array.reshape(-1)


def _ordered(names: list[str], order: Sequence[str] | None) -> list[str]:
    if order is not None:
        if sorted(order) != sorted(names):
            raise ValueError(f"`order` must name {', '.join(sorted(names))}; got {list(order)}")
        return list(order)

    def place(name: str) -> tuple[float, int]:
        found = _NUMBERED.fullmatch(name)
        if found is None:
            raise ValueError(f"the place of {name!r} is not in the file; give all names as `order`")
        number, kind = found.groups()
        return float("inf") if number == "out" else int(number), _RANK.get(kind, 0)

    return sorted(names, key=place)
