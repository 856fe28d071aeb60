"""Training on the integers of the chip."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..._checks import explained
from ..._typing import PyTree
from ...networks import with_values
from ...nn import Network, statistics as without_neurons
from .. import _plan
from ._chips import SPECK_2F, Chip
from ._discretize import Discretized, discretize_core
from ._layers import level_of, with_levels
from ._map_network import fed_shape, lay_out
from ._network import read
from ._nodes import Node, layer_at
from ._sensor import Sensor
from ._spec import Shape


class Plan(_plan.Plan):
    """The integers of a chip in place of a model's parameters.

    Made by `plan`. A core with the scale s computes in integers n = round(x*s). The model gets
    n*2^-k, with k = round(log2 s), which is close to x, and exact: all sums that neurons see are
    integer multiples of 2^-k and, below 2^24 of them, free of rounding. So the model's spikes are
    those of `simulate`, except where the chip cuts a potential to 16 bits.

    Attributes:
        chip: the chip, whose bits count.
        input_shape: (channels, height, width) of a time step.
        statistics: running statistics of batch norms, which are folded and held constant.
        percentile: see `discretize_core`.
        before: another plan, applied first; None for none.
    """

    chip: Chip = eqx.field(static=True, default=SPECK_2F)
    input_shape: Shape = eqx.field(static=True, kw_only=True)
    statistics: PyTree = None
    percentile: float = eqx.field(static=True, default=100.0)
    before: PyTree = None

    def rounded(self, model: Any) -> Any:
        """The model with multiples of the chip's integers in place of its parameters."""
        replaced: dict[tuple[int, ...], Any] = {}
        for node in read(model, self.input_shape, self.statistics):
            replaced.update(self._layers_of(model, node))
        places = list(replaced)
        return eqx.tree_at(
            lambda m: [layer_at(m, place) for place in places], model, list(replaced.values())
        )

    def _layers_of(self, model: Any, node: Node) -> dict[tuple[int, ...], Any]:
        """The layers of a node, by their places."""
        product, neurons = node.product, node.neurons
        found = discretize_core(
            node.weight,
            product.bias,
            level_of(neurons.threshold),
            None if neurons.min_vmem is None else level_of(neurons.min_vmem),
            chip=self.chip,
            percentile=self.percentile,
            to_int=False,
        )
        unit = _unit(found.scale)
        at, norm, fire = node.places
        replaced = {
            at: _with_product(layer_at(model, at), node, found, unit),
            fire: with_levels(neurons, found.threshold * unit, found.min_vmem * unit),
        }
        return replaced if norm is None else replaced | {norm: eqx.nn.Identity()}


@explained
def plan(
    model: Network,
    *,
    chip: Chip | str = "speck2f",
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    statistics: PyTree = None,
    percentile: float = 100.0,
    before: PyTree = None,
) -> Plan:
    """A plan for training on the integers of the chip, with the scales of the export.

        plan = dynapcnn.plan(model, input_shape=(1, 28, 28))
        loss = lambda m: task_loss(transforms.apply(plan, m), batch)
        spec = dynapcnn.quantize(dynapcnn.map_network(model, input_shape=(1, 28, 28)))

    Args:
        model: a network that `map_network` takes.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        statistics: state of the network, for the running statistics of batch norms.
        percentile: see `discretize_core`; give the same to `quantize`.
        before: a plan from `transforms.plan` to apply first. `transforms.merge` cannot join the
            two.

    Raises:
        TypeError, ValueError: as `map_network` does. A network that does not fit the chip is
            refused here, before training.
    """
    running = without_neurons(statistics)
    spec, _ = lay_out(model, chip, input_shape, sensor, running)
    return Plan(
        chip=spec.chip,
        input_shape=fed_shape(input_shape, sensor),
        statistics=running,
        percentile=percentile,
        before=before,
    )


def _unit(scale: Array) -> Array:
    """2^-k, with 2^k the power of two that is nearest to the scale on a logarithmic axis."""
    k = jnp.round(jnp.log2(scale)).astype(jnp.int32)
    return jax.lax.stop_gradient(jnp.ldexp(jnp.ones_like(scale), -k))


def _with_product(layer: Any, node: Node, found: Discretized, unit: Array) -> Any:
    """The layer with the weights and biases of its core, without the factor of the pool before."""
    weight = node.product.given(found.weight * (unit / node.factor))
    bias = None if found.bias is None else found.bias * unit
    return with_values(layer, weight.reshape(layer.weight.shape), bias)
