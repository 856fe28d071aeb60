"""What the recipes for Xylo have in common."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import quant, transforms
from .._typing import FloatArray, Key, PyTree
from ..hardware import xylo
from ..networks import SynNet
from ..nn import Chain
from .recipe import Through, Trained, Training, run_through


@dataclasses.dataclass(frozen=True, kw_only=True)
class XyloTraining(Training):
    """Settings of a recipe for Xylo.

    Attributes:
        p_dropout: probability that a hidden neuron is silenced at a step in training; not through
            a chip.
        bits: bits of the weights, from 2 to 8, unless a plan of the user's says otherwise.
        chip: short name of the chip.
        method: how the integers are scaled; see `snnjax.hardware.xylo.quantize`.
    """

    p_dropout: float = 0.1
    bits: int = 8
    chip: str = "audio3"
    method: xylo.Method = "channel"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.bits <= 8:
            raise ValueError(
                f"`bits` must be from 2 to 8, what a chip's weights have; got {self.bits}"
            )


def make_plan(config: XyloTraining, model: SynNet, rules: transforms.Rules | None = None) -> PyTree:
    """What training sees of the chip: integer weights, scaled as in the export, and bit shifts.

    Args:
        config: the settings.
        model: the network.
        rules: what to transform instead, such as `transforms.load` reads.
    """
    if rules is not None:
        return transforms.plan(model, **rules._asdict())
    axis = None if config.method == "global" else 0
    by_family = {"weights": quant.Int(config.bits, axis=axis), "decays": quant.Bitshift()}
    return transforms.plan(model, by_family)


def spikes(
    config: XyloTraining,
    through: Through,
    trained: Trained,
    events: Float[Array, "n steps channels"],
    *,
    key: Key,
) -> Float[Array, "n steps classes"]:
    """What a network answers in training.

    Args:
        config: the settings.
        through: what it is run through.
        trained: the network and its plan.
        events: whole numbers.
        key: for all that is random.
    """

    def chip(network: Chain, events: FloatArray) -> FloatArray:
        late = xylo.latency(network)
        run = xylo.emulate(network, config.chip, config.method, config.bits)
        return run(jnp.pad(events, ((0, 0), (0, late), (0, 0)))).spikes_out[:, late:]

    return run_through(config, through, trained, events, chip, key=key)
