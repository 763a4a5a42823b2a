"""Embedding: rows of a table, looked up by number."""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import cast, div, eq, where
from .generators import ones, zeros
from .indexing import index_add, take
from .movement import reshape
from .record import shape_of


def _embedding_grad(
    grad: Any,
    w_shape: Shape,
    w_dtype: Any,
    index: Any,
    padding: int | None,
    by_frequency: bool,
) -> Any:
    """Add each gradient to its row; none to the padding's, averages if they count by frequency."""
    column = (*shape_of(index), 1)
    if padding is not None:
        grad = where(reshape(eq(index, padding), shape=column), 0.0, grad)
    if by_frequency:
        counts = index_add(
            zeros(w_shape[:1], w_dtype), index, ones(shape_of(index), w_dtype), dim=0
        )
        grad = div(grad, reshape(take(counts, index, dim=0), shape=column))
    return index_add(zeros(w_shape, w_dtype), index, grad, dim=0)


embedding: Composite = Composite(
    "embedding",
    "w index",
    "out[i.., :] = w[index[i..], :]",
    lambda w, index, *, padding, by_frequency: take(w, index, dim=0),
    saves="w.shape w.dtype index",
    grads=(_embedding_grad, None),
    grad_name="EmbeddingBackward0",
)


def _renormed(w: Any, index: Any, norms: Any, *, largest: float) -> Any:
    """Rows that are looked up and whose norm is too large are scaled down."""
    from .elementwise import add, and_, lt, mul

    rows = shape_of(w)[:1]
    counts = index_add(zeros(rows, w.dtype), index, ones(shape_of(index), w.dtype), dim=0)
    too_large = and_(lt(0, counts), lt(largest, norms))
    scale = where(too_large, div(largest, add(norms, 1e-7)), 1.0)
    return mul(w, reshape(cast(scale, dtype=w.dtype), shape=(*rows, 1)))


renormed_rows: Composite = Composite(
    "renormed_rows",
    "w index norms",
    "rows of w at `index` whose norm is above `largest`, scaled to it",
    _renormed,
)
