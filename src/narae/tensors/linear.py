"""Matrix products: matmul and its special cases, and the affine map."""

from typing import Any

from narae import primitives as p
from narae.base.dtypes import NumpyDType, is_floating
from narae.base.errors import DTypeError, NotSupportedError, ShapeError, explain

from .autocast import as_given, low_precision, products
from .eager import apply, binary, ndarray
from .modes import modes
from .movement import expand, reshape, unsqueeze
from .operands import deliver
from .tensor import Tensor


def check_dtypes(what: str, *operands: Tensor) -> NumpyDType:
    """The one dtype of all operands.

    Raises:
        RuntimeError: when they differ.
    """
    dtype: NumpyDType = operands[0]._value.dtype
    for x in operands[1:]:
        if x._value.dtype != dtype:
            given = " and ".join(str(x.dtype) for x in operands)
            raise DTypeError(
                explain(
                    what,
                    f"operands are {given}",
                    f"expected them to have the same dtype, but got: {operands[0].dtype} != "
                    f"{x.dtype}",
                    "convert one of them with .to(dtype)",
                )
            )
    if dtype.kind == "b":
        raise NotSupportedError(f"[{what}] \"{what}\" not implemented for 'Bool': convert first")
    return dtype


def shape_text(x: Tensor) -> str:
    """A shape as it is quoted in messages."""
    return str(tuple(x._value.shape))


# --- matmul ---------------------------------------------------------------------------------


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product; leading dimensions broadcast, vectors count as a row and a column.

    out[.., i, j] = sum over k of input[.., i, k] * other[.., k, j]

    Args:
        input: (.., n, k) or (k,).
        other: (.., k, m) or (k,).
        out: where the result is written.

    Raises:
        RuntimeError: when the inner sizes or the dtypes differ.

    >>> import narae
    >>> narae.tensor([[1, 2], [3, 4]]) @ narae.tensor([1, 1])
    tensor([3, 7])
    """
    if modes.autocast is not None and out is None:
        input, other = products(input, other)
    product = _multiplied(input, other)
    return product if out is None else deliver(product, out, "matmul")


_two_matrices = binary(p.matmul)


def _multiplied(input: Tensor, other: Tensor) -> Tensor:
    first, second = input._value, other._value
    if first.dtype is not second.dtype or first.dtype.kind == "b":
        check_dtypes("matmul", input, other)
    rank, other_rank = len(first.shape), len(second.shape)
    if rank == 0 or other_rank == 0:
        raise ShapeError(_no_matrix_message(input, other))
    inner = second.shape[-2] if other_rank > 1 else second.shape[0]
    if first.shape[-1] != inner:
        raise ShapeError(inner_message("matmul", input, other))
    if rank == 2 and other_rank == 2:
        if input._view is None and other._view is None:
            return _two_matrices(input, other)
        return apply(p.matmul, input, other)  # type: ignore[no-any-return]
    if rank == 1 or other_rank == 1:
        return _with_vector(input, other)
    if rank > 2 and other_rank == 2:
        return _folded(input, other)
    return apply(p.matmul, input, other)  # type: ignore[no-any-return]


def _with_vector(x: Tensor, y: Tensor) -> Tensor:
    """A product with a vector: as a row in front, as a column behind."""
    shape, other = x._value.shape, y._value.shape
    first = unsqueeze(x, 0) if len(shape) == 1 else x
    second = unsqueeze(y, 1) if len(other) == 1 else y
    out = matmul(first, second)
    rows = () if len(shape) == 1 else shape[-2:-1]
    columns = () if len(other) == 1 else other[-1:]
    return reshape(out, (*out._value.shape[:-2], *rows, *columns))


def _folded(x: Tensor, y: Tensor) -> Tensor:
    """(.., n, k) times (k, m) as one product of two matrices."""
    shape = x._value.shape
    rows = x._value.size // shape[-1] if shape[-1] else _product(shape[:-1])
    out = apply(p.matmul, reshape(x, (rows, shape[-1])), y)
    return reshape(out, (*shape[:-1], y._value.shape[1]))


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def inner_message(what: str, x: Tensor, w: Tensor) -> str:
    """Why two shapes cannot be multiplied, and whether a transpose would help."""
    shape, other = tuple(x._value.shape), tuple(w._value.shape)
    place = "second to last of w" if len(other) > 1 else "size of w"
    hint = ""
    if len(other) >= 2 and shape[-1] == other[-1]:
        hint = "Did you mean x @ w.T?" if len(other) == 2 else "Did you mean x @ w.mT?"
    elif len(shape) == 2 and len(other) == 2 and shape[0] == other[0]:
        hint = "Did you mean x.T @ w?"
    detail = ""
    if len(shape) == 2 and len(other) == 2:
        detail = (
            f" (mat1 and mat2 shapes cannot be multiplied ({shape[0]}x{shape[1]} and "
            f"{other[0]}x{other[1]}))"
        )
    return (
        f"[{what}] inner sizes differ: x is {shape}, w is {other}; the last size of x must equal "
        f"the {place}{detail}. {hint or 'Fix: reshape or transpose one of them'}"
    )


def _no_matrix_message(x: Tensor, y: Tensor) -> str:
    ranks = f"{len(x._value.shape)}D and {len(y._value.shape)}D"
    return explain(
        "matmul",
        f"x is {shape_text(x)}, w is {shape_text(y)}",
        f"both arguments to matmul need to be at least 1D, but they are {ranks}",
        "multiply by a number with *",
    )


# --- fixed ranks ----------------------------------------------------------------------------


def _check_ranks(what: str, *expected: tuple[str, Tensor, int]) -> None:
    for name, x, rank in expected:
        if len(x._value.shape) != rank:
            kind = {1: "a vector", 2: "a matrix", 3: "a batch of matrices (3-D)"}[rank]
            raise ShapeError(
                explain(
                    what,
                    f"{name} is {shape_text(x)}",
                    f"{name} must be {kind}, of {rank}D",
                    "matmul accepts any number of dimensions",
                )
            )


def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices: (n, k) and (k, m)."""
    _check_ranks("mm", ("self", input, 2), ("mat2", mat2, 2))
    return matmul(input, mat2, out=out)


@low_precision
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of matrices, one for each batch element: (b, n, k) and (b, k, m)."""
    _check_ranks("bmm", ("batch1", input, 3), ("batch2", mat2, 3))
    check_dtypes("bmm", input, mat2)
    (batch, _, inner), (other_batch, other_inner, _) = input._value.shape, mat2._value.shape
    if batch != other_batch or inner != other_inner:
        raise ShapeError(
            explain(
                "bmm",
                f"batch1 is {shape_text(input)}, batch2 is {shape_text(mat2)}",
                f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {inner}]"
                f" but got: [{other_batch}, {other_inner}].",
            )
        )
    return deliver(apply(p.matmul, input, mat2), out, "bmm")


@as_given
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A matrix times a vector: (n, k) and (k,)."""
    _check_ranks("mv", ("self", input, 2), ("vec", vec, 1))
    return matmul(input, vec, out=out)


@as_given
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of products of two vectors: sum over i of input[i] * tensor[i]."""
    _check_ranks("dot", ("self", input, 1), ("tensor", tensor, 1))
    if input._value.shape != tensor._value.shape:
        raise ShapeError(
            explain(
                "dot",
                f"x is {shape_text(input)}, w is {shape_text(tensor)}",
                "inconsistent tensor size, expected tensor "
                f"{list(input._value.shape)} and src {list(tensor._value.shape)} to have the same "
                "number of elements",
            )
        )
    return matmul(input, tensor, out=out)


vdot = dot


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of elements of two vectors: out[i, j] = input[i] * vec2[j]."""
    _check_ranks("outer", ("self", input, 1), ("vec2", vec2, 1))
    return unsqueeze(input, 1) * vec2


ger = outer


# --- products with a sum --------------------------------------------------------------------


def _sum_with(what: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product; a beta of 0 ignores even NaN in the input."""
    dtype = input._value.dtype
    if dtype != product._value.dtype or what != "addr":
        check_dtypes(what, input, product)
    if not is_floating(dtype):
        beta, alpha = _whole(what, beta, dtype), _whole(what, alpha, dtype)
    expanded = expand(input, product._value.shape)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (expanded if beta == 1 else expanded * beta) + product


def _whole(what: str, number: Any, dtype: NumpyDType) -> Any:
    """A factor of integers: PyTorch cuts off its fraction, except in addr."""
    if isinstance(number, float) and what == "addr":
        raise DTypeError(
            f"[{what}] For integral input tensors, argument beta and alpha must not be a floating "
            "point number."
        )
    return bool(number) if dtype.kind == "b" else int(number)


@low_precision
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""
    return _sum_with("addmm", input, mm(mat1, mat2), beta, alpha)


@as_given
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""
    return _sum_with("addmv", input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    return _sum_with("addr", input, outer(vec1, vec2), beta, alpha)


@low_precision
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2)."""
    return _sum_with("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@low_precision
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * (the sum of bmm(batch1, batch2) over the batch)."""
    product = apply(p.sum_, bmm(batch1, batch2), dim=(0,), keepdim=False)
    return _sum_with("addbmm", input, product, beta, alpha)


# --- the affine map -------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """out[.., o] = sum over i of input[.., i] * weight[o, i], plus bias[o].

    Args:
        input: (.., in_features).
        weight: (out_features, in_features), or (in_features,) for a single output.
        bias: (out_features,), or none.
    """
    if modes.autocast is not None:
        input, weight, bias = products(input, weight, bias)
    x, w = input._value, weight._value
    if len(w.shape) == 1 or not x.shape:
        return _linear_of_vector(input, weight, bias)
    if x.shape[-1] != w.shape[-1] or len(w.shape) != 2:
        raise ShapeError(_linear_message(input, weight))
    if x.dtype is not w.dtype or x.dtype.kind == "b":
        check_dtypes("linear", input, weight)
    if bias is None:
        return apply(p.linear_without_bias, input, weight)  # type: ignore[no-any-return]
    check_dtypes("linear", input, bias)
    if bias._value.shape != w.shape[:1]:
        bias = expand(bias, w.shape[:1])
    return apply(p.linear, input, weight, bias)  # type: ignore[no-any-return]


def _linear_of_vector(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    out = matmul(x, w)
    return out if b is None else out + b


def _linear_message(x: Tensor, w: Tensor) -> str:
    rows = x._value.size // max(x._value.shape[-1], 1)
    sizes = f"{rows}x{x._value.shape[-1]} and {'x'.join(map(str, reversed(w._value.shape)))}"
    return explain(
        "linear",
        f"x is {shape_text(x)}, weight is {shape_text(w)}",
        f"mat1 and mat2 shapes cannot be multiplied ({sizes}): the last size of x must equal the "
        "last size of weight, in_features",
        "flatten x, or change in_features",
    )


# --- operators ------------------------------------------------------------------------------


def _matmul_operator(input: Tensor, other: Any) -> Any:
    if isinstance(other, ndarray):
        other = _from_array(other)
    if not isinstance(other, Tensor):
        return NotImplemented
    return matmul(input, other)


def _reflected_matmul(input: Tensor, other: Any) -> Any:
    if isinstance(other, ndarray):
        other = _from_array(other)
    return matmul(other, input) if isinstance(other, Tensor) else NotImplemented


def _from_array(array: Any) -> Tensor:
    from .creation import from_numpy

    return from_numpy(array)


__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "dot",
    "ger",
    "matmul",
    "mm",
    "mv",
    "outer",
    "vdot",
]
METHODS = __all__
IN_PLACE = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]
OPERATORS = {"__matmul__": _matmul_operator, "__rmatmul__": _reflected_matmul}
