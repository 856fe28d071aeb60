"""A recipe: the settings of a training run, its data, network, training and scoring."""

import abc
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .. import quant, transforms
from .._typing import FloatArray, Key, PyTree
from ..hardware import ParameterReport
from ..nn import Chain, Network
from ..params import bounded, check_parameters
from ._epochs import epochs, grain_dataset, start_underway
from ._fit import Data, Trained, require_data, require_size, try_plan, without_warnings
from ._front_end import FrontEnd
from ._loop import Loss, Metrics, TrainState, batches_of, init_state
from ._penalty import penalised, require_limits
from ._robustness import adversarial_loss
from ._settings import Settings
from ._sharding import Sharding
from ._stages import TRACED, Stage, Through, by_family, make_optimizer, schedule
from ._target import Scores, Target, count_right, run_network


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Settings, abc.ABC):
    """Settings of a training run, and what is done with them.

    A recipe of one's own is a frozen dataclass that extends this one. Its fields are its settings,
    and it has three methods: `load_data`, `make_network` and, unless the data are event counts as
    they are, `encode`. All others can be replaced as well.

    Attributes:
        chip: short name of the chip, which also names its family.
        bits: bits of the weights; none for as many as the chip has.
        seed: of the weights, the order of the data and all noise.
        stages: what is trained through and for how many epochs, in order: float:40,chip:20. With
            `epochs` the numbers are shares of it.
        epochs: passes over the training data in all stages; none for as many as `stages` say.
        batch_size: sequences per step.
        learning_rate: of Adam at the start of the first stage; it falls to 0 along a cosine.
        later_rate: factor on it in the stages after the first.
        family_rates: factors on it by family: taus:0.1,thresholds:0 trains time constants at a
            tenth of the rate and thresholds not at all; none for one rate.
        spikes_per_logit: lead in spikes that counts as one unit of the logits in the loss; more of
            them ask for a lead that rounding does not easily turn into a tie.
        mismatch: standard deviation of the weights in training, relative to each, drawn anew at
            every step; see `snnjax.quant.mismatch`.
        attack: largest change of a weight, relative to it, by an adversary in training; see
            `snnjax.train.adversarial_loss`. A step takes 12 times as long.
        loader: where the batches come from: "memory", or "grain" (extra `grain`), by `make_loader`,
            with which a run that was stopped goes on in the middle of an epoch.
        spikes_per_neuron: free spikes of a hidden neuron and step; more cost log(rate/limit).
        max_synops: free synaptic operations of a sequence, likewise; not through a chip.
    """

    traced: ClassVar[frozenset[str]] = TRACED
    """Settings that `loss` and `optimizer` compute with and branch on none: a sweep over them is
    one program. `load_data` depends on none of them but `seed`."""
    seeded_data: ClassVar[bool] = True
    """Whether `load_data` depends on `seed`. If not, the members of a sweep share the data."""

    chip: str = "audio3"
    bits: int | None = None
    seed: int = 0
    stages: str = "plan:70"
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    later_rate: float = 1 / 3
    family_rates: str | None = None
    spikes_per_logit: float = 2.0
    mismatch: float = 0.0
    attack: float = 0.0
    loader: Literal["memory", "grain"] = "memory"
    spikes_per_neuron: float | None = None
    max_synops: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("seed", least=0, most=2**32 - 4)
        if self.epochs is not None:
            self._require("epochs", above=0)
        object.__setattr__(self, "epochs", schedule(self.stages, self.epochs)[-1].end)
        self._require("epochs", "batch_size", above=0, most=1_000_000)
        self._require("learning_rate", "later_rate", "spikes_per_logit", above=0)
        self._require("mismatch", "attack", least=0)
        require_limits(self)
        self.target  # noqa: B018  refuses a chip or an option that is not known

    @abc.abstractmethod
    def load_data(self) -> Data:
        """The data to train and to test on."""

    @abc.abstractmethod
    def make_network(self, data: Data) -> Chain:
        """A network that is not trained yet, for data of these shapes."""

    def encode(self, inputs: Array, *, key: Key) -> Float[Array, "n steps *shape"]:
        """Event counts of training inputs, with whatever is random in them; the inputs as is.

        Args:
            inputs: a batch of the training data.
            key: for noise and other changes at random.
        """
        return jnp.asarray(inputs, float)

    def make_front_end(self) -> FrontEnd | None:
        """The front end, None for a recipe that begins with events."""

    def make_example(self) -> Float[np.ndarray, " samples"] | None:
        """Sound of a held-out recording for the picture of a run, None where there is none."""

    @property
    def compiled(self) -> Literal["epoch", "step"]:
        """The extent of one compiled call of training, an epoch or a step; see `make_epoch`."""
        return "epoch"

    def options(self) -> Mapping[str, Any]:
        """Arguments of the verbs of the chip's family; see `Target`."""
        return {"bits": self.bits}

    @final
    @property
    def target(self) -> Target:
        """The chip with its options."""
        return Target(self.chip, self.options())

    @final
    @property
    def schedule(self) -> tuple[Stage, ...]:
        """The stages by their epochs."""
        return schedule(self.stages, self.epochs)

    @final
    @property
    def last_stage(self) -> Through:
        """The forward pass of the last stage, for which the result is optimised."""
        return self.schedule[-1].through

    def through(self, epoch: int) -> Through:
        """The forward pass of an epoch, counted from 0."""
        return next(stage.through for stage in self.schedule if epoch < stage.end)

    def random_key(self) -> Key:
        """The key of random transforms of a plan after training."""
        return jax.random.key(self.seed + 2)

    def make_plan(self, network: Chain, rules: transforms.Rules | None = None) -> PyTree:
        """The plan of a stage "plan".

        Args:
            network: the network.
            rules: transforms of the user's, such as `transforms.load` reads. They come before the
                chip's own; those with transforms of outputs or states, which no chip has, stand in
                its place.

        Raises:
            ValueError: if the network does not fit the chip.
        """
        with without_warnings():
            own = self.target.call("plan", network)
        if rules is None:
            return own
        given = transforms.plan(network, **rules._asdict())
        if rules.activations or rules.states or not self.target.takes("plan", "before"):
            return given
        return self.target.call("plan", network, before=given)

    def start(self, data: Data, rules: transforms.Rules | None = None) -> TrainState:
        """The state before the first epoch; its `model` is a `Trained`.

        Raises:
            ValueError: if the network does not fit the chip or the data, a parameter is out of its
                range, the plan does not fit the network, or there are too few data for a batch.
        """
        require_size(lambda: self.make_network(data))
        network = self.make_network(data)
        trained = Trained(network, self.make_plan(network, rules))
        check_parameters(network)
        require_data(data, network)
        state = init_state(trained, self.optimizer(trained, len(data.train[1])))
        if rules is not None:
            batch = jax.tree.map(lambda x: x[: self.batch_size], data.train)
            try_plan(self.loss("plan"), trained, batch)
            with without_warnings():
                self.deploy(trained)
        return start_underway(state) if self.loader == "grain" else state

    def optimizer(self, trained: Trained, sequences: int) -> optax.GradientTransformation:
        """The optimizer: Adam, with every parameter kept in its valid range.

        Args:
            trained: the network and its plan, of which only the structure counts.
            sequences: how many are trained on.

        Raises:
            ValueError: if there are too few for one batch.
        """
        steps = batches_of(sequences, self.batch_size)
        adam = make_optimizer(self.schedule, steps, self.learning_rate, self.later_rate)
        if self.family_rates is not None:
            adam = by_family(adam, trained, self.family_rates)
        return bounded(adam, trained)

    def train(
        self, data: Data, state: TrainState, sharding: Sharding | None = None
    ) -> Iterator[tuple[TrainState, Metrics]]:
        """Train from `state` to the last epoch, as if it had never stopped; `sharding` on a mesh.

        Yields:
            The state and the metrics after each epoch; from grain, after each batch.
        """
        return epochs(self, data, state, sharding)

    def make_loader(self, data: Data, part: int = 0, parts: int = 1) -> Any:
        """A dataset of grain without end: of each batch, one of equal parts, for its process."""
        return grain_dataset(data, self.batch_size, self.seed, part, parts)

    def loss(self, through: Through) -> Loss:
        """Cross-entropy of the readout's spike counts, and the share of right answers."""

        def counts(trained: Trained, batch: Any, key: Key) -> FloatArray:
            event_key, own_key = jax.random.split(key)
            events = self.encode(batch[0], key=event_key)
            spikes = self.spikes(through, trained, events, key=own_key)
            return spikes.sum(axis=1) / self.spikes_per_logit

        def task(logits: FloatArray, batch: Any) -> tuple[FloatArray, Metrics]:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])
            return losses.mean(), {"accuracy": (logits.argmax(-1) == batch[1]).mean()}

        if self.spikes_per_neuron is not None or self.max_synops is not None:
            return penalised(self, through, task)
        if self.attack:
            return adversarial_loss(counts, task, level=self.attack)
        return lambda trained, batch, key: task(counts(trained, batch, key), batch)

    def spikes(
        self,
        through: Through,
        trained: Trained,
        events: Float[Array, "n steps *shape"],
        *,
        key: Key,
    ) -> Float[Array, "n steps classes"]:
        """The readout's spikes in training, with the weights off by `mismatch`.

        Args:
            through: what the network is run through.
            trained: the network and its plan.
            events: whole numbers.
            key: for all that is random.
        """
        network = self.seen(through, trained, key, len(events))
        if through == "chip":
            return self.target.emulate(network, events)
        return jax.vmap(network)(events, key=jax.random.split(key, len(events)))[0]

    def seen(self, through: Through, trained: Trained, key: Key, sequences: int) -> Network:
        """The network with its weights off by `mismatch`, after the plan in a stage through it."""
        # None of the keys of the sequences: those are what folding in smaller numbers gives.
        plan_key, mismatch_key = (jax.random.fold_in(key, sequences + i) for i in range(2))
        network = trained.network
        if not (isinstance(self.mismatch, float) and self.mismatch == 0):  # or an array
            off = transforms.plan(network, {"weights": quant.Mismatch(self.mismatch)})
            network = transforms.apply(off, network, key=mismatch_key)
        plan = trained.plan if through == "plan" else None
        return network if plan is None else transforms.apply(plan, network, key=plan_key)

    def answers(
        self, trained: Trained, rasters: Float[Array, "n steps *shape"]
    ) -> Float[Array, "n steps classes"]:
        """The readout's spikes through what the last stage of training went through."""
        quiet = Trained(eqx.nn.inference_mode(trained.network), trained.plan)
        as_is = dataclasses.replace(self, mismatch=0.0)
        return as_is.spikes(self.last_stage, quiet, rasters, key=self.random_key())

    def deploy(self, trained: Trained) -> Any:
        """The spec of a trained network: its integers on the chip.

        What a plan of the user's does to parameters is done for good before, if the last stage went
        through it. What it does to activations and states stays behind: the chip does what it does.

        Raises:
            ValueError: if the network does not fit the chip, listing every limit that it breaks.
        """
        return self.target.quantize(self._deployed(trained))

    def report(self, trained: Trained) -> tuple[ParameterReport, ...]:
        """The fate of each parameter of a trained network in `deploy`."""
        return self.target.report(self._deployed(trained))

    def _deployed(self, trained: Trained) -> Network:
        """The network whose parameters the chip gets."""
        network, plan = trained.network, getattr(trained.plan, "before", trained.plan)
        if plan is not None and self.last_stage == "plan":
            network = transforms.burn_in(plan, network, key=self.random_key())
        return network

    def score(self, trained: Trained, spec: Any, data: Data) -> Scores:
        """Count the right answers among the held-out data: in float, as trained, in integers."""
        rasters, labels = data.test
        run = functools.partial(run_network, rasters=rasters, key=self.random_key())
        transformed = None
        if self.last_stage == "plan":
            applied = transforms.apply(trained.plan, trained.network, key=self.random_key())
            transformed = count_right(run(applied), labels)
        _, answers = self.target.simulate(trained.network, spec, rasters)
        in_float = count_right(run(trained.network), labels)
        return Scores(in_float, transformed, count_right(answers, labels), len(labels))
