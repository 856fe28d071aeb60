"""The report of a network beside its integers, for every family."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ._causes import explain, seen_by_plan

NETWORK = "the network"
"""The words for a network in float."""


class LayerFidelity(NamedTuple):
    """One layer of neurons in the network and in integers.

    The network is the one in float, the same through a plan, or other integers: what the integers
    are compared with. Where spikes need steps to reach the layer on the chip, the integers are
    compared as many steps later.

    Attributes:
        path: of the neurons in the network.
        spikes: number of spikes in the network, all recordings together.
        spikes_integers: number of spikes of the integers.
        count_error: sum over recordings and neurons of the difference of their spike counts, as a
            share of the network's spikes.
        equal: share of all steps of all neurons with the same number of spikes.
        parts_at: first step at which a spike differs, in any recording; None if none does.
        sqnr: signal to quantisation noise of the membrane potentials in dB; inf if they are equal.
        saturated_states: number of synaptic currents and membrane potentials at an end of the
            chip's range.
        at_cap: number of times that a neuron emitted as many spikes as the chip allows.
        at_bound: number of membrane potentials held at the lower bound of the neurons; None for
            a chip without such bounds.
        clipped: number of weights that did not fit their bits and were clipped; None beside other
            integers.
        silent: neurons that fire in the network but never in integers, and the likely cause.
        saturated: neurons with a state that reached an end of the chip's range, and the likely
            cause.
        error_over_time: mean difference of the number of spikes of a neuron, at every step.
        drift: root mean square of the difference of the membrane potentials after every step, in
            thresholds. Where it grows over time, errors of decays add up; where it stays, those of
            single steps do not last. NaN without thresholds.
        rasters: spikes of the first recording in the network and in integers, `(time, neurons)`.
    """

    path: str
    spikes: int
    spikes_integers: int
    count_error: float
    equal: float
    parts_at: int | None
    sqnr: float
    saturated_states: int
    at_cap: int
    at_bound: int | None
    clipped: int | None
    silent: dict[int, str]
    saturated: dict[int, str]
    error_over_time: Float[np.ndarray, " time"]
    drift: Float[np.ndarray, " time"]
    rasters: tuple[Float[np.ndarray, "time neurons"], Int[np.ndarray, "time neurons"]]


class Share(NamedTuple):
    """The share of a difference that one change makes.

    Attributes:
        name: what is changed, a plural noun; `REST` for all that is left, as rounding.
        details: the change in words, and the cure.
        share: by how much the difference falls once the network has the change as well, averaged
            over the orders in which the changes can be made; below 0 where it rises.
    """

    name: str
    details: str
    share: float


REST = "rounding"
"""The name of the share that no change makes."""


class Fidelity(NamedTuple):
    """A network and its integers compared.

    Attributes:
        layers: each layer of neurons, the readout last.
        recordings: how many there were.
        cut_events: events beyond what an input channel of the chip takes in a step.
        agreement_over_time: share of recordings with the same answer, had they ended at a step.
        accuracy_over_time: share of right answers of the network, likewise; None without labels.
        accuracy_integers_over_time: the same of the integers.
        beside: what the integers are compared with, in words.
        through_plan: the network through its plan compared with the integers; None without a plan.
        shares: shares of the difference that the chip's spike caps and decays make, and the rest:
            they are measured in the network with such changes made, and add up to 1. Empty where
            nothing differs; None beside other integers, or where the family measures none.
    """

    layers: tuple[LayerFidelity, ...]
    recordings: int
    cut_events: int
    agreement_over_time: Float[np.ndarray, " time"]
    accuracy_over_time: Float[np.ndarray, " time"] | None = None
    accuracy_integers_over_time: Float[np.ndarray, " time"] | None = None
    beside: str = NETWORK
    through_plan: "Fidelity | None" = None
    shares: tuple[Share, ...] | None = None

    @property
    def apart(self) -> float:
        """Number of steps of neurons that differ, all layers together, per recording and step."""
        return float(sum((1 - x.equal) * x.rasters[0].shape[-1] for x in self.layers))

    @property
    def agreement(self) -> float:
        """Share of recordings with the same answer."""
        return float(self.agreement_over_time[-1])

    @property
    def accuracy(self) -> float | None:
        """Share of right answers of the network; None without labels."""
        return _last(self.accuracy_over_time)

    @property
    def accuracy_integers(self) -> float | None:
        """Share of right answers of the integers; None without labels."""
        return _last(self.accuracy_integers_over_time)

    def __str__(self) -> str:
        """A table, below a warning of layers that fell silent; then the same through the plan."""
        lines = [
            f"SILENT IN INTEGERS: {layer.path} fires {layer.spikes:,} times in {self.beside}"
            for layer in self.layers
            if layer.spikes and not layer.spikes_integers
        ]
        width = max(len(layer.path) for layer in self.layers)
        lines.append(f"the integers beside {self.beside}")
        lines.append(
            f"{'layer':{width}}     spikes   integers  count error   equal  parts at"
            "   SQNR dB  saturated  at cap  at bound  clipped  silent"
        )
        lines += [_row(layer, width) for layer in self.layers]
        for layer in self.layers:
            lines += _causes(f"silent in {layer.path}", layer.silent)
            lines += _causes(f"saturated in {layer.path}", layer.saturated)
        if self.cut_events:
            lines.append(
                f"{self.cut_events:,} events are more than an input channel takes in a step"
            )
        lines += [f"likely cause {i}: {words}" for i, words in enumerate(self.causes(), 1)]
        lines.append(f"same answer in {self.agreement:.2%} of {self.recordings} recordings")
        if self.accuracy is not None:
            lines.append(
                f"right answers: {self.accuracy:.2%} of {self.beside}, "
                f"{self.accuracy_integers:.2%} of the integers"
            )
        if self.through_plan is not None:
            lines += ["", str(self.through_plan)]
        return "\n".join(lines)

    def causes(self) -> tuple[str, ...]:
        """The likely reasons for which the integers differ, in words, the most important first.

        With a plan, the last of them says how much of the difference the plan has as well.
        """
        found = explain(self.layers, self.cut_events, self.beside, self.shares)
        if self.through_plan is None:
            return found
        return (*found, seen_by_plan(self.apart, self.through_plan.apart))

    def to_dict(self) -> dict[str, Any]:
        """The content for `json.dumps`, without the rasters; infinity and NaN become None."""
        content = {k: _as_list(v) for k, v in self._asdict().items()}
        for name in ("agreement", "accuracy", "accuracy_integers"):
            content[name] = getattr(self, name)
        content["causes"] = self.causes()
        content["layers"] = [
            {k: _as_list(v) for k, v in layer._asdict().items() if k != "rasters"}
            for layer in self.layers
        ]
        if self.shares is not None:
            content["shares"] = [share._asdict() for share in self.shares]
        if self.through_plan is not None:
            content["through_plan"] = self.through_plan.to_dict()
        return content


def _row(layer: LayerFidelity, width: int) -> str:
    parts = "never" if layer.parts_at is None else str(layer.parts_at)
    return (
        f"{layer.path:{width}} {layer.spikes:10,} {layer.spikes_integers:10,} "
        f"{layer.count_error:12.2%} {layer.equal:7.2%} {parts:>9} {layer.sqnr:9.1f} "
        f"{layer.saturated_states:10,} {layer.at_cap:7,} {_or_dash(layer.at_bound):>9} "
        f"{_or_dash(layer.clipped):>8} {len(layer.silent):7,}"
    )


def _causes(what: str, neurons: dict[int, str]) -> Iterator[str]:
    """A line for each cause."""
    for cause in dict.fromkeys(neurons.values()):
        those = [n for n, other in neurons.items() if other == cause]
        shown = ", ".join(map(str, those[:8])) + (", ..." if len(those) > 8 else "")
        yield f"{what}: neurons {shown}: {cause}"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _last(over_time: np.ndarray | None) -> float | None:
    return None if over_time is None else float(over_time[-1])


def _as_list(value: Any) -> Any:
    """Arrays as lists; numbers that JSON does not have as None."""
    if isinstance(value, np.ndarray):
        return [_as_list(x) for x in value.tolist()]
    return None if isinstance(value, float) and not np.isfinite(value) else value
