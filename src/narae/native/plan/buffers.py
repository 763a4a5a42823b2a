"""Memory of a program, and pieces of work on it, before addresses are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from narae.base.dtypes import NumpyDType

from ..kernel import Kernel
from .layout import Layout

Kind = Literal["arena", "input", "output", "constant", "status", "part"]


@dataclass(eq=False)
class Buffer:
    """A run of elements.

    Attributes:
        dtype, size: what it holds, and how many.
        kind: "arena" lives while it is needed; the others belong to whoever calls, or to the plan.
        index: which input or output.
        array: the numbers of a constant.
        about: for reports.
        whole, start: for a part, the buffer it is a part of, and its first element there.
    """

    dtype: NumpyDType
    size: int
    kind: Kind = "arena"
    index: int = 0
    array: Any = None
    about: str = ""
    whole: "Buffer | None" = None
    start: int = 0
    parts: "dict[tuple[int, int], Buffer]" = field(default_factory=dict, repr=False)

    def part(self, start: int, size: int) -> "Buffer":
        """`size` elements from `start` on, as a buffer; equal parts are one object."""
        if self.whole is not None:
            return self.whole.part(self.start + start, size)
        key = start, size
        if key not in self.parts:
            self.parts[key] = Buffer(
                self.dtype, size, "part", about=self.about, whole=self, start=start
            )
        return self.parts[key]

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        return self.size * self.dtype.itemsize


Pair = tuple[Buffer, Buffer]


class Ref(NamedTuple):
    """A value in memory: which buffer, and where in it each element is."""

    buffer: Buffer
    layout: Layout


class Access(NamedTuple):
    """How a task uses a buffer.

    `parted`: cut into P equal pieces along its outermost dimension, the task's piece p touches the
    p-th of P equal parts of the buffer, and nothing else of it.
    """

    buffer: Buffer
    writes: bool
    parted: bool


@dataclass(frozen=True)
class Step:
    """One kernel on its buffers.

    Attributes:
        kernel: what runs.
        slots: the buffer, or the number, in each slot.
        accesses: what it reads and writes.
        pieces: how many there are (the kernel's own number, or that of a flat kernel).
        even: whether they are equal pieces of the outermost dimension.
        replaces: pairs of a buffer that is read and one that may be written in its place, if
            nothing else needs the first one any more.
    """

    kernel: Kernel
    slots: tuple[Buffer | int, ...]
    accesses: tuple[Access, ...]
    pieces: int
    even: bool = False
    replaces: tuple[Pair, ...] = ()


@dataclass(eq=False)
class Task:
    """Something to run, whose kernels are made when it is known how finely it should be cut.

    Attributes:
        make: from the number of pieces that is wished for (0: its own choice) to the steps: some
            that prepare (packing), and the main one, in order.
        outer: the size of the outermost dimension, which pieces are cut from; 1 if it cannot be.
        accesses: of the main step.
        reads, writes: all buffers.
        late: whether it writes to states, after everything else succeeded.
        host: instead of kernels, a function to call.
        about: for reports.
        nanoseconds: about how long one thread takes for it.
        most_pieces: cut finer, it would be slower.
        prepares: whether it may run earlier than its place, since it needs nothing.
    """

    make: Callable[[int], Sequence[Step]]
    outer: int
    accesses: tuple[Access, ...]
    late: bool = False
    host: Callable[..., None] | None = None
    about: str = ""
    extra_reads: tuple[Buffer, ...] = field(default=())
    nanoseconds: float = 0.0
    most_pieces: int = 64
    prepares: bool = False

    @property
    def reads(self) -> list[Buffer]:
        """Buffers that must be ready."""
        return [*(a.buffer for a in self.accesses if not a.writes), *self.extra_reads]

    @property
    def writes(self) -> list[Buffer]:
        """Buffers that it fills."""
        return [a.buffer for a in self.accesses if a.writes]
