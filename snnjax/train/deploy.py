"""From a trained network to the integers of a chip, and what that costs in accuracy."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import transforms
from .._typing import FloatArray, Key, PyTree
from ..hardware import xylo
from ..nn import Chain, Network


class Scores(NamedTuple):
    """How many of `total` sequences each form of one network got right.

    Attributes:
        float_network: the network as it is.
        transformed: through its plan; None if it was not trained for one.
        integers: on the simulated chip.
        total: number of sequences.
    """

    float_network: int
    transformed: int | None
    integers: int
    total: int

    def rows(self) -> list[tuple[str, int, float]]:
        """Name, number and share of right answers of each form."""
        names = "float network", "transformed parameters", "integers, bit-exact simulator"
        found = zip(names, self[:3], strict=True)
        return [(name, k, k / self.total) for name, k in found if k is not None]


def deploy(
    model: Chain,
    plan: PyTree | None,
    chip: xylo.Chip | str,
    method: xylo.Method,
    bits: int | None = None,
    *,
    key: Key | None = None,
) -> xylo.Spec:
    """Transform the parameters for good, map the network to the chip and make it integers.

    Args:
        model: the trained network.
        plan: the plan that it was trained with, if any. What it does to activations and states
            stays behind: the chip does what it does.
        chip: a chip or its short name.
        method: how weights are scaled; see `xylo.quantize`.
        bits: bits of the weights; see `xylo.quantize`.
        key: needed if a transform of a parameter is random.

    Raises:
        ValueError: if the network does not fit the chip, listing every limit that it breaks.
    """
    burned = model if plan is None else transforms.burn_in(plan, model, key=key)
    spec = xylo.quantize(xylo.map_network(burned, chip), method, bits)
    xylo.require(spec)
    return spec


def score(
    model: Chain,
    plan: PyTree | None,
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
    plan: PyTree | None,
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
        plan: the plan that it was trained with, if any.
        integers: spikes of the simulated chip.
        rasters: what the network and the chip were given.
        labels: the right answers.
        key: needed if a transform of the plan is random.
    """

    def count(answers: FloatArray) -> int:
        return int(right(answers, labels).sum())

    transformed = None
    if plan is not None:
        transformed = count(_run(transforms.apply(plan, model, key=key), rasters, key))
    return Scores(count(_run(model, rasters, key)), transformed, count(integers), len(labels))


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
