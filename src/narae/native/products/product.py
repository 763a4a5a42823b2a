"""Sums of products: the one form that every contraction takes before it becomes machine code.

    C[batch, row, column] = sum over terms of A[batch, row, term] * B[batch, term, column]

Rows, terms and batch are tuples of nested loop dimensions, outermost first, each with its stride
in every operand; so a convolution is a product whose terms are (kernel row, kernel column,
channel) and whose rows are (image, row, column), without copying windows:

* forward: rows are output pixels, terms are taps and input channels, columns are output channels;
* gradient of the weight: rows are taps and input channels, terms are output pixels;
* gradient of the input: as forward, with the kernel turned round.

All strides are in elements and may be negative. C has its columns next to each other.
"""

from dataclasses import dataclass

from narae.base.dtypes import NumpyDType


@dataclass(frozen=True)
class RowDim:
    """A dimension that A and C have."""

    size: int
    a: int
    c: int


@dataclass(frozen=True)
class TermDim:
    """A dimension that A and B have, which is summed over."""

    size: int
    a: int
    b: int


@dataclass(frozen=True)
class BatchDim:
    """A dimension that all three have (a stride is 0 where an operand is broadcast)."""

    size: int
    a: int
    b: int
    c: int


@dataclass(frozen=True)
class Product:
    """One contraction.

    Attributes:
        batch, rows, terms: nested dimensions, outermost first; possibly none.
        columns: the number of columns.
        column_stride: the stride of columns in B (1 in C).
        dtype: of A and B. Sums are in float32 for float16 and bfloat16.
        out_dtype: of C.
        accumulate: add to what C holds instead of overwriting it.
        bias: whether slot 3 holds a vector that is added to every row (one number a column).
        a_offset, b_offset, c_offset: where index 0 of all dimensions is, in elements.
        b_constant: B is the same in many runs of this product (the weight of a recurrent layer),
            so that packing it is worth while even for few rows.
    """

    batch: tuple[BatchDim, ...]
    rows: tuple[RowDim, ...]
    terms: tuple[TermDim, ...]
    columns: int
    column_stride: int
    dtype: NumpyDType
    out_dtype: NumpyDType
    accumulate: bool = False
    bias: bool = False
    a_offset: int = 0
    b_offset: int = 0
    c_offset: int = 0
    b_constant: bool = False
