"""What the recipes have in common: training in stages, in float, through a plan, through a chip."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float

from .. import quant, transforms
from .._typing import FloatArray, Key, PyTree
from ..nn import Chain
from .loop import Loss, Metrics, TrainState, batches_of, make_epoch, run_epochs
from .robustness import Outputs, adversarial_loss
from .run import Settings

Through: TypeAlias = Literal["float", "plan", "chip"]
"""What training sees of the chip: nothing, the transforms of a plan, or its own integers."""

SPIKES_PER_LOGIT = 2.0
"""Asks for a lead of more spikes, which rounding does not so easily turn into a tie."""


class Stage(NamedTuple):
    """Some epochs of training, from `begin` to before `end`, and what they go through."""

    through: Through
    begin: int
    end: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(Settings):
    """Settings of a recipe that trains in stages.

    Attributes:
        seed: of the weights, the order of the data and all noise.
        stages: what is trained through and for how many epochs, in order: "float:40,chip:20". With
            `epochs` the numbers are shares of it, 1 where there is none.
        epochs: passes over the training data in all stages; None for as many as `stages` say.
        batch_size: sequences per step.
        learning_rate: of Adam at the start of the first stage; it falls to 0 along a cosine.
        later_rate: factor on it in the stages after the first.
        mismatch: standard deviation of the weights in training, relative to each, drawn anew at
            every step; see `snnjax.quant.mismatch`.
        attack: largest change of a weight, relative to it, by an adversary in training; see
            `snnjax.train.adversarial_loss`. A step takes 12 times as long.
    """

    seed: int = 0
    stages: str = "plan:70"
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    later_rate: float = 1 / 3
    mismatch: float = 0.0
    attack: float = 0.0

    def __post_init__(self) -> None:
        shares = _shares(self.stages)
        if self.epochs is None:
            object.__setattr__(self, "epochs", sum(number for _, number in shares))
        if not isinstance(self.epochs, int):
            raise ValueError(f"`epochs` must be a whole number; got {self.epochs!r}")
        self._require_above_zero("epochs", "batch_size", "learning_rate", "later_rate")
        for name in ("mismatch", "attack"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0; got {getattr(self, name)}")
        for stage in self.schedule:
            if stage.begin == stage.end:
                raise ValueError(
                    f"`epochs` is {self.epochs}, of which none are left to go through the "
                    f"{stage.through} with the `stages` {self.stages}; take more, or other stages"
                )

    @property
    def schedule(self) -> tuple[Stage, ...]:
        """The stages by their epochs."""
        shares, found, done = _shares(self.stages), [], 0
        total, epochs = sum(number for _, number in shares), self.epochs or 0
        for through, number in shares:
            begin = round(epochs * done / total)
            done += number
            found.append(Stage(through, begin, round(epochs * done / total)))
        return tuple(found)

    @property
    def last_stage(self) -> Through:
        """What the last epochs go through, and so what the result was made for."""
        return self.schedule[-1].through

    def through(self, epoch: int) -> Through:
        """What an epoch, counted from 0, goes through."""
        return next(stage.through for stage in self.schedule if epoch < stage.end)


def _shares(stages: str) -> list[tuple[Through, int]]:
    found: list[tuple[Through, int]] = []
    for stage in stages.split(","):
        name, colon, number = stage.strip().partition(":")
        count = int(number) if number.isdecimal() else 0 if colon else 1
        if name not in get_args(Through) or count < 1:
            raise ValueError(
                f"`stages` must be some of {', '.join(get_args(Through))}, each with its number of "
                f"epochs, such as float:40,chip:20; got {stages!r}"
            )
        found.append((cast(Through, name), count))
    return found


class Trained(eqx.Module):
    """What training changes.

    Attributes:
        network: the network.
        plan: its transforms, some of which may have settings that are learned.
    """

    network: Chain
    plan: PyTree


def make_optimizer(config: Training, sequences: int) -> optax.GradientTransformation:
    """Adam with gradients of a norm of at most 1; in every stage its rate falls along a cosine.

    Args:
        config: the settings.
        sequences: how many are trained on.

    Raises:
        ValueError: if there are too few for one batch.
    """
    steps = batches_of(sequences, config.batch_size)
    cosines = [
        optax.cosine_decay_schedule(
            config.learning_rate * (config.later_rate if i else 1),
            (stage.end - stage.begin) * steps,
        )
        for i, stage in enumerate(config.schedule)
    ]
    ends = [stage.end * steps for stage in config.schedule[:-1]]
    rate = optax.join_schedules(cosines, ends) if ends else cosines[0]
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))


def train_in_stages(
    config: Training,
    loss: Callable[[Through], Loss],
    data: PyTree,
    state: TrainState,
    *,
    compiled: Literal["epoch", "step"] = "epoch",
) -> Iterator[tuple[TrainState, Metrics]]:
    """Train from `state` to the last epoch of the last stage.

    Args:
        config: the settings.
        loss: what to lower in a stage.
        data: arrays with a first axis in common.
        state: where to begin; training that was interrupted goes on as it would have.
        compiled: see `make_epoch`.

    Yields:
        The state and the metrics after each epoch.
    """
    optimizer = make_optimizer(config, len(jax.tree.leaves(data)[0]))
    key = jax.random.key(config.seed + 1)
    for stage in config.schedule:
        if int(state.epoch) < stage.end:
            epoch = make_epoch(loss(stage.through), optimizer, config.batch_size, compiled=compiled)
            for after, metrics in run_epochs(epoch, state, data, stage.end, key):
                state = after
                yield after, metrics


def make_loss(config: Training, outputs: Outputs) -> Loss:
    """Cross-entropy of the readout's spike counts, and the share of right answers.

    Args:
        config: the settings; with `attack` the weights are attacked in every step.
        outputs: (trained, batch, key) -> the readout's spikes, (batch, steps, classes). The second
            part of a batch are the labels.
    """

    def counts(trained: Trained, batch: Any, key: Key) -> FloatArray:
        return outputs(trained, batch, key).sum(axis=1) / SPIKES_PER_LOGIT

    def task(logits: FloatArray, batch: Any) -> tuple[FloatArray, Metrics]:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])
        return losses.mean(), {"accuracy": (logits.argmax(-1) == batch[1]).mean()}

    if config.attack:
        return adversarial_loss(counts, task, level=config.attack)
    return lambda trained, batch, key: task(counts(trained, batch, key), batch)


def run_through(
    config: Training,
    through: Through,
    trained: Trained,
    events: Float[Array, "n steps *shape"],
    chip: Callable[[Chain, FloatArray], FloatArray],
    *,
    key: Key,
) -> Float[Array, "n steps classes"]:
    """The readout's spikes in training, with the weights off by `config.mismatch`.

    Args:
        config: the settings.
        through: what the network is run through.
        trained: the network and its plan.
        events: whole numbers.
        chip: (network, events) -> spikes of the chip's integers.
        key: for all that is random.
    """
    # None of the keys of the sequences: those are what folding in smaller numbers gives.
    plan_key, mismatch_key = (jax.random.fold_in(key, len(events) + i) for i in range(2))
    network = trained.network
    if config.mismatch:
        off = transforms.plan(network, {"weights": quant.Mismatch(config.mismatch)})
        network = transforms.apply(off, network, key=mismatch_key)
    if through == "chip":
        return chip(network, events)
    if through == "plan":
        network = transforms.apply(trained.plan, network, key=plan_key)
    return jax.vmap(network)(events, key=jax.random.split(key, len(events)))[0]


def try_step(loss: Loss, trained: Trained, batch: Any) -> None:
    """Go through a step of training without computing anything, to see that the plan works.

    Raises:
        ValueError: if one of its transforms does not.
    """
    try:
        eqx.filter_eval_shape(loss, trained, batch, jax.random.key(0))
    except (ValueError, TypeError) as error:
        raise ValueError(f"the plan does not work on this network: {error}") from error
