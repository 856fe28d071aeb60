"""The neurons of snnTorch, sinabs, SpikingJelly and Norse."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...nn import IAF, LI, PLIF
from .._layers import Shift
from .._neuron import NIRIntegrator, NIRNeuron
from .._snntorch import snntorch_neuron
from ._context import Build, Context, number, per_neuron, require

# ----- snnTorch


def _snntorch(m: Any, at: Context) -> Any:
    require(not getattr(m, "inhibition", False), "`inhibition` must be off")
    require(not m.state_quant, "`state_quant` must be off: use `transforms.plan` instead")
    scale = number(m.graded_spikes_factor)
    require(bool((scale == 1).all()), f"`graded_spikes_factor` must be 1; got {scale}")
    settings: dict[str, Any] = {}
    before = []
    if type(m).__name__.startswith("R"):
        settings["w_rec"], bias = _recurrent(m.recurrent, at.shape)
        before = [] if bias is None else [Shift(jnp.asarray(bias, float))]
    if type(m).__name__.endswith("Synaptic"):
        settings["alpha_syn"] = _clipped(m.alpha, at)
        runs = m.reset_delay or "w_rec" not in settings
        require(runs, "`reset_delay` must be on: snnTorch's RSynaptic does not run without")
    layer = snntorch_neuron(
        at.shape,
        _clipped(m.beta, at),
        threshold=per_neuron(m.threshold, at.shape),
        reset=m.reset_mechanism,
        reset_delay=m.reset_delay,
        surrogate=at.strict,
        **settings,
    )
    return [*before, layer]


def _clipped(decay: Any, at: Context) -> np.ndarray:
    """A decay as snnTorch uses it."""
    value = np.clip(per_neuron(decay, at.shape), 0, 1)
    require(bool((value > 0).all()), "decays must be above 0")
    return value


def _recurrent(m: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """The recurrent weights, source first or of a convolution, and their biases."""
    if hasattr(m, "V"):
        values = per_neuron(m.V, shape)
        require(len(shape) == 1, "one recurrent weight for each needs neurons in a row")
        return np.diag(np.broadcast_to(values, shape)), None
    weight = number(m.weight)
    bias = None if m.bias is None else number(m.bias)
    if weight.ndim == 2:
        return weight.T, bias
    return weight, None if bias is None else bias.reshape(-1, *(1,) * (len(shape) - 1))


SNNTORCH: Mapping[str, Build] = dict.fromkeys(
    ("Leaky", "RLeaky", "Synaptic", "RSynaptic"), _snntorch
)

# ----- sinabs


def _spiking(m: Any, at: Context) -> dict[str, Any]:
    """The threshold, the cap on spikes, the reset and the lower bound."""
    threshold = per_neuron(m.spike_threshold, at.shape)
    kind = getattr(m.spike_fn, "__name__", type(m.spike_fn).__name__)
    caps = {"MultiSpike": None, "SingleSpike": 1}
    if kind == "MaxSpike":
        cap = m.spike_fn.max_num_spikes_per_bin
    else:
        require(
            kind in caps, f"`spike_fn` must be one of MultiSpike, SingleSpike, MaxSpike: {kind}"
        )
        cap = caps[kind]
    reset: dict[str, Any] = {"reset": "subtract"}
    match type(m.reset_fn).__name__:
        case "MembraneSubtract":
            same = m.reset_fn.subtract_value is None
            require(same, "`subtract_value` must be None: the threshold")
        case "MembraneReset":
            to = m.reset_fn.reset_value
            require(to == 0, f"`reset_value` must be 0, as sinabs adds it in every step; got {to}")
            reset = {"reset": "zero"}
        case other:
            raise ValueError(f"`reset_fn` must be MembraneSubtract or MembraneReset; got {other}")
    bound = None if m.min_v_mem is None else per_neuron(m.min_v_mem, at.shape)
    found = {"threshold": threshold, "max_spikes": cap, "min_vmem": bound}
    return {**found, **reset, "surrogate": at.surrogate}


def _sinabs_taus(m: Any, at: Context) -> dict[str, Any]:
    """sinabs counts time constants in steps."""
    tau_syn = None if m.tau_syn is None else per_neuron(m.tau_syn, at.shape) * at.dt
    return {"tau_mem": per_neuron(m.tau_mem, at.shape) * at.dt, "tau_syn": tau_syn, "dt": at.dt}


def _sinabs_lif(m: Any, at: Context) -> NIRNeuron:
    return NIRNeuron(
        at.shape,
        membrane="exact" if m.norm_input else "sum",
        synapse="decayed",
        strict=False,
        **_sinabs_taus(m, at),
        **_spiking(m, at),
    )


def _expleak(m: Any, at: Context) -> LI:
    bound = None if m.min_v_mem is None else per_neuron(m.min_v_mem, at.shape)
    taus = _sinabs_taus(m, at)
    return LI(at.shape, norm_input=bool(m.norm_input), min_vmem=bound, **taus)


SINABS: Mapping[str, Build] = {
    **dict.fromkeys(("IAF", "IAFSqueeze"), lambda m, at: IAF(at.shape, **_spiking(m, at))),
    **dict.fromkeys(("LIF", "LIFSqueeze"), _sinabs_lif),
    **dict.fromkeys(("ExpLeak", "ExpLeakSqueeze"), _expleak),
}

# ----- SpikingJelly


def _jelly_reset(m: Any) -> dict[str, Any]:
    if m.v_reset is None:
        return {"reset": "subtract"}
    return {"reset": "zero", "v_reset": float(m.v_reset)}


def _if_node(m: Any, at: Context) -> NIRNeuron:
    return _jelly(m, at, r=1.0)


def _lif_node(m: Any, at: Context) -> NIRNeuron:
    tau = float(m.tau)
    leak = 0.0 if m.v_reset is None else float(m.v_reset)
    return _jelly(m, at, tau_mem=tau, r=1.0 if m.decay_input else tau, v_leak=leak)


def _jelly(m: Any, at: Context, **rates: Any) -> NIRNeuron:
    """A neuron in steps: dt is 1."""
    settings: dict[str, Any] = {"threshold": float(m.v_threshold), "strict": False}
    settings |= {"surrogate": at.surrogate, "detach_reset": bool(m.detach_reset)}
    settings["start"] = "v_reset"
    return NIRNeuron(at.shape, dt=1.0, **rates, **settings, **_jelly_reset(m))


def _plif_node(m: Any, at: Context) -> PLIF:
    require(m.v_reset in (None, 0), f"`v_reset` must be 0 or None; got {m.v_reset}")
    reset: Any = "subtract" if m.v_reset is None else "zero"
    layer = PLIF(
        at.shape,
        threshold=float(m.v_threshold),
        decay_input=bool(m.decay_input),
        reset=reset,
        surrogate=at.surrogate,
        detach_reset=bool(m.detach_reset),
    )
    return eqx.tree_at(lambda n: n.w, layer, jnp.asarray(number(m.w), float))


SPIKINGJELLY: Mapping[str, Build] = {
    "IFNode": _if_node,
    "LIFNode": _lif_node,
    "ParametricLIFNode": _plif_node,
}

# ----- Norse


def _norse(m: Any, at: Context) -> NIRNeuron:
    p, dt = m.p, float(m.dt)
    method = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
    require(method in ("reset_value", "reset_subtract"), f"`reset_method` is {method}")
    settings: dict[str, Any] = {"start": "v_leak", "surrogate": at.surrogate}
    if method == "reset_subtract":
        settings["reset"] = "subtract"
    else:
        settings["v_reset"] = per_neuron(p.v_reset, at.shape)
    if hasattr(p, "tau_mem_inv"):
        settings["tau_mem"] = 1 / per_neuron(p.tau_mem_inv, at.shape)
        settings["v_leak"] = per_neuron(p.v_leak, at.shape)
    else:
        settings |= {"r": 1 / dt, "start": "zero"}
    settings |= _norse_synapse(p, dt, at)
    return NIRNeuron(at.shape, dt=dt, threshold=per_neuron(p.v_th, at.shape), **settings)


def _norse_synapse(p: Any, dt: float, at: Context) -> dict[str, Any]:
    """The synapse, whose current an input raises by itself, if there is one."""
    if not hasattr(p, "tau_syn_inv"):
        return {}
    tau_syn = 1 / per_neuron(p.tau_syn_inv, at.shape)
    return {"tau_syn": tau_syn, "w_in": tau_syn / dt}


def _norse_li(m: Any, at: Context) -> NIRIntegrator:
    p, dt = m.p, float(m.dt)
    tau, leak = 1 / per_neuron(p.tau_mem_inv, at.shape), per_neuron(p.v_leak, at.shape)
    settings: dict[str, Any] = {"tau_mem": tau, "v_leak": leak, "start": "v_leak"}
    return NIRIntegrator(at.shape, dt=dt, **settings, **_norse_synapse(p, dt, at))


NORSE: Mapping[str, Build] = {
    **dict.fromkeys(("LIFCell", "LIFBoxCell", "IAFCell"), _norse),
    **dict.fromkeys(("LICell", "LIBoxCell"), _norse_li),
}
