"""What a kernel is: machine code for one step of a program, cut into pieces.

    void kernel(ptr args, i64 piece, ptr scratch)

`args` is an array of 8-byte slots: addresses of buffers (and, where a kernel says so, whole
numbers). Pieces are independent of each other: any thread may run any piece, in any order, so the
result does not depend on how many threads there are. `scratch` is private to the thread, 64-byte
aligned, and holds nothing between pieces.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from .emit import I64, PTR, Function, Val


@dataclass(frozen=True)
class Machine:
    """What kernels are written for.

    Attributes:
        vector_bytes: width of a vector register: 64 (AVX-512), 32 (AVX2), 16 (NEON, SSE).
        features: LLVM's names of what the processor has, such as "avx512f".
        registers: how many vector registers there are.
    """

    vector_bytes: int
    features: frozenset[str] = frozenset()
    registers: int = 32

    def lanes(self, element_bytes: int) -> int:
        """How many elements a vector register holds."""
        return self.vector_bytes // element_bytes


@dataclass(frozen=True)
class Kernel:
    """One function in LLVM's text, and how it is called.

    Attributes:
        name: the name of its function; equal kernels have equal names.
        text: the functions that it consists of, without declarations.
        declarations: what they need declared.
        pieces: how often it is called, with piece = 0 … pieces - 1.
        scratch: bytes of scratch memory that a call needs.
        about: what it does, in a few words, for reports.
        flops, bytes: what all pieces together compute and move, for reports (0: not known).
        in_order: whether piece p is the p-th part of the outermost dimension.
    """

    name: str
    text: str
    declarations: frozenset[str]
    pieces: int = 1
    scratch: int = 0
    about: str = field(default="", compare=False)
    flops: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)
    in_order: bool = field(default=True, compare=False)


NAME = "@KERNEL@"  # stands for the name until the text, which it is made of, is known


def begin_kernel(machine: Machine | None = None) -> tuple[Function, Val, Val, Val]:
    """A function to write a kernel into, with its three arguments.

    The machine tells whether float16 can be converted by an instruction.
    """
    function = Function(NAME, [("args", PTR), ("piece", I64), ("scratch", PTR)])
    if machine is not None:
        function.has_half = bool(machine.features & {"f16c", "neon"})
    args, piece, scratch = function.arguments
    return function, args, piece, scratch


def slot_pointer(function: Function, args: Val, slot: int) -> Val:
    """The address in a slot."""
    return function.load(function.at(args, slot, I64), PTR)


def slot_number(function: Function, args: Val, slot: int) -> Val:
    """The whole number in a slot."""
    return function.load(function.at(args, slot, I64), I64)


def finish_kernel(
    stem: str,
    function: Function,
    *,
    pieces: int = 1,
    scratch: int = 0,
    about: str = "",
    flops: int = 0,
    bytes: int = 0,
    in_order: bool = True,
    helpers: Sequence[Function] = (),
) -> Kernel:
    """The kernel that a function makes; it is named by its contents."""
    functions = [*helpers, function]
    text = "\n\n".join(each.text() for each in functions)
    declarations = frozenset().union(*(each.declarations for each in functions))
    name = f"{stem}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return Kernel(
        name,
        text.replace(NAME, name),
        declarations,
        pieces,
        scratch,
        about or stem,
        flops,
        bytes,
        in_order,
    )
