"""Functions of whole matrices: determinants and the exponential."""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .contractions import matmul, transpose_last
from .elementwise import add, cast, div, eq, le, mul, sign, sub, where
from .generators import zeros
from .linear_algebra import (
    as_column,
    as_row,
    diagonal_matrix,
    diagonal_of,
    on_diagonal,
    solve,
)
from .linear_algebra_spectra import svd
from .movement import concat, expand, narrow, reshape
from .record import Primitive, first_dtype, same_shape, shape_of
from .reductions import prod, sum_


def _spread(x: Any, like: Any) -> Any:
    """One number for each matrix, for all of its elements: (..) -> (.., 1, 1)."""
    return reshape(x, shape=(*shape_of(like)[:-2], 1, 1))


def _batch_shape(x: Any) -> Shape:
    return tuple(x.shape[:-2])


# --- determinants ---------------------------------------------------------------------------

det: Primitive = Primitive(
    "det",
    "host",
    "x",
    "the determinant",
    shape=_batch_shape,
    dtype=first_dtype,
    saves="x",
    grads=(lambda grad, x: mul(_spread(grad, x), cofactor(x)),),
    grad_name="LinalgDetBackward0",
)


def _basis(x: Any) -> tuple[Any, Any, Any, Any]:
    """U, s and V of x = U diag(s) V, and U times the sign det(U) det(V)."""
    u, s, vh = svd(x, full_matrices=False)
    turned = sign(mul(det(u), det(vh)))
    return mul(u, _spread(turned, x)), u, s, vh


def _without_zeros(s: Any) -> tuple[Any, Any, Any, Any]:
    """Each number or 1 for a zero, the product of those, which are zero, and how many."""
    last = len(shape_of(s)) - 1
    zero = eq(s, 0)
    safe = where(zero, 1.0, s)
    missing = cast(zero, dtype=s.dtype)
    return (
        safe,
        prod(safe, dim=(last,), keepdim=True),
        missing,
        sum_(missing, dim=(last,), keepdim=True),
    )


def _cofactor(x: Any) -> Any:
    """sign · U diag(products of all other singular values) V, for any rank."""
    if shape_of(x)[-1] == 0:
        return x
    signed, _, s, vh = _basis(x)
    safe, product, missing, count = _without_zeros(s)
    others = where(le(sub(count, missing), 0), div(product, safe), 0.0)
    return matmul(mul(signed, as_row(others)), vh)


def _cofactor_grad(grad: Any, x: Any) -> Any:
    """The second derivative of the determinant applied to a matrix, for any rank.

    In the basis of the singular vectors, with p[i, j] the product of all singular values but i and
    j and G the turned gradient: the diagonal i gets the sum over j ≠ i of p[i, j] G[j, j], the
    place (i, j) gets -p[i, j] G[j, i]. It is the Hessian of a polynomial, hence symmetric.
    """
    if shape_of(x)[-1] == 0:
        return grad
    signed, u, s, vh = _basis(x)
    safe, product, missing, count = _without_zeros(s)
    left = sub(as_column(count), add(as_row(missing), as_column(missing)))
    pairs = div(as_column(product), mul(as_row(safe), as_column(safe)))
    turned = matmul(matmul(transpose_last(u), grad), transpose_last(vh))
    apart = where(on_diagonal(turned), 0.0, where(le(left, 0), pairs, 0.0))
    straight = matmul(apart, as_column(diagonal_of(turned)))
    straight = reshape(straight, shape=shape_of(s))
    inner = sub(diagonal_matrix(straight), mul(apart, transpose_last(turned)))
    return matmul(matmul(signed, inner), vh)


cofactor: Composite = Composite(
    "cofactor",
    "x",
    "the matrix of cofactors, which is det(x) times the transposed inverse",
    _cofactor,
    saves="x",
    grads=(_cofactor_grad,),
)


def _inverse_transposed(x: Any) -> Any:
    size = shape_of(x)[-1]
    eye = diagonal_matrix(add(zeros((size,), x.dtype), 1.0))
    return solve(transpose_last(x), eye, check="")[0]


def _slogdet_grad(needs: Any, grads: Any, x: Any) -> tuple[Any]:
    """The sign is constant; the logarithm has the derivative x⁻ᵀ (Giles 2008, section 2.2.4)."""
    if grads[1] is None:
        return (None,)
    return (mul(_spread(grads[1], x), _inverse_transposed(x)),)


slogdet: Primitive = Primitive(
    "slogdet",
    "host",
    "x",
    "the sign of the determinant and the logarithm of its size",
    shape=lambda x: (_batch_shape(x), _batch_shape(x)),
    dtype=lambda x: (x.dtype, x.dtype),
    saves="x",
    joint_grad=_slogdet_grad,
    outputs=2,
    grad_name="LinalgSlogdetBackward0",
)

# --- the exponential ------------------------------------------------------------------------


def _matrix_exp_grad(grad: Any, x: Any) -> Any:
    """The upper right block of exp([[xᵀ, ḡ], [0, xᵀ]]).

    Mathias 1996, "A chain rule for matrix functions and applications", theorem 2.1.
    """
    turned = transpose_last(x)
    row, column = len(shape_of(x)) - 2, len(shape_of(x)) - 1
    size = shape_of(x)[-1]
    above = concat(turned, expand(grad, shape=shape_of(x)), dim=column)
    below = concat(zeros(shape_of(x), x.dtype), turned, dim=column)
    whole = matrix_exp(concat(above, below, dim=row))
    return narrow(narrow(whole, row, 0, size), column, size, size)


matrix_exp: Primitive = Primitive(
    "matrix_exp",
    "host",
    "x",
    "the sum of xᵏ / k!",
    shape=same_shape,
    dtype=first_dtype,
    saves="x",
    grads=(_matrix_exp_grad,),
    grad_name="LinalgMatrixExpBackward0",
)
