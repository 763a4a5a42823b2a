"""Loop nests: what a kernel of element-wise work and reductions computes, without saying how.

A nest has loop dimensions, outermost first. The first `outer` of them are independent of each
other; the rest, the *row*, is what reductions run over. Its nodes are in order, each a value for
every index it depends on:

* a node that reads row indices (by its strides or its arguments) has a value for every element;
* a `Reduce` has one value for each row: it combines its argument over all row dimensions;
* everything else is computed once for each row.

So a softmax over the last dimension is one nest: load, amax, sub, exp, sum, div, store.

All strides and offsets are in elements. A stride of 0 says that a value does not change along that
dimension. An element is stored by the iteration that computes it; a nest may store to the place
it loads from, if it is the same index.
"""

from dataclasses import dataclass
from typing import Any

from narae.base.dtypes import NumpyDType
from narae.base.shapes import Shape

Strides = tuple[int, ...]


@dataclass(frozen=True)
class Load:
    """The element of a buffer at offset + sum of index * stride."""

    slot: int
    dtype: NumpyDType
    strides: Strides
    offset: int = 0


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: Any
    dtype: NumpyDType


@dataclass(frozen=True)
class Index:
    """A whole number made of the loop indices: offset + sum of index * stride."""

    dtype: NumpyDType
    strides: Strides
    offset: int = 0


@dataclass(frozen=True)
class Apply:
    """An elementwise primitive, by name, of earlier nodes; results in `dtype`.

    All arguments of arithmetic have the dtype of the result; comparisons give bool; `where` takes
    a bool and two values; `cast` converts. `attrs` are the primitive's attributes, sorted.
    """

    operation: str
    arguments: tuple[int, ...]
    dtype: NumpyDType
    attrs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Reduce:
    """All elements of a row to one: "sum", "prod", "amax", "amin", "argmax", "argmin".

    The last two give the place in the row (all its dimensions in row-major order) as int64: the
    first of equals. NaN wins in amax and amin, and the first NaN in argmax and argmin.
    """

    operation: str
    argument: int
    dtype: NumpyDType


@dataclass(frozen=True)
class Lookup:
    """The element of a buffer at offset + sum of index * stride + sum of node * its stride.

    `indices` are (node, stride, size) with whole numbers for nodes: outside of 0 … size - 1 the
    status word, an int32 at slot `status`, is set to 1 and the element is 0.
    """

    slot: int
    dtype: NumpyDType
    strides: Strides
    indices: tuple[tuple[int, int, int], ...]
    status: int
    offset: int = 0


@dataclass(frozen=True)
class Random:
    """32 random bits of Philox 4x32-10 (`reference/philox.py`), as uint32.

    `slot` is the address of the int64 key; `counter` is the node that numbers the elements in
    row-major order.
    """

    slot: int
    counter: int


NestNode = Load | Number | Index | Apply | Reduce | Lookup | Random


@dataclass(frozen=True)
class Store:
    """Write a node to a buffer at offset + sum of index * stride, converted to `dtype`.

    A node that has one value for each row is stored once for each row (its row strides are 0).
    """

    slot: int
    node: int
    dtype: NumpyDType
    strides: Strides
    offset: int = 0


@dataclass(frozen=True)
class Nest:
    """One kernel's worth of loops.

    Attributes:
        sizes: of the loop dimensions; (0,) for a flat nest whose length is read from slot
            `length_slot` when it runs, so that one kernel serves vectors of any length.
        outer: how many of the dimensions are independent.
        nodes, stores: what is computed and where it goes.
        piece: how many indices of dimension 0 make a piece.
    """

    sizes: Shape
    outer: int
    nodes: tuple[NestNode, ...]
    stores: tuple[Store, ...]
    piece: int
    length_slot: int | None = None
