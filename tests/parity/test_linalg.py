"""Linear algebra agrees with PyTorch where its own samples do not reach.

Sizes at which blocked algorithms begin, layouts, singular and rank-deficient matrices, tolerances,
and what both refuse. PyTorch's own samples are compared in test_opinfo.py.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import assert_agrees, to_narae  # noqa: E402

SIZES = [1, 2, 7, 16, 17, 33, 70]
LAYOUTS = ["rows", "columns", "strided"]


def pair(shape, layout="rows", dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    if layout == "columns":
        x = torch.randn(*shape[:-2], shape[-1], shape[-2], generator=generator, dtype=dtype).mT
    elif layout == "strided":
        x = torch.randn(*shape[:-1], 2 * shape[-1], generator=generator, dtype=dtype)[..., ::2]
    else:
        x = torch.randn(*shape, generator=generator, dtype=dtype)
    return to_narae(x), x


def both(function, *pairs):
    """The results of both, a tuple each."""
    results = [
        function(lib, *xs) for lib, xs in zip((narae, torch), zip(*pairs, strict=True), strict=True)
    ]
    return [x if isinstance(x, tuple) else (x,) for x in results]


def agree(function, *pairs, what=""):
    found, wanted = both(function, *pairs)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert_agrees(one, other, what)


# What has no free signs.
FUNCTIONS = {
    "lu_factor_ex": lambda lib, x: lib.linalg.lu_factor_ex(x),
    "lu": lambda lib, x: lib.linalg.lu(x),
    "ldl_factor_ex": lambda lib, x: lib.linalg.ldl_factor_ex(x + x.mT),
    "ldl_solve": lambda lib, x: lib.linalg.ldl_solve(*lib.linalg.ldl_factor(x + x.mT), x),
    "inv": lambda lib, x: lib.linalg.inv(x),
    "solve_triangular": lambda lib, x: lib.linalg.solve_triangular(
        x / 20, x, upper=False, unitriangular=True
    ),
    "cholesky": lambda lib, x: lib.linalg.cholesky(x @ x.mT),
    "qr": lambda lib, x: lib.linalg.qr(x),
    "geqrf": lambda lib, x: lib.geqrf(x),
    "orgqr": lambda lib, x: lib.orgqr(*lib.geqrf(x)),
    "svdvals": lambda lib, x: lib.linalg.svdvals(x),
    "eigvalsh": lambda lib, x: lib.linalg.eigvalsh(x, UPLO="U"),
    "slogdet": lambda lib, x: lib.linalg.slogdet(x),
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "matrix_exp": lambda lib, x: lib.matrix_exp(x / 10),
    "matrix_norm": lambda lib, x: lib.linalg.matrix_norm(x, -1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sizes_and_layouts(name):
    for place, size in enumerate(SIZES):
        layout = LAYOUTS[place % 3]
        agree(FUNCTIONS[name], pair((2, size, size), layout), what=f"{size} {layout}")


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (2, 0, 3), (2, 3, 0), (0, 3, 2)])
def test_rectangles(shape):
    x = pair(shape)
    for name in ("lu_factor_ex", "lu", "qr", "geqrf", "svdvals", "pinv"):
        agree(FUNCTIONS[name], x, what=name)
    agree(lambda lib, a: lib.linalg.qr(a, "complete"), x)
    agree(lambda lib, a: lib.linalg.qr(a, "r"), x)
    found, wanted = both(lambda lib, a: lib.linalg.svd(a), x)
    for one, other in zip(found, wanted, strict=True):
        assert tuple(one.shape) == tuple(other.shape)


@pytest.mark.parametrize("size", [2, 5, 30])
def test_vectors_agree_up_to_sign(size):
    a, b = pair((3, size, size))
    for function in (
        lambda lib, x: lib.linalg.eigh(x + x.mT),
        lambda lib, x: lib.linalg.svd(x),
    ):
        found, wanted = both(function, (a, b))
        for one, other in zip(found, wanted, strict=True):
            assert_agrees(one.abs(), other.abs())


def singular(dtype=torch.float64):
    x = torch.tensor([[1.0, 2, 3], [0, 1, 4], [1, 3, 7]], dtype=dtype)  # row 2 is the sum
    x = torch.stack([torch.eye(3, dtype=dtype), x, torch.zeros(3, 3, dtype=dtype)])
    return to_narae(x), x


@pytest.mark.parametrize("name", ["solve_ex", "inv_ex", "lu_factor_ex", "cholesky_ex"])
def test_info_of_matrices_without_a_result(name):
    x = singular()
    arguments = (x, x) if name == "solve_ex" else (x,)
    found, wanted = both(lambda lib, *xs: getattr(lib.linalg, name)(*xs), *arguments)
    assert_agrees(found[-1], wanted[-1])
    assert_agrees(found[0][0], wanted[0][0])
    assert type(found).__name__ == f"linalg_{name}"


REFUSED = {
    "inv": lambda lib, x: lib.linalg.inv(x),
    "solve": lambda lib, x: lib.linalg.solve(x, x),
    "lu_factor": lambda lib, x: lib.linalg.lu_factor(x),
    "cholesky": lambda lib, x: lib.linalg.cholesky(x),
    "svd of NaN": lambda lib, x: lib.linalg.svd(x / 0),
    "square": lambda lib, x: lib.linalg.det(x[..., :2]),
    "integers": lambda lib, x: lib.linalg.inv(x.to(lib.int64)),
    "halves": lambda lib, x: lib.linalg.inv(x.to(lib.float16)),
    "dtypes": lambda lib, x: lib.linalg.solve(x, x.to(lib.float32)),
    "no pivots": lambda lib, x: lib.linalg.lu_factor(x, pivot=False),
    "pivots": lambda lib, x: lib.linalg.lu_solve(x, x[..., 0], x),
    "rows": lambda lib, x: lib.linalg.solve(x, x[..., :2, :]),
    "left": lambda lib, x: lib.linalg.solve(x, x[..., 0], left=False),
    "order": lambda lib, x: lib.linalg.matrix_norm(x, "nuclear"),
    "same dims": lambda lib, x: lib.linalg.matrix_norm(x, dim=(0, 0)),
    "norm of three": lambda lib, x: lib.linalg.norm(x, 2),
    "no identity": lambda lib, x: lib.linalg.vector_norm(x[:0], -2),
    "driver": lambda lib, x: lib.linalg.lstsq(x, x, driver="svd"),
    "mode": lambda lib, x: lib.linalg.qr(x, "raw"),
    "triangle": lambda lib, x: lib.linalg.eigh(x, "M"),
    "one matrix": lambda lib, x: lib.linalg.multi_dot([x[0]]),
    "ind": lambda lib, x: lib.linalg.tensorinv(x, 0),
    "vandermonde": lambda lib, x: lib.linalg.vander(x, N=1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name):
    ours, theirs = singular()
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as wanted:
        REFUSED[name](torch, theirs)
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as found:
        REFUSED[name](narae, ours)
    built_in = wanted.type if wanted.type.__module__ == "builtins" else RuntimeError
    assert issubclass(found.type, built_in), (found.value, wanted.value)
    if wanted.type is torch.linalg.LinAlgError:
        assert found.type is narae.linalg.LinAlgError


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 5, 3)])
def test_least_squares(driver, shape):
    x, b = pair(shape), pair((*shape[:-1], 2), seed=1)
    agree(lambda lib, *xs: lib.linalg.lstsq(*xs, driver=driver), x, b)


@pytest.mark.parametrize("driver", ["gelsy", "gelsd"])
def test_least_squares_of_deficient_rank(driver):
    x, y = pair((5, 2)), pair((2, 3), seed=1)
    deficient = x[0] @ y[0], x[1] @ y[1]
    b = pair((5, 2), seed=2)
    agree(lambda lib, *xs: lib.linalg.lstsq(*xs, rcond=1e-9, driver=driver), deficient, b)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"atol": 0.5},
        {"rtol": 0.3},
        {"atol": 0.1, "rtol": 0.4},
        {"hermitian": True},
        {"hermitian": True, "rtol": 0.3},
    ],
)
def test_tolerances_of_singular_values(options):
    x = pair((4, 5, 5))
    agree(lambda lib, a: lib.linalg.matrix_rank(a + a.mT, **options), x)
    agree(lambda lib, a: lib.linalg.pinv(a + a.mT, **options), x)


def test_tolerances_can_be_tensors():
    x = pair((3, 4, 4))
    limits = to_narae(torch.tensor([0.0, 0.5, 2.0])), torch.tensor([0.0, 0.5, 2.0])
    agree(lambda lib, a, t: lib.linalg.matrix_rank(a, atol=t), x, limits)
    agree(lambda lib, a, t: lib.linalg.matrix_rank(a, t), x, limits)
    agree(lambda lib, a, t: lib.linalg.pinv(a, atol=t.double()), x, limits)


def test_gradients_of_singular_determinants():
    """PyTorch's second derivatives of a determinant, for matrices of every rank."""
    ours, theirs = singular()
    ours, theirs = ours.requires_grad_(), theirs.requires_grad_()
    weights = pair((3, 3, 3), seed=9)
    grads = []
    for lib, x, w in ((narae, ours, weights[0]), (torch, theirs, weights[1])):
        (first,) = lib.autograd.grad(lib.linalg.det(x).sum(), x, create_graph=True)
        (second,) = lib.autograd.grad((first * w).sum(), x)
        grads.append((first, second))
    assert_agrees(grads[0][0], grads[1][0])
    assert_agrees(grads[0][1][0], grads[1][1][0])  # of lower rank PyTorch's are NaN or rough


def test_names_are_pytorchs():
    names = [name for name in dir(torch.linalg) if callable(getattr(torch.linalg, name))]
    public = [name for name in names if not name.startswith("_") and name not in ("common_notes",)]
    assert [name for name in public if not hasattr(narae.linalg, name)] == []


def test_random_projections_take_pytorchs_stream():
    x = pair((30, 12))
    results = []
    for lib, a in zip((narae, torch), x, strict=True):
        lib.manual_seed(3)
        u, s, v = lib.svd_lowrank(a, q=4)
        results.append((s, (u * s) @ v.mT))
    for one, other in zip(*results, strict=True):
        assert_agrees(one, other)


def test_half_precision_exponential_is_rounded_once():
    x = pair((4, 4), dtype=torch.float32)[1].half()
    wanted = torch.linalg.matrix_exp(x.double()).half()
    np.testing.assert_array_equal(narae.matrix_exp(to_narae(x)).numpy(), wanted.numpy())
