"""Floating-point values with Python's operators, so that the text of a formula is the formula.

`Lanes` joins a value to the function that is being written: `x * x + 1` adds two instructions and
stands for their result. Numbers become constants of the other operand's type.

>>> from narae.native.emit import F32, Function
>>> f = Function("square", [("x", F32)], F32)
>>> x = Lanes(f, f.arguments[0])
>>> f.ret((x * x).value)
>>> print(f.text())
define float @square(float %x) #0 {
entry:
  %v1 = fmul float %x, %x
  ret float %v1
}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..emit import I1, I32, I64, Function, Type, Val


class Table(NamedTuple):
    """Numbers for each of the two formats, such as the coefficients of a polynomial."""

    single: tuple[float, ...]
    double: tuple[float, ...]


class Format(NamedTuple):
    """What a format is made of: value = fraction * 2 ** exponent."""

    fraction_bits: int
    one: int  # the bits of 1.0
    least_normal: float
    magic: float  # added to a small number, it leaves the nearest integer in the lowest bits


SINGLE = Format(23, 0x3F800000, 2.0**-126, 1.5 * 2.0**23)
DOUBLE = Format(52, 0x3FF0000000000000, 2.0**-1022, 1.5 * 2.0**52)


@dataclass(frozen=True, eq=False)
class Lanes:
    """A scalar or vector of floats, integers or truth values, and the function it is part of."""

    f: Function
    value: Val

    # --- what it is -------------------------------------------------------------------------

    @property
    def type(self) -> Type:
        """LLVM's type."""
        return self.value.type

    @property
    def format(self) -> Format:
        """The format of floats and of integers of their size."""
        return SINGLE if self.type.bits == 32 else DOUBLE

    def pick(self, single: float, double: float) -> Lanes:
        """The constant for this format."""
        return self.constant(single if self.format is SINGLE else double)

    def row(self, table: Table) -> tuple[float, ...]:
        """The numbers for this format."""
        return table.single if self.format is SINGLE else table.double

    def constant(self, number: float) -> Lanes:
        """A number in every lane."""
        return Lanes(self.f, self.f.const(number, self.type))

    # --- arithmetic -------------------------------------------------------------------------

    def _operand(self, other: Lanes | float) -> Val:
        return other.value if isinstance(other, Lanes) else self.constant(other).value

    def _new(self, value: Val) -> Lanes:
        return Lanes(self.f, value)

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._new(self.f.add(self.value, self._operand(other)))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._new(self.f.sub(self.value, self._operand(other)))

    def __rsub__(self, other: float) -> Lanes:
        return self._new(self.f.sub(self._operand(other), self.value))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._new(self.f.mul(self.value, self._operand(other)))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._new(self.f.div(self.value, self._operand(other)))

    def __rtruediv__(self, other: float) -> Lanes:
        return self._new(self.f.div(self._operand(other), self.value))

    def __neg__(self) -> Lanes:
        return self._new(self.f.neg(self.value))

    def intrinsic(self, name: str, *more: Lanes) -> Lanes:
        """LLVM's function of that name for this type, such as "sqrt"."""
        values = [self.value, *(other.value for other in more)]
        return self._new(self.f.call(f"llvm.{name}.{self.type.suffix}", self.type, *values))

    # --- comparison (false for NaN) and logic -------------------------------------------------

    def _compare(self, how: str, other: Lanes | float) -> Lanes:
        prefix = "o" if self.type.is_float else {"eq": "", "ne": ""}.get(how, "s")
        return self._new(self.f.compare(prefix + how, self.value, self._operand(other)))

    def __lt__(self, other: Lanes | float) -> Lanes:
        return self._compare("lt", other)

    def __le__(self, other: Lanes | float) -> Lanes:
        return self._compare("le", other)

    def __gt__(self, other: Lanes | float) -> Lanes:
        return self._compare("gt", other)

    def __ge__(self, other: Lanes | float) -> Lanes:
        return self._compare("ge", other)

    def equals(self, other: Lanes | float) -> Lanes:
        """x == y; never for NaN."""
        return self._compare("eq", other)

    def is_nan(self) -> Lanes:
        """Whether it is not a number."""
        return self._new(self.f.compare("uno", self.value, self.value))

    def __and__(self, other: Lanes | int) -> Lanes:
        return self._new(self.f.binary("and", self.value, self._operand(other)))

    def __or__(self, other: Lanes | int) -> Lanes:
        return self._new(self.f.binary("or", self.value, self._operand(other)))

    def __xor__(self, other: Lanes | int) -> Lanes:
        return self._new(self.f.binary("xor", self.value, self._operand(other)))

    def __lshift__(self, other: int) -> Lanes:
        return self._new(self.f.binary("shl", self.value, self._operand(other)))

    def __rshift__(self, other: int) -> Lanes:
        return self._new(self.f.binary("ashr", self.value, self._operand(other)))

    def inverted(self) -> Lanes:
        """`not`, of truth values."""
        return self ^ 1

    # --- bits -------------------------------------------------------------------------------

    def bits(self) -> Lanes:
        """The bits of floats as integers."""
        kind = (I32 if self.type.bits == 32 else I64).like(self.type)
        return self._new(self.f.convert("bitcast", self.value, kind))

    def floats(self, like: Lanes) -> Lanes:
        """Integers as the floats that have these bits."""
        return self._new(self.f.convert("bitcast", self.value, like.type))

    def number(self, like: Lanes) -> Lanes:
        """Integers as floats of the same value."""
        return self._new(self.f.convert("sitofp", self.value, like.type))


def where(condition: Lanes, x: Lanes | float, y: Lanes | float) -> Lanes:
    """x where the condition holds, y elsewhere; one of the two must not be a plain number."""
    if isinstance(x, Lanes):
        return Lanes(x.f, x.f.select(condition.value, x.value, x._operand(y)))
    assert isinstance(y, Lanes)
    return Lanes(y.f, y.f.select(condition.value, y._operand(x), y.value))


def fma(x: Lanes, y: Lanes | float, z: Lanes | float) -> Lanes:
    """x * y + z, rounded once."""
    return Lanes(x.f, x.f.fma(x.value, x._operand(y), x._operand(z)))


def magnitude(x: Lanes) -> Lanes:
    """|x|."""
    return x.intrinsic("fabs")


def with_sign(x: Lanes, sign: Lanes) -> Lanes:
    """|x| with the sign of another number."""
    return x.intrinsic("copysign", sign)


def at_most(x: Lanes, bound: Lanes | float) -> Lanes:
    """min(x, bound); NaN stays NaN. One instruction on x86."""
    limit = bound if isinstance(bound, Lanes) else x.constant(bound)
    return where(limit < x, limit, x)


def at_least(x: Lanes, bound: Lanes | float) -> Lanes:
    """max(x, bound); NaN stays NaN."""
    limit = bound if isinstance(bound, Lanes) else x.constant(bound)
    return where(limit > x, limit, x)


def horner(x: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    """c0 + c1 x + c2 x² + …, from the last coefficient inwards."""
    *rest, last = coefficients
    out = x.constant(last)
    for coefficient in reversed(rest):
        out = fma(out, x, coefficient)
    return out


def polynomial(x: Lanes, table: Table) -> Lanes:
    """The polynomial whose coefficients, lowest power first, a table has for x's format."""
    return horner(x, x.row(table))


def any_lane(condition: Lanes) -> Val:
    """Whether the condition holds anywhere, as a scalar."""
    if not condition.type.lanes:
        return condition.value
    name = f"llvm.vector.reduce.or.{condition.type.suffix}"
    return condition.f.call(name, I1, condition.value)


def rarely(condition: Lanes, usual: Lanes, unusual: Callable[[], Lanes]) -> Lanes:
    """`where(condition, unusual(), usual)`, by a branch around it if the condition holds nowhere.

    Lanes for which it does not hold keep the usual result: no lane depends on its neighbours.
    """
    f = condition.f

    def mixed() -> Val:
        return where(condition, unusual(), usual).value

    return Lanes(f, f.rarely(any_lane(condition), usual.value, mixed))


def lane_by_lane(name: str, *operands: Lanes) -> Lanes:
    """Call a function of the C library, such as "fmod", for each lane ("fmodf" for float32)."""
    x = operands[0]
    f, kind = x.f, x.type
    symbol = name + ("f" if x.format is SINGLE else "")
    if not kind.lanes:
        return Lanes(f, f.call(symbol, kind, *(each.value for each in operands)))
    with f.loop(0, kind.lanes, carried=[Val("poison", kind)]) as loop:
        index = loop.index
        items = [f.emit(kind.of(0), f"extractelement {each.value}, {index}") for each in operands]
        item = f.call(symbol, kind.of(0), *items)
        loop.next = [f.emit(kind, f"insertelement {loop.carried[0]}, {item}, {index}")]
    return Lanes(f, loop.results[0])
