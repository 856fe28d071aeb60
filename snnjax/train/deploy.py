"""From a trained network to the integers of a chip, and what that costs in accuracy."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import transforms
from .._typing import FloatArray, Key, PyTree
from ..hardware import xylo
from ..nn import Chain, Network


class Scores(NamedTuple):
    """How many of `total` sequences each form of one network got right."""

    float_network: int
    transformed: int
    integers: int
    total: int

    def rows(self) -> list[tuple[str, int, float]]:
        """Name, number and share of right answers of each form."""
        names = "float network", "transformed parameters", "integers, bit-exact simulator"
        return [(n, k, k / self.total) for n, k in zip(names, self[:3], strict=True)]


def deploy(
    model: Chain,
    plan: PyTree,
    chip: xylo.Chip | str,
    method: Literal["global", "channel"],
    *,
    key: Key | None = None,
) -> xylo.Spec:
    """Transform the parameters for good, map the network to the chip and make it integers.

    Args:
        model: the trained network.
        plan: the plan that it was trained with. What it does to activations and states stays
            behind: the chip does what it does.
        chip: a chip or its short name.
        method: how weights are scaled; see `xylo.quantize`.
        key: needed if a transform of a parameter is random.

    Raises:
        ValueError: if the network does not fit the chip, listing every limit that it breaks.
    """
    burned = transforms.burn_in(plan, model, key=key)
    spec = xylo.quantize(xylo.map_network(burned, chip), method)
    xylo.require(spec)
    return spec


def score(
    model: Chain,
    plan: PyTree,
    spec: xylo.Spec,
    rasters: Float[Array, "n steps channels"],
    labels: Int[Array, " n"],
    *,
    key: Key | None = None,
) -> Scores:
    """Count the right answers of the network as it is, as it was trained and as Xylo runs it.

    The integers get silent steps at the end, and their readout is counted from as many steps later,
    for the hops that take the chip a step each. For the rest see `score_answers`.
    """
    events, late = padded(model, rasters)
    answers = xylo.simulate(spec, events).spikes_out[:, late:]
    return score_answers(model, plan, answers, rasters, labels, key=key)


def score_answers(
    model: Network,
    plan: PyTree,
    integers: Int[Array, "n steps classes"],
    rasters: Float[Array, "n steps *shape"],
    labels: Int[Array, " n"],
    *,
    key: Key | None = None,
) -> Scores:
    """Count the right answers of the network as it is, as it was trained and as it runs.

    An answer is the readout neuron that spikes most, the first of them on a tie.

    Args:
        model: the network.
        plan: the plan that it was trained with.
        integers: spikes of the simulated chip.
        rasters: what the network and the chip were given.
        labels: the right answers.
        key: needed if a transform of the plan is random.
    """
    transformed = transforms.apply(plan, model, key=key)
    answers = _run(model, rasters, key), _run(transformed, rasters, key), integers
    float_network, through_plan, chip = (int(right(a, labels).sum()) for a in answers)
    return Scores(float_network, through_plan, chip, len(labels))


def padded(
    model: Chain, rasters: Float[Array, "n steps channels"]
) -> tuple[Int[Array, "n more_steps channels"], int]:
    """Event counts for the chip, with silent steps for its hops, and the number of those steps."""
    late = xylo.latency(model)
    return jnp.pad(rasters, ((0, 0), (0, late), (0, 0))).astype(jnp.int32), late


def right(spikes: FloatArray, labels: Int[Array, " n"]) -> Int[Array, " n"]:
    """Whether the neuron of the label spiked most, for spikes of shape (n, steps, classes)."""
    return jnp.argmax(spikes.sum(axis=1), axis=-1) == labels


@eqx.filter_jit
def _run(model: Network, rasters: FloatArray, key: Key | None) -> FloatArray:
    keys = None if key is None else jax.random.split(key, len(rasters))
    return jax.vmap(eqx.nn.inference_mode(model))(rasters, key=keys)[0]
