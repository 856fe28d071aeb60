"""Leaky integrators: layers that never fire, for readouts."""

import functools
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
from jax.typing import ArrayLike

from .._typing import FloatArray, Key
from ..neurons import Hook, li
from ._hooks import Hooks
from ._leak import LEAKS, Leak, Leaks, Pair, make_leak
from ._neuron import Output
from ._population import Kernel, Population
from ._spiking import check_input, frozen_names, per_neuron
from ._validate import choice, positive, shape_of


class LI(Population):
    r"""Leaky integrators, with exponential synapses if wanted: a readout of membrane potentials.

    Per step: isyn = alpha_syn*(isyn + x), or x without a synapse; vmem = alpha_mem*vmem + isyn, or
    + (1 - alpha_mem)*isyn with `norm_input`; vmem = max(vmem, min_vmem). `snnjax.neurons.li` has
    the kernel.

    Input and output `(time, *shape)`; the output is vmem. Sources: sinabs, `ExpLeak`; Rockpool.
    """

    size: tuple[int, ...] = eqx.field(static=True)
    norm_input: bool = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    output: Output = eqx.field(static=True)
    frozen: tuple[str, ...] = eqx.field(static=True)
    leak: Leak
    min_vmem: FloatArray | None
    on_state: Hooks | None

    hookable: ClassVar = ("vmem", "isyn")
    fires: ClassVar = False

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
        """Make a layer.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            tau_mem: time constants of the membranes in seconds, one number, one per channel or one
                per neuron.
            tau_syn: time constants of the synapses in seconds, likewise; None for no synapses.
            min_vmem: lower bound of vmem, likewise; None for none.
            norm_input: scale the current by 1 - alpha_mem, so that vmem settles at the current.
            leak: which of (tau_mem, tau_syn), (alpha_mem, alpha_syn) or (dash_mem, dash_syn) are
                the parameters. They start at the values that the time constants above give.
            frozen: names of the parameters that are not trained: they get no gradient.
            dt: length of a step in seconds.

        Raises:
            ValueError: if a number is out of its range, a shape is wrong, or a name in `frozen` is
                not a parameter.
        """
        self.size = shape_of(shape)
        positive("dt", dt)
        choice("leak", leak, LEAKS)
        self.leak = make_leak(leak, *time_constants(self.size, tau_mem, tau_syn), dt)
        self.min_vmem = None if min_vmem is None else per_neuron("min_vmem", min_vmem, self.size)
        self.norm_input, self.dt, self.output = norm_input, dt, "vmem"
        self.on_state = None
        self.frozen = frozen_names(self, frozen, *vars(self.leak))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the population."""
        return self.size

    def alphas(self) -> Pair:
        """Decay factors per step, alpha_mem and alpha_syn; None without synapses."""
        return self.leak.alphas(self.dt)

    def taus(self) -> Pair:
        """Time constants in seconds, tau_mem and tau_syn; None without synapses."""
        return self.leak.taus(self.dt)

    def initial_state(self) -> li.LIState:
        """Membrane potentials, and synaptic currents if there are any, all zero."""
        alpha_mem, alpha_syn = self.alphas()
        return li.init(self.size, alpha_mem.dtype, synapse=alpha_syn is not None)

    def _kernel(self) -> Kernel:
        step = functools.partial(
            li.step, li.LIParams(*self.alphas(), self.min_vmem), norm_input=self.norm_input
        )

        def kernel(
            state: li.LIState, x: FloatArray, hook: Hook, w_rec: FloatArray | None
        ) -> tuple[li.LIState, FloatArray]:
            return step(state, x, hook=hook)

        return kernel

    def _inputs(self, x: FloatArray, key: Key | None) -> FloatArray:
        return check_input(x, self.size)

    def _level(self) -> None:
        return None


def time_constants(
    shape: tuple[int, ...], tau_mem: ArrayLike, tau_syn: ArrayLike | None
) -> tuple[FloatArray, FloatArray | None]:
    """Checked time constants of membranes and synapses."""
    mem = per_neuron("tau_mem", tau_mem, shape, above=0)
    return mem, None if tau_syn is None else per_neuron("tau_syn", tau_syn, shape, above=0)
