"""Everything that a page tells of a run, computed once."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from .._checks import explained
from ..hardware import Cost, Fidelity, ParameterReport
from ..train import Data, MismatchSweep, Recipe, Run, Scores, Trained, mismatch_sweep, right

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)
"""Levels of mismatch of the robustness curves."""


class Findings(NamedTuple):
    """All that is known of a run.

    Attributes:
        run: its folder.
        recipe: its settings.
        trained: its network and plan.
        spec: its integers.
        mapped: the same in real numbers.
        rows: the lines of its metrics.
        scores: right answers among the held-out data.
        labels: their labels.
        answers: the integers' answers.
        margins: lead of the right class over the best of the others in spikes, of the integers.
        rasters: the held-out data.
        activity: spikes of the integers by layer, `(recordings, time, neurons)`.
        vmem: potentials of the readout, likewise; None if the trace has none.
        fidelity: network and integers compared, through the plan as well if it was trained so.
        cost: what the held-out data cost on the chip; None if its family does not count.
        parameters: the fate of each parameter.
        mismatch: accuracy under mismatch; None if it was left out.
    """

    run: Run
    recipe: Recipe
    trained: Trained
    spec: Any
    mapped: Any
    rows: tuple[Mapping[str, Any], ...]
    scores: Scores
    labels: np.ndarray
    answers: np.ndarray
    margins: np.ndarray
    rasters: np.ndarray
    activity: dict[str, np.ndarray]
    vmem: np.ndarray | None
    fidelity: Fidelity
    cost: Cost | None
    parameters: tuple[ParameterReport, ...]
    mismatch: MismatchSweep | None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self.recipe)


@explained
def examine(run: Run, recipe: Recipe, data: Data, trained: Trained, *, draws: int = 3) -> Findings:
    """Run the held-out data through a run's network and integers, and count.

    Args:
        run: the folder.
        recipe: its recipe.
        data: its data.
        trained: its network.
        draws: networks drawn at each level of mismatch; 0 leaves the robustness out.

    Raises:
        ValueError: if a file of the run is damaged, or `draws` is negative.
        FileNotFoundError: if the run has no integers yet.
    """
    if draws < 0:
        raise ValueError(f"`draws` must be at least 0; got {draws}")
    target, network = recipe.target, trained.network
    spec = target.load(run.path)
    rasters, labels = (np.asarray(x) for x in data.test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were told when the run was trained
        trace, spikes = target.simulate(network, spec, data.test[0])
        counts = np.asarray(spikes).sum(1)
        activity, vmem = _activity(spec, trace)
        return Findings(
            run=run,
            recipe=recipe,
            trained=trained,
            spec=spec,
            mapped=target.call("map_network", network),
            rows=tuple(run.rows()),
            scores=recipe.score(trained, spec, data),
            labels=labels,
            answers=counts.argmax(-1),
            margins=_margins(counts, labels),
            rasters=rasters,
            activity=activity,
            vmem=vmem,
            fidelity=fidelity(recipe, trained, spec, data),
            cost=cost(target.family, spec, rasters, trace),
            parameters=tuple(recipe.report(trained)),
            mismatch=_mismatch(recipe, trained, data, draws) if draws else None,
        )


@explained
def fidelity(recipe: Recipe, trained: Trained, spec: Any, data: Data) -> Fidelity:
    """The network of a run beside its integers on the held-out data.

    Also through the plan of the chip, if the last stage went through it. A plan of the user's alone
    may do what no chip does, and is left out.
    """
    planned = recipe.last_stage == "plan" and getattr(trained.plan, "of_models", False)
    plan = {"plan": trained.plan, "key": recipe.random_key()} if planned else {}
    inputs = map(np.asarray, data.test)
    found: Fidelity = recipe.target.family.fidelity(trained.network, spec, *inputs, **plan)
    return found


def _margins(counts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(counts, labels[:, None], 1)[:, 0]
    others = counts.copy()
    np.put_along_axis(others, labels[:, None], -1, 1)
    return own - others.max(1)


@explained
def cost(family: Any, spec: Any, rasters: np.ndarray, trace: Any, **options: Any) -> Cost | None:
    """The cost of recordings on a chip, given their trace; None where its family does not count.

    Args:
        family: the module of the chip's family.
        spec: the integers.
        rasters: the recordings, of whose trace the last steps may be silent.
        trace: from the simulator.
        **options: arguments of the family's own `cost`.
    """
    if not hasattr(family, "cost"):
        return None
    # The trace has silent steps at its end, for the steps by which the readout lags.
    late = np.shape(trace.spikes_out)[1] - rasters.shape[1]
    padded = np.pad(rasters, ((0, 0), (0, late), *[(0, 0)] * (rasters.ndim - 2)))
    found: Cost = family.cost(spec, padded, trace=trace, **options)
    return found


def _activity(spec: Any, trace: Any) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Spikes by layer and potentials of the readout, from the trace of any family."""

    def flat(x: Any) -> np.ndarray:
        array = np.asarray(x)
        return array.reshape(*array.shape[:2], -1)

    vmem = getattr(trace, "vmem_out", None)
    spikes = getattr(trace, "spikes", None)
    if isinstance(spikes, tuple):
        found = {layer.path or str(i): flat(spikes[i]) for i, layer in enumerate(spec.layers)}
        return found, flat(trace.vmem[-1])
    parts = getattr(spec, "parts", ()) if spikes is not None else ()
    found = {path: np.asarray(spikes)[..., own] for path, own in parts}
    readout = getattr(spec, "readout", "readout")
    return found | {readout: flat(trace.spikes_out)}, None if vmem is None else flat(vmem)


def _mismatch(recipe: Recipe, trained: Trained, data: Data, draws: int) -> MismatchSweep:
    rasters, labels = data.test

    def accuracy(trained: Trained) -> jax.Array:
        return right(recipe.answers(trained, rasters), labels).mean()

    key = jax.random.fold_in(recipe.random_key(), 1)
    return mismatch_sweep(accuracy, trained, LEVELS, draws, key=key)
