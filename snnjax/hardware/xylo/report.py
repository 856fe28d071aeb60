"""What a network takes of a chip, and what becomes of its decays there."""

from typing import NamedTuple

import numpy as np

from ...decay import dash_to_tau, nearest_dash
from ...nn import Chain
from .._limits import require_kind
from ._populations import populations
from .spec import XYLO_AUDIO_3, Chip, Spec, get_chip


class Usage(NamedTuple):
    """How much of a resource of the chip a network takes.

    Attributes:
        resource: what it is.
        used: how much of it the network takes.
        has: how much of it the chip has; None for no limit.
    """

    resource: str
    used: int
    has: int | None


def usage(spec: Spec) -> tuple[Usage, ...]:
    """How full a network makes its chip.

    Args:
        spec: a network, quantised or only mapped.
    """
    require_kind(spec, Spec)
    chip = spec.chip
    fed, read = np.asarray(spec.w_in).any((0, 2)), np.asarray(spec.w_out).any(1)
    recurrent = np.count_nonzero(np.asarray(spec.w_rec), axis=(0, 1)).max(initial=0)
    return (
        Usage("input channels", spec.n_inputs, chip.n_inputs),
        Usage("hidden neurons", spec.n_hidden, chip.n_hidden),
        Usage("hidden neurons with input weights", int(fed.sum()), chip.max_input_neurons),
        Usage("hidden neurons with output weights", int(read.sum()), chip.max_output_neurons),
        Usage("output neurons", spec.n_outputs, chip.n_outputs),
        Usage("synapses per neuron", spec.n_synapses, chip.n_synapses),
        Usage("recurrent weights per synapse", int(recurrent), chip.max_recurrent_weights),
    )


class DecayChange(NamedTuple):
    """One decay of some neurons, before and after.

    Attributes:
        path: the neurons in the model.
        parameter: "tau_mem" or "tau_syn".
        neurons: how many membranes or synapses have it.
        tau: their time constant in the model, in seconds; the mean of those that share the dash.
        dash: the bit shift that they get.
        becomes: the time constant of that shift, in seconds.
    """

    path: str
    parameter: str
    neurons: int
    tau: float
    dash: int
    becomes: float

    def __str__(self) -> str:
        return (
            f"{self.path}.{self.parameter}: {self.tau * 1e3:.3g} ms -> dash {self.dash}, "
            f"{self.becomes * 1e3:.3g} ms ({self.becomes / self.tau - 1:+.1%}), x{self.neurons}"
        )


def decay_report(model: Chain, chip: Chip | str = XYLO_AUDIO_3) -> list[DecayChange]:
    """What every decay of a network becomes, for each layer and bit shift.

    Args:
        model: what `map_network` takes.
        chip: a chip or its short name.

    Raises:
        ValueError: as `map_network` does, for a network that the chip cannot run.
    """
    max_dash = get_chip(chip).max_dash
    changes: list[DecayChange] = []
    for population in populations(model):
        neurons = population.neurons
        for parameter, taus, dashes in zip(
            ("tau_mem", "tau_syn"), neurons.taus(), neurons.dashes(), strict=True
        ):
            tau, dash = np.ravel(taus), np.ravel(nearest_dash(dashes, max_dash))
            for shift in np.unique(dash):
                share = tau[dash == shift]
                becomes = float(dash_to_tau(int(shift), neurons.dt))
                changes.append(
                    DecayChange(
                        population.path,
                        parameter,
                        len(share),
                        float(share.mean()),
                        int(shift),
                        becomes,
                    )
                )
    return changes
