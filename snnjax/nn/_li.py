"""Leaky integrators: layers that never fire, for readouts."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._checks import explained, positive
from .._typing import FloatArray
from ..neurons import Firing, Hook, li
from ._leak import Leak, Leaks, Pair, make_leak, time_constants
from ._neuron import Neuron
from ._settings import optional


class LI(Neuron):
    r"""Leaky integrators, with exponential synapses if wanted: a readout of membrane potentials.

    Per step: isyn = alpha_syn*(isyn + x), or x without a synapse; vmem = alpha_mem*vmem + isyn, or
    + (1 - alpha_mem)*isyn with `norm_input`; vmem = max(vmem, min_vmem). `snnjax.neurons.li` has
    the kernel.

    Input and output `(time, *shape)`; the output is vmem. Sources: sinabs, `ExpLeak`; Rockpool.
    """

    norm_input: bool = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    leak: Leak
    min_vmem: FloatArray | None

    hookable: ClassVar = ("vmem", "isyn")
    fires: ClassVar = False

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        tau_mem: ArrayLike = 20e-3,
        tau_syn: ArrayLike | None = None,
        min_vmem: ArrayLike | None = None,
        norm_input: bool = False,
        leak: Leaks = "taus",
        frozen: Sequence[str] = ("min_vmem",),
        dt: float = 1e-3,
    ):
        """Make a layer. Parameters are one number, one per channel or one per neuron.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants of the membranes in seconds.
            tau_syn: time constants of the synapses in seconds; None for no synapses.
            min_vmem: lower bound of vmem; None for none.
            norm_input: scale the current by 1 - alpha_mem, so that vmem settles at the current.
            leak: which of (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn) are
                the parameters. They start at the values that the time constants above give.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, or a name in `frozen` is
                no parameter.
        """
        super().__init__(shape, output="vmem", frozen=frozen)
        positive("dt", dt)
        self.leak = make_leak(leak, *time_constants(tau_mem, tau_syn, self.shape), dt)
        self.min_vmem = optional("min_vmem", min_vmem, self.shape)
        self.norm_input, self.dt = norm_input, dt

    def alphas(self) -> Pair:
        """Decay factors per step, alpha_mem and alpha_syn; None without synapses."""
        return self.leak.alphas(self.dt)

    def taus(self) -> Pair:
        """Time constants in seconds, tau_mem and tau_syn; None without synapses."""
        return self.leak.taus(self.dt)

    def params(self) -> li.LIParams:
        return li.LIParams(*self.alphas(), self.min_vmem)

    def kernel(
        self, params: li.LIParams, state: li.LIState, x: FloatArray, *, fire: Firing, hook: Hook
    ) -> tuple[li.LIState, FloatArray]:
        return li.step(params, state, x, norm_input=self.norm_input, hook=hook)

    def rest(self) -> li.LIState:
        alpha_mem, alpha_syn = self.alphas()
        return li.init(self.shape, alpha_mem.dtype, synapse=alpha_syn is not None)
