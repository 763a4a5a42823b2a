"""Reading and writing by index against PyTorch: random index expressions, gradients, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae

torch = pytest.importorskip("torch")

SHAPE = (4, 3, 5)


def pair_of(shape=SHAPE, dtype="float64", seed=0):
    values = np.random.default_rng(seed).integers(-4, 5, shape)
    theirs = torch.tensor(values).to(getattr(torch, dtype))
    return theirs, narae.tensor(values).to(getattr(narae, dtype))


def compare(ours, theirs):
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_array_equal(
        np.array(ours.tolist(), np.float64), np.array(theirs.tolist(), np.float64)
    )


def attempt(function, *arguments):
    try:
        return function(*arguments), None
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return None, error


# --- random index expressions ---------------------------------------------------------------


@st.composite
def numbers_index(draw):
    shape = draw(st.sampled_from([(), (2,), (1,), (2, 1), (1, 2), (0,), (2, 2)]))
    count = int(np.prod(shape))
    return np.array(
        draw(st.lists(st.integers(-3, 2), min_size=count, max_size=count)), int
    ).reshape(shape)


def mask_index(size):
    return st.lists(st.booleans(), min_size=size, max_size=size).map(np.array)


items = st.one_of(
    st.integers(-3, 2),
    st.slices(4).filter(lambda piece: piece.step is None or piece.step > 0),
    st.none(),
    st.just(Ellipsis),
    st.booleans(),
    numbers_index(),
    numbers_index(),
    mask_index(3),
    st.lists(st.integers(-3, 2), min_size=1, max_size=3),
)
expressions = st.one_of(
    st.lists(items, min_size=0, max_size=4).map(tuple),
    items,
    st.lists(st.booleans(), min_size=12, max_size=12).map(
        lambda bits: np.array(bits).reshape(4, 3)
    ),
).filter(lambda key: not isinstance(key, tuple) or sum(item is Ellipsis for item in key) <= 1)


def in_library(key, library):
    """The expression with tensors of one library for arrays."""
    if isinstance(key, tuple):
        return tuple(in_library(item, library) for item in key)
    if isinstance(key, np.ndarray):
        return library.tensor(key)
    return key


@settings(max_examples=400)
@given(expressions)
def test_reading_agrees(key):
    theirs, ours = pair_of()
    expected, their_error = attempt(lambda: theirs[in_library(key, torch)])
    found, our_error = attempt(lambda: ours[in_library(key, narae)])
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if their_error is not None:
        assert isinstance(our_error, type(their_error)), f"{their_error!r} / {our_error!r}"
        return
    compare(found, expected)
    shared = expected.untyped_storage().data_ptr() == theirs.untyped_storage().data_ptr()
    if expected.numel():
        assert np.shares_memory(found.numpy(), ours.numpy()) == shared


@settings(max_examples=300)
@given(expressions, st.sampled_from(["number", "whole", "row", "one"]))
def test_writing_agrees(key, kind):
    theirs, ours = pair_of()
    part, _ = attempt(lambda: theirs[in_library(key, torch)])
    if part is None:
        return
    shape = {"whole": tuple(part.shape), "row": tuple(part.shape[-1:]), "one": (1, 1)}
    value = 7.5
    if kind != "number":
        value = np.arange(int(np.prod(shape[kind]))).reshape(shape[kind]) + 100.0
    if repeats(key):
        value = 7.5  # which of several writes to one place wins is not defined
    _, their_error = attempt(theirs.__setitem__, in_library(key, torch), as_value(value, torch))
    _, our_error = attempt(ours.__setitem__, in_library(key, narae), as_value(value, narae))
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    compare(ours, theirs)


def repeats(key):
    """Whether an expression may name one place twice."""
    found = key if isinstance(key, tuple) else (key,)
    return any(
        isinstance(item, (np.ndarray, list))
        and np.asarray(item).dtype != bool
        and np.size(item) > 1
        for item in found
    )


def as_value(value, library):
    return library.tensor(value) if isinstance(value, np.ndarray) else value


@settings(max_examples=150)
@given(expressions)
def test_gradients_of_reading_and_writing_agree(key):
    results = []
    for library, x in zip((torch, narae), pair_of(), strict=True):
        x.requires_grad_()
        part, error = attempt(lambda x=x, library=library: x[in_library(key, library)])
        if error is not None:
            return
        weights = library.tensor(np.cos(np.arange(part.numel())).reshape(tuple(part.shape)))
        (first,) = library.autograd.grad((part**3 * weights).sum(), x, create_graph=True)
        (second,) = library.autograd.grad((first**2).sum(), x)
        y = x * 2
        source = (weights * 3).requires_grad_()
        if repeats(key):
            source = library.tensor(2.5, dtype=library.float64).requires_grad_()
        y[in_library(key, library)] = source
        grads = library.autograd.grad((y**2).sum(), (x, source), allow_unused=True)
        known = [g if g is not None else library.zeros(0) for g in (first, second, *grads)]
        results.append([np.array(g.tolist()) for g in known])
    for theirs, ours in zip(*results, strict=True):
        if not repeats(key) or theirs.shape != ():
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# --- what hypothesis does not meet ----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (4, "index 4 is out of bounds for dimension 0 with size 4"),
        ((0, 9), "index 9 is out of bounds for dimension"),
        ((0, 0, 0, 0), "too many indices for tensor of dimension 3"),
        (slice(None, None, -1), "step must be greater than zero"),
        (1.5, "only integers, slices"),
        ([7], "index 7 is out of bounds for dimension 0 with size 4"),
        (([0, 1], [0, 1, 2]), "could not be broadcast together with shapes [2], [3]"),
        ([True, False], "The shape of the mask [2] at index 0 does not match"),
    ],
)
def test_refusals_say_what_pytorch_says(key, words):
    theirs, ours = pair_of()
    _, their_error = attempt(lambda: theirs[key])
    _, our_error = attempt(lambda: ours[key])
    assert words in str(their_error)
    assert isinstance(our_error, type(their_error))
    assert words in str(our_error)


@pytest.mark.parametrize(
    "write",
    [
        lambda x, lib: x.__setitem__(0, lib.ones(2)),
        lambda x, lib: x.__setitem__([0, 1], lib.ones(2)),
        lambda x, lib: x.__setitem__(x > 0, lib.ones(2)),
        lambda x, lib: x.__setitem__(0, [1, 2]),
        lambda x, lib: x.requires_grad_().__setitem__(0, 1.0),
        lambda x, lib: x.requires_grad_().__setitem__([0], 1.0),
    ],
)
def test_a_refused_write_changes_nothing(write):
    theirs, ours = pair_of()
    before = np.array(ours.tolist())
    _, their_error = attempt(write, theirs, torch)
    _, our_error = attempt(write, ours, narae)
    assert their_error is not None
    assert isinstance(our_error, type(their_error))
    np.testing.assert_array_equal(np.array(ours.tolist()), before)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "uint8", "bool"])
def test_every_dtype_reads_and_writes(dtype):
    theirs, ours = pair_of(dtype=dtype)
    for x, library in ((theirs, torch), (ours, narae)):
        x[1:, 0] = 1
        x[library.tensor([0, -1]), :, 2] = library.tensor([[1], [0]]).to(x.dtype)
        x[x == 1] = 3
    compare(ours, theirs)
    compare(ours[[2, 0], 1:], theirs[[2, 0], 1:])


def test_repeated_positions_add_up_in_the_gradient_and_in_index_put():
    places = [0, 2, 2, 2]
    results = []
    for library in (torch, narae):
        x = library.zeros(4, 2, dtype=library.float64, requires_grad=True)
        x[library.tensor(places)].sum().backward()
        y = library.zeros(4, 2)
        y.index_put_((library.tensor(places),), library.ones(4, 2), accumulate=True)
        results.append((x.grad.tolist(), y.tolist()))
    assert results[0] == results[1]


def test_iteration_and_membership():
    theirs, ours = pair_of((3, 2))
    assert [row.tolist() for row in ours] == [row.tolist() for row in theirs]
    assert [row.tolist() for row in reversed(ours)] == [row.tolist() for row in reversed(theirs)]
    assert (2.0 in ours, 99 in ours) == (2.0 in theirs, 99 in theirs)
    rows = list(ours)
    assert np.shares_memory(rows[1].numpy(), ours.numpy())
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        list(narae.tensor(1.0))


# --- gather and scatter ---------------------------------------------------------------------


@st.composite
def gather_cases(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    sizes = [draw(st.integers(1, size)) for size in shape]
    sizes[dim] = draw(st.integers(1, 5))
    seed = draw(st.integers(0, 99))
    index = np.random.default_rng(seed).integers(0, shape[dim], sizes)
    return tuple(shape), dim, index


@settings(max_examples=80)
@given(gather_cases())
def test_gather_scatter_and_reductions(case):
    shape, dim, index = case
    results = []
    for library, x in zip((torch, narae), pair_of(shape), strict=True):
        x.requires_grad_()
        places = library.tensor(index)
        src = library.tensor(np.sin(np.arange(index.size)).reshape(index.shape)) + 2.5
        src.requires_grad_()
        outs = [x.gather(dim, places), x.scatter_add(dim, places, src)]
        for reduce in ("sum", "prod", "mean", "amax", "amin"):
            for include in (True, False):
                outs.append(x.scatter_reduce(dim, places, src, reduce, include_self=include))
        outs.append(x.scatter(dim, places, 2.0))
        loss = sum((out**2 * (1 + place)).sum() for place, out in enumerate(outs))
        grads = library.autograd.grad(loss, (x, src))
        results.append([out.tolist() for out in outs] + [g.tolist() for g in grads])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, lib: x.index_select(1, lib.tensor([0, 2, 0])),
        lambda x, lib: x.index_add(0, lib.tensor([0, 0, 3]), lib.ones(3, 3, 5).to(x.dtype)),
        lambda x, lib: x.index_add(0, lib.tensor([1]), x[:1], alpha=3),
        lambda x, lib: x.index_copy(1, lib.tensor([2, 0]), x[:, :2]),
        lambda x, lib: x.index_fill(-1, lib.tensor([1, -1]), 9),
        lambda x, lib: x.take(lib.tensor([[0, -1], [7, 59]])),
        lambda x, lib: x.take_along_dim(x.argsort(1), 1),
        lambda x, lib: x.put(lib.tensor([0, 5]), x[0, 0, :2]),
        lambda x, lib: x.masked_select(x > 0),
        lambda x, lib: x.masked_scatter(x > 0, x.flip(0)),
        lambda x, lib: x.nonzero(),
        lambda x, lib: lib.stack(x.nonzero(as_tuple=True)),
        lambda x, lib: lib.argwhere(x),
        lambda x, lib: x.select_scatter(x[0], 0, 2),
        lambda x, lib: x.slice_scatter(x[:2], 0, 1, 3),
        lambda x, lib: x.gather(1, lib.zeros(4, 1, 5, dtype=lib.int64)),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int64"])
def test_further_reading_and_writing(call, dtype):
    theirs, ours = pair_of(dtype=dtype)
    compare(call(ours, narae), call(theirs, torch))
    compare(call(ours.transpose(0, 2).contiguous().transpose(0, 2), narae), call(theirs, torch))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, lib: x.gather(0, lib.tensor([0])), "same number of dimensions"),
        (lambda x, lib: x.gather(0, lib.full((1, 1, 1), 7)), "index 7 is out of bounds"),
        (lambda x, lib: x.gather(1, lib.zeros(9, 1, 1, dtype=lib.int64)), "Size does not match"),
        (lambda x, lib: x.gather(0, lib.zeros(1, 1, 1)), "Expected dtype int32/int64 for index"),
        (lambda x, lib: x.scatter(0, lib.zeros(1, 1, 1, dtype=lib.int64), x.int()), "dtype"),
        (lambda x, lib: x.index_select(0, lib.zeros(1, 1, dtype=lib.int64)), "to be a vector"),
        (lambda x, lib: x.index_add(0, lib.tensor([0]), lib.ones(1, 2, 2).double()), "excluding"),
        (lambda x, lib: x[lib.tensor([0.5])], "tensors used as indices must be long, int"),
        (lambda x, lib: x.masked_select(lib.zeros(5)), "expected BoolTensor for mask"),
        (lambda x, lib: x.take(lib.tensor([0.0])), "Expected a long tensor for index"),
    ],
)
def test_refusals_of_gather_and_scatter(call, words):
    theirs, ours = pair_of()
    _, their_error = attempt(call, theirs, torch)
    _, our_error = attempt(call, ours, narae)
    assert words in str(their_error)
    assert isinstance(our_error, type(their_error)), repr(our_error)
    assert words in str(our_error)
