"""One layer of neurons of the other libraries, forward and backward, to be timed beside ours.

Each library has its own way to run a layer over time, which is used as its documentation shows it:
SpikingJelly's multi-step mode and the layers of sinabs and Norse take a sequence, snnTorch's take a
step and are called in a loop. They come with the extra `peers`; what is not installed is left out.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

MODELS = {
    "spikingjelly": lambda steps, n: _spikingjelly(steps),
    "snntorch": lambda steps, n: _snntorch(n),
    "sinabs": lambda steps, n: _sinabs(n),
    "norse": lambda steps, n: _norse(n),
}
"""Library -> the models that it has, for so many steps and neurons.

That is {group: {label: (function of the input, parameter, ...)}}.
"""

_DECAY = math.exp(-1 / 20)


def calls(
    group: str, x: np.ndarray, cotangent: np.ndarray, *, learned: bool
) -> dict[str, Callable[[], Any]]:
    """Forward and backward of every peer's layers of a group, by label.

    Args:
        group: which model.
        x: input, `(time, batch, neurons)`.
        cotangent: gradient of the output.
        learned: take the gradients of the parameters too, not of the input alone.
    """
    found: dict[str, Callable[[], Any]] = {}
    for library, models in MODELS.items():
        try:
            layers = models(len(x), x.shape[-1]).get(group, {})
        except ImportError:
            continue
        for label, (run, *parameters) in layers.items():
            wanted = parameters if learned else []
            found[f"{library}: {label}"] = _both(run, wanted, x, cotangent)
    return found


def missing() -> list[str]:
    """The libraries that are not installed."""
    absent = []
    for library, models in MODELS.items():
        try:
            models(1, 1)
        except ImportError:
            absent.append(library)
    return absent


def _both(
    run: Callable[[Any], Any], parameters: list[Any], x: np.ndarray, cotangent: np.ndarray
) -> Callable[[], Any]:
    import torch

    inputs, g = torch.tensor(x, requires_grad=True), torch.tensor(cotangent)
    return lambda: torch.autograd.grad(run(inputs), [inputs, *parameters], g)


def _spikingjelly(steps: int) -> dict[str, dict[str, Any]]:
    import torch
    from spikingjelly.activation_based import functional, neuron

    def layer(make: Callable[..., Any], **settings: Any) -> tuple[Any, ...]:
        node = make(**settings)
        functional.set_step_mode(node, "m")

        def run(x: Any) -> Any:
            functional.reset_net(node)
            y = node(x)
            return torch.stack(y) if isinstance(y, list) else y

        return run, *node.parameters()

    return {
        "LIF with a synapse": {"CUBALIFNode": layer(neuron.CUBALIFNode)},
        "LIF": {"LIFNode": layer(neuron.LIFNode, tau=20.0, decay_input=False)},
        "LIF, leak learned": {"ParametricLIFNode": layer(neuron.ParametricLIFNode)},
        "IAF": {"IFNode": layer(neuron.IFNode)},
        "leaky integrator": {"NonSpikingLIFNode": layer(neuron.NonSpikingLIFNode)},
        "DSR IF": {"DSRIFNode": layer(neuron.DSRIFNode, T=steps, v_threshold=1.0)},
        "DSR LIF": {"DSRLIFNode": layer(neuron.DSRLIFNode, T=steps)},
    }


def _snntorch(n: int) -> dict[str, dict[str, Any]]:
    import snntorch
    import torch

    def layer(node: Any, *learned: str) -> tuple[Any, ...]:
        def run(x: Any) -> Any:
            rest = node.reset_mem()
            state = rest if isinstance(rest, tuple) else (rest,)
            spikes = []
            for x_t in x:
                s, *state = node(x_t, *state)
                spikes.append(s)
            return torch.stack(spikes)

        return run, *(node.get_parameter(name) for name in learned)

    recurrent = snntorch.RLeaky(beta=_DECAY, linear_features=n)
    return {
        "LIF with a synapse": {"Synaptic": layer(snntorch.Synaptic(alpha=_DECAY, beta=_DECAY))},
        "LIF": {"Leaky": layer(snntorch.Leaky(beta=_DECAY))},
        "LIF, recurrent": {"RLeaky": layer(recurrent, "recurrent.weight")},
        "LIF, leak learned": {"Leaky": layer(snntorch.Leaky(beta=0.5, learn_beta=True), "beta")},
        "IAF": {"Leaky, beta=1": layer(snntorch.Leaky(beta=1.0))},
    }


def _sinabs(n: int) -> dict[str, dict[str, Any]]:
    import torch
    from sinabs import layers

    def layer(node: Any, *learned: str) -> tuple[Any, ...]:
        def run(x: Any) -> Any:
            node.reset_states()
            return node(x.transpose(0, 1)).transpose(0, 1)

        return run, *(node.get_parameter(name) for name in learned)

    recurrent = layers.LIFRecurrent(20.0, torch.nn.Linear(n, n, bias=False))
    return {
        "LIF with a synapse": {"LIF": layer(layers.LIF(20.0, tau_syn=20.0, norm_input=False))},
        "LIF": {"LIF": layer(layers.LIF(20.0, norm_input=False))},
        "LIF, recurrent": {"LIFRecurrent": layer(recurrent, "rec_connect.weight")},
        "LIF, leak learned": {"LIF": layer(layers.LIF(2.0, train_alphas=True), "alpha_mem")},
        "LIF, threshold adapts": {"ALIF": layer(layers.ALIF(20.0, 100.0))},
        "IAF": {"IAF": layer(layers.IAF())},
        "leaky integrator": {"ExpLeak": layer(layers.ExpLeak(20.0))},
    }


def _norse(n: int) -> dict[str, dict[str, Any]]:
    import norse.torch as norse

    def layer(node: Any, *learned: str) -> tuple[Any, ...]:
        return lambda x: node(x)[0], *(node.get_parameter(name) for name in learned)

    recurrent = norse.LIFRecurrent(n, n)
    return {
        "LIF with a synapse": {"LIF": layer(norse.LIF())},
        "LIF": {"LIFBoxCell": layer(norse.Lift(norse.LIFBoxCell()))},
        "LIF, recurrent": {
            "LIFRecurrent, with input weights": layer(recurrent, "recurrent_weights")
        },
        "LIF, threshold adapts": {"LSNN": layer(norse.LSNN())},
        "IAF": {"IAF": layer(norse.IAF())},
        "leaky integrator": {"LI": layer(norse.LI())},
    }
