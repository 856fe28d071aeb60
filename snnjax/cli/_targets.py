"""What the commands ask of a family of chips, and which families there are."""

import abc
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import transforms
from .._typing import Key
from ..hardware import dynapcnn, xylo
from ..train import digits, images
from ..train.deploy import Scores, deploy, padded, right, score, score_answers
from ..train.run import Settings


class Details(NamedTuple):
    """A part of `summary.txt`."""

    title: str
    lines: list[str]


class Target(abc.ABC):
    """A family of chips: a recipe that trains for it, and its module in `hardware`.

    The recipe has `load_data`, `start` and `train`, the module `load`, `save`, `check`, `require`
    and `simulate`.
    """

    family: ModuleType
    recipe: ModuleType
    settings: type[Settings]
    folder: str
    """What the names of run folders begin with."""

    @abc.abstractmethod
    def require_fit(self, config: Any, rules: transforms.Rules | None) -> None:
        """Raise ValueError for what cannot be trained, before any time is spent on it."""

    @abc.abstractmethod
    def require_plan(self, config: Any, trained: digits.Trained) -> None:
        """Raise ValueError if the plan that a user gave does not work."""

    @abc.abstractmethod
    def deploy(self, config: Any, trained: digits.Trained) -> Any:
        """The spec of a trained network."""

    @abc.abstractmethod
    def score(self, config: Any, trained: digits.Trained, spec: Any, data: Any) -> Scores:
        """The right answers among the held-out digits."""

    @abc.abstractmethod
    def simulate_held_out(self, config: Any, spec: Any) -> tuple[Any, np.ndarray]:
        """The trace of all held-out digits, and which of them are right."""

    @abc.abstractmethod
    def fidelity(self, trained: digits.Trained, spec: Any, data: Any) -> Any:
        """How far the integers are from what they came from, on the held-out digits."""

    @abc.abstractmethod
    def usage(self, spec: Any) -> list[tuple[str, int, int | None]]:
        """Resource, how much of it a network takes and how much there is."""

    @abc.abstractmethod
    def details(self, config: Any, trained: digits.Trained, spec: Any) -> Details:
        """What became of the parameters."""

    @abc.abstractmethod
    def spikes(self, spec: Any, trace: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of each sequence and step: spikes of each class, and those of all hidden neurons."""

    @abc.abstractmethod
    def arrays(self, trace: Any) -> dict[str, np.ndarray]:
        """Every spike and state over time, by name."""


class _Xylo(Target):
    family, recipe = xylo, digits
    settings, folder = digits.DigitsConfig, "digits"

    def require_fit(self, config: digits.DigitsConfig, rules: transforms.Rules | None) -> None:
        xylo.map_network(digits.make_model(config), config.chip)
        if rules is not None and config.bits != digits.DigitsConfig.bits:
            raise ValueError("`--bits` is of the plan that `--plan` replaces; set it in the file")

    def require_plan(self, config: digits.DigitsConfig, trained: digits.Trained) -> None:
        digits.check_plan(config, trained)
        burned = transforms.burn_in(trained.plan, trained.network, key=random_key(config))
        xylo.map_network(burned, config.chip)

    def deploy(self, config: digits.DigitsConfig, trained: digits.Trained) -> xylo.Spec:
        network, plan = trained.network, trained.plan
        return deploy(network, plan, config.chip, config.method, key=random_key(config))

    def score(
        self, config: digits.DigitsConfig, trained: digits.Trained, spec: Any, data: digits.Data
    ) -> Scores:
        return score(trained.network, trained.plan, spec, *data.test, key=random_key(config))

    def simulate_held_out(
        self, config: digits.DigitsConfig, spec: xylo.Spec
    ) -> tuple[xylo.Trace, np.ndarray]:
        rasters, labels = digits.load_data(config).test
        events, late = padded(digits.make_model(config), rasters)
        trace = xylo.simulate(spec, events)
        return trace, np.asarray(right(trace.spikes_out[:, late:], labels))

    def fidelity(
        self, trained: digits.Trained, spec: xylo.Spec, data: digits.Data
    ) -> xylo.Fidelity:
        return xylo.fidelity(trained.network, spec, *data.test)

    def usage(self, spec: xylo.Spec) -> list[tuple[str, int, int | None]]:
        return [(use.resource, use.used, use.has) for use in xylo.usage(spec)]

    def details(self, config: Any, trained: digits.Trained, spec: xylo.Spec) -> Details:
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

    def require_plan(self, config: images.ImagesConfig, trained: digits.Trained) -> None:
        images.check_plan(config, trained)
        self.deploy(config, trained)

    def deploy(self, config: images.ImagesConfig, trained: digits.Trained) -> dynapcnn.Spec:
        return images.deploy(config, trained, key=random_key(config))

    def score(
        self, config: images.ImagesConfig, trained: digits.Trained, spec: Any, data: images.Data
    ) -> Scores:
        trace = dynapcnn.simulate(spec, data.test[0], record=False)
        answers = spec.classes(trace.spikes_out)
        key = random_key(config)
        return score_answers(trained.network, trained.plan, answers, *data.test, key=key)

    def simulate_held_out(
        self, config: images.ImagesConfig, spec: dynapcnn.Spec
    ) -> tuple[dynapcnn.Trace, np.ndarray]:
        rasters, labels = images.load_data(config).test
        trace = dynapcnn.simulate(spec, rasters)
        return trace, np.asarray(right(spec.classes(trace.spikes_out), labels))

    def fidelity(
        self, trained: digits.Trained, spec: dynapcnn.Spec, data: images.Data
    ) -> dynapcnn.Fidelity:
        return dynapcnn.fidelity(spec, *data.test)

    def usage(self, spec: dynapcnn.Spec) -> list[tuple[str, int, int | None]]:
        return [
            (f"core {use.core}, {kind} memory, {use.layer}", used, has)
            for use in dynapcnn.usage(spec)
            if use.layer is not None
            for kind, used, has in zip(use.used._fields, use.used, use.has, strict=True)
            if used
        ]

    def details(self, config: Any, trained: digits.Trained, spec: dynapcnn.Spec) -> Details:
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


TARGETS: Mapping[str, Target] = MappingProxyType({"xylo": _Xylo(), "dynapcnn": _Dynapcnn()})
"""The families by the names that `--target` takes."""

DEFAULT_TARGET = "xylo"


def random_key(config: Any) -> Key:
    """What the random transforms of a plan draw from once training is over."""
    return jax.random.key(config.seed + 2)
