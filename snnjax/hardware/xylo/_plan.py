"""Training that sees the integers of the chip."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax

from ... import decay
from ..._checks import explained
from ..._typing import PyTree
from ...nn import LIF, Bitshifts, Chain, Decays, Taus
from ...passthrough import straight_through
from .. import _plan
from ._chips import Chip, get_chip
from ._integers import Bits, Group, Method, PerNeuron, Settings, rounded, scales, settings
from ._map_network import map_network
from ._nodes import Node, layer_at, read, readout_group


class Plan(_plan.Plan):
    """Puts the integers of a chip, divided by their scales, in place of a model's parameters.

    A neuron with the scale s computes in integers n = round(x*s); the model gets n/s. The scales
    are those of `quantize`, from the input, recurrent and synapse weights of a neuron together, so
    that the weights of `transforms.apply(plan, model)` are those of the chip. Decays become those
    of the nearest bit shifts, whichever parameters the leak has.

    States are not rounded, and nothing saturates: for these train through `emulate`.

    Attributes:
        chip: the chip, whose bits count.
        method: how weights are scaled; see `quantize`.
        bits: bits of the weights; see `quantize`. An integer array to sweep over.
        before: another plan, applied first; None for none.
    """

    chip: Chip = eqx.field(static=True)
    method: Method = eqx.field(static=True, default="channel")
    bits: Bits | None = None
    before: PyTree = None

    def rounded(self, model: Any) -> Any:
        """The model with multiples of the chip's integers in place of its parameters."""
        nodes = read(model)
        how = settings(self.chip, self.method, self.bits, traced=True)
        groups = [*(node.group() for node in nodes[:-1]), readout_group(nodes[-1], self.chip)]
        for node, group, scale in zip(
            nodes, groups, scales(groups[:-1], groups[-1], how), strict=True
        ):
            model = _with_integers(model, node, rounded(group, scale, how), scale, how)
        return model


@explained
def plan(
    model: Chain,
    *,
    chip: Chip | str = "audio3",
    method: Method = "channel",
    bits: Bits | None = None,
    before: PyTree = None,
) -> Plan:
    """A plan under which training sees the integers of the chip, with the scales of `quantize`.

        plan = xylo.plan(model, bits=4)
        loss = lambda m: task_loss(transforms.apply(plan, m), batch)
        spec = xylo.quantize(xylo.map_network(model), bits=4)

    Args:
        model: a network that `map_network` takes.
        chip: a chip or its short name.
        method: how weights are scaled; see `quantize`, and give the same there.
        bits: bits of the weights; see `quantize`, and give the same there. An integer array to
            sweep over with `jax.vmap`.
        before: a plan from `transforms.plan` to apply first. `transforms.merge` cannot join the
            two.

    Raises:
        TypeError, ValueError: as `map_network` and `quantize` do: a network that does not fit the
            chip is refused here, before any time is spent on it.
    """
    chip = get_chip(chip)
    settings(chip, method, bits, traced=True)
    map_network(model, chip=chip)
    return Plan(chip=chip, method=method, bits=bits, before=before)


def _with_integers(model: Any, node: Node, whole: Group, scale: PerNeuron, how: Settings) -> Any:
    """The model with the integers of one node, divided by their scales."""
    product, neurons = (layer_at(model, place) for place in node.places)
    weight = whole.weight * (how.unit / scale)[:, None]
    ends = np.cumsum([len(feed) for feed in node.feeds.values()])[:-1].tolist()
    feeds = dict(zip(node.feeds, jnp.split(weight, ends), strict=True))
    feed, loop = feeds[node.source], list(feeds.values())[-1]
    never = whole.threshold >= how.chip.max_state
    replaced: dict[str, Any] = {
        "leak": _leak(neurons, whole),
        "threshold": jnp.where(never, neurons.threshold, whole.threshold / scale),
    }
    if whole.bias is not None:
        replaced["bias"] = whole.bias / scale
    if node.recurrent:
        replaced["w_rec"] = loop.reshape(neurons.w_rec.shape)
        # On the chip the source's spikes come back through the loop too.
        feed = feed + loop if node.source in node.skips else feed
    changed = eqx.tree_at(
        lambda m: [getattr(m, name) for name in replaced], neurons, list(replaced.values())
    )
    linear = eqx.tree_at(lambda m: m.weight, product, feed.reshape(len(feed), -1).T)
    return eqx.tree_at(
        lambda m: [layer_at(m, place) for place in node.places], model, [linear, changed]
    )


def _leak(neurons: LIF, whole: Group) -> Any:
    """The leak with the decays of whole bit shifts, in its own parameters."""
    write: Any = {
        Taus: lambda dash: decay.dash_to_tau(dash, neurons.dt),
        Decays: decay.dash_to_alpha,
        Bitshifts: lambda dash: dash,
    }[type(neurons.leak)]
    names = list(vars(neurons.leak))
    values = [
        straight_through(getattr(neurons.leak, name), write(lax.stop_gradient(dash)))
        for name, dash in zip(names, (whole.dash_mem, whole.dash_syn), strict=True)
    ]
    return eqx.tree_at(lambda m: [getattr(m, name) for name in names], neurons.leak, values)
