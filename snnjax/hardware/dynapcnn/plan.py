"""Training that sees the integers of the chip."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ... import transforms
from ..._typing import FloatArray, Key, PyTree
from ...nn import Network, statistics
from ...quant import Transform
from ._chips import SPECK_2F, Chip, get_chip
from ._discretize import Discretized, discretize_core
from ._graph import Node, layer_at, read
from ._neurons import level_of, with_levels
from ._sensor import Sensor
from .map import map_network
from .spec import Shape


class Plan(Transform):
    """Puts the numbers that the chip will hold in place of a model's parameters.

    Made by `plan`; `transforms.apply` and `transforms.burn_in` take it like any other plan. It
    transforms a model as a whole, because all parameters of a core share one scale.

    A core with the scale s computes in integers n = round(x*s). The model gets n*2^-k, with k =
    round(log2 s), which is close to what was there, and exact: all sums that neurons see are whole
    multiples of 2^-k and, below 2^24 of them, free of rounding. So the model's spikes are those of
    `simulate`, spike for spike, but where a potential there saturates at 2^15 - 1. The gradient
    passes straight through rounding and clipping, and does not reach the scale.

    Attributes:
        chip: the chip, whose bits count.
        input_shape: (channels, height, width) of a time step.
        state: running statistics of batch norms, which are folded; they do not change.
        percentile: see `discretize_core`.
        before: another plan, applied first; None for none.
    """

    of_models: ClassVar[bool] = True

    chip: Chip = eqx.field(static=True)
    input_shape: Shape = eqx.field(static=True)
    state: PyTree = None
    percentile: float = eqx.field(static=True, default=100.0)
    before: PyTree = None

    def __call__(
        self, x: Any, *, key: Key | None = None, threshold: FloatArray | None = None
    ) -> Any:
        """The model with transformed parameters.

        Args:
            x: the model that the plan was made for.
            key: for random transforms of `before`.
            threshold: not used.
        """
        model = x if self.before is None else transforms.apply(self.before, x, key=key)
        for node in read(model, self.input_shape, self.state):
            model = self._transformed(model, node)
        return model

    def _transformed(self, model: Any, node: Node) -> Any:
        product, neurons = node.product, node.neurons
        lowest = None if neurons.min_vmem is None else level_of(neurons.min_vmem)
        found = discretize_core(
            product.weight if node.factor == 1 else product.weight * node.factor,
            product.bias,
            level_of(neurons.threshold),
            lowest,
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
        if norm is not None:
            replaced[norm] = eqx.nn.Identity()
        places = list(replaced)
        return eqx.tree_at(
            lambda m: [layer_at(m, place) for place in places], model, list(replaced.values())
        )


def plan(
    model: Network,
    chip: Chip | str = SPECK_2F,
    *,
    input_shape: Shape | None = None,
    sensor: Sensor | None = None,
    state: PyTree = None,
    percentile: float = 100.0,
    before: PyTree = None,
) -> Plan:
    """A plan under which training sees the integers of the chip, with the scales of the export.

        plan = dynapcnn.plan(model, "speck2f", input_shape=(1, 28, 28))
        loss = lambda m: task_loss(transforms.apply(plan, m), batch)
        spec = dynapcnn.quantize(dynapcnn.map_network(model, "speck2f", input_shape=(1, 28, 28)))

    Args:
        model: what `map_network` takes.
        chip: a chip or its short name.
        input_shape: (channels, height, width) of a time step. Not needed with a `sensor`.
        sensor: the layer of the event sensor, if it feeds the network.
        state: that of the network, for the running statistics of batch norms.
        percentile: see `discretize_core`; give the same to `quantize`.
        before: a plan from `transforms.plan` to apply first. `transforms.merge` cannot join the
            two.

    Raises:
        TypeError, ValueError: as `map_network` does: what does not fit the chip is refused here,
            before any time is spent on it.
    """
    if isinstance(before, Plan):
        raise ValueError("`before` must be a plan from `transforms.plan`; got one for a chip")
    running = statistics(state)
    spec = map_network(model, chip, input_shape=input_shape, sensor=sensor, state=running)
    return Plan(get_chip(chip), spec.fed_shape, running, percentile, before)


def _unit(scale: Array) -> Array:
    """2^-k, with 2^k the power of two that is nearest to the scale on a logarithmic axis."""
    k = jnp.round(jnp.log2(scale)).astype(jnp.int32)
    return jax.lax.stop_gradient(jnp.ldexp(jnp.ones_like(scale), -k))


def _with_product(layer: Any, node: Node, found: Discretized, unit: Array) -> Any:
    """The layer with the weights and biases of its core, without the factor of the pool before."""
    weight = node.product.given(found.weight) * (unit / node.factor)
    weight = weight.reshape(layer.weight.shape)
    if found.bias is None:
        return eqx.tree_at(lambda m: m.weight, layer, weight)
    if layer.bias is None:
        layer = _biased(layer)
    bias = (found.bias * unit).reshape(layer.bias.shape)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, bias))


def _biased(layer: Any) -> Any:
    """A layer of the same kind that has a bias, for that of the batch norm folded into it."""
    key = jax.random.key(0)
    if isinstance(layer, eqx.nn.Linear):
        return eqx.nn.Linear(layer.in_features, layer.out_features, key=key)
    return eqx.nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        key=key,
    )
