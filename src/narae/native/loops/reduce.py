"""Reductions of a row: accumulators, how they take elements in, and how they become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from narae.base.dtypes import BOOL, NumpyDType, is_floating

from ..emit import Function, Type, Val
from .nest import Reduce
from .types import constant, converted, register_type, rounded
from .values import larger, smaller

State = list[Val]  # a value; for argmax and argmin, also its place in the row

_OF_BOOLS = {"sum": "or", "amax": "or", "prod": "and", "amin": "and"}


@dataclass(frozen=True)
class Reducer:
    """One reduction.

    Attributes:
        node: what is reduced.
        dtype: what is accumulated.
        source: the dtype of its elements.
        place: the type of places in the row.
    """

    node: Reduce
    source: NumpyDType
    place: Type

    @property
    def by_place(self) -> bool:
        """Whether the place is asked for."""
        return self.node.operation.startswith("arg")

    @property
    def dtype(self) -> NumpyDType:
        """What is accumulated (16-bit floating point in float32)."""
        return self.source if self.by_place else self.node.dtype

    @property
    def is_sum(self) -> bool:
        """Whether rounding errors add up."""
        return self.node.operation in {"sum", "prod"} and is_floating(self.dtype)

    def identity(self, f: Function, lanes: int, *, empty: bool = False) -> State:
        """What changes nothing; -0.0 is that for sums, but the sum of nothing is 0."""
        first = constant(f, self._identity(empty), self.dtype, lanes)
        return [first, f.const(0, self.place.of(lanes))] if self.by_place else [first]

    def _identity(self, empty: bool) -> float:
        operation, dtype = self.node.operation, self.dtype
        if operation == "sum":
            return 0.0 if empty or not is_floating(dtype) else -0.0
        if operation == "prod":
            return 1
        is_low = operation.endswith("max")
        if dtype == BOOL:
            return not is_low
        if is_floating(dtype):
            return -np.inf if is_low else np.inf
        limits = np.iinfo(dtype)
        return int(limits.min if is_low else limits.max)

    def taken(self, f: Function, x: Val, place: Val | None, mask: Val | None) -> State:
        """An element as a state; where the mask leaves out, what changes nothing."""
        state = [converted(f, x, self.source, self.dtype)]
        if self.by_place:
            assert place is not None
            state.append(place)
        if mask is None:
            return state
        neutral = self.identity(f, x.type.lanes)
        return [f.select(mask, a, b) for a, b in zip(state, neutral, strict=True)]

    def combined(self, f: Function, x: State, y: State) -> State:
        """Two states as one; y is not before x in the row, lane by lane."""
        if self.by_place:
            better = self._better(f, x[0], y[0])
            return [f.select(better, b, a) for a, b in zip(x, y, strict=True)]
        return [self._value(f, x[0], y[0])]

    def _value(self, f: Function, x: Val, y: Val) -> Val:
        operation, dtype = self.node.operation, self.dtype
        if dtype == BOOL:
            return f.binary(_OF_BOOLS[operation], x, y)
        if operation == "sum":
            return f.add(x, y)
        if operation == "prod":
            return f.mul(x, y)
        if is_floating(dtype):
            return (larger if operation == "amax" else smaller)(f, y, x)
        how = ("s" if dtype.kind == "i" else "u") + ("gt" if operation == "amax" else "lt")
        return f.select(f.compare(how, x, y), x, y)

    def _better(self, f: Function, x: Val, y: Val) -> Val:
        """Whether y beats x; NaN beats numbers."""
        how = "gt" if self.node.operation == "argmax" else "lt"
        if not is_floating(self.dtype):
            return f.compare(("s" if self.dtype.kind == "i" else "u") + how, y, x)
        return f.binary("and", f.compare("u" + how, y, x), f.compare("ord", x, x))

    def joined(self, f: Function, x: State, y: State) -> State:
        """Two states as one, whichever comes first in the row."""
        if not self.by_place:
            return self.combined(f, x, y)
        neither = f.binary("or", self._better(f, x[0], y[0]), self._better(f, y[0], x[0]))
        same = f.binary("xor", neither, f.const(1, neither.type))
        earlier = f.binary("and", same, f.compare("ult", y[1], x[1]))
        better = f.binary("or", self._better(f, x[0], y[0]), earlier)
        return [f.select(better, b, a) for a, b in zip(x, y, strict=True)]

    def across(self, f: Function, x: State) -> State:
        """The lanes of a state as one, by halves."""
        lanes = x[0].type.lanes
        while lanes > 1:
            lanes //= 2
            low = [f.shuffle(v, None, range(lanes)) for v in x]
            high = [f.shuffle(v, None, range(lanes, 2 * lanes)) for v in x]
            x = self.joined(f, low, high)
        return [f.extract(v, 0) for v in x]

    def all_of(self, f: Function, states: Sequence[State], *, in_order: bool) -> State:
        """Accumulators as one, pairwise; places are compared unless they are in order."""
        states = list(states)
        if in_order and self.by_place:
            return reduce(partial(self.combined, f), states)
        while len(states) > 1:
            pairs = [self.joined(f, states[k], states[k + 1]) for k in range(0, len(states) - 1, 2)]
            states = pairs + states[2 * len(pairs) :]
        return states[0]

    def result(self, f: Function, x: State) -> Val:
        """The value of the node."""
        if not self.by_place:
            return rounded(f, x[0], self.node.dtype)
        kind = register_type(self.node.dtype, x[1].type.lanes)
        return x[1] if kind == x[1].type else f.convert("zext", x[1], kind)
