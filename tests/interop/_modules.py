"""Networks of other tools, made with them: for golden vectors, and where a tool is installed."""

import importlib.util

import numpy as np

STEPS = 50


def installed(*packages):
    return all(importlib.util.find_spec(name) is not None for name in packages)


def weigh(net, scale=1.0):
    """Give every weight a number that is the same on every machine."""
    import torch

    rng = np.random.default_rng(0)
    for name, value in net.named_parameters():
        if name.endswith(("weight", "bias")):
            fan = int(np.prod(value.shape[1:])) if value.ndim > 1 else 4
            drawn = scale * rng.uniform(-1, 1, tuple(value.shape)) * (2 / fan) ** 0.5
            value.data = torch.tensor(drawn, dtype=torch.float32)
    return net


def inputs(name):
    """Event counts, `(time, ...)`, with channels first."""
    shape = (2, 8, 8) if "conv" in name else (6,)
    return np.random.default_rng(1).poisson(0.6, (STEPS, *shape)).astype(np.float32)


# ----- snnTorch


def snntorch_leaky():
    import snntorch
    import torch

    beta = torch.linspace(0.6, 0.95, 10)
    first = snntorch.Leaky(beta=beta, learn_beta=True, threshold=0.8, learn_threshold=True)
    last = snntorch.Leaky(beta=0.8, reset_mechanism="zero")
    return weigh(
        torch.nn.Sequential(torch.nn.Linear(6, 10), first, torch.nn.Linear(10, 4), last), 2
    )


def snntorch_recurrent():
    import snntorch
    import torch

    first = snntorch.RLeaky(beta=0.7, linear_features=8, all_to_all=True, threshold=0.6)
    first.recurrent.bias = None
    last = snntorch.Synaptic(alpha=0.6, beta=0.8)
    nets = torch.nn.Sequential(
        torch.nn.Linear(6, 8), first, torch.nn.Linear(8, 4, bias=False), last
    )
    return weigh(nets, 1.5)


def snntorch_conv():
    import snntorch
    import torch

    return weigh(
        torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
            snntorch.Leaky(beta=0.9, threshold=1.5),
            torch.nn.AvgPool2d(2),
            torch.nn.Conv2d(4, 3, 3, stride=2, padding=1),
            snntorch.Leaky(beta=0.5, threshold=0.3),
            torch.nn.Flatten(),
            torch.nn.Linear(12, 4),
            snntorch.Leaky(beta=0.9, reset_mechanism="none"),
        )
    )


def snntorch_at_once():
    """Without a delay of the reset; membranes reach several thresholds."""
    import snntorch
    import torch

    settings = {"reset_delay": False, "threshold": 0.5}
    neurons = (
        snntorch.Synaptic(alpha=0.75, beta=0.875, **settings),
        snntorch.RLeaky(beta=0.9, V=0.3, all_to_all=False, **settings),
        snntorch.Leaky(beta=0.9, **settings),
        snntorch.Synaptic(alpha=0.5, beta=0.8, **settings),
    )
    layers = [m for n in neurons for m in (torch.nn.Linear(6, 6, bias=False), n)]
    return weigh(torch.nn.Sequential(*layers), 3)


def run_snntorch(net, x):
    import torch

    states: dict = {}
    out = []
    for x_t in torch.from_numpy(x)[:, None]:
        for i, module in enumerate(net):
            kind = type(module).__name__
            if kind == "RLeaky":
                states.setdefault(i, module.init_rleaky())
                states[i] = module(x_t, *states[i])
                x_t = states[i][0]
            elif kind == "Synaptic":
                states.setdefault(i, module.init_synaptic())
                x_t, *states[i] = module(x_t, *states[i])
            elif kind == "Leaky":
                states.setdefault(i, module.init_leaky())
                x_t, states[i] = module(x_t, states[i])
            else:
                x_t = module(x_t)
        out.append(x_t)
    return torch.cat(out)


# ----- sinabs


def sinabs_from_model_conv():
    import torch
    from sinabs.from_torch import from_model

    ann = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(4, 6, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(24, 5),
        torch.nn.ReLU(),
    )
    return from_model(weigh(ann, 2), input_shape=(2, 8, 8), batch_size=1, add_spiking_output=False)


def sinabs_iaf():
    import sinabs.layers as sl
    import torch

    return weigh(
        torch.nn.Sequential(
            torch.nn.Linear(6, 10),
            sl.IAF(spike_threshold=torch.tensor(0.7), min_v_mem=-0.5),
            torch.nn.Linear(10, 4, bias=False),
            sl.ExpLeak(tau_mem=7.0, norm_input=False),
        )
    )


def sinabs_lif():
    import sinabs.layers as sl
    import torch

    return weigh(
        torch.nn.Sequential(
            torch.nn.Linear(6, 10),
            sl.LIF(tau_mem=10.0, tau_syn=5.0, spike_threshold=torch.tensor(0.4)),
            torch.nn.Linear(10, 4),
            sl.LIF(tau_mem=6.0, norm_input=False, min_v_mem=-1.0),
        ),
        2,
    )


def run_sinabs(net, x):
    import torch

    model = getattr(net, "spiking_model", net)
    if model is not net:
        net.reset_states()
    data = torch.from_numpy(x)
    squeezed = any(type(m).__name__.endswith("Squeeze") for m in model.modules())
    y = model(data if squeezed else data[None])
    return y if squeezed else y[0]


# ----- SpikingJelly


def spikingjelly_lif():
    import torch
    from spikingjelly.activation_based import neuron

    return weigh(
        torch.nn.Sequential(
            torch.nn.Linear(6, 10),
            neuron.LIFNode(tau=2.5, decay_input=False, v_reset=None),
            torch.nn.Linear(10, 4, bias=False),
            neuron.LIFNode(tau=3.0, v_threshold=0.3, v_reset=-0.1),
        ),
        2,
    )


def spikingjelly_plif():
    import torch
    from spikingjelly.activation_based import layer, neuron

    return weigh(
        torch.nn.Sequential(
            layer.Linear(6, 10),
            neuron.ParametricLIFNode(init_tau=3.0, decay_input=False),
            layer.Linear(10, 4),
            neuron.IFNode(v_threshold=0.8, v_reset=None),
        ),
        2,
    )


def spikingjelly_conv():
    import torch
    from spikingjelly.activation_based import layer, neuron

    return weigh(
        torch.nn.Sequential(
            layer.Conv2d(2, 4, 3, padding=1, bias=False),
            neuron.IFNode(v_threshold=1.5),
            layer.AvgPool2d(2),
            layer.Flatten(),
            layer.Linear(64, 4),
            neuron.LIFNode(tau=2.0, v_threshold=0.2),
        )
    )


def run_spikingjelly(net, x):
    import torch
    from spikingjelly.activation_based import functional

    functional.reset_net(net)
    return torch.cat([net(x_t) for x_t in torch.from_numpy(x)[:, None]])


# ----- Norse


def norse_lif():
    import norse.torch as norse
    import torch

    parameters = norse.LIFParameters(
        tau_mem_inv=torch.linspace(60, 200, 10), v_th=torch.tensor(0.4), v_reset=torch.tensor(-0.1)
    )
    last = norse.LIFParameters(v_th=torch.tensor(0.3), v_leak=torch.tensor(0.05))
    return weigh(
        norse.SequentialState(
            torch.nn.Linear(6, 10),
            norse.LIFCell(parameters),
            torch.nn.Linear(10, 4, bias=False),
            norse.LIFCell(last),
        ),
        3,
    )


def norse_box():
    import norse.torch as norse
    import torch

    first = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(150.0), v_th=torch.tensor(0.3))
    return weigh(
        norse.SequentialState(
            torch.nn.Linear(6, 10),
            norse.LIFBoxCell(first),
            torch.nn.Linear(10, 4),
            norse.LIBoxCell(),
        ),
        4,
    )


def norse_iaf_conv():
    import norse.torch as norse
    import torch

    return weigh(
        norse.SequentialState(
            torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
            norse.IAFCell(),
            torch.nn.AvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(64, 4),
            norse.IAFCell(),
        )
    )


def run_norse(net, x):
    import torch

    state, out = None, []
    for x_t in torch.from_numpy(x)[:, None]:
        y, state = net(x_t, state)
        out.append(y)
    return torch.cat(out)


# ----- Spyx


def _spyx(*layers):
    import jax.numpy as jnp
    import spyx.nn
    from flax import nnx

    rng = np.random.default_rng(0)
    for m in layers:
        for name, spread in {"kernel": 2.0, "bias": 0.5, "recurrent_w": 0.3}.items():
            value = getattr(m, name, None)
            if value is not None:
                fan = int(np.prod(value.shape[:-1]))
                drawn = spread * rng.uniform(-1, 1, value.shape) * (2 / fan) ** 0.5
                value[...] = jnp.asarray(drawn, jnp.float32)
        for name in ("beta", "alpha"):
            value = getattr(m, name, None)
            if isinstance(value, nnx.Param):
                value[...] = jnp.asarray(rng.uniform(0.5, 0.95, value.shape), jnp.float32)
    return spyx.nn.Sequential(*layers)


def _rngs():
    from flax import nnx

    return nnx.Rngs(0)


def spyx_lif():
    import spyx.nn as sn
    from flax import nnx

    first = nnx.Linear(6, 10, rngs=_rngs()), sn.LIF((10,), threshold=0.7, rngs=_rngs())
    last = nnx.Linear(10, 4, use_bias=False, rngs=_rngs()), sn.CuBaLIF((4,), rngs=_rngs())
    return _spyx(*first, *last)


def spyx_recurrent():
    import spyx.nn as sn
    from flax import nnx

    first = nnx.Linear(6, 8, rngs=_rngs()), sn.RLIF((8,), threshold=0.7, rngs=_rngs())
    last = nnx.Linear(8, 4, rngs=_rngs()), sn.IF((4,), rngs=_rngs())
    return _spyx(*first, *last)


def spyx_conv():
    import spyx.nn as sn
    from flax import nnx

    return _spyx(
        nnx.Conv(2, 4, (3, 3), rngs=_rngs()),
        sn.LIF((8, 8, 4), rngs=_rngs()),
        sn.SumPool((2, 2), (2, 2), "VALID", channel_axis=-1),
        sn.Flatten(),
        nnx.Linear(64, 4, rngs=_rngs()),
        sn.IF((4,), rngs=_rngs()),
    )


def run_spyx(net, x):
    import jax.numpy as jnp

    last = jnp.moveaxis(x, 1, -1) if x.ndim == 4 else jnp.asarray(x)
    state = net.initial_state(1)
    out = []
    for x_t in last[:, None]:
        y, state = net(x_t, state)
        out.append(y)
    return jnp.concatenate(out)


# ----- jaxpike


def _jaxpike(*layers):
    import equinox as eqx
    import jax.numpy as jnp
    import jaxpike

    rng = np.random.default_rng(0)
    made = []
    for m in layers:
        for name, spread in {"weight": 3.0, "bias": 0.5}.items():
            value = getattr(m, name, None)
            if value is not None:
                fan = int(np.prod(value.shape[1:])) if value.ndim == 2 else 18
                drawn = spread * rng.uniform(-1, 1, value.shape) * (2 / fan) ** 0.5
                m = eqx.tree_at(
                    lambda n, name=name: getattr(n, name), m, jnp.asarray(drawn, jnp.float32)
                )
        made.append(m)
    return jaxpike.Sequential(*made)


def _key():
    import jax

    return jax.random.key(0)


def jaxpike_lif():
    import jaxpike as jp

    first = jp.Dense(6, 10, key=_key()), jp.LIF(tau=np.linspace(3, 9, 10), threshold=0.4)
    return _jaxpike(*first, jp.Dense(10, 4, key=_key()), jp.LIF(tau=5.0, reset="zero"))


def jaxpike_readout():
    import jaxpike as jp

    first = jp.Dense(6, 10, key=_key()), jp.LinearLIF(tau=4.0, threshold=0.5)
    return _jaxpike(*first, jp.Dense(10, 4, key=_key()), jp.LeakyIntegrator(tau=7.0))


def jaxpike_conv():
    import jaxpike as jp

    return _jaxpike(
        jp.Conv2d(2, 4, 3, key=_key()),
        jp.LIF(tau=3.0, threshold=0.3),
        jp.Pool2d(2, mode="avg"),
        jp.Flatten(),
        jp.Dense(64, 4, key=_key()),
        jp.LIF(tau=4.0, threshold=0.1),
    )


def run_jaxpike(net, x):
    import jax.numpy as jnp
    import jaxpike

    last = jnp.moveaxis(x, 1, -1) if x.ndim == 4 else jnp.asarray(x)
    return jaxpike.unroll(net, last[:, None])[0][:, 0]


# ----- all


def torch_state(net):
    model = getattr(net, "spiking_model", net)
    return {name: value.numpy() for name, value in model.state_dict().items()}


def spyx_state(net):
    """The arrays of a network of Spyx, by the place and the name."""
    found = {}
    for i, m in enumerate(net.layers):
        for name in ("kernel", "bias", "alpha", "beta", "recurrent_w"):
            value = getattr(m, name, None)
            if value is not None:
                found[f"{i}.{name}"] = np.asarray(value[...])
    return found


def jaxpike_state(net):
    import equinox as eqx
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(net, eqx.is_array))
    return {jax.tree_util.keystr(path): np.asarray(value) for path, value in leaves}


TOOLS = {
    "snntorch": (["torch", "snntorch"], run_snntorch, torch_state),
    "sinabs": (["torch", "sinabs"], run_sinabs, torch_state),
    "spikingjelly": (["torch", "spikingjelly"], run_spikingjelly, torch_state),
    "norse": (["torch", "norse"], run_norse, torch_state),
    "spyx": (["spyx", "flax"], run_spyx, spyx_state),
    "jaxpike": (["jaxpike"], run_jaxpike, jaxpike_state),
}
NETWORKS = {
    name: build
    for name, build in dict(globals()).items()
    if name.partition("_")[0] in TOOLS and "_" in name and not name.endswith("_state")
}


def outputs(name, net):
    """What the tool gives for the inputs."""
    y = TOOLS[name.partition("_")[0]][1](net, inputs(name))
    y = y.detach().numpy() if hasattr(y, "detach") else np.asarray(y)
    return y.reshape(STEPS, -1).astype(np.float32)
