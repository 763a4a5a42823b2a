"""Matrix products and `einsum` against PyTorch: values, dtypes, gradients, refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae

torch = pytest.importorskip("torch")


def pair_of(shape, dtype="float64", seed=0):
    values = np.random.default_rng(seed).integers(-3, 4, shape)
    theirs = torch.tensor(values).to(getattr(torch, dtype))
    return theirs, narae.tensor(values).to(getattr(narae, dtype))


def numbers(x):
    return np.array(x.detach().tolist(), np.float64).reshape(tuple(x.shape))


def compare(ours, theirs, rtol=0.0):
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=rtol, atol=rtol)


def attempt(function, *arguments):
    try:
        return function(*arguments), None
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
        return None, error


def compare_with_gradients(call, shapes):
    """Values, gradients and gradients of gradients of a function of several tensors."""
    results = []
    for library, side in ((torch, 0), (narae, 1)):
        operands = [pair_of(shape, seed=seed)[side] for seed, shape in enumerate(shapes)]
        for x in operands:
            x.requires_grad_()
        out = call(library, *operands)
        weights = np.cos(np.arange(out.numel())).reshape(tuple(out.shape))
        loss = (out**2 * library.tensor(weights)).sum()
        first = library.autograd.grad(loss, operands, create_graph=True)
        total = sum((grad**2).sum() for grad in first)
        second = library.autograd.grad(total, operands, allow_unused=True)
        kept = [grad if grad is not None else library.zeros(0) for grad in second]
        results.append([numbers(x) for x in (out, *first, *kept)])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


# --- matmul ---------------------------------------------------------------------------------

RANKS = [(3,), (2, 3), (4, 2, 3), (1, 2, 3), (5, 1, 2, 3), (0, 3), (2, 0), ()]
OTHERS = [(3,), (3, 2), (4, 3, 2), (1, 3, 5), (4, 3, 1), (3, 0), (0, 3), ()]


@pytest.mark.parametrize("shape", RANKS, ids=str)
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_matmul_of_all_ranks(shape, other):
    (x, our_x), (y, our_y) = pair_of(shape), pair_of(other, seed=1)
    expected, their_error = attempt(lambda: x @ y)
    found, our_error = attempt(lambda: our_x @ our_y)
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if their_error is not None:
        assert isinstance(our_error, type(their_error))
        return
    compare(found, expected)
    compare_with_gradients(lambda _, a, b: a @ b, (shape, other))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "int32", "uint8"])
def test_matmul_of_all_dtypes(dtype):
    (x, our_x), (y, our_y) = pair_of((5, 7), dtype), pair_of((7, 4), dtype, 1)
    compare(our_x @ our_y, x @ y)
    compare(our_x.t() @ our_x, x.t() @ x)
    compare(our_x @ our_y[:, 0], x @ y[:, 0])


def test_half_precision_sums_in_float32():
    """2049 ones cannot be counted in float16, which has 11 bits."""
    x, our_x = torch.ones(1, 2600, dtype=torch.float16), narae.ones(1, 2600, dtype=narae.float16)
    compare(our_x @ our_x.t(), x @ x.t())


PRODUCTS = {
    "mm": (lambda lib, a, b: lib.mm(a, b), [(2, 3), (3, 4)]),
    "bmm": (lambda lib, a, b: lib.bmm(a, b), [(5, 2, 3), (5, 3, 4)]),
    "mv": (lambda lib, a, b: lib.mv(a, b), [(2, 3), (3,)]),
    "dot": (lambda lib, a, b: lib.dot(a, b), [(3,), (3,)]),
    "vdot": (lambda lib, a, b: lib.vdot(a, b), [(3,), (3,)]),
    "inner": (lambda lib, a, b: lib.inner(a, b), [(2, 3), (4, 3)]),
    "outer": (lambda lib, a, b: lib.outer(a, b), [(3,), (4,)]),
    "kron": (lambda lib, a, b: lib.kron(a, b), [(2, 3), (3, 1, 2)]),
    "cross": (lambda lib, a, b: lib.cross(a, b, dim=1), [(2, 3), (2, 3)]),
    "trace": (lambda lib, a: lib.trace(a), [(3, 4)]),
    "tensordot": (lambda lib, a, b: lib.tensordot(a, b), [(2, 3, 4), (3, 4, 5)]),
    "tensordot lists": (
        lambda lib, a, b: lib.tensordot(a, b, ([0, 2], [1, 0])), [(2, 3, 4), (4, 2, 5)],
    ),
    "addmm": (lambda lib, c, a, b: lib.addmm(c, a, b, beta=0.5, alpha=2), [(4,), (2, 3), (3, 4)]),
    "addmv": (lambda lib, c, a, b: lib.addmv(c, a, b), [(2,), (2, 3), (3,)]),
    "addr": (lambda lib, c, a, b: lib.addr(c, a, b, alpha=3), [(2, 3), (2,), (3,)]),
    "baddbmm": (lambda lib, c, a, b: lib.baddbmm(c, a, b), [(1, 4), (5, 2, 3), (5, 3, 4)]),
    "addbmm": (lambda lib, c, a, b: lib.addbmm(c, a, b), [(2, 4), (5, 2, 3), (5, 3, 4)]),
    "chain_matmul": (
        lambda lib, a, b, c: lib.chain_matmul(a, b, c), [(2, 9), (9, 3), (3, 8)],
    ),
    "trapezoid": (lambda lib, y, x: lib.trapezoid(y, x), [(2, 4), (4,)]),
    "cumulative": (lambda lib, y: lib.cumulative_trapezoid(y, dx=0.5, dim=0), [(4, 2)]),
    "cov": (lambda lib, x: lib.cov(x, correction=0), [(3, 6)]),
    "corrcoef": (lambda lib, x: lib.corrcoef(x), [(3, 6)]),
    "linear": (
        lambda lib, x, w, b: lib.nn.functional.linear(x, w, b), [(5, 3), (4, 3), (4,)],
    ),
    "linear of 3-D": (
        lambda lib, x, w, b: lib.nn.functional.linear(x, w, b), [(2, 5, 3), (4, 3), (4,)],
    ),
    "linear of 1-D": (
        lambda lib, x, w, b: lib.nn.functional.linear(x, w, b), [(3,), (4, 3), (4,)],
    ),
    "linear without bias": (lambda lib, x, w: lib.nn.functional.linear(x, w), [(5, 3), (4, 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.filterwarnings("ignore")
def test_products_and_their_gradients(name):
    compare_with_gradients(*PRODUCTS[name])


def test_a_beta_of_zero_ignores_nan():
    x = narae.full((2, 2), float("nan"))
    assert narae.addmm(x, narae.ones(2, 3), narae.ones(3, 2), beta=0).tolist() == [[3, 3], [3, 3]]


def test_linear_is_one_step_on_the_tape():
    weights = narae.ones(4, 3, requires_grad=True)
    out = narae.nn.functional.linear(narae.ones(2, 3), weights, narae.ones(4))
    assert out.grad_fn.name == "AddmmBackward0"


def test_distances():
    (x, our_x), (y, our_y) = pair_of((4, 3)), pair_of((5, 3), seed=1)
    for order in (0.0, 1.0, 2.0, 3.0, float("inf")):
        compare(narae.cdist(our_x, our_y, order), torch.cdist(x, y, order), rtol=1e-12)
        compare(narae.pdist(our_x, order), torch.pdist(x, order), rtol=1e-12)
    compare(narae.pairwise_distance(our_x, our_x + 1), torch.pairwise_distance(x, x + 1), 1e-12)


def test_the_gradient_of_a_distance_of_zero_is_zero():
    x = narae.ones(2, 3, requires_grad=True)
    narae.cdist(x, x).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


# --- refusals -------------------------------------------------------------------------------


def test_the_message_names_both_shapes_and_the_transpose():
    x, w = narae.ones(32, 784), narae.ones(10, 784)
    with pytest.raises(RuntimeError) as caught:
        x @ w
    assert str(caught.value).startswith(
        "[matmul] inner sizes differ: x is (32, 784), w is (10, 784); the last size of x must "
        "equal the second to last of w"
    )
    assert str(caught.value).endswith("Did you mean x @ w.T?")
    assert (x @ w.T).shape == (32, 10)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda lib: lib.ones(2, 3) @ lib.ones(2, 3), "cannot be multiplied (2x3 and 2x3)"),
        (lambda lib: lib.tensor(1.0) @ lib.ones(2), "to be at least 1D, but they are 0D and 1D"),
        (lambda lib: lib.ones(2, 2) @ lib.ones(2, 2).int(), "to have the same dtype"),
        (lambda lib: lib.mm(lib.ones(2), lib.ones(2, 2)), "must be a matrix"),
        (lambda lib: lib.bmm(lib.ones(2, 3, 4), lib.ones(3, 4, 5)), "first two dimensions of"),
        (lambda lib: lib.dot(lib.ones(2), lib.ones(3)), "same number of elements"),
        (lambda lib: lib.tensordot(lib.ones(2, 3), lib.ones(2, 3), 1), "need to match"),
        (lambda lib: lib.ones(2, 2).bool() @ lib.ones(2, 2).bool(), "not implemented for 'Bool'"),
        (lambda lib: lib.trace(lib.ones(3)), "expected a matrix"),
        (lambda lib: lib.einsum("ij,jk->iz", lib.ones(2, 3), lib.ones(3, 4)), "subscript z"),
        (lambda lib: lib.einsum("ij->ii", lib.ones(2, 3)), "more than once in the output"),
        (lambda lib: lib.einsum("ij,jk", lib.ones(2, 3)), "operands were provided than"),
        (lambda lib: lib.einsum("ijk", lib.ones(2, 3)), "does not match the number of dim"),
        (lambda lib: lib.einsum("ii", lib.ones(2, 3)), "is repeated for operand"),
        (lambda lib: lib.einsum("ij,jk", lib.ones(2, 3), lib.ones(4, 2)), "broadcast"),
    ],
)
def test_refusals_say_what_pytorch_says(call, words):
    _, their_error = attempt(call, torch)
    _, our_error = attempt(call, narae)
    assert words in str(their_error)
    assert isinstance(our_error, type(their_error)), repr(our_error)
    assert words in str(our_error)


# --- einsum ---------------------------------------------------------------------------------

EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "bij,bjk->bik": [(5, 2, 3), (5, 3, 4)],
    "bij,bjk": [(5, 2, 3), (5, 3, 4)],
    "ij->ji": [(2, 3)],
    "ij->": [(2, 3)],
    "ij": [(2, 3)],
    "ba": [(2, 3)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "iij->j": [(3, 3, 2)],
    "iii->i": [(2, 2, 2)],
    "i,j->ij": [(2,), (3,)],
    "i,i": [(3,), (3,)],
    "ij,ij->i": [(2, 3), (2, 3)],
    "...ij,...jk->...ik": [(5, 2, 3), (3, 4)],
    "...ij->...ji": [(4, 5, 2, 3)],
    "i...,i...->...": [(2, 3, 4), (2, 4)],
    "...": [(2, 3)],
    "...,...": [(2, 3), (3,)],
    "b...h,h->b...": [(2, 3, 4), (4,)],
    "bhqd,bhkd->bhqk": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)],
    "a,b,c->abc": [(2,), (3,), (2,)],
    "bn,anm,bm->ba": [(2, 3), (4, 3, 5), (2, 5)],
    "ij,jk->": [(2, 3), (3, 4)],
    "ij,kj->ik": [(2, 1), (4, 3)],
    " i j , j k -> i k ": [(2, 3), (3, 4)],
    "aB,Bc": [(2, 3), (3, 4)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_and_its_gradients(equation):
    compare_with_gradients(lambda lib, *xs: lib.einsum(equation, *xs), EQUATIONS[equation])


@st.composite
def random_equations(draw):
    """Up to three operands over four labels of fixed sizes, with any output."""
    terms = [
        "".join(draw(st.lists(st.sampled_from("abcd"), min_size=0, max_size=3)))
        for _ in range(draw(st.integers(1, 3)))
    ]
    labels = sorted(set("".join(terms)))
    output = "".join(draw(st.permutations(labels)))[: draw(st.integers(0, len(labels)))]
    arrow = draw(st.booleans())
    return ",".join(terms) + (f"->{output}" if arrow else "")


@settings(max_examples=200)
@given(random_equations())
def test_random_equations_agree(equation):
    sizes = {"a": 2, "b": 3, "c": 1, "d": 4}
    terms = equation.split("->")[0].split(",")
    operands = [pair_of(tuple(sizes[c] for c in term), seed=n) for n, term in enumerate(terms)]
    expected, their_error = attempt(torch.einsum, equation, *(x for x, _ in operands))
    found, our_error = attempt(narae.einsum, equation, *(x for _, x in operands))
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if expected is not None:
        compare(found, expected, rtol=1e-13)


def test_einsum_of_lists_of_numbers():
    (x, our_x), (y, our_y) = pair_of((2, 3)), pair_of((3, 4), seed=1)
    compare(
        narae.einsum(our_x, [0, 1], our_y, [1, 2], [0, 2]),
        torch.einsum(x, [0, 1], y, [1, 2], [0, 2]),
    )
    compare(narae.einsum(our_x, [..., 1], our_y, [1, 2]), torch.einsum(x, [..., 1], y, [1, 2]))


def test_orders_of_dimensions_in_memory_make_no_difference():
    (x, our_x), (y, our_y) = pair_of((2, 3, 4)), pair_of((4, 3, 5), seed=1)
    for dims in itertools.permutations(range(3)):
        back = [dims.index(place) for place in range(3)]
        moved = our_x.permute(dims).contiguous().permute(back)
        compare(narae.einsum("abc,cbd->ad", moved, our_y), torch.einsum("abc,cbd->ad", x, y))
        compare(moved @ our_y[:, 0], x @ y[:, 0])
