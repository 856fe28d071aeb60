"""A step of neurons as a program of lanes, each of which computes one neuron.

It is made of the step's jaxpr. Every array whose shape begins with that of the neurons becomes a
list of lanes, one for each entry of its other axes: of a state `(neurons, synapses)`, one for each
synapse. Lanes are arrays of one shape, whatever it is, and so the program has nothing but
operations that act on each entry by itself.

A step in which neurons see one another, or one with an operation that is unknown here, has no such
program.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from ._blocks import only

Lanes: TypeAlias = list[Any]
"""The entries of an array of which each is one number for every neuron, in C order."""

Shape: TypeAlias = tuple[int, ...]

ELEMENTWISE = frozenset(
    "abs add and clamp convert_element_type cos div eq erf exp exp2 ge gt le log"  # noqa: SIM905
    " logistic lt max min mul ne neg not one_minus_square or rem round rsqrt select_n sign sin sqrt"
    " square sub tanh xor".split()
)
"""The operations that programs have as they are. Mosaic GPU has all of them."""

_SAME = frozenset({"name", "copy", "reshape", "squeeze"})
_CALLS = {
    "jit": "jaxpr",
    "closed_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {
    "reduce_sum": operator.add,
    "reduce_prod": operator.mul,
    "reduce_max": jnp.maximum,
    "reduce_min": jnp.minimum,
    "reduce_or": operator.or_,
    "reduce_and": operator.and_,
}


class NotByLanes(Exception):  # noqa: N818
    """A step has no program of lanes."""


def by_lanes(
    function: Callable[..., list[Any]], types: Sequence[Any], neurons: Shape, *, rules: bool = False
) -> Callable[[Lanes], Lanes]:
    """The program of a step.

    Args:
        function: a function of arrays, which gives a list of arrays.
        types: types of its arguments.
        neurons: shape of the neurons.
        rules: whether derivatives of the program are those of `jax.custom_jvp` within the step.

    Raises:
        NotByLanes: if there is none.
    """
    program = jax.make_jaxpr(function)(*types)
    if not all(is_of_neurons(y, neurons) for y in program.out_avals):
        raise NotByLanes
    return lambda lanes: _Program(neurons, rules).run(program, lanes)


def is_of_neurons(kind: Any, neurons: Shape) -> bool:
    """Whether an array has numbers for the neurons, at least along one of their axes.

    Along the others it has size 1. Neurons share an array that has none of the axes.
    """
    own = kind.shape[: len(neurons)]
    sizes = list(zip(own, neurons, strict=False))
    fits = len(own) == len(neurons) and all(size in (1, n) for size, n in sizes)
    return own == neurons or (fits and any(size == n > 1 for size, n in sizes))


def entries(kind: Any, neurons: Shape) -> Shape:
    """The shape of an array without the axes of the neurons."""
    shape: Shape = kind.shape
    return shape[len(neurons) :] if is_of_neurons(kind, neurons) else shape


class _Program:
    """The interpreter of the jaxpr of a step.

    Attributes:
        neurons: shape of the neurons.
        rules: whether to keep the rules of `jax.custom_jvp`.
    """

    def __init__(self, neurons: Shape, rules: bool) -> None:
        self.neurons, self.rules = neurons, rules

    def run(self, program: ClosedJaxpr, lanes: Lanes) -> Lanes:
        """The lanes of all results, from those of all arguments."""
        jaxpr = program.jaxpr
        known: dict[Any, Lanes] = {}
        rest = iter(lanes)
        for variable, value in zip(jaxpr.constvars, program.consts, strict=True):
            if self._is_of_neurons(variable) or isinstance(value, jax.core.Tracer):
                raise NotByLanes
            known[variable] = [np.asarray(value)[i] for i in np.ndindex(*np.shape(value))]
        for variable in jaxpr.invars:
            known[variable] = [next(rest) for _ in range(self._count(variable))]

        def read(x: Any) -> Lanes:
            return [x.val] if isinstance(x, Literal) else known[x]

        for equation in jaxpr.eqns:
            made = self._step(equation, [read(x) for x in equation.invars])
            for variable in equation.outvars:
                count = self._count(variable)
                known[variable], made = made[:count], made[count:]
        shape = _shape_of(lanes)
        return [_full(lane, shape, x.aval.dtype) for x in jaxpr.outvars for lane in read(x)]

    def _is_of_neurons(self, x: Any) -> bool:
        return is_of_neurons(x.aval, self.neurons)

    def _entries(self, x: Any) -> Shape:
        return entries(x.aval, self.neurons)

    def _count(self, x: Any) -> int:
        return math.prod(self._entries(x))

    def _step(self, equation: Any, given: list[Lanes]) -> Lanes:
        name = equation.primitive.name
        if name == "custom_jvp_call" and self.rules:
            return self._with_rule(equation, given)
        if name in _CALLS:
            return self._call(equation.params[_CALLS[name]], given)
        if name in _SUMS:
            return self._sum(equation, *given)
        if name == "broadcast_in_dim":
            return self._broadcast(equation, *given)
        if name == "stop_gradient":
            return list(map(lax.stop_gradient, *given)) if self.rules else given[0]
        if name in _SAME:
            return self._same(equation, *given)
        if name == "slice":
            return self._slice(equation, *given)
        return self._each(equation, given)

    def _call(self, program: Any, given: list[Lanes]) -> Lanes:
        if not isinstance(program, ClosedJaxpr):
            program = ClosedJaxpr(program, ())
        return self.run(program, [lane for lanes in given for lane in lanes])

    def _each(self, equation: Any, given: list[Lanes]) -> Lanes:
        """An operation on each entry. An axis of size 1 goes with one of any size."""
        operation, (out,) = _operation(equation), equation.outvars
        if out.aval.dtype not in (jnp.float32, jnp.int32, jnp.bool_):
            raise NotByLanes
        pairs = list(zip(equation.invars, given, strict=True))
        rows = [self._as_broad_as(out, x, lanes) for x, lanes in pairs]
        kinds = [x.aval.dtype for x in equation.invars]
        return [_apply(operation, kinds, entry) for entry in zip(*rows, strict=True)]

    def _as_broad_as(self, out: Any, x: Any, lanes: Lanes) -> Lanes:
        shape, skipped = x.aval.shape, self._skipped(out)
        if self._is_of_neurons(x) and not self._is_of_neurons(out):
            raise NotByLanes
        if not self._is_of_neurons(x) and set(shape[:skipped]) - {1}:
            raise NotByLanes
        return _broadcast(lanes, shape[skipped:], self._entries(out))

    def _with_rule(self, equation: Any, given: list[Lanes]) -> Lanes:
        """A call with a derivative of its own, whose rule becomes a program as well."""
        kinds = [x.aval for x in equation.invars]
        if not all(jnp.issubdtype(kind.dtype, jnp.inexact) for kind in kinds):
            raise NotByLanes
        types = tuple(jax.ShapeDtypeStruct(kind.shape, kind.dtype) for kind in kinds)
        call = _alone(equation)
        rule = jax.make_jaxpr(lambda x, d: jax.jvp(call, x, d))(types, types)

        @jax.custom_jvp
        def of_lanes(*lanes: Any) -> tuple[Any, ...]:
            return tuple(self.run(equation.params["call_jaxpr"], list(lanes)))

        @of_lanes.defjvp
        def of_tangents(lanes: Any, tangents: Any) -> Any:
            made = self.run(rule, [*lanes, *tangents])
            half = len(made) // 2
            return tuple(made[:half]), tuple(made[half:])

        shape = _shape_of(lane for some in given for lane in some)
        pairs = zip(kinds, given, strict=True)
        return list(of_lanes(*(_full(x, shape, kind.dtype) for kind, some in pairs for x in some)))

    def _sum(self, equation: Any, lanes: Lanes) -> Lanes:
        """A sum, or the like, over axes that are none of the neurons'."""
        (x,), skipped = equation.invars, self._skipped(equation.invars[0])
        axes = tuple(axis - skipped for axis in equation.params["axes"])
        if min(axes, default=0) < 0:
            raise NotByLanes
        places = np.arange(len(lanes)).reshape(self._entries(x))
        kept = [i for i in range(places.ndim) if i not in axes]
        rows = places.transpose(*kept, *axes).reshape(self._count(equation.outvars[0]), -1)
        add = _SUMS[equation.primitive.name]
        return [functools.reduce(add, [lanes[i] for i in row]) for row in rows]

    def _own(self, x: Any) -> Shape:
        """The sizes of an array along the axes of the neurons; none where they share it."""
        shape: Shape = x.aval.shape
        return shape[: self._skipped(x)]

    def _skipped(self, x: Any) -> int:
        return len(self.neurons) if self._is_of_neurons(x) else 0

    def _broadcast(self, equation: Any, lanes: Lanes) -> Lanes:
        """A broadcast along axes that are none of the neurons', or of what all neurons share."""
        (x,), (out,) = equation.invars[:1], equation.outvars
        places, skipped = equation.params["broadcast_dimensions"], self._skipped(out)
        kept = len(self.neurons) if self._is_of_neurons(x) and skipped else 0
        if self._is_of_neurons(x) and self.neurons and not skipped:
            raise NotByLanes
        if places[:kept] != tuple(range(kept)):
            raise NotByLanes
        shape = [1] * (len(out.aval.shape) - skipped)
        for place, size in zip(places[kept:], x.aval.shape[kept:], strict=True):
            if place >= skipped:
                shape[place - skipped] = size
            elif size != 1:
                raise NotByLanes
        return _broadcast(lanes, shape, self._entries(out))

    def _slice(self, equation: Any, lanes: Lanes) -> Lanes:
        """A part along axes that are none of the neurons'."""
        (x,), skipped, params = equation.invars, self._skipped(equation.invars[0]), equation.params
        starts, ends = params["start_indices"], params["limit_indices"]
        if (starts[:skipped], ends[:skipped]) != ((0,) * skipped, self._own(x)):
            raise NotByLanes
        steps = params["strides"] or (1,) * len(starts)
        part = tuple(map(slice, starts, ends, steps))[skipped:]
        which = np.arange(len(lanes)).reshape(self._entries(x))[part]
        return [lanes[i] for i in which.flat]

    def _same(self, equation: Any, lanes: Lanes) -> Lanes:
        """The same numbers in the same order, in another shape or none."""
        one, other = self._own(equation.invars[0]), self._own(equation.outvars[0])
        if one != other and math.prod(self.neurons) != 1:
            raise NotByLanes
        return lanes


def _alone(equation: Any) -> Callable[..., Any]:
    """A function that is one equation."""
    is_given = [not isinstance(x, Literal) for x in equation.invars]
    jaxpr = equation.params["call_jaxpr"].jaxpr.replace(
        constvars=[], invars=only(is_given, equation.invars), outvars=equation.outvars,
        eqns=[equation],
    )  # fmt: skip
    run = jaxpr_as_fun(ClosedJaxpr(jaxpr, ()))
    return lambda *args: run(*only(is_given, args))


def _broadcast(lanes: Lanes, shape: Sequence[int], wanted: Shape) -> Lanes:
    """Lanes of entries of one shape as those of another."""
    return [lanes[i] for i in np.broadcast_to(np.arange(len(lanes)).reshape(shape), wanted).flat]


def _operation(equation: Any) -> Callable[..., Any]:
    """An equation's operation on lanes."""
    name, primitive, params = equation.primitive.name, equation.primitive, equation.params
    if name in ELEMENTWISE:
        return lambda *lanes: primitive.bind(*lanes, **params)
    if name == "add_any":
        return operator.add
    if name == "integer_pow":
        return functools.partial(_power, exponent=params["y"])
    if name == "floor":
        return _floor
    if name == "ceil":
        return lambda x: -_floor(-x)
    raise NotByLanes


def _power(x: Any, exponent: int) -> Any:
    product = functools.reduce(operator.mul, [x] * abs(exponent), jnp.ones_like(x))
    return product if exponent >= 0 else 1 / product


def _floor(x: Any) -> Any:
    nearest = lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    return nearest - (nearest > x).astype(x.dtype)


def _apply(operation: Callable[..., Any], kinds: Sequence[Any], entry: Sequence[Any]) -> Any:
    """An operation on lanes and constants."""
    shape = _shape_of(entry)
    return operation(*(_full(x, shape, kind) for x, kind in zip(entry, kinds, strict=True)))


def _shape_of(lanes: Iterable[Any]) -> Shape:
    """The shape of lanes; that of a number if all of them are constants."""
    return next((np.shape(lane) for lane in lanes if np.ndim(lane)), ())


def _full(x: Any, shape: Shape, kind: Any) -> Any:
    return x if np.shape(x) == shape and isinstance(x, jax.Array) else lax.full(shape, x, kind)
