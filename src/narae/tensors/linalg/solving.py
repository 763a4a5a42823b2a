"""Linear equations: square, triangular, factored, and those solved by least squares."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import ConfigError, NotSupportedError, ShapeError, explain
from narae.base.shapes import Shape

from ..autocast import in_float32
from ..creation import constant
from ..eager import apply, converted
from ..linear import matmul, shape_text
from ..movement import expand, movedim, reshape, squeeze, unsqueeze
from ..results import named_result
from ..tensor import Tensor
from .checks import (
    common_batch,
    matrix,
    require_floating,
    require_matrix,
    require_rows,
    require_same_dtype,
    shape_of,
    square,
    takes_out,
)
from .factors import eye_like, lu_rows

solve_ex_result = named_result("linalg_solve_ex", "result", "info")
inv_ex_result = named_result("linalg_inv_ex", "inverse", "info")
lstsq_result = named_result("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


# --- square systems -------------------------------------------------------------------------


def is_vector(A: Tensor, B: Tensor) -> bool:
    """Whether the right-hand side is one vector for each matrix (and not a matrix)."""
    shape, other = shape_of(A), shape_of(B)
    return len(other) == 1 or (len(shape) - 1 == len(other) and other == shape[:-1])


def _solved(what: str, A: Tensor, B: Tensor, left: bool, check: bool) -> tuple[Tensor, Tensor]:
    square(what, A)
    require_same_dtype(what, A, B)
    vector = is_vector(A, B)
    if vector and not left:
        raise ShapeError(
            explain(
                what,
                f"A is {shape_text(A)}, B is {shape_text(B)}, left is False",
                "Vector broadcasting of the left hand side is not supported for left=False",
                "give B two dimensions with unsqueeze",
            )
        )
    right = unsqueeze(B, -1) if vector else require_matrix(what, B, "B")
    require_rows(what, A, right, left)
    common_batch(what, A, right)
    blame = what if check else ""
    if left:
        x, info = apply(p.solve, A, right, check=blame)
        return (squeeze(x, -1) if vector else x), info
    x, info = apply(p.solve, A.mT, right.mT, check=blame)
    return x.mT, info


@in_float32
@takes_out
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (or X A = B) for invertible square matrices.

    Args:
        A: (.., n, n).
        B: (.., n, k), or (.., n) for vectors.
        left: whether A stands on the left of X.

    Raises:
        LinAlgError: when a matrix is singular.

    >>> import narae
    >>> narae.linalg.solve(narae.tensor([[2.0, 0.0], [1.0, 4.0]]), narae.tensor([2.0, 9.0]))
    tensor([1., 2.])
    """
    return _solved("linalg.solve", A, B, left, True)[0]


@takes_out
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve`, and for each matrix the place of the first zero pivot, from 1 (or 0)."""
    return solve_ex_result(*_solved("linalg.solve_ex", A, B, left, check_errors))


def _inverted(what: str, A: Tensor, check: bool) -> tuple[Tensor, Tensor]:
    size = shape_of(square(what, A))[-1]
    return apply(p.solve, A, eye_like(A, size, size), check=what if check else "")  # type: ignore[no-any-return]


@in_float32
@takes_out
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices (.., n, n).

    Raises:
        LinAlgError: when a matrix is singular.

    >>> import narae
    >>> narae.linalg.inv(narae.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _inverted("linalg.inv", A, True)[0]


@in_float32
@takes_out
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """`inv`, and for each matrix the place of the first zero pivot, from 1 (or 0)."""
    return inv_ex_result(*_inverted("linalg.inv_ex", A, check_errors))


# --- with factors ---------------------------------------------------------------------------


@takes_out
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (or X A = B) for triangular A.

    Args:
        A: (.., n, n); only one triangle is read. A zero on the diagonal gives infinities.
        B: (.., n, k), or (.., k, n) when A stands on the right.
        upper: which triangle.
        left: whether A stands on the left of X.
        unitriangular: take the diagonal as 1.

    >>> import narae
    >>> A = narae.tensor([[2.0, 0.0], [1.0, 4.0]])
    >>> narae.linalg.solve_triangular(A, narae.tensor([[2.0], [9.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    what = "linalg.solve_triangular"
    require_same_dtype(what, square(what, A), require_matrix(what, B, "B"))
    require_rows(what, A, B, left)
    common_batch(what, A, B)
    return triangular(A, B, upper, left, unitriangular)


def triangular(A: Tensor, B: Tensor, upper: bool, left: bool = True, unit: bool = False) -> Tensor:
    """`solve_triangular` without checks."""
    if left:
        return apply(p.triangular_solve, A, B, upper=upper, unit=unit)  # type: ignore[no-any-return]
    turned: Tensor = apply(p.triangular_solve, A.mT, B.mT, upper=not upper, unit=unit)
    return turned.mT  # type: ignore[no-any-return]


@takes_out
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B, from the factors of A that `lu_factor` gives.

    Args:
        LU: (.., n, n).
        pivots: (.., n), int32.
        B: (.., n, k), or (.., k, n) when A stands on the right.
        left: whether A stands on the left of X.
        adjoint: solve with Aᵀ instead.
    """
    what = "linalg.lu_solve"
    require_same_dtype(what, square(what, LU, "LU"), require_matrix(what, B, "B"))
    check_pivots(what, LU, pivots)
    require_rows(what, LU, B, left)
    batch = common_batch(what, LU, B)
    if not left:
        return _from_factors(LU, pivots, B.mT, batch, not adjoint).mT  # type: ignore[no-any-return]
    return _from_factors(LU, pivots, B, batch, adjoint)


def check_pivots(what: str, LU: Tensor, pivots: Tensor) -> None:
    """Refuse pivots that do not belong to the factors."""
    rows, columns = shape_of(LU)[-2:]
    wanted = (*shape_of(LU)[:-2], min(rows, columns))
    if str(pivots._value.dtype) != "int32":
        raise ShapeError(
            explain(
                what,
                f"pivots are {pivots.dtype}",
                "LU_pivots is expected to be a contiguous tensor of narae.int32 dtype",
                "take them from narae.linalg.lu_factor",
            )
        )
    if shape_of(pivots) != wanted:
        raise ShapeError(
            explain(
                what,
                f"LU is {shape_text(LU)}, pivots are {shape_text(pivots)}",
                "Number of pivots per batch should be same as the dimension of the matrix: "
                f"{wanted}",
                "take both from one call of narae.linalg.lu_factor",
            )
        )


def _from_factors(LU: Tensor, pivots: Tensor, B: Tensor, batch: Shape, adjoint: bool) -> Tensor:
    """U⁻¹ L⁻¹ Pᵀ B, or P L⁻ᵀ U⁻ᵀ B."""
    B = expand(B, (*batch, *shape_of(B)[-2:]))
    if adjoint:
        x = triangular(LU.mT, triangular(LU.mT, B, False), True, unit=True)
        return lu_rows(x, pivots, back=True)
    return triangular(LU, triangular(LU, lu_rows(B, pivots), False, unit=True), True)


@takes_out
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with A X = B, from the factors of A that `ldl_factor` gives; without gradients.

    Args:
        LD: (.., n, n).
        pivots: (.., n), int32.
        B: (.., n, k).
        hermitian: of complex matrices; ignored.
    """
    what = "linalg.ldl_solve"
    require_same_dtype(what, square(what, LD, "LD"), require_matrix(what, B, "B"))
    check_pivots(what, LD, pivots)
    require_rows(what, LD, B)
    common_batch(what, LD, B)
    return apply(p.ldl_solve, LD, pivots, B)  # type: ignore[no-any-return]


# --- least squares and the pseudo-inverse ---------------------------------------------------

DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@in_float32
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X that makes the length of A X - B least; the shortest one if there are several.

    Args:
        A: (.., n, m).
        B: (.., n, k), or (.., n) for vectors.
        rcond: singular values up to rcond * the largest count as 0; by default epsilon * max(n, m).
        driver: decides what is returned besides, as LAPACK's drivers do: "gelsy" (default) the
            rank, "gels" (for full rank) the residuals, "gelsd" and "gelss" all.

    Returns:
        solution (.., m, k); residuals (.., k), the squared lengths of the columns of A X - B, where
        n > m and all matrices have full rank; rank (..); singular_values (.., min(n, m)). What is
        not computed is empty.

    Raises:
        RuntimeError: for shapes that do not fit, or an unknown driver.

    >>> import narae
    >>> A = narae.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> narae.linalg.lstsq(A, narae.tensor([[1.0], [3.0], [5.0]])).solution
    tensor([[1.0000],
            [2.0000]])
    """
    driver = "gelsy" if driver is None else driver
    vector = _check_lstsq(A, B, driver)
    right = unsqueeze(B, -1) if vector else B
    batch = common_batch("linalg.lstsq", A, right)
    A, right = (expand(x, (*batch, *shape_of(x)[-2:])) for x in (A, right))
    size, epsilon = max(shape_of(A)[-2:]), float(np.finfo(A._value.dtype).eps)
    rtol = 0.0 if driver == "gels" else (size * epsilon if rcond is None else float(rcond))
    tolerance = constant(np.full(batch, rtol, A._value.dtype))
    solution = apply(p.lstsq, A, right, tolerance)
    more = _lstsq_extras(A, right, solution, driver, rtol)
    return lstsq_result(squeeze(solution, -1) if vector else solution, *more)


def _check_lstsq(A: Tensor, B: Tensor, driver: str) -> bool:
    """Refuse what does not fit; whether the right-hand sides are vectors."""
    what = "linalg.lstsq"
    if driver not in DRIVERS:
        raise ConfigError(
            explain(what, f"driver is {driver!r}", f"parameter `driver` should be one of {DRIVERS}")
        )
    matrix(what, A)
    shape, other = shape_of(A), shape_of(B)
    vector = len(other) == 1 or (len(other) == len(shape) - 1 and other == shape[:-1])
    require_same_dtype(what, A, B)
    rows = other[-1] if vector else (other[-2] if len(other) > 1 else -1)
    if rows != shape[-2]:
        raise ShapeError(
            explain(
                what,
                f"A is {shape}, B is {other}",
                "input.size(-2) should match other.size(-2)",
                "a row of B belongs to each row of A",
            )
        )
    return vector


def _lstsq_extras(A: Tensor, B: Tensor, x: Tensor, driver: str, rtol: float) -> list[Tensor]:
    """Residuals, rank, and singular values, as far as the driver gives them."""
    rows, columns = shape_of(A)[-2:]
    nothing = constant(np.zeros((0,), A._value.dtype))
    values: Tensor = apply(p.svdvals, apply(p.detach, A))
    rank = constant(np.zeros((0,), np.int64)) if driver == "gels" else _rank(values, rtol)
    residuals = reshape(x, (x._value.size,))[:0]
    if driver != "gelsy" and rows > columns and _all_full(rank, columns, driver):
        residuals = apply(p.sum_, (matmul(A, x) - B) ** 2, dim=(x._value.ndim - 2,), keepdim=False)
    return [residuals, rank, values if driver in ("gelsd", "gelss") else nothing]


def _rank(values: Tensor, rtol: float) -> Tensor:
    last = values._value.ndim - 1
    if shape_of(values)[-1] == 0:
        return apply(p.sum_, converted(values, INT64), dim=(last,), keepdim=False)  # type: ignore[no-any-return]
    largest = apply(p.amax, values, dim=(last,), keepdim=True)
    kept = converted(apply(p.lt, largest * rtol, values), INT64)
    return apply(p.sum_, kept, dim=(last,), keepdim=False)  # type: ignore[no-any-return]


def _all_full(rank: Tensor, columns: int, driver: str) -> bool:
    """Whether residuals exist; a shape that depends on numbers, except for "gels"."""
    return driver == "gels" or bool((rank._array == columns).all())


def tolerances(what: str, A: Tensor, atol: Any, rtol: Any, batch: Shape) -> tuple[Tensor, Tensor]:
    """Absolute and relative tolerance of singular values, one for each matrix.

    By default the relative one is epsilon * max(n, m), unless an absolute one is given.
    """
    size, epsilon = max(shape_of(A)[-2:], default=0), float(np.finfo(A._value.dtype).eps)
    if rtol is None:
        rtol = _default_rtol(atol, size * epsilon, A)
    return (
        _tolerance(what, "atol", 0.0 if atol is None else atol, A, batch),
        _tolerance(what, "rtol", rtol, A, batch),
    )


def _default_rtol(atol: Any, usual: float, A: Tensor) -> Any:
    if not isinstance(atol, Tensor):
        return 0.0 if atol is not None and atol > 0 else usual
    given = apply(p.lt, 0, atol)
    return apply(p.where, given, 0.0, constant(np.asarray(usual, A._value.dtype)))


def _tolerance(what: str, name: str, value: Any, A: Tensor, batch: Shape) -> Tensor:
    if not isinstance(value, Tensor):
        return constant(np.full(batch, float(value), A._value.dtype))
    if value._value.dtype.kind == "c":
        raise NotSupportedError(f"[{what}] {name} tensor of complex type is not supported")
    return expand(converted(value, A._value.dtype), batch)


@in_float32
@takes_out
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudo-inverse of Moore and Penrose, for any shape and rank.

    Args:
        A: (.., n, m).
        rcond: the same as rtol.
        hermitian: whether A is symmetric: its eigenvalues are used.
        atol: singular values up to max(atol, rtol * the largest) count as 0.
        rtol: by default epsilon * max(n, m), or 0 when atol > 0 is given.

    Returns:
        (.., m, n).

    >>> import narae
    >>> narae.linalg.pinv(narae.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    what = "linalg.pinv"
    require_floating(what, square(what, A) if hermitian else matrix(what, A))
    shape = shape_of(A)
    if 0 in shape[-2:]:
        return reshape(A.mT, (*shape[:-2], shape[-1], shape[-2]))
    limits = tolerances(what, A, atol, rtol if rcond is None else rcond, shape[:-2])
    return apply(p.pinv, A, *limits, hermitian=hermitian)  # type: ignore[no-any-return]


# --- tensors as matrices --------------------------------------------------------------------


@in_float32
@takes_out
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse for `tensordot`: A as a square matrix of its first `ind` and other dimensions."""
    what = "linalg.tensorinv"
    shape = shape_of(require_floating(what, A))
    if ind <= 0:
        raise ShapeError(f"[{what}] ind is {ind}; Expected a strictly positive integer for 'ind'")
    rows, columns = shape[:ind], shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ShapeError(
            explain(
                what,
                f"A is {shape}, ind is {ind}",
                "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
                f"prod(self.shape[:ind]), but got {math.prod(columns)} != {math.prod(rows)}",
            )
        )
    square_matrix = reshape(A, (math.prod(rows), math.prod(columns)))
    return reshape(_inverted(what, square_matrix, True)[0], (*columns, *rows))


@in_float32
@takes_out
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B.

    Args:
        A: the sizes of B, then those of X; both have the same product.
        B: the right-hand side.
        dims: dimensions of A that are moved to the end first.
    """
    what = "linalg.tensorsolve"
    if dims is not None:
        rank = len(shape_of(A))
        A = movedim(A, tuple(dims), tuple(range(rank - len(dims), rank)))
    shape, other = shape_of(A), shape_of(B)
    columns = shape[len(other) :]
    if math.prod(columns) != math.prod(other) or math.prod(shape[: len(other)]) != math.prod(other):
        raise ShapeError(
            explain(
                what,
                f"A is {shape}, B is {other}",
                "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
                f"prod(self.shape[:other.ndim]), but got {math.prod(columns)} != "
                f"{math.prod(shape[: len(other)])}",
            )
        )
    size = math.prod(other)
    x = _solved(what, reshape(A, (size, size)), reshape(B, (size,)), True, True)[0]
    return reshape(x, columns)


__all__ = [
    "inv",
    "inv_ex",
    "ldl_solve",
    "lstsq",
    "lu_solve",
    "pinv",
    "solve",
    "solve_ex",
    "solve_triangular",
    "tensorinv",
    "tensorsolve",
]
