"""Linear algebra: what the results mean, for any shape, without another framework.

Definitions are checked (A = Q R, A x = b), on batches, empty batches and empty matrices, strided
inputs and both dtypes; then what is refused, what is compiled, and derivatives of whole functions.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import linalg
from narae.autograd import gradcheck, gradgradcheck
from narae.errors import DTypeError, LinAlgError, NotSupportedError, ShapeError

SETTINGS = settings(max_examples=25, deadline=None)
BATCHES = st.sampled_from([(), (1,), (3,), (0,), (2, 2), (2, 0)])
SIZES = st.integers(0, 6)
DTYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 2**16)


def limit(x):
    return 1e-4 if x.dtype == narae.float32 else 1e-9


def close(x, y):
    """Whether two tensors of one dtype agree up to rounding."""
    assert x.dtype == y.dtype
    assert x.shape == y.shape
    scale = max(1.0, float(np.abs(y.numpy()).max(initial=0)))
    return bool(np.abs(x.numpy() - y.numpy()).max(initial=0) <= limit(x) * scale)


def matrices(seed, shape, dtype, layout=0):
    """Random matrices; with a layout of 1 transposed in memory, of 2 every second column."""
    random = np.random.default_rng(seed)
    if layout == 1:
        return narae.tensor(
            random.normal(size=(*shape[:-2], shape[-1], shape[-2])).astype(dtype)
        ).mT
    if layout == 2:
        wide = random.normal(size=(*shape[:-1], 2 * shape[-1])).astype(dtype)
        return narae.tensor(wide)[..., ::2]
    return narae.tensor(random.normal(size=shape).astype(dtype))


def well_conditioned(seed, batch, n, dtype, layout=0):
    x = matrices(seed, (*batch, n, n), dtype, layout)
    return x + 3 * n * narae.eye(n, dtype=x.dtype)


def positive(seed, batch, n, dtype):
    x = matrices(seed, (*batch, n, n), dtype)
    return x @ x.mT + n * narae.eye(n, dtype=x.dtype)


def eye_for(x, n):
    return narae.eye(n, dtype=x.dtype).expand(*x.shape[:-2], n, n)


# --- factors --------------------------------------------------------------------------------


@SETTINGS
@given(BATCHES, SIZES, SIZES, DTYPES, SEEDS, st.integers(0, 2), st.booleans())
def test_qr(batch, n, m, dtype, seed, layout, complete):
    x = matrices(seed, (*batch, n, m), dtype, layout)
    q, r = linalg.qr(x, "complete" if complete else "reduced")
    k = n if complete else min(n, m)
    assert q.shape == (*batch, n, k)
    assert r.shape == (*batch, k, m)
    assert close(q @ r, x + 0)
    assert close(q.mT @ q, eye_for(q, k))
    assert close(r.tril(-1), narae.zeros_like(r))
    assert close(linalg.qr(x, "r").R, r[..., : min(n, m), :])
    a, tau = narae.geqrf(x)
    assert close(a.triu()[..., : min(n, m), :], r[..., : min(n, m), :])
    if n >= m:
        assert close(linalg.householder_product(a, tau), q[..., :m])
    other = matrices(seed + 1, (*batch, n, 2), dtype)
    whole = linalg.qr(x, "complete").Q
    reflected = narae.cat([a, narae.zeros(*batch, n, 0, dtype=a.dtype)], -1)[..., : min(n, m)]
    assert close(narae.ormqr(reflected, tau, other), whole @ other)
    assert close(narae.ormqr(reflected, tau, other, transpose=True), whole.mT @ other)
    assert close(narae.ormqr(reflected, tau, other.mT, left=False), other.mT @ whole)


@SETTINGS
@given(BATCHES, SIZES, SIZES, DTYPES, SEEDS, st.integers(0, 2))
def test_lu(batch, n, m, dtype, seed, layout):
    x = matrices(seed, (*batch, n, m), dtype, layout)
    p, lower, upper = linalg.lu(x)
    assert close(p @ lower @ upper, x + 0)
    assert close(p.mT @ p, eye_for(p, n))
    assert lower.abs().numpy().max(initial=0) <= 1 + 1e-6
    factors, pivots, info = linalg.lu_factor_ex(x)
    assert pivots.dtype == narae.int32
    assert info.shape == batch
    for found, wanted in zip(narae.lu_unpack(factors, pivots), (p, lower, upper), strict=True):
        assert close(found, wanted)


@SETTINGS
@given(BATCHES, SIZES, st.integers(0, 3), DTYPES, SEEDS, st.booleans(), st.booleans())
def test_solving_with_factors(batch, n, k, dtype, seed, left, adjoint):
    x = well_conditioned(seed, batch, n, dtype)
    b = matrices(seed + 1, (*batch, n, k) if left else (*batch, k, n), dtype)
    found = linalg.lu_solve(*linalg.lu_factor(x), b, left=left, adjoint=adjoint)
    a = x.mT if adjoint else x
    assert close(a @ found if left else found @ a, b)
    symmetric = x + x.mT
    right = b if left else b.mT
    assert close(symmetric @ linalg.ldl_solve(*linalg.ldl_factor(symmetric), right), right + 0)


@SETTINGS
@given(BATCHES, st.integers(0, 20), DTYPES, SEEDS)
def test_ldl_of_indefinite_matrices(batch, n, dtype, seed):
    x = matrices(seed, (*batch, n, n), np.float64)
    x = x + x.mT
    b = matrices(seed + 1, (*batch, n, 2), np.float64)
    solution = linalg.ldl_solve(*linalg.ldl_factor(x), b)
    assert np.abs((x @ solution - b).numpy()).max(initial=0) < 1e-6
    wanted = np.linalg.slogdet(x.numpy())[0]
    factors, pivots = linalg.ldl_factor(x)
    assert np.array_equal(sign_by_blocks(factors.numpy(), pivots.numpy()), wanted)


def sign_by_blocks(factors, pivots):
    """The sign of the determinant of D: blocks of two rows have a negative one each."""
    diagonal = np.sign(np.diagonal(factors, axis1=-2, axis2=-1))
    ones = np.where(pivots > 0, diagonal, 1).prod(-1)
    return ones * (-1.0) ** ((pivots < 0).sum(-1) // 2)


@SETTINGS
@given(BATCHES, SIZES, DTYPES, SEEDS, st.booleans())
def test_cholesky(batch, n, dtype, seed, upper):
    x = positive(seed, batch, n, dtype)
    factor = linalg.cholesky(x, upper=upper)
    other = factor.mT
    assert close(other @ factor if upper else factor @ other, x)
    read = x.triu() if upper else x.tril()  # the other triangle is not looked at
    assert close(linalg.cholesky(read, upper=upper), factor)
    b = matrices(seed + 1, (*batch, n, 2), dtype)
    assert close(x @ narae.cholesky_solve(b, factor, upper), b)
    assert close(x @ narae.cholesky_inverse(factor, upper), eye_for(x, n))


# --- systems --------------------------------------------------------------------------------


@SETTINGS
@given(BATCHES, SIZES, st.integers(0, 3), DTYPES, SEEDS, st.integers(0, 2), st.booleans())
def test_solve_and_inv(batch, n, k, dtype, seed, layout, left):
    x = well_conditioned(seed, batch, n, dtype, layout)
    b = matrices(seed + 1, (*batch, n, k) if left else (*batch, k, n), dtype)
    found = linalg.solve(x, b, left=left)
    assert close(x @ found if left else found @ x, b)
    assert close(linalg.inv(x) @ x, eye_for(x, n))
    if n:
        vector = matrices(seed + 2, (*batch, n), dtype)
        assert linalg.solve(x, vector).shape == vector.shape
        assert close((x @ linalg.solve(x, vector).unsqueeze(-1)).squeeze(-1), vector)


@SETTINGS
@given(
    BATCHES,
    st.integers(0, 40),
    DTYPES,
    SEEDS,
    st.integers(0, 2),
    *[st.booleans() for _ in range(3)],
)
def test_solve_triangular(batch, n, dtype, seed, layout, upper, left, unit):
    x = well_conditioned(seed, batch, n, dtype, layout) / max(4 * n, 1)
    b = matrices(seed + 1, (*batch, n, 3) if left else (*batch, 3, n), dtype)
    found = linalg.solve_triangular(x, b, upper=upper, left=left, unitriangular=unit)
    triangle = x.triu() if upper else x.tril()
    if unit:
        triangle = triangle - narae.diag_embed(triangle.diagonal(dim1=-2, dim2=-1)) + eye_for(x, n)
    assert close(triangle @ found if left else found @ triangle, b)


def test_right_hand_sides_broadcast():
    x, b = well_conditioned(0, (3, 1), 2, np.float64), matrices(1, (4, 2, 5), np.float64)
    assert linalg.solve(x, b).shape == (3, 4, 2, 5)
    assert close(x @ linalg.solve(x, b), b.expand(3, 4, 2, 5))
    found = linalg.lu_solve(*linalg.lu_factor(x), b)
    assert close(found, linalg.solve(x, b))
    assert linalg.solve_triangular(x, b, upper=True).shape == (3, 4, 2, 5)


@SETTINGS
@given(BATCHES, st.integers(1, 5), st.integers(1, 5), DTYPES, SEEDS)
def test_least_squares(batch, n, m, dtype, seed):
    """The gradient of the squared length is zero there, and no shorter solution exists."""
    x, b = (
        matrices(seed, (*batch, n, m), np.float64),
        matrices(seed + 1, (*batch, n, 2), np.float64),
    )
    found = linalg.lstsq(x, b, driver="gelsd")
    scale = 1 + np.abs(found.solution.numpy()).max(initial=0) ** 2
    assert np.abs((x.mT @ (x @ found.solution - b)).numpy()).max(initial=0) < 1e-9 * scale
    assert np.abs((found.solution - linalg.pinv(x) @ b).numpy()).max(initial=0) < 1e-9 * scale
    assert found.rank.tolist() == np.linalg.matrix_rank(x.numpy()).tolist()
    assert close(found.singular_values, linalg.svdvals(x))
    if n > m:
        assert close(found.residuals, ((x @ found.solution - b) ** 2).sum(-2))
    else:
        assert found.residuals.shape == (0,)


@SETTINGS
@given(BATCHES, SIZES, SIZES, SEEDS, st.integers(0, 3))
def test_the_four_conditions_of_moore_and_penrose(batch, n, m, seed, rank):
    x = matrices(seed, (*batch, n, rank), np.float64) @ matrices(
        seed + 1, (*batch, rank, m), np.float64
    )
    p = linalg.pinv(x, rtol=1e-10)
    assert p.shape == (*batch, m, n)
    scale = 1 + np.abs(p.numpy()).max(initial=0)
    for one, other in ((x @ p @ x, x), (p @ x @ p, p), ((x @ p).mT, x @ p), ((p @ x).mT, p @ x)):
        assert np.abs((one - other).numpy()).max(initial=0) < 1e-8 * scale
    assert (linalg.matrix_rank(x, rtol=1e-10).numpy() <= rank).all()


# --- spectra --------------------------------------------------------------------------------


@SETTINGS
@given(BATCHES, SIZES, SIZES, DTYPES, SEEDS, st.integers(0, 2), st.booleans())
def test_svd(batch, n, m, dtype, seed, layout, full):
    x = matrices(seed, (*batch, n, m), dtype, layout)
    u, s, vh = linalg.svd(x, full_matrices=full)
    k = min(n, m)
    assert close((u[..., :k] * s.unsqueeze(-2)) @ vh[..., :k, :], x + 0)
    assert close(u.mT @ u, eye_for(u, n if full else k))
    assert close(vh @ vh.mT, eye_for(vh, m if full else k))
    assert (np.diff(s.numpy()) <= 0).all()
    assert (s.numpy() >= 0).all()
    assert close(linalg.svdvals(x), s)


@SETTINGS
@given(BATCHES, SIZES, DTYPES, SEEDS, st.sampled_from("LU"))
def test_eigh(batch, n, dtype, seed, triangle):
    x = matrices(seed, (*batch, n, n), dtype)
    x = x + x.mT
    values, vectors = linalg.eigh(x.tril() if triangle == "L" else x.triu(), triangle)
    assert close(x @ vectors, vectors * values.unsqueeze(-2))
    assert close(vectors.mT @ vectors, eye_for(x, n))
    assert (np.diff(values.numpy()) >= 0).all()
    assert close(linalg.eigvalsh(x, triangle), values)


@SETTINGS
@given(BATCHES, st.integers(0, 5), SEEDS)
def test_determinants(batch, n, seed):
    """det(A B) = det(A) det(B), det(Aᵀ) = det(A), and the logarithm of its size."""
    a, b = (matrices(seed + i, (*batch, n, n), np.float64) for i in range(2))
    assert close(linalg.det(a @ b), linalg.det(a) * linalg.det(b))
    assert close(linalg.det(a.mT), linalg.det(a))
    sign, size = linalg.slogdet(a)
    assert close(sign * size.exp(), linalg.det(a))
    logarithm = narae.logdet(a).numpy()
    assert np.array_equal(np.isnan(logarithm), sign.numpy() < 0)


@SETTINGS
@given(BATCHES, st.integers(0, 5), SEEDS, st.sampled_from([0.01, 1.0, 30.0]))
def test_matrix_exp(batch, n, seed, size):
    """The inverse is exp(-A); the determinant is exp(trace); eigenvalues of symmetric ones."""
    x = matrices(seed, (*batch, n, n), np.float64)
    skew = size * (x - x.mT)
    rotation = linalg.matrix_exp(skew)
    assert close(rotation @ linalg.matrix_exp(-skew), eye_for(x, n))
    assert close(rotation @ rotation.mT, eye_for(x, n))
    symmetric = x + x.mT
    values, vectors = linalg.eigh(symmetric)
    assert close(linalg.matrix_exp(symmetric), (vectors * values.exp().unsqueeze(-2)) @ vectors.mT)


@SETTINGS
@given(BATCHES, st.integers(1, 4), SEEDS, st.integers(-4, 6))
def test_matrix_power(batch, n, seed, power):
    x = well_conditioned(seed, batch, n, np.float64) / n
    wanted = eye_for(x, n)
    for _ in range(abs(power)):
        wanted = wanted @ (x if power > 0 else linalg.inv(x))
    assert close(linalg.matrix_power(x, power), wanted + 0)


# --- norms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")])
@pytest.mark.parametrize("dim", [(0, 1), (-1, 0), (2, 1)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norms_are_numpys(ord, dim, keepdim):
    x = matrices(3, (3, 4, 5), np.float64)
    wanted = np.linalg.norm(x.numpy(), ord, dim, keepdim)
    np.testing.assert_allclose(linalg.matrix_norm(x, ord, dim, keepdim).numpy(), wanted)
    np.testing.assert_allclose(linalg.norm(x, ord, dim, keepdim).numpy(), wanted)


@pytest.mark.parametrize("p", [None, "fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")])
def test_condition_numbers_are_numpys(p):
    x = matrices(4, (3, 4, 4), np.float64)
    np.testing.assert_allclose(linalg.cond(x, p).numpy(), np.linalg.cond(x.numpy(), p))
    singular = narae.ones(2, 2)
    assert linalg.cond(singular, p).item() > 1e6 or p == -2


def test_tensor_equations():
    x = matrices(5, (2, 3, 6), np.float64)
    b = matrices(6, (2, 3), np.float64)
    found = linalg.tensorsolve(x, b)
    assert close(narae.tensordot(x, found, 1), b)
    inverse = linalg.tensorinv(x, ind=2)
    assert inverse.shape == (6, 2, 3)
    assert close(narae.tensordot(inverse, b, 2), found)
    moved = x.movedim(0, 1)  # (3, 2, 6): dims says which sizes belong to the solution
    assert linalg.tensorsolve(moved, b.mT, dims=(2,)).shape == (6,)


def test_products():
    chain = [matrices(i, shape, np.float64) for i, shape in enumerate([(2, 6), (6, 3), (3, 4)])]
    assert close(linalg.multi_dot(chain), chain[0] @ chain[1] @ chain[2])
    assert linalg.multi_dot([chain[0][0], chain[1], chain[2][:, 0]]).shape == ()
    x, y = matrices(7, (4, 1, 3), np.float64), matrices(8, (1, 5, 3), np.float64)
    assert close(linalg.vecdot(x, y), (x * y).sum(-1))
    np.testing.assert_allclose(linalg.cross(x, y).numpy(), np.cross(x.numpy(), y.numpy()))
    points = narae.tensor([2, 3, 5])
    np.testing.assert_array_equal(narae.vander(points).numpy(), np.vander([2, 3, 5]))
    np.testing.assert_array_equal(
        narae.vander(points, 4, increasing=True).numpy(), np.vander([2, 3, 5], 4, True)
    )
    np.testing.assert_array_equal(linalg.vander(points, N=4).numpy(), np.vander([2, 3, 5], 4, True))


def test_low_rank_approximations():
    """A matrix of rank 3 is found exactly; components of rows do not see their mean."""
    narae.manual_seed(0)
    x = matrices(1, (40, 3), np.float64) @ matrices(2, (3, 20), np.float64)
    for a in (x, x.mT):
        u, s, v = narae.svd_lowrank(a, q=5)
        assert close((u * s) @ v.mT, a + 0)
        assert close(s[:3], linalg.svdvals(a)[:3])
    _, first, _ = narae.pca_lowrank(x, q=4)
    _, second, _ = narae.pca_lowrank(x + 100, q=4)
    np.testing.assert_allclose(first.numpy()[:3], second.numpy()[:3], rtol=1e-6)


# --- what is refused ------------------------------------------------------------------------

SINGULAR = narae.stack([narae.eye(3), narae.tensor([[1.0, 2, 3], [0, 1, 4], [1, 3, 7]])])


@pytest.mark.parametrize(
    "function",
    [
        linalg.inv,
        narae.inverse,
        lambda x: linalg.solve(x, narae.ones(3, 2)),
        linalg.lu_factor,
        lambda x: linalg.inv_ex(x, check_errors=True),
        lambda x: linalg.matrix_power(x, -2),
    ],
)
def test_singular_matrices_are_named(function):
    assert issubclass(LinAlgError, RuntimeError)
    with pytest.raises(linalg.LinAlgError, match=r"\(2, 3, 3\).*Batch element 1.*pivot \d.*Fix:"):
        function(SINGULAR)


def test_not_positive_definite_matrices_are_named():
    x = narae.tensor([[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(LinAlgError, match=r"\[linalg.cholesky\].*order 2 is not positive.*Fix:"):
        linalg.cholesky(x)
    factor, info = linalg.cholesky_ex(narae.stack([x, narae.eye(3)]))
    assert info.tolist() == [2, 0]
    assert close(factor[1], narae.eye(3))


def test_info_tells_the_place_and_the_others_are_solved():
    x, info = linalg.solve_ex(SINGULAR, narae.ones(3, 1))
    assert info.dtype == narae.int32
    assert info.tolist() == [0, 3]
    assert close(x[0], narae.ones(3, 1))
    assert not np.isfinite(x[1].numpy()).all()
    assert linalg.inv_ex(SINGULAR).info.tolist() == [0, 3]
    assert linalg.lu_factor_ex(SINGULAR).info.tolist() == [0, 3]
    assert linalg.ldl_factor_ex(narae.zeros(2, 2)).info.item() == 1


def test_nan_is_refused_by_iterations():
    x = narae.eye(3).repeat(2, 1, 1)
    x[1, 0, 0] = float("nan")
    for function in (linalg.svd, linalg.svdvals, linalg.eigh, linalg.eigvalsh):
        with pytest.raises(LinAlgError, match=r"Batch element 1.*NaN.*converge"):
            function(x)


@pytest.mark.parametrize("function", [linalg.eig, linalg.eigvals])
def test_complex_results_are_refused(function):
    with pytest.raises(NotSupportedError, match=r"narae.linalg.eig\w*h"):
        function(narae.eye(2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linalg.inv(narae.ones(2, 3)), ShapeError, r"\(2, 3\).*square"),
        (lambda: linalg.det(narae.ones(3)), ShapeError, "at least 2 dimensions"),
        (lambda: linalg.qr(narae.ones(3)), ShapeError, "at least 2 dimensions"),
        (lambda: linalg.inv([[1.0]]), TypeError, "must be Tensor"),
        (lambda: linalg.inv(narae.ones(2, 2, dtype=narae.int64)), DTypeError, "float"),
        (lambda: linalg.svd(narae.ones(2, 2).half()), DTypeError, "Low precision"),
        (lambda: linalg.solve(narae.eye(3), narae.ones(2, 1)), ShapeError, r"must be 3"),
        (lambda: linalg.solve(narae.eye(3), narae.ones(3), left=False), ShapeError, "left=False"),
        (lambda: linalg.solve(narae.eye(2), narae.ones(2).double()), DTypeError, "same dtype"),
        (lambda: linalg.solve(narae.ones(2, 3, 3), narae.ones(4, 3, 1)), ShapeError, "solve"),
        (lambda: linalg.lu_factor(narae.eye(2), pivot=False), NotSupportedError, "pivot"),
        (lambda: linalg.eigh(narae.eye(2), "X"), ValueError, "UPLO"),
        (lambda: linalg.qr(narae.eye(2), "full"), ShapeError, "reduced"),
        (lambda: linalg.svd(narae.eye(2), driver="gesvd"), NotSupportedError, "driver"),
        (lambda: linalg.lstsq(narae.ones(3, 2), narae.ones(2, 1)), ShapeError, "size"),
        (lambda: linalg.lstsq(narae.eye(2), narae.eye(2), driver="x"), ValueError, "driver"),
        (lambda: linalg.matrix_norm(narae.eye(2), 3), ValueError, "Order 3"),
        (lambda: linalg.matrix_norm(narae.ones(0, 2), 2), IndexError, "non-zero size"),
        (lambda: linalg.vector_norm(narae.ones(0), -1), IndexError, "identity"),
        (lambda: linalg.norm(narae.ones(2, 2, 2), 1), ShapeError, "1D or 2D"),
        (lambda: linalg.norm(narae.eye(2).double(), dtype=narae.float32), DTypeError, "narrowing"),
        (lambda: linalg.multi_dot([narae.eye(2)]), ShapeError, "at least 2"),
        (lambda: linalg.multi_dot([narae.eye(2), narae.eye(3)]), ShapeError, "multiplied"),
        (lambda: linalg.vander(narae.ones(3), N=1), ShapeError, "greater than 1"),
        (lambda: linalg.tensorinv(narae.ones(2, 3), 1), ShapeError, "prod"),
        (lambda: linalg.tensorsolve(narae.ones(2, 3), narae.ones(2)), ShapeError, "prod"),
        (
            lambda: linalg.householder_product(narae.ones(2, 3), narae.ones(2)),
            ShapeError,
            "greater",
        ),
        (lambda: linalg.lu_solve(narae.eye(2), narae.ones(2), narae.eye(2)), ShapeError, "int32"),
        (lambda: narae.pca_lowrank(narae.ones(3, 2), q=5), ShapeError, "q"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("mode", ["r", "complete"])
def test_qr_without_a_gradient_says_so(mode):
    x = matrices(1, (3, 2), np.float64).requires_grad_()
    with pytest.raises(RuntimeError, match="mode='reduced'"):
        linalg.qr(x, mode).R.sum().backward()


# --- out=, names, methods -------------------------------------------------------------------


def test_results_have_names_and_can_be_delivered():
    x = positive(0, (), 3, np.float32)
    assert repr(linalg.qr(x)).startswith("narae.return_types.linalg_qr(\nQ=tensor(")
    assert linalg.svd(x)._fields == ("U", "S", "Vh")
    assert narae.svd(x)._fields == ("U", "S", "V")
    assert linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    q, r = narae.empty(0), narae.empty(3, 3)
    found = linalg.qr(x, out=(q, r))
    assert found.Q is q
    assert close(q @ r, x)
    target = narae.empty(3, 3)
    assert linalg.inv(x, out=target) is target
    with pytest.raises(RuntimeError, match="2"):
        linalg.qr(x, out=(q,))


def test_methods_and_old_names():
    x = positive(1, (), 3, np.float64)
    assert close(x.det(), linalg.det(x))
    assert close(x.inverse(), linalg.inv(x))
    assert close(x.pinverse(), linalg.pinv(x))
    assert close(x.cholesky(), linalg.cholesky(x))
    assert close(x.matrix_power(3), x @ x @ x)
    assert close(x.matrix_exp(), linalg.matrix_exp(x))
    assert close(x.mH, x.adjoint())
    assert close(narae.adjoint(x), x.mT)
    assert close(x.norm("nuc"), linalg.svdvals(x).sum())
    assert close(narae.orgqr(*narae.geqrf(x)), linalg.qr(x).Q)
    b = matrices(2, (3, 2), np.float64)
    solution, copied = narae.triangular_solve(b, x, transpose=True)
    assert close(x.triu().mT @ solution, b)
    assert close(copied, x)
    u, s, v = narae.svd(x, compute_uv=False)
    assert close(s, linalg.svdvals(x))
    assert not u.numpy().any()
    assert not v.numpy().any()
    factors, pivots, info = narae.lu(x, get_infos=True)
    assert info.item() == 0
    assert close(narae.lu_solve(b, factors, pivots), linalg.solve(x, b))


# --- compiled -------------------------------------------------------------------------------


def everything(x, b):
    return (
        linalg.solve(x, b),
        linalg.lu_solve(*linalg.lu_factor(x), b),
        linalg.ldl_solve(*linalg.ldl_factor(x + x.mT), b),
        linalg.cholesky(x @ x.mT),
        narae.cholesky_solve(b, linalg.cholesky(x @ x.mT)),
        linalg.qr(x).R,
        linalg.householder_product(*narae.geqrf(x)),
        linalg.pinv(x),
        linalg.lstsq(x, b).solution,
        linalg.svdvals(x),
        linalg.eigh(x + x.mT).eigenvalues,
        linalg.det(x),
        narae.logdet(x @ x.mT),
        linalg.matrix_exp(x / 4),
        linalg.matrix_rank(x),
        linalg.cond(x, 1),
        linalg.norm(x, "nuc"),
        *linalg.lu(x),
    )


def test_compiled_equals_eager():
    x, b = well_conditioned(3, (2,), 3, np.float32), matrices(4, (2, 3, 2), np.float32)
    compiled = narae.compile(everything)
    for found, wanted in zip(compiled(x, b), everything(x, b), strict=True):
        assert found.dtype == wanted.dtype
        assert np.array_equal(found.numpy(), wanted.numpy())


def test_a_compiled_step_is_refused_when_it_runs_on_a_singular_matrix():
    compiled = narae.compile(lambda x: linalg.inv(x))
    assert close(compiled(2 * narae.eye(2)), 0.5 * narae.eye(2))
    with pytest.raises(LinAlgError, match="singular"):
        compiled(narae.zeros(2, 2))


def test_what_depends_on_numbers_is_not_compiled():
    compiled = narae.compile(lambda x, b: linalg.lstsq(x, b, driver="gelsd").residuals)
    with pytest.raises(RuntimeError):
        compiled(narae.ones(3, 2), narae.ones(3, 1))


# --- derivatives of whole functions ---------------------------------------------------------

_X = well_conditioned(5, (2,), 3, np.float64)
_TALL = matrices(6, (4, 2), np.float64)
_VECTORS = matrices(7, (3, 2), np.float64)


def _projector(x):
    u, _, vh = linalg.svd(x, full_matrices=False)
    return u @ vh


def _solution_and_residuals(x, b):
    return linalg.lstsq(x, b, driver="gels")[:2]


SMOOTH = {
    "inv": (linalg.inv, _X),
    "solve right": (lambda x, b: linalg.solve(x, b, left=False), _X, _VECTORS.mT.expand(2, 2, 3)),
    "lu_solve": (lambda x, b: linalg.lu_solve(*linalg.lu_factor(x), b, adjoint=True), _X, _VECTORS),
    "lu": (lambda x: linalg.lu(x)[1:], _TALL),
    "householder": (linalg.householder_product, *narae.geqrf(_TALL)),
    "ormqr": (narae.ormqr, *narae.geqrf(_TALL), _VECTORS.new_ones(4, 2)),
    "pinv": (linalg.pinv, _TALL),
    "lstsq": (_solution_and_residuals, _TALL, matrices(8, (4, 2), np.float64)),
    "matrix_power": (lambda x: linalg.matrix_power(x / 9, -3), _X),
    "nuc": (lambda x: linalg.matrix_norm(x, "nuc"), _TALL),
    "cond": (lambda x: linalg.cond(x, "fro"), _X),
    "logdet": (lambda x: narae.logdet(x @ x.mT), _X),
    "projector": (_projector, _TALL),
    "eigenspace": (lambda x: linalg.eigh(x + x.mT).eigenvectors ** 2, _X),
    "vander": (lambda x: linalg.vander(x, N=4), _VECTORS[0]),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_to_second_order(name):
    function, *operands = SMOOTH[name]
    leaves = [x.detach().clone().requires_grad_() for x in operands]
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("order", [3, 4])
def test_derivatives_of_a_determinant_of_any_rank(rank, order):
    """Minors are finite for singular matrices, too, to second order."""
    kept = narae.diag_embed((narae.arange(order) < rank).double())
    x = (_rotation(order) @ kept @ _rotation(order + 1)[:order, :order]).requires_grad_()
    assert gradcheck(linalg.det, (x,))
    assert gradgradcheck(linalg.det, (x,))


def _rotation(n):
    return linalg.qr(matrices(n, (n, n), np.float64)).Q
