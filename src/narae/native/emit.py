"""Writing LLVM's text: typed values, instructions, and loops whose variables are in SSA form.

A `Function` collects lines. Everything that computes takes and gives `Val`s, a name with its type;
a constant is a `Val` too. Nothing here knows what is computed.

>>> f = Function("double_it", [("x", PTR), ("n", I64)])
>>> x, n = f.arguments
>>> with f.loop(0, n) as loop:
...     place = f.at(x, loop.index, F32)
...     f.store(f.mul(f.load(place, F32), f.const(2.0, F32)), place)
>>> print(f.text())  # doctest: +ELLIPSIS
define void @double_it(ptr noalias %x, i64 %n) #0 {
entry:
  br label %head1
...
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Type:
    """An LLVM type: a scalar, or `lanes` of them as a vector (0 for a scalar)."""

    scalar: str  # "float", "double", "bfloat", "half", "i1", "i8", "i16", "i32", "i64", "ptr"
    lanes: int = 0

    def __str__(self) -> str:
        return f"<{self.lanes} x {self.scalar}>" if self.lanes else self.scalar

    @property
    def is_float(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.scalar in _FLOAT_BITS

    @property
    def bits(self) -> int:
        """Bits of one element."""
        return _FLOAT_BITS.get(self.scalar) or (
            64 if self.scalar == "ptr" else int(self.scalar[1:])
        )

    @property
    def bytes(self) -> int:
        """Bytes that one element takes in memory."""
        return max(1, self.bits // 8)

    @property
    def suffix(self) -> str:
        """How names of intrinsics spell it: f32, v16f32, i64."""
        scalar = {"float": "f32", "double": "f64", "half": "f16", "bfloat": "bf16", "ptr": "p0"}
        name = scalar.get(self.scalar, self.scalar)
        return f"v{self.lanes}{name}" if self.lanes else name

    def of(self, lanes: int) -> "Type":
        """The same elements, in a vector of `lanes` (0: a scalar)."""
        return Type(self.scalar, lanes)

    def like(self, other: "Type") -> "Type":
        """The same elements, as many as `other` has."""
        return Type(self.scalar, other.lanes)


_FLOAT_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
F16, BF16, F32, F64 = Type("half"), Type("bfloat"), Type("float"), Type("double")
I1, I8, I16, I32, I64 = Type("i1"), Type("i8"), Type("i16"), Type("i32"), Type("i64")
PTR, VOID = Type("ptr"), Type("void")


@dataclass(frozen=True)
class Val:
    """A value: a register's name or a constant's text, and its type."""

    name: str
    type: Type

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


Int = Val | int


def number_text(value: float, scalar: Type) -> str:
    """A constant as LLVM spells it: floats in hexadecimal, exactly.

    >>> number_text(0.1, F32), number_text(3, I64)
    ('0x3FB99999A0000000', '3')
    """
    if not scalar.is_float:
        return str(int(value))
    with np.errstate(over="ignore"):
        if scalar == F32:
            value = float(np.float32(value))
        elif scalar == F16:
            return f"0xH{struct.unpack('<H', np.float16(value).tobytes())[0]:04X}"
        elif scalar == BF16:
            import ml_dtypes

            raw = np.asarray(value).astype(ml_dtypes.bfloat16).tobytes()
            return f"0xR{struct.unpack('<H', raw)[0]:04X}"
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


@dataclass
class Loop:
    """A loop that is being written: its index, and the variables it carries.

    Inside, `carried` holds the values at the start of a round, and `next` must be given those of
    the end; after the loop, `results` holds the last ones.
    """

    index: Val
    carried: list[Val]
    next: Sequence[Val] = ()
    results: list[Val] = field(default_factory=list)


class Function:
    """One function in the making."""

    def __init__(
        self, name: str, arguments: Sequence[tuple[str, Type]], result: Type = VOID
    ) -> None:
        self.name, self.result = name, result
        self.arguments = [Val(f"%{label}", kind) for label, kind in arguments]
        self.declarations: set[str] = set()
        self.has_half = True  # whether the processor converts float16
        self._lines = ["entry:"]
        self._block = "entry"
        self._count = 0

    # --- plumbing ---------------------------------------------------------------------------

    def fresh(self, kind: Type, stem: str = "v") -> Val:
        """A new register."""
        self._count += 1
        return Val(f"%{stem}{self._count}", kind)

    def line(self, text: str) -> None:
        """Add one instruction."""
        self._lines.append("  " + text)

    def emit(self, kind: Type, text: str) -> Val:
        """Add an instruction that has a result."""
        out = self.fresh(kind)
        self.line(f"{out.name} = {text}")
        return out

    def label(self, name: str) -> None:
        """Begin a block."""
        self._lines.append(f"{name}:")
        self._block = name

    def text(self) -> str:
        """The function as LLVM reads it; pointers never alias unless they are equal."""
        marks = {"ptr": "ptr noalias"}
        arguments = ", ".join(
            f"{marks.get(str(a.type), str(a.type))} {a.name}" for a in self.arguments
        )
        ending = ["  ret void"] if self.result == VOID else []
        head = f"define {self.result} @{self.name}({arguments}) #0 {{"
        return "\n".join([head, *self._lines, *ending, "}"])

    def ret(self, value: Val) -> None:
        """Return a value (at the very end)."""
        self.line(f"ret {value}")

    # --- constants and memory ---------------------------------------------------------------

    def const(self, value: float, kind: Type) -> Val:
        """A constant; for a vector, the same in every lane."""
        text = number_text(value, kind.of(0))
        if kind.lanes:
            return Val(f"splat ({kind.scalar} {text})", kind)
        return Val(text, kind)

    def vector(self, values: Sequence[float], scalar: Type) -> Val:
        """A constant vector."""
        items = ", ".join(f"{scalar} {number_text(value, scalar)}" for value in values)
        return Val(f"<{items}>", scalar.of(len(values)))

    def number(self, value: Int, kind: Type = I64) -> Val:
        """A whole number as a value."""
        return value if isinstance(value, Val) else Val(str(value), kind)

    def at(self, base: Val, index: Int, element: Type) -> Val:
        """The address of base[index]."""
        if index == 0:
            return base
        return self.emit(PTR, f"getelementptr {element.of(0)}, {base}, {self.number(index)}")

    def load(self, address: Val, kind: Type, mask: Val | None = None) -> Val:
        """Read; lanes that `mask` leaves out are zero and are not touched in memory."""
        if mask is None:
            return self.emit(kind, f"load {kind}, {address}, align {kind.bytes}")
        zero = Val("zeroinitializer", kind)
        name = f"llvm.masked.load.{kind.suffix}.p0"
        return self.call(name, kind, address, Val(str(kind.bytes), I32), mask, zero)

    def store(self, value: Val, address: Val, mask: Val | None = None) -> None:
        """Write; with a mask, only its lanes."""
        size = value.type.bytes
        if mask is None:
            self.line(f"store {value}, {address}, align {size}")
            return
        name = f"llvm.masked.store.{value.type.suffix}.p0"
        self.call(name, VOID, value, address, Val(str(size), I32), mask)

    def first_lanes(self, count: Int, lanes: int) -> Val:
        """A mask of the lanes below `count`."""
        steps = self.vector(range(lanes), I64)
        return self.compare("ult", steps, self.splat(self.number(count), lanes))

    # --- arithmetic -------------------------------------------------------------------------

    def binary(self, name: str, x: Val, y: Val) -> Val:
        """Any instruction of two operands of one type: "add", "fsub", "shl", …"""
        return self.emit(x.type, f"{name} {x}, {y.name}")

    def _either(self, for_floats: str, for_integers: str, x: Val, y: Val) -> Val:
        return self.binary(for_floats if x.type.is_float else for_integers, x, y)

    def add(self, x: Val, y: Val) -> Val:
        """x + y."""
        return self._either("fadd", "add", x, y)

    def sub(self, x: Val, y: Val) -> Val:
        """x - y."""
        return self._either("fsub", "sub", x, y)

    def mul(self, x: Val, y: Val) -> Val:
        """x * y."""
        return self._either("fmul", "mul", x, y)

    def div(self, x: Val, y: Val) -> Val:
        """x / y."""
        return self._either("fdiv", "sdiv", x, y)

    def neg(self, x: Val) -> Val:
        """-x."""
        if x.type.is_float:
            return self.emit(x.type, f"fneg {x}")
        return self.sub(self.const(0, x.type), x)

    def fma(self, x: Val, y: Val, z: Val) -> Val:
        """x * y + z, rounded once."""
        return self.call(f"llvm.fma.{x.type.suffix}", x.type, x, y, z)

    def compare(self, how: str, x: Val, y: Val) -> Val:
        """A comparison such as "olt" of floats or "slt" of integers; its result has type i1."""
        name = "fcmp" if x.type.is_float else "icmp"
        return self.emit(I1.like(x.type), f"{name} {how} {x}, {y.name}")

    def select(self, condition: Val, x: Val, y: Val) -> Val:
        """x where the condition holds, y elsewhere."""
        return self.emit(x.type, f"select {condition}, {x}, {y}")

    def convert(self, how: str, x: Val, kind: Type) -> Val:
        """A conversion such as "fpext", "trunc", "sitofp", "bitcast"."""
        return self.emit(kind, f"{how} {x} to {kind}")

    def splat(self, x: Val, lanes: int) -> Val:
        """A scalar in every lane."""
        kind = x.type.of(lanes)
        if lanes == 0 or x.type.lanes:
            return x
        one = self.emit(kind, f"insertelement {kind} poison, {x}, i64 0")
        zeros = Val("zeroinitializer", I32.of(lanes))
        return self.emit(kind, f"shufflevector {one}, {kind} poison, {zeros}")

    def shuffle(self, x: Val, y: Val | None, lanes: Sequence[int]) -> Val:
        """Lanes of x followed by those of y, picked by number."""
        other = str(y) if y is not None else f"{x.type} poison"
        return self.emit(
            x.type.of(len(lanes)), f"shufflevector {x}, {other}, {self.vector(lanes, I32)}"
        )

    def extract(self, x: Val, lane: int) -> Val:
        """One lane."""
        return self.emit(x.type.of(0), f"extractelement {x}, i64 {lane}")

    def call(self, name: str, kind: Type, *operands: Val) -> Val:
        """Call a function or an intrinsic by name; it is declared."""
        types = ", ".join(str(x.type) for x in operands)
        self.declarations.add(f"declare {kind} @{name}({types})")
        text = f"call {kind} @{name}({', '.join(map(str, operands))})"
        if kind == VOID:
            self.line(text)
            return Val("", VOID)
        return self.emit(kind, text)

    # --- control ----------------------------------------------------------------------------

    @contextmanager
    def loop(
        self, start: Int, stop: Int, step: Int = 1, carried: Sequence[Val] = ()
    ) -> Iterator[Loop]:
        """`for index in range(start, stop, step)` with variables carried from round to round."""
        self._count += 1
        head, body, end = (f"{part}{self._count}" for part in ("head", "body", "end"))
        before, place = self._block, len(self._lines) + 2
        self.line(f"br label %{head}")
        self.label(head)
        loop = Loop(self.fresh(I64, "i"), [self.fresh(x.type, "c") for x in carried])
        more = self.compare("slt", loop.index, self.number(stop))
        self.line(f"br {more}, label %{body}, label %{end}")
        self.label(body)
        yield loop
        following = self.add(loop.index, self.number(step))
        self.line(f"br label %{head}")
        phis = [_phi(loop.index, self.number(start), before, following, self._block)]
        for name, first, last in zip(loop.carried, carried, loop.next, strict=True):
            phis.append(_phi(name, first, before, last, self._block))
        self._lines[place:place] = phis
        loop.results = loop.carried
        self.label(end)

    @contextmanager
    def when(self, condition: Val) -> Iterator[None]:
        """Run what is written inside only if the condition (a scalar i1) holds."""
        self._count += 1
        then, end = f"then{self._count}", f"fi{self._count}"
        self.line(f"br {condition}, label %{then}, label %{end}")
        self.label(then)
        yield
        self.line(f"br label %{end}")
        self.label(end)

    def rarely(self, condition: Val, usual: Val, write: Callable[[], Val]) -> Val:
        """`usual`; or, if the condition (a scalar i1) holds, the value that `write` writes."""
        before = self._block
        with self.when(condition):
            unusual = write()
            after = self._block
        pairs = f"[ {usual.name}, %{before} ], [ {unusual.name}, %{after} ]"
        return self.emit(usual.type, f"phi {usual.type} {pairs}")


def _phi(name: Val, first: Val, before: str, last: Val, after: str) -> str:
    return f"  {name.name} = phi {name.type} [ {first.name}, %{before} ], [ {last.name}, %{after} ]"


def module_text(functions: Sequence[Function], features: str = "", prefer_bits: int = 0) -> str:
    """A module of functions, with the declarations that they need."""
    own = {f" @{function.name}(" for function in functions}
    declared = sorted(set().union(*(function.declarations for function in functions)))
    declared = [text for text in declared if not any(name in text for name in own)]
    marks = "nounwind"
    if features:
        marks += f' "target-features"="{features}"'
    if prefer_bits:
        marks += f' "prefer-vector-width"="{prefer_bits}" "min-legal-vector-width"="{prefer_bits}"'
    bodies = [function.text() for function in functions]
    return "\n\n".join([*declared, *bodies, f"attributes #0 = {{ {marks} }}"]) + "\n"
