"""`Embedding`: a table whose rows are looked up by number; `one_hot`."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import (
    BoundsError,
    ConfigError,
    DTypeError,
    NotSupportedError,
    ShapeError,
    explain,
)
from narae.tensors import Parameter, Tensor, arange, empty, no_grad
from narae.tensors.eager import apply
from narae.tensors.views import check_writable, write

from . import init
from .module import Module


def _padding_row(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ConfigError(f"Padding_idx must be within num_embeddings, {rows}, not {padding_idx}")
    return padding_idx % rows


def _check_indices(what: str, index: Any, rows: int) -> None:
    if index._value.dtype.kind not in "iu":
        raise DTypeError(
            explain(
                what,
                f"the indices are {index.dtype}",
                "Expected tensor for argument #1 'indices' to have scalar type Long or Int",
                "convert them with .long()",
            )
        )
    array = index._value
    if type(array) is np.ndarray and array.size and not 0 <= array.min() <= array.max() < rows:
        wrong = array.max() if array.max() >= rows else array.min()
        raise BoundsError(
            explain(
                what,
                f"index out of range in self: {int(wrong)} for {rows} rows",
                f"indices are between 0 and {rows - 1}",
                "num_embeddings must be larger than the largest index",
            )
        )


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table: out[i.., :] = weight[input[i..], :].

    Args:
        input: integers, any shape
        weight: (num_embeddings, embedding_dim)
        padding_idx: a row that receives no gradient
        max_norm: rows that are used are first scaled down, in place, to at most this norm
        norm_type: which norm that is
        scale_grad_by_freq: divide gradients by how often a row is used

    Raises:
        IndexError: when an index is not a row.
    """
    if sparse:
        raise NotSupportedError("[embedding] sparse=True: sparse gradients are out of scope")
    if weight.ndim != 2:
        raise ShapeError(f"[embedding] 'weight' must be 2-D, but is {tuple(weight.shape)}")
    _check_indices("embedding", input, weight.shape[0])
    padding = _padding_row(padding_idx, weight.shape[0])
    if max_norm is not None:
        _limit_norms(weight, input, max_norm, norm_type)
    return apply(p.embedding, weight, input, padding=padding, by_frequency=bool(scale_grad_by_freq))


def _limit_norms(weight: Any, index: Tensor, largest: float, norm_type: float) -> None:
    with no_grad():
        table = weight.detach()
        norms = table.norm(norm_type, 1)
        limited = apply(p.renormed_rows, table, index, norms, largest=float(largest))
        check_writable(weight, "embedding")
        write(weight, limited, "embedding")


def one_hot(input: Any, num_classes: int = -1) -> Any:
    """A row of zeros with a single one for each class number.

    Args:
        input: int64 class numbers, any shape
        num_classes: the length of a row; by default the largest class number plus 1

    >>> import narae
    >>> narae.nn.functional.one_hot(narae.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if input._value.dtype != np.int64:
        raise DTypeError(
            explain("one_hot", f"the classes are {input.dtype}", "they must be int64", ".long()")
        )
    symbolic = type(input._value) is not np.ndarray
    if num_classes == -1:
        array = input._array
        if array.size == 0:
            raise ShapeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(array.max()) + 1
    if num_classes < 1:
        raise ConfigError("num_classes should be positive")
    if not symbolic and input._value.size:
        if input._value.min() < 0:
            raise BoundsError("Class values must be non-negative.")
        if input._value.max() >= num_classes:
            raise BoundsError("Class values must be smaller than num_classes.")
    return (input.unsqueeze(-1) == arange(num_classes)).long()


class Table(Module):
    """What layers share that look up rows of a table: the table itself."""

    weight: Any
    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None

    def _begin(self, given: Tensor | None, requires_grad: bool, device: Any, dtype: Any) -> None:
        """Make the table, or take one that is given."""
        shape = (self.num_embeddings, self.embedding_dim)
        if given is None:
            made = empty(shape, device=device, dtype=dtype)
            self.weight = Parameter(made, requires_grad=requires_grad)
            self.reset_parameters()
            return
        if tuple(given.shape) != shape:
            raise ShapeError(
                "Shape of weight does not match num_embeddings and embedding_dim: it is "
                f"{tuple(given.shape)}, not {shape}"
            )
        self.weight = Parameter(given, requires_grad=requires_grad)

    def reset_parameters(self) -> None:
        """Draw new vectors, normal with standard deviation 1."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self) -> None:
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0


def table_size(embeddings: Tensor) -> tuple[int, int]:
    """The rows and columns of a table.

    Raises:
        ShapeError: if it is none.
    """
    if embeddings.ndim != 2:
        raise ShapeError("Embeddings parameter is expected to be 2-dimensional")
    rows, columns = embeddings.shape
    return rows, columns


class Embedding(Table):
    """A table of learned vectors, looked up by number.

    Args:
        num_embeddings: the number of rows
        embedding_dim: the length of a row
        padding_idx: a row that starts at 0 and receives no gradient
        max_norm, norm_type: scale rows that are used down to this norm
        scale_grad_by_freq: divide gradients by how often a row is used

    >>> import narae
    >>> narae.nn.Embedding(10, 3)(narae.tensor([[1, 2, 4]])).shape
    narae.Size([1, 3, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _padding_row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self._begin(_weight, not _freeze, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> "Embedding":
        """A layer around a given table; frozen unless said otherwise."""
        rows, columns = table_size(embeddings)
        return cls(
            rows,
            columns,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Tensor) -> Tensor:
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (
            ("padding_idx", None),
            ("max_norm", None),
            ("norm_type", 2),
            ("scale_grad_by_freq", False),
            ("sparse", False),
        ):
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text


__all__ = ["Embedding", "embedding", "one_hot"]
