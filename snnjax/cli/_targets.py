"""What the commands ask of a family of chips, and which families there are."""

import abc
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .. import transforms
from .._typing import Key, PyTree
from ..hardware import dynapcnn, xylo
from ..train import digits, images, speech, xylo as through
from ..train.deploy import Scores, deploy, padded, right, score, score_answers
from ..train.recipe import Trained, Training
from ..train.xylo import XyloTraining


class Details(NamedTuple):
    """A part of `summary.txt`."""

    title: str
    lines: list[str]


class Target(abc.ABC):
    """A family of chips and a recipe that trains for it.

    Attributes:
        family: module in `hardware`; it has `load`, `save`, `check`, `require` and `simulate`.
        recipe: module in `train`; it has `load_data`, `start` and `train`.
        settings: those of the recipe.
        folder: what the names of run folders begin with.
    """

    family: ModuleType
    recipe: ModuleType
    settings: type[Training]
    folder: str

    @abc.abstractmethod
    def require_fit(self, config: Any, rules: transforms.Rules | None) -> None:
        """Raise ValueError for what cannot be trained, before any time is spent on it."""

    @abc.abstractmethod
    def require_plan(self, config: Any, trained: Trained) -> None:
        """Raise ValueError if the plan that a user gave does not work."""

    @abc.abstractmethod
    def deploy(self, config: Any, trained: Trained) -> Any:
        """The spec of a trained network."""

    @abc.abstractmethod
    def score(self, config: Any, trained: Trained, spec: Any, data: Any) -> Scores:
        """The right answers among the held-out digits."""

    @abc.abstractmethod
    def answers(self, config: Any, trained: Trained, rasters: Any) -> Any:
        """The readout's spikes through what the last stage of training went through, (n, t, k)."""

    @abc.abstractmethod
    def simulate_held_out(self, config: Any, spec: Any) -> tuple[Any, np.ndarray]:
        """The trace of all held-out digits, and which of them are right."""

    @abc.abstractmethod
    def fidelity(self, trained: Trained, spec: Any, data: Any) -> xylo.Fidelity:
        """How far the integers are from what they came from, on the held-out digits."""

    def compare_events(self, spec: Any, data: Any) -> dynapcnn.EventComparison | None:
        """How far synchronous steps are from what the chip does; None where it has steps."""
        return None

    @abc.abstractmethod
    def usage(self, spec: Any) -> list[tuple[str, int, int | None]]:
        """Resource, how much of it a network takes and how much there is."""

    @abc.abstractmethod
    def details(self, config: Any, trained: Trained, spec: Any) -> Details:
        """What became of the parameters."""

    @abc.abstractmethod
    def spikes(self, spec: Any, trace: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of each sequence and step: spikes of each class, and those of all hidden neurons."""

    @abc.abstractmethod
    def arrays(self, trace: Any) -> dict[str, np.ndarray]:
        """Every spike and state over time, by name."""


class _Xylo(Target):
    family = xylo

    def __init__(self, recipe: ModuleType, settings: type[XyloTraining], folder: str) -> None:
        self.recipe, self.settings, self.folder = recipe, settings, folder

    def require_fit(self, config: XyloTraining, rules: transforms.Rules | None) -> None:
        xylo.map_network(self.recipe.make_model(config), config.chip)
        if rules is not None and config.bits != XyloTraining.bits:
            raise ValueError("`--bits` is of the plan that `--plan` replaces; set it in the file")

    def require_plan(self, config: XyloTraining, trained: Trained) -> None:
        self.recipe.check_plan(config, trained)
        burned = transforms.burn_in(trained.plan, trained.network, key=random_key(config))
        xylo.map_network(burned, config.chip)

    def deploy(self, config: XyloTraining, trained: Trained) -> xylo.Spec:
        chip, plan = (config.chip, config.method, config.bits), _plan_of(config, trained)
        return deploy(trained.network, plan, *chip, key=random_key(config))

    def score(self, config: XyloTraining, trained: Trained, spec: Any, data: Any) -> Scores:
        plan, key = _plan_of(config, trained), random_key(config)
        return score(trained.network, plan, spec, *data.test, key=key)

    def answers(self, config: XyloTraining, trained: Trained, rasters: Any) -> Any:
        quiet = Trained(eqx.nn.inference_mode(trained.network), trained.plan)
        as_is = dataclasses.replace(config, mismatch=0.0)
        return through.spikes(as_is, config.last_stage, quiet, rasters, key=random_key(config))

    def simulate_held_out(
        self, config: XyloTraining, spec: xylo.Spec
    ) -> tuple[xylo.Trace, np.ndarray]:
        rasters, labels = self.recipe.load_data(config).test
        events, late = padded(self.recipe.make_model(config), rasters)
        trace = xylo.simulate(spec, events)
        return trace, np.asarray(right(trace.spikes_out[:, late:], labels))

    def fidelity(self, trained: Trained, spec: xylo.Spec, data: Any) -> xylo.Fidelity:
        return xylo.fidelity(trained.network, spec, *data.test)

    def usage(self, spec: xylo.Spec) -> list[tuple[str, int, int | None]]:
        return [(use.resource, use.used, use.has) for use in xylo.usage(spec)]

    def details(self, config: Any, trained: Trained, spec: xylo.Spec) -> Details:
        changes = xylo.decay_report(trained.network, spec.chip)
        return Details("decays", [str(change) for change in changes])

    def spikes(self, spec: xylo.Spec, trace: xylo.Trace) -> tuple[np.ndarray, np.ndarray]:
        out, hidden = np.asarray(trace.spikes_out), np.asarray(trace.spikes)
        out, hidden = (x[None] if x.ndim == 2 else x for x in (out, hidden))
        return out, hidden.sum(-1)

    def arrays(self, trace: xylo.Trace) -> dict[str, np.ndarray]:
        names = ("spikes_out", "vmem_out", "isyn_out", "spikes", "vmem", "isyn")
        return {name: np.asarray(getattr(trace, name)) for name in names}


class _Dynapcnn(Target):
    family, recipe = dynapcnn, images
    settings, folder = images.ImagesConfig, "dynapcnn"

    def require_fit(self, config: images.ImagesConfig, rules: transforms.Rules | None) -> None:
        images.make_plan(config, images.make_model(config))

    def require_plan(self, config: images.ImagesConfig, trained: Trained) -> None:
        images.check_plan(config, trained)
        self.deploy(config, trained)

    def deploy(self, config: images.ImagesConfig, trained: Trained) -> dynapcnn.Spec:
        return images.deploy(config, trained, key=random_key(config))

    def score(
        self, config: images.ImagesConfig, trained: Trained, spec: Any, data: images.Data
    ) -> Scores:
        trace = dynapcnn.simulate(spec, data.test[0], record=False)
        answers = spec.classes(trace.spikes_out)
        plan, key = _plan_of(config, trained), random_key(config)
        return score_answers(trained.network, plan, answers, *data.test, key=key)

    def answers(self, config: images.ImagesConfig, trained: Trained, rasters: Any) -> Any:
        as_is = dataclasses.replace(config, mismatch=0.0)
        return images.spikes(as_is, config.last_stage, trained, rasters, key=random_key(config))

    def simulate_held_out(
        self, config: images.ImagesConfig, spec: dynapcnn.Spec
    ) -> tuple[dynapcnn.Trace, np.ndarray]:
        rasters, labels = images.load_data(config).test
        trace = dynapcnn.simulate(spec, rasters)
        return trace, np.asarray(right(spec.classes(trace.spikes_out), labels))

    def fidelity(
        self, trained: Trained, spec: dynapcnn.Spec, data: images.Data
    ) -> dynapcnn.Fidelity:
        return dynapcnn.fidelity(trained.network, spec, *data.test)

    def compare_events(self, spec: dynapcnn.Spec, data: images.Data) -> dynapcnn.EventComparison:
        return dynapcnn.compare_events(spec, *data.test)

    def usage(self, spec: dynapcnn.Spec) -> list[tuple[str, int, int | None]]:
        return [
            (f"core {use.core}, {kind} memory, {use.layer}", used, has)
            for use in dynapcnn.usage(spec)
            if use.layer is not None
            for kind, used, has in zip(use.used._fields, use.used, use.has, strict=True)
            if used
        ]

    def details(self, config: Any, trained: Trained, spec: dynapcnn.Spec) -> Details:
        report = images.losses(config, trained, key=random_key(config))
        return Details("scales", [str(loss) for loss in report])

    def spikes(self, spec: dynapcnn.Spec, trace: dynapcnn.Trace) -> tuple[np.ndarray, np.ndarray]:
        assert trace.spikes is not None
        out = np.asarray(spec.classes(trace.spikes_out))
        hidden = sum(np.asarray(x).sum((-3, -2, -1)) for x in trace.spikes[:-1])
        hidden = np.broadcast_to(hidden, out.shape[:-1])
        return (out[None], hidden[None]) if out.ndim == 2 else (out, hidden)

    def arrays(self, trace: dynapcnn.Trace) -> dict[str, np.ndarray]:
        assert trace.spikes is not None
        assert trace.vmem is not None
        kinds = {"spikes": trace.spikes, "vmem": trace.vmem}
        return {
            f"{kind}_{i}": np.asarray(x)
            for kind, layers in kinds.items()
            for i, x in enumerate(layers)
        }


TARGETS: Mapping[tuple[str, str], Target] = MappingProxyType(
    {
        ("digits", "xylo"): _Xylo(digits, digits.DigitsConfig, "digits"),
        ("digits", "dynapcnn"): _Dynapcnn(),
        ("speech", "xylo"): _Xylo(speech, speech.SpeechConfig, "speech"),
    }
)
"""By recipe and family, as `--recipe` and `--target` name them; the first is the default."""

DEFAULT_RECIPE, DEFAULT_TARGET = next(iter(TARGETS))


def random_key(config: Any) -> Key:
    """What the random transforms of a plan draw from once training is over."""
    return jax.random.key(config.seed + 2)


def _plan_of(config: Training, trained: Trained) -> PyTree | None:
    """The plan that the network was trained for in the end, if it was one."""
    return trained.plan if config.last_stage == "plan" else None
