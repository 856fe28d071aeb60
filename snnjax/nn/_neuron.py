"""The base of all layers of neurons: a kernel run over time, with what all neurons share."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import explained, shape_of
from .._typing import FloatArray, Key, PyTree
from ..neurons import Firing, Hook, recurrent as recurrence, refractory as refractoriness, unchanged
from ..params import stop_frozen
from ..scan import scan
from ._layer import Hooks, Layer, Records, check_input, start_of
from ._settings import Settings, frozen_names, recurrent_weights


class Neuron(Layer):
    """A layer of neurons in a shape of any number of axes. Input and output `(time, *shape)`.

    A model says three things: its `params`, its `kernel` and its `rest`. Recurrence, a refractory
    period, recording, transforms of states, frozen parameters and streaming come from here.

    Parameters are stored as they are given: a number is one parameter that all neurons share; an
    array holds one for each channel, the first axis of the shape, or one for each neuron. With a
    refractory period, the state is that of `snnjax.neurons.refractory` around the kernel's; with
    recurrent weights, that of `snnjax.neurons.recurrent` around both.

    Attributes:
        shape: shape of the population, and of one step of the output.
        settings: settings that all neurons share.
        w_rec: recurrent weights; None for none.
        on_state: transforms of states by name; None for none.
        hookable: names of the states that can be transformed.
        fires: whether the neurons emit spikes; if not, the output is vmem.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    settings: Settings
    # Not `param`: type checkers would take that for a default, which no later field may lack then.
    w_rec: FloatArray | None = eqx.field(metadata={"family": "weights"})
    on_state: Hooks | None

    hookable: eqx.AbstractClassVar[tuple[str, ...]]
    fires: ClassVar[bool] = True

    @explained
    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        recurrent: bool = False,
        w_rec: ArrayLike | None = None,
        synapses: int = 1,
        key: Key | None = None,
        **settings: Any,
    ):
        """Set what all neurons have; a model calls this before it sets its own parameters.

        Args:
            shape: number of neurons, or sizes such as (channels, height, width).
            recurrent: feed the spikes of the last step back through `w_rec`.
            w_rec: recurrent weights. Dense: (N, N), source first, N neurons in all. For neurons in
                channels, the kernel of a convolution: (channels, channels, height, width), target
                first, as in `eqx.nn.Conv2d`; its output keeps the size. If it is None and
                `recurrent` is set, it is drawn with `key` from +-sqrt(6/n), n inputs each: dense
                for neurons in a row, kernels of 3 by 3 for neurons in channels.
            synapses: inputs of each neuron, the fast axis of the targets of `w_rec`.
            key: for the recurrent weights.
            **settings: see `Settings`.

        Raises:
            ValueError: if a setting is out of its range, a shape is wrong, a name in `frozen` is no
                parameter, or `key` is missing.
            TypeError: if `surrogate` is no `Surrogate`, or a setting is unknown.
        """
        for name in settings.keys() - {field.name for field in dataclasses.fields(Settings)}:
            raise TypeError(f"{type(self).__name__} has no argument {name!r}")
        self.shape = shape_of(shape)
        self.settings = Settings(**settings)
        self.w_rec = recurrent_weights(w_rec, recurrent, self.shape, key, synapses)
        self.on_state = None

    def __check_init__(self) -> None:
        frozen_names(self, self.settings.frozen)

    @abc.abstractmethod
    def params(self) -> Any:
        """The parameters of the kernel, a NamedTuple."""

    @abc.abstractmethod
    def kernel(
        self, params: Any, state: Any, x: FloatArray, *, fire: Firing, hook: Hook
    ) -> tuple[Any, FloatArray]:
        """One step of the kernel: the state after it, and the spikes, or vmem if it never fires.

        Args:
            params: as `params` gives them.
            state: the kernel's state before the step.
            x: input of the step.
            fire: spikes and reset.
            hook: transform of the states in `hookable`, by name.
        """

    @abc.abstractmethod
    def rest(self) -> Any:
        """The kernel's resting state, a NamedTuple with a field `vmem`."""

    def inputs(self, x: FloatArray, key: Key | None) -> tuple[FloatArray, dict[str, FloatArray]]:
        """The kernel's input over time, and those of its parameters that change over time, by name.

        Args:
            x: input of the layer, time first.
            key: needed where something is random.

        Raises:
            InputError: if `x` does not have the right shape.
        """
        return check_input(x, self.shape), {}

    def settled(self, params: Any, state: Any) -> FloatArray:
        """The potentials at which a refractory period holds a neuron in the kernel's `state`."""
        return state.vmem

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that are not trained."""
        return self.settings.frozen

    def initial_state(self) -> PyTree:
        """The resting state."""
        state = self.rest()
        dtype = state.vmem.dtype
        if self.settings.refractory:
            state = refractoriness.init(state, self.shape)
        if self.w_rec is not None:
            state = recurrence.init(state, self.shape, dtype)
        return state

    def evolve(
        self, x: FloatArray, state: PyTree, *, key: Key | None, record: bool
    ) -> tuple[FloatArray, PyTree, Records]:
        """A run over time. Records every state by name, `spikes` if they fire, and `output`."""
        input_key, hook_key = (None, None) if key is None else jax.random.split(key)
        neuron = stop_frozen(self) if self.frozen else self
        start, params = start_of(neuron, x, state), neuron.params()
        inputs, changing = neuron.inputs(x, input_key)
        keys = None
        if self.on_state is not None and hook_key is not None:
            keys = jax.random.split(hook_key, len(x))

        def step(
            before: PyTree,
            now: tuple[FloatArray, dict[str, FloatArray], Key | None],
            w_rec: FloatArray | None = None,
        ) -> tuple[PyTree, PyTree]:
            x_t, changed, key_t = now
            hook = _hook(neuron, getattr(params, "threshold", None), key_t)
            after, y = _advance(neuron, params._replace(**changed), before, x_t, w_rec, hook)
            spikes = y if record and self.fires else None
            vmem_wanted = self.fires and self.settings.output == "vmem"
            return after, (innermost(after).vmem if vmem_wanted else y, spikes)

        def feedback(w_rec: FloatArray, before: PyTree) -> PyTree:
            back = recurrence.fed_back(w_rec, before.output, inputs.shape[1:])
            return back, dict.fromkeys(changing), None

        after, (y, spikes), states = scan(
            step,
            start,
            (inputs, changing, keys),
            record=record,
            weights=neuron.w_rec,
            feedback=feedback,
        )
        if states is None:
            return y, after, {}
        fired = {"spikes": spikes} if self.fires else {}
        return y, after, {**by_name(states), **fired, "output": y}


def _advance(
    neuron: Neuron,
    params: Any,
    state: PyTree,
    x: FloatArray,
    w_rec: FloatArray | None,
    hook: Hook,
) -> tuple[PyTree, FloatArray]:
    """One step of the kernel, within the refractory period, within the recurrence."""
    settings = neuron.settings

    def refractory(state: PyTree, x: FloatArray) -> tuple[PyTree, FloatArray]:
        if settings.refractory == 0:
            return neuron.kernel(params, state, x, fire=settings, hook=hook)
        return refractoriness.step(
            lambda state, x, fire: neuron.kernel(params, state, x, fire=fire, hook=hook),
            state,
            x,
            fire=settings,
            steps=settings.refractory,
            hold=settings.hold,
            held=neuron.settled(params, state.inner) if settings.hold else None,
        )

    if w_rec is None:
        return refractory(state, x)
    return recurrence.step(refractory, lambda y: recurrence.fed_back(w_rec, y, x.shape), state, x)


def _hook(neuron: Neuron, threshold: FloatArray | None, key: Key | None) -> Hook:
    """The transforms of a step as the kernel calls them; each state has a key of its own.

    The axes of a state begin with those of `neuron.shape`, and so do those of the threshold that
    its transform is given.
    """
    hooks = neuron.on_state
    if hooks is None:
        return unchanged

    def hook(name: str, x: FloatArray) -> FloatArray:
        own = None if key is None else jax.random.fold_in(key, neuron.hookable.index(name))
        level = threshold
        if level is not None:
            each = jnp.broadcast_to(level, neuron.shape)
            level = each.reshape(each.shape + (1,) * (x.ndim - each.ndim))
        return hooks(name, x, key=own, threshold=level)

    return hook


def innermost(state: Any) -> Any:
    """The state of a kernel, within those of recurrence and refractoriness."""
    while hasattr(state, "inner"):
        state = state.inner
    return state


def by_name(state: Any) -> Records:
    """The states of a kernel, of recurrence and of refractoriness, by name."""
    found: Records = {}
    for name, value in state._asdict().items():
        if name == "inner":
            found.update(by_name(value))
        elif value is not None:
            found[name] = value
    return found
