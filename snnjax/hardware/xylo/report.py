"""What becomes of a network's decays on a chip that decays by bit shifts."""

from typing import NamedTuple

import numpy as np

from ...decay import dash_to_tau, nearest_dash
from ...nn import Chain
from ._populations import populations
from .spec import XYLO_AUDIO_3, Chip, get_chip


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
