"""From a network to the integers of a chip and their answers, by the verbs of any family."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._checks import explained
from .._typing import FloatArray, Key
from ..hardware import ParameterReport, family
from ..nn import Network


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


@dataclasses.dataclass(frozen=True)
class Target:
    """A chip, and the options with which networks become its integers.

    Attributes:
        chip: short name of the chip, which also names its family.
        options: arguments of the family's verbs, such as `bits` or `input_shape`. A verb gets those
            that it takes; None stands for its default.

    Raises:
        ValueError: if there is no such chip, or no verb of its family takes one of the options.
    """

    chip: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @explained
    def __post_init__(self) -> None:
        try:
            chips = self.family.CHIPS
        except ValueError as error:
            raise ValueError(f"`chip`: {error}") from None
        if self.chip not in chips:
            raise ValueError(f"`chip` must be one of {', '.join(chips)}; got {self.chip!r}")
        taken = {name for verb in self._verbs() for name in inspect.signature(verb).parameters}
        for name, value in self.options.items():
            if value is not None and name not in taken:
                raise ValueError(
                    f"`{name}` is no option of the chip {self.chip}; leave it out; got {value!r}"
                )

    @property
    def family(self) -> ModuleType:
        """The family's module in `snnjax.hardware`."""
        return family(self.chip)

    def call(self, verb: str, *operands: Any, **more: Any) -> Any:
        """A verb of the family, with the chip and the options that it takes."""
        function = getattr(self.family, verb)
        options = {"chip": self.chip, **self.options, **more}
        known = inspect.signature(function).parameters
        given = {k: v for k, v in options.items() if k in known and v is not None}
        return function(*operands, **given)

    def takes(self, verb: str, option: str) -> bool:
        """Whether a verb of the family has an argument of this name."""
        return option in inspect.signature(getattr(self.family, verb)).parameters

    def quantize(self, network: Network) -> Any:
        """The spec of a network.

        Raises:
            ValueError: if the network does not fit the chip, listing every limit that it breaks.
        """
        spec = self.call("quantize", self.call("map_network", network))
        self.family.require(spec)
        return spec

    def report(self, network: Network) -> tuple[ParameterReport, ...]:
        """The fate of each parameter of a network in `quantize`."""
        rows: tuple[ParameterReport, ...] = self.call("report", self.call("map_network", network))
        return rows

    def emulate(
        self, network: Network, events: Float[Array, "n steps *shape"]
    ) -> Float[Array, "n steps classes"]:
        """The readout's spikes, computed as the chip does, with gradients to the network."""
        return self.emulate_all(network, events)[0]

    def emulate_all(
        self, network: Network, events: Float[Array, "n steps *shape"]
    ) -> tuple[Float[Array, "n steps classes"], Any]:
        """The readout's spikes, and everything that the emulation gives."""
        padded, late = self._with_silence(network, events)
        found = self.call("emulate", network)(padded)
        return _by_class(found.spikes_out)[:, late:], found

    def simulate(
        self, network: Network, spec: Any, rasters: Float[Array, "n steps *shape"]
    ) -> tuple[Any, Int[Array, "n steps classes"]]:
        """The trace of a spec in the bit-exact simulator, and the readout's spikes."""
        padded, late = self._with_silence(network, rasters)
        trace = self.family.simulate(spec, padded.astype(jnp.int32))
        return trace, _by_class(trace.spikes_out)[:, late:]

    def load(self, folder: Path) -> Any:
        """The integers in a run folder."""
        return self.family.load(self.path(folder))

    def path(self, folder: Path) -> Path:
        """The file of the integers in a run folder."""
        return folder / f"{self.family.__name__.rpartition('.')[2]}.json"

    def _verbs(self) -> tuple[Callable[..., Any], ...]:
        found = self.family
        return found.plan, found.map_network, found.quantize, found.emulate

    def _with_silence(self, network: Network, rasters: FloatArray) -> tuple[FloatArray, int]:
        """Rasters with silent steps at the end for the steps by which the chip's readout lags."""
        # A verb of families whose spikes take a step for each hop.
        latency = getattr(self.family, "latency", None)
        late = 0 if latency is None else latency(network)
        return jnp.pad(rasters, ((0, 0), (0, late), *[(0, 0)] * (rasters.ndim - 2))), late


def count_right(spikes: FloatArray, labels: Int[Array, " n"]) -> int:
    """How many answers are right, for spikes of shape (n, steps, classes)."""
    return int(np.asarray(right(spikes, labels)).sum())


@explained
def right(
    spikes: FloatArray, labels: Int[Array, " n"], mask: Bool[Array, "n steps"] | None = None
) -> Bool[Array, " n"]:
    """Whether the neuron of the label spiked most, for spikes of shape (n, steps, classes).

    On a tie, the first of them is the answer.

    Args:
        spikes: the readout's spikes.
        labels: the right classes.
        mask: the steps of each sequence that count; None for all.
    """
    if mask is not None:
        spikes = jnp.where(mask[:, :, None], spikes, 0)
    return jnp.argmax(spikes.sum(axis=1), axis=-1) == labels


@eqx.filter_jit
def run_network(network: Network, rasters: FloatArray, key: Key) -> Float[Array, "n steps classes"]:
    """The readout's spikes of a network without dropout, in float."""
    keys = jax.random.split(key, len(rasters))
    return jax.vmap(eqx.nn.inference_mode(network))(rasters, key=keys)[0]


def _by_class(spikes: Any) -> Any:
    """Spikes as (n, steps, classes), those of all places of a map added up."""
    return spikes.reshape(*spikes.shape[:3], -1).sum(-1, dtype=spikes.dtype)
