"""Singular values and eigenvalues, and what is made of them: pseudo-inverse, least squares."""

from collections.abc import Sequence
from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .contractions import matmul, transpose_last
from .elementwise import abs_, add, div, lt, maximum, mul, sub, where
from .generators import zeros
from .linear_algebra import as_column, as_row, diagonal_matrix, on_diagonal, total
from .movement import narrow
from .record import Primitive, shape_of
from .reductions import amax


def _differences(x: Any) -> Any:
    """x[j] - x[i] at (i, j), and 1 on the diagonal, where nothing is divided."""
    found = sub(as_row(x), as_column(x))
    return where(on_diagonal(found), 1.0, found)


# --- eigenvalues ----------------------------------------------------------------------------


def _eigh_grad(needs: Any, grads: Any, values: Any, vectors: Any, upper: bool) -> tuple[Any]:
    """V (diag(l̄) + ½ skew(Vᵀ V̄) / (l[j] - l[i])) Vᵀ (Giles 2008, section 3.1), symmetric.

    Undefined for vectors of repeated eigenvalues, which are not smooth there.
    """
    grad_values, grad_vectors = grads
    inner = None if grad_values is None else diagonal_matrix(grad_values)
    if grad_vectors is not None:
        overlap = _skew(matmul(transpose_last(vectors), grad_vectors))
        turned = div(mul(overlap, 0.5), _differences(values))
        inner = total(inner, turned)
    if inner is None:
        return (None,)
    return (matmul(matmul(vectors, inner), transpose_last(vectors)),)


eigh: Primitive = Primitive(
    "eigh",
    "host",
    "x",
    "eigenvalues in rising order, and orthonormal eigenvectors in columns, of a symmetric matrix "
    "of which one triangle is read",
    shape=lambda x, *, upper: (tuple(x.shape[:-1]), tuple(x.shape)),
    dtype=lambda x, *, upper: (x.dtype, x.dtype),
    saves="out0 out1",
    joint_grad=_eigh_grad,
    outputs=2,
    grad_name="LinalgEighBackward0",
)


def _eigvalsh_grad(grad: Any, x: Any, upper: bool) -> Any:
    _, vectors = eigh(x, upper=upper)
    return matmul(mul(vectors, as_row(grad)), transpose_last(vectors))


eigvalsh = Composite(
    "eigvalsh",
    "x",
    "eigenvalues of a symmetric matrix in rising order",
    lambda x, *, upper: eigh(x, upper=upper)[0],
    saves="x",
    grads=(_eigvalsh_grad,),
    grad_name="LinalgEighBackward0",
)

# --- singular values ------------------------------------------------------------------------


def _svd_shape(x: Any, *, full_matrices: bool) -> tuple[Shape, Shape, Shape]:
    *batch, rows, columns = tuple(x.shape)
    inner = min(rows, columns)
    left, right = (rows, columns) if full_matrices else (inner, inner)
    return (*batch, rows, left), (*batch, inner), (*batch, right, columns)


def _svd_grad(needs: Any, grads: Any, u: Any, s: Any, vh: Any, full_matrices: bool) -> tuple[Any]:
    """The gradient through singular vectors and values.

    With F = 1 / (s[j]² - s[i]²) off the diagonal and skew(Y) = Y - Yᵀ, in the basis of the vectors:
    (F ∘ skew(Uᵀ Ū)) S + S (F ∘ skew(Vᵀ V̄)) + diag(s̄); what the long side has outside of the
    basis comes on top (Townsend 2016, "Differentiating the singular value decomposition", section
    3). The vectors that only complete a basis have no gradient of their own. Undefined for vectors
    of repeated singular values, which are not smooth there.
    """
    grad_u, grad_s, grad_vh = grads
    inner = shape_of(s)[-1]
    u, grad_u = (_leading(x, inner, -1) for x in (u, grad_u))
    vh, grad_vh = (_leading(x, inner, -2) for x in (vh, grad_vh))
    if grad_u is None and grad_vh is None:
        return (None if grad_s is None else matmul(mul(u, as_row(grad_s)), vh),)
    core = _svd_core(grad_u, grad_s, grad_vh, u, s, vh)
    if shape_of(u)[-2] > inner and grad_u is not None:
        left = add(matmul(u, core), div(_outside(grad_u, u), as_row(s)))
        return (matmul(left, vh),)
    right = matmul(core, vh)
    if shape_of(vh)[-1] > inner and grad_vh is not None:
        grad_v, v = transpose_last(grad_vh), transpose_last(vh)
        right = add(right, div(transpose_last(_outside(grad_v, v)), as_column(s)))
    return (matmul(u, right),)


def _leading(x: Any, count: int, dim: int) -> Any:
    """The first vectors of a full basis."""
    if x is None or shape_of(x)[dim] == count:
        return x
    return narrow(x, len(shape_of(x)) + dim, 0, count)


def _svd_core(grad_u: Any, grad_s: Any, grad_vh: Any, u: Any, s: Any, vh: Any) -> Any:
    """The gradient in the basis of the singular vectors: (.., k, k)."""
    column, row = as_column(s), as_row(s)
    gaps = mul(_differences(s), add(row, column))
    gaps = where(on_diagonal(gaps), 1.0, gaps)
    turned = []
    if grad_u is not None:
        turned.append(mul(_skew(matmul(transpose_last(u), grad_u)), row))
    if grad_vh is not None:
        turned.append(mul(column, _skew(matmul(vh, transpose_last(grad_vh)))))
    straight = None if grad_s is None else diagonal_matrix(grad_s)
    return total(div(total(*turned), gaps), straight)


def _skew(x: Any) -> Any:
    return sub(x, transpose_last(x))


def _outside(grad: Any, basis: Any) -> Any:
    """The part of the columns of a gradient that is orthogonal to the basis."""
    return sub(grad, matmul(basis, matmul(transpose_last(basis), grad)))


svd: Primitive = Primitive(
    "svd",
    "host",
    "x",
    "u diag(s) vh = x, s in falling order, u and vhᵀ with orthonormal columns",
    shape=_svd_shape,
    dtype=lambda x, *, full_matrices: (x.dtype, x.dtype, x.dtype),
    saves="out0 out1 out2",
    joint_grad=_svd_grad,
    outputs=3,
    grad_name="LinalgSvdBackward0",
)


def _svdvals_grad(grad: Any, x: Any) -> Any:
    u, _, vh = svd(x, full_matrices=False)
    return matmul(mul(u, as_row(grad)), vh)


svdvals = Composite(
    "svdvals",
    "x",
    "singular values in falling order",
    lambda x: svd(x, full_matrices=False)[1],
    saves="x",
    grads=(_svdvals_grad,),
    grad_name="LinalgSvdBackward0",
)

# --- pseudo-inverse and least squares -------------------------------------------------------


def _inverted(values: Any, atol: Any, rtol: Any) -> Any:
    """1 / values where they are larger than the tolerance, else 0: (.., k)."""
    size = abs_(values)
    if shape_of(values)[-1] == 0:
        return size
    largest = amax(size, dim=(len(shape_of(values)) - 1,), keepdim=True)
    tolerance = maximum(as_column(atol), mul(as_column(rtol), largest))
    kept = lt(tolerance, size)
    return where(kept, div(1.0, where(kept, values, 1.0)), 0.0)


def _pinv(x: Any, atol: Any, rtol: Any, *, hermitian: bool) -> Any:
    if hermitian:
        values, vectors = eigh(x, upper=False)
        scaled = mul(vectors, as_row(_inverted(values, atol, rtol)))
        return matmul(scaled, transpose_last(vectors))
    u, s, vh = svd(x, full_matrices=False)
    scaled = mul(transpose_last(vh), as_row(_inverted(s, atol, rtol)))
    return matmul(scaled, transpose_last(u))


def _pinv_grad(grad: Any, x: Any, p: Any) -> Any:
    """-Pᵀ P̄ Pᵀ + (I - X P) P̄ᵀ P Pᵀ + Pᵀ P P̄ᵀ (I - P X), where the rank stays the same.

    Golub and Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear least squares
    problems whose variables separate", theorem 4.3.
    """
    turned, p_t = transpose_last(grad), transpose_last(p)
    left = matmul(matmul(turned, p), p_t)
    right = matmul(p_t, matmul(p, turned))
    straight = matmul(matmul(p_t, grad), p_t)
    left = sub(left, matmul(x, matmul(p, left)))
    right = sub(right, matmul(matmul(right, p), x))
    return sub(add(left, right), straight)


pinv = Composite(
    "pinv",
    "x atol rtol",
    "the pseudo-inverse; singular values up to max(atol, rtol * largest) count as 0",
    _pinv,
    saves="x out",
    grads=(lambda grad, x, out, hermitian: _pinv_grad(grad, x, out), None, None),
)


def _lstsq(x: Any, b: Any, rtol: Any) -> Any:
    u, s, vh = svd(x, full_matrices=False)
    inverted = _inverted(s, zeros(shape_of(s)[:-1], s.dtype), rtol)
    coefficients = mul(as_column(inverted), matmul(transpose_last(u), b))
    return matmul(transpose_last(vh), coefficients)


def _lstsq_grads(
    needs: Sequence[bool], grads: Any, x: Any, b: Any, rtol: Any
) -> tuple[Any, Any, None]:
    """The solution is pinv(x) b: b̄ = pinv(x)ᵀ out̄, and the pseudo-inverse gets out̄ bᵀ."""
    inverse = pinv(x, zeros(shape_of(x)[:-2], x.dtype), rtol, hermitian=False)
    grad_x = None
    if needs[0]:
        grad_x = _pinv_grad(matmul(grads[0], transpose_last(b)), x, inverse)
    return grad_x, matmul(transpose_last(inverse), grads[0]), None


lstsq = Composite(
    "lstsq",
    "x b rtol",
    "the shortest of all w that make the length of x w - b least",
    _lstsq,
    saves="x b rtol",
    joint_grad=_lstsq_grads,
    broadcasts=True,
    grad_name="LinalgLstsqBackward0",
)
