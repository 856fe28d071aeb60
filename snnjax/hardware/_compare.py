"""A network and its integers side by side, for every family."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Real

from .. import transforms
from .._typing import Key, PyTree
from ..nn import Network, record
from ._changes import Change, Compare, shares
from ._family import MappingWarning, Spec
from ._fidelity import NETWORK, Fidelity, LayerFidelity
from ._inputs import require_counts, require_shape

NO_THRESHOLD = np.iinfo(np.int16).max
"""From here on a threshold stands for none."""


class LayerTrace(NamedTuple):
    """Spikes and membrane potentials of a layer, in the network or in integers.

    Attributes:
        spikes: number of spikes of each neuron at each step.
        vmem: its membrane potentials after each step.
        threshold: its firing threshold, in the unit of `vmem`; it broadcasts against that.
    """

    spikes: Float[np.ndarray, "batch time neurons"]
    vmem: Float[np.ndarray, "batch time neurons"]
    threshold: np.ndarray

    @property
    def charged(self) -> Float[np.ndarray, "batch time neurons"]:
        """Membrane potentials before the spikes, each of which subtracted a threshold."""
        return self.vmem + self.spikes * self.threshold


def compare_layer(
    path: str,
    network: LayerTrace,
    integers: LayerTrace,
    *,
    why_silent: Callable[[int], str],
    saturated: dict[int, str],
    saturated_states: int,
    at_cap: int,
    clipped: int | None,
    at_bound: int | None = None,
) -> LayerFidelity:
    """Compare a layer of the network with its integers.

    Args:
        path: of the neurons in the network.
        network: their activity there.
        integers: their activity on the chip, of as many steps.
        why_silent: the likely cause that the neuron of a number is silent in integers.
        saturated: neurons that saturate in integers, and the likely cause.
        saturated_states: see `LayerFidelity`, as all that follow.
        at_cap: see there.
        clipped: see there.
        at_bound: see there.
    """
    difference = np.abs(network.spikes - integers.spikes)
    differs = np.flatnonzero(difference.any((0, 2)))
    silent = network.spikes.any((0, 1)) & ~integers.spikes.any((0, 1))
    apart = np.abs(network.spikes.sum(1) - integers.spikes.sum(1)).sum()
    return LayerFidelity(
        path=path,
        spikes=int(network.spikes.sum()),
        spikes_integers=int(integers.spikes.sum()),
        count_error=float(apart / max(network.spikes.sum(), 1)),
        equal=float(np.mean(difference == 0)),
        parts_at=int(differs[0]) if len(differs) else None,
        sqnr=_sqnr(network, integers),
        saturated_states=saturated_states,
        at_cap=at_cap,
        at_bound=at_bound,
        clipped=clipped,
        silent={int(n): why_silent(int(n)) for n in np.flatnonzero(silent)},
        saturated=saturated,
        error_over_time=difference.mean((0, 2)),
        drift=_drift(network, integers),
        rasters=(network.spikes[0], integers.spikes[0]),
    )


def compare_answers(
    layers: tuple[LayerFidelity, ...],
    network: Real[np.ndarray, "batch time classes"],
    integers: Real[np.ndarray, "batch time classes"],
    labels: ArrayLike | None,
    *,
    cut_events: int = 0,
    beside: str = NETWORK,
) -> Fidelity:
    """The report, given what speaks for each class at each step: spikes, or a potential.

    An answer is the class that most speaks for.
    """
    mine, theirs = (np.cumsum(x, 1, dtype=float).argmax(-1) for x in (network, integers))
    right = None if labels is None else np.reshape(np.asarray(labels), (-1, 1))
    return Fidelity(
        layers=layers,
        recordings=len(network),
        cut_events=cut_events,
        agreement_over_time=(mine == theirs).mean(0),
        accuracy_over_time=None if right is None else (mine == right).mean(0),
        accuracy_integers_over_time=None if right is None else (theirs == right).mean(0),
        beside=beside,
    )


def beside_plan(
    compare: Compare,
    model: Any,
    plan: PyTree,
    key: Key | None,
    changes: Callable[[Any], Sequence[Change]] | None = None,
) -> Fidelity:
    """The report of a network or other integers, with that of the network through a plan in it.

    Args:
        compare: the report of a network, given words for it.
        model: the network, or other integers.
        plan: the plan; None for none.
        key: for random transforms of the plan.
        changes: what the chip has otherwise than a network; None if the family does not say.

    Raises:
        ValueError: if other integers are to go through a plan.
    """
    if isinstance(model, Spec):
        if plan is not None:
            raise ValueError("`plan` has no use beside other integers; leave it out")
        return compare(model, "the other integers")

    def measured(model: Any, beside: str) -> Fidelity:
        found = compare(model, beside)
        return found if changes is None else shares(compare, found, model, changes(model))

    found = measured(model, NETWORK)
    if plan is None:
        return found
    seen = transforms.apply(plan, model, key=key)
    return found._replace(through_plan=measured(seen, "the network through its plan"))


def warn_of_cut(cut_events: int) -> None:
    """Warn of events of a raster that a chip ignores, as the caller of a verb."""
    if cut_events:
        warnings.warn(
            f"{cut_events:,} events of `raster` are beyond what an input channel of the chip takes "
            "in a step; it ignores them, the network does not",
            MappingWarning,
            stacklevel=4,
        )


def as_recordings(
    raster: ArrayLike, shape: tuple[int, ...], labels: ArrayLike | None, *, classes: int
) -> Int[np.ndarray, "batch time *shape"]:
    """A batch of recordings, made of one where that is all there is.

    Args:
        raster: numbers of events.
        shape: shape of one time step.
        labels: a label for each recording, or for the only one; None for no labels.
        classes: number of classes.

    Raises:
        ValueError: if there is no recording of a step or more, or not one label from 0 to
            `classes` - 1 for each; or if the raster is none, see `as_counts`.
    """
    counts = np.asarray(raster)
    require_shape(counts, shape)
    require_counts("raster", counts)
    if counts.ndim == len(shape) + 1:
        counts = counts[None]
    require_recordings(counts.shape, labels)
    if labels is not None:
        known = np.asarray(labels)
        if known.dtype.kind not in "iu" or known.min() < 0 or known.max() >= classes:
            raise ValueError(
                f"`labels` must be whole numbers from 0 to {classes - 1}, the classes of the "
                f"readout; got {known.dtype} from {known.min()} to {known.max()}"
            )
    return counts


def require_recordings(shape: tuple[int, ...], labels: ArrayLike | None) -> None:
    """Raise ValueError unless there are recordings of some steps, and a label for each or none.

    Args:
        shape: of the raster, `(batch, time, ...)`.
        labels: the labels.
    """
    recordings, steps = shape[:2]
    if not recordings or not steps:
        raise ValueError(
            f"`raster` must hold a recording of a step or more, to compare anything; got {shape}"
        )
    shapes = ((recordings,), ()) if recordings == 1 else ((recordings,),)
    if labels is not None and np.shape(labels) not in shapes:
        raise ValueError(
            f"`labels` must be one for each of the {recordings} recordings; got the shape "
            f"{np.shape(labels)}"
        )


@eqx.filter_jit
def run_network(
    model: Network, events: Float[np.ndarray, "batch time *shape"], state: PyTree = None
) -> dict[str, Any]:
    """The recorded states and outputs of every layer, `(batch, time, ...)`, with dropout off."""
    quiet = eqx.nn.inference_mode(model)
    return jax.vmap(lambda x: record(quiet, x, state)[2])(events)


def _sqnr(network: LayerTrace, integers: LayerTrace) -> float:
    """SQNR of the potentials in units of thresholds; fitted to each other where there is none."""
    x, y = network.vmem / network.threshold, integers.vmem / integers.threshold
    if np.array_equal(x, y):  # the fit below rounds
        return float("inf")
    if (network.threshold >= NO_THRESHOLD).any():
        y = y * (x * y).sum() / max((y * y).sum(), np.finfo(float).tiny)
    noise = ((x - y) ** 2).sum()
    return float(10 * np.log10((x**2).sum() / noise)) if noise else float("inf")


def _drift(network: LayerTrace, integers: LayerTrace) -> Float[np.ndarray, " time"]:
    if (network.threshold >= NO_THRESHOLD).any():
        return np.full(network.vmem.shape[1], np.nan)
    difference = network.vmem / network.threshold - integers.vmem / integers.threshold
    return np.sqrt((difference**2).mean((0, 2)))
