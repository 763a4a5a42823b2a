"""Programs: a straight list of nodes in which every value is assigned once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from narae.base.dtypes import NumpyDType
from narae.base.errors import TraceError
from narae.base.places import user_line
from narae.base.shapes import Shape

from .protocol import Operation

if TYPE_CHECKING:
    from .builder import Builder

# An operand is a value of the program, or a constant: a Python number (which takes the dtype of
# its neighbour, as it does in NumPy and PyTorch) or an array that was captured.
Operand = Any


class Value:
    """One result inside a program: a shape and a dtype, but no numbers yet."""

    __slots__ = ("builder", "dtype", "index", "name", "node", "shape")
    __array_ufunc__ = None

    def __init__(self, shape: Shape, dtype: NumpyDType, name: str, builder: "Builder") -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.builder = builder
        self.node: Node | None = None
        self.index = 0

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    def __repr__(self) -> str:
        return f"{self.name}: {type_text(self)}"

    def _no_numbers(self, *_: Any) -> NoReturn:
        raise TraceError(
            f"[trace] at {user_line()} a number is read from a value that is being traced "
            f"({type_text(self)}); a program has no numbers until it runs. Fix: return the tensor "
            "and read it after the step, or use narae.where instead of a Python `if`"
        )

    __bool__ = __float__ = __int__ = __index__ = __array__ = __len__ = __iter__ = _no_numbers


class Node:
    """One step of a program: `outputs = operation(operands, attrs)`."""

    __slots__ = ("attrs", "line", "operands", "operation", "outputs")

    def __init__(
        self,
        operation: Operation,
        operands: Sequence[Operand],
        attrs: dict[str, Any],
        outputs: tuple[Value, ...],
        line: str = "",
    ) -> None:
        self.operation = operation
        self.operands = tuple(operands)
        self.attrs = attrs
        self.outputs = outputs
        self.line = line

    def __repr__(self) -> str:
        from .printer import node_text

        return node_text(self)


class Program:
    """Inputs, nodes in order, outputs. Immutable by convention; passes build new ones."""

    __slots__ = ("__weakref__", "_last_uses", "inputs", "name", "nodes", "outputs")

    def __init__(
        self,
        inputs: Sequence[Value],
        nodes: Sequence[Node],
        outputs: Sequence[Operand],
        name: str = "program",
    ) -> None:
        self.inputs = tuple(inputs)
        self.nodes = tuple(nodes)
        self.outputs = tuple(outputs)
        self.name = name
        self._last_uses: dict[int, list[Value]] | None = None

    def __str__(self) -> str:
        from .printer import program_text

        return program_text(self)

    __repr__ = __str__

    def walk(self) -> Iterator[Node]:
        """All nodes, those of sub-programs included."""
        for node in self.nodes:
            yield node
            body = node.attrs.get("body")
            if isinstance(body, Program):
                yield from body.walk()

    def last_uses(self) -> dict[int, list[Value]]:
        """Position of a node -> the values that nothing after it reads."""
        if self._last_uses is None:
            self._last_uses = self._find_last_uses()
        return self._last_uses

    def _find_last_uses(self) -> dict[int, list[Value]]:
        kept = {id(value) for value in self.outputs if isinstance(value, Value)}
        seen: set[int] = set(kept)
        dying: dict[int, list[Value]] = {}
        for position in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[position]
            for value in (*node.operands, *node.outputs):
                if isinstance(value, Value) and id(value) not in seen:
                    seen.add(id(value))
                    dying.setdefault(position, []).append(value)
        return dying


_SHORT = {"float": "f", "int": "i", "uint": "u", "bfloat": "bf", "bool": "bool"}


def type_text(value: Any) -> str:
    """Dtype and shape in short.

    >>> type_text(np.zeros((2, 3), np.float32))
    'f32[2,3]'
    """
    name = str(value.dtype)
    stem = name.rstrip("0123456789")
    short = _SHORT.get(stem, stem) + name[len(stem) :]
    return f"{short}[{','.join(map(str, value.shape))}]"
