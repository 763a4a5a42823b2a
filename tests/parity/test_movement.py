"""Shapes, views and rearrangements against PyTorch: values, sharing of memory, gradients, refusals.

Each expression runs on both libraries. A result shares memory on one side if and only if it does on
the other, with the same strides; writing through it shows in the base.
"""

import itertools

import numpy as np
import pytest

import narae

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (2, 3, 4), (1, 5, 1), (0, 3), (), (6,)]
DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"]


def pair_of(shape, dtype="float64", seed=0):
    """The same numbers in both libraries."""
    values = np.random.default_rng(seed).integers(-4, 5, shape)
    theirs = torch.tensor(values).to(getattr(torch, dtype))
    ours = narae.tensor(values).to(getattr(narae, dtype))
    return theirs, ours


def numbers(x):
    return np.array(x.detach().tolist(), np.float64).reshape(tuple(x.shape))


def shares(view, base):
    if isinstance(base, torch.Tensor):
        return view.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    return np.shares_memory(view.numpy(), base.numpy()) or view.numel() == 0


def compare(ours, theirs):
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_array_equal(numbers(ours), numbers(theirs))


def attempt(function, x):
    try:
        return function(x), None
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
        return None, error


VIEWS = {
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(-1),
    "reshape of a transpose": lambda x: x.transpose(0, -1).reshape(-1),
    "reshape that splits": lambda x: x[..., :2].reshape(*x.shape[:-1], 2, 1),
    "flatten": lambda x: x.flatten(),
    "flatten ends": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(-1, (2, -1)),
    "ravel": lambda x: x.ravel(),
    "squeeze": lambda x: x.squeeze(),
    "squeeze 0": lambda x: x.squeeze(0),
    "squeeze several": lambda x: x.squeeze((0, -1)),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "unsqueeze 1": lambda x: x.unsqueeze(1),
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "T": lambda x: x.T if x.ndim == 2 else x.mT,
    "permute": lambda x: x.permute(tuple(reversed(range(x.ndim)))),
    "movedim": lambda x: x.movedim(0, -1),
    "movedim several": lambda x: x.movedim((0, 1), (1, 0)),
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "expand": lambda x: x.expand(2, *x.shape),
    "expand keeps": lambda x: x.expand(2, *(-1 for _ in x.shape)),
    "narrow": lambda x: x.narrow(-1, 1, 2),
    "select": lambda x: x.select(-1, 1),
    "index": lambda x: x[0],
    "slices": lambda x: x[..., 1::2],
    "new dimension": lambda x: x[None, ..., None],
    "everything": lambda x: x[:],
    "diagonal": lambda x: x.diagonal(1),
    "diagonal below": lambda x: x.diagonal(-1, 0, -1),
    "diagonal outside": lambda x: x.diagonal(9),
    "unfold": lambda x: x.unfold(-1, 2, 1),
    "unfold steps": lambda x: x.unfold(0, 2, 2),
    "unbind": lambda x: x.unbind(0)[1],
    "split": lambda x: x.split(2, -1)[0],
    "chunk": lambda x: x.chunk(2, -1)[-1],
    "tensor_split": lambda x: x.tensor_split(3, -1)[1],
    "split sizes": lambda x: x.split([1, x.shape[-1] - 1], -1)[1],
    "hsplit": lambda x: x.hsplit([1])[1],
    "detach": lambda x: x.detach(),
    "view of a slice": lambda x: x[1:].view(-1),
    "view across a gap": lambda x: x[..., 1:].view(-1),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2)),
    "as_strided offset": lambda x: x.as_strided((2,), (1,), 1),
}
COPIES = {
    "flip": lambda x: x.flip(0),
    "fliplr": lambda x: x.fliplr(),
    "flipud": lambda x: x.flipud(),
    "roll flat": lambda x: x.roll(2),
    "roll": lambda x: x.roll((1, -2), (0, 1)),
    "rot90": lambda x: x.rot90(1),
    "rot90 thrice": lambda x: x.rot90(3, (1, 0)),
    "repeat": lambda x: x.repeat(2, *(1 for _ in x.shape)),
    "tile": lambda x: x.tile(2),
    "repeat_interleave": lambda x: x.repeat_interleave(2),
    "repeat_interleave dim": lambda x: x[None].repeat_interleave(3, -1),
    "tril": lambda x: x.tril(),
    "triu": lambda x: x.triu(1),
    "diag": lambda x: x.diag(),
    "diag_embed": lambda x: x.diag_embed(1),
    "diagflat": lambda x: x.diagflat(),
    "narrow_copy": lambda x: x.narrow_copy(0, 0, 1),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_one_exactly_where_it_is_in_pytorch(name, shape):
    theirs, ours = pair_of(shape)
    expected, their_error = attempt(VIEWS[name], theirs)
    found, our_error = attempt(VIEWS[name], ours)
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if their_error is not None:
        assert isinstance(our_error, type(their_error))
        return
    compare(found, expected)
    if expected.numel():
        assert shares(found, ours) == shares(expected, theirs)
        assert [s for s, n in zip(found.stride(), found.shape, strict=True) if n > 1] == [
            s for s, n in zip(expected.stride(), expected.shape, strict=True) if n > 1
        ]


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_through_a_view_shows_in_its_base(name):
    theirs, ours = pair_of((4, 4))
    expected, _ = attempt(VIEWS[name], theirs)
    if expected is None or any(s == 0 for s in expected.stride()) or name == "unfold":
        pytest.skip("PyTorch refuses it, or elements repeat")
    found = VIEWS[name](ours)
    expected.mul_(10)
    found.mul_(10)
    compare(ours, theirs)
    theirs.add_(1)
    ours.add_(1)
    compare(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*VIEWS, *COPIES])
def test_every_dtype_moves_alike(name, dtype):
    function = {**VIEWS, **COPIES}[name]
    theirs, ours = pair_of((3, 4), dtype)
    expected, _ = attempt(function, theirs)
    if expected is not None:
        compare(function(ours), expected)
        transposed, _ = attempt(function, theirs.t())
        if transposed is not None:
            compare(function(ours.t()), transposed)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", COPIES)
def test_copies_have_memory_of_their_own(name, shape):
    theirs, ours = pair_of(shape)
    expected, their_error = attempt(COPIES[name], theirs)
    found, our_error = attempt(COPIES[name], ours)
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if their_error is None:
        compare(found, expected)
        assert not np.shares_memory(found.numpy(), ours.numpy())


@pytest.mark.parametrize("name", [*VIEWS, *COPIES])
def test_gradients_and_their_gradients(name):
    function = {**VIEWS, **COPIES}[name]
    theirs, ours = pair_of((4, 4))
    theirs.requires_grad_()
    ours.requires_grad_()
    expected, _ = attempt(function, theirs)
    if expected is None or not expected.requires_grad:
        pytest.skip("PyTorch refuses this shape, or gives no gradient")
    weights = np.cos(np.arange(expected.numel())).reshape(tuple(expected.shape))
    results = []
    for library, x in ((torch, theirs), (narae, ours)):
        y = (function(x) ** 3 * library.tensor(weights)).sum()
        (first,) = library.autograd.grad(y, x, create_graph=True)
        (second,) = library.autograd.grad((first**2).sum(), x)
        results.append((numbers(first), numbers(second)))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-12)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-12)


def test_every_reshape_of_every_layout_is_a_view_or_not_as_in_pytorch():
    """Permuted and sliced layouts of (2, 3, 4), to all shapes of as many elements."""
    theirs, ours = pair_of((2, 3, 4))
    layouts = [lambda x, dims=dims: x.permute(dims) for dims in itertools.permutations(range(3))]
    layouts += [lambda x: x[:, ::2], lambda x: x[:, :, 1:3], lambda x: x[:, 1:2].expand(2, 3, 4)]
    checked = 0
    for layout in layouts:
        base, our_base = layout(theirs), layout(ours)
        count = base.numel()
        sizes = [n for n in range(1, count + 1) if count % n == 0]
        for shape in itertools.product(sizes, repeat=3):
            if np.prod(shape) != count:
                continue
            expected, their_error = attempt(lambda x, shape=shape: x.view(shape), base)
            found, our_error = attempt(lambda x, shape=shape: x.view(shape), our_base)
            assert (their_error is None) == (our_error is None), (base.stride(), shape)
            if expected is not None:
                compare(found, expected)
                assert shares(found, ours)
            compare(our_base.reshape(shape), base.reshape(shape))
            checked += 1
    assert checked > 200


JOINS = {
    "cat": lambda lib, x, y: lib.cat([x, y]),
    "cat last": lambda lib, x, y: lib.cat([x, y], -1),
    "cat with an empty vector": lambda lib, x, y: lib.cat([x, lib.zeros(0), y]),
    "stack": lambda lib, x, y: lib.stack([x, y], 1),
    "hstack": lambda lib, x, y: lib.hstack([x, y]),
    "vstack": lambda lib, x, y: lib.vstack([x, y]),
    "dstack": lambda lib, x, y: lib.dstack([x, y]),
    "column_stack": lambda lib, x, y: lib.column_stack([x, y]),
    "block_diag": lambda lib, x, y: lib.block_diag(x, y),
    "cartesian_prod": lambda lib, x, y: lib.cartesian_prod(x, y),
    "meshgrid ij": lambda lib, x, y: lib.meshgrid(x, y, indexing="ij")[1],
    "meshgrid xy": lambda lib, x, y: lib.meshgrid(x, y, indexing="xy")[0],
    "broadcast": lambda lib, x, y: lib.broadcast_tensors(x, y[:1])[1],
}


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (2, 3)), ((2,), (3,)), ((0, 2), (1, 2))])
@pytest.mark.parametrize(
    "dtypes", [("float32", "float32"), ("int64", "float16"), ("bool", "uint8")]
)
@pytest.mark.parametrize("name", JOINS)
def test_joining(name, shapes, dtypes):
    (a, our_a), (b, our_b) = (pair_of(*which) for which in zip(shapes, dtypes, strict=True))
    expected, their_error = attempt(lambda _: JOINS[name](torch, a, b), None)
    found, our_error = attempt(lambda _: JOINS[name](narae, our_a, our_b), None)
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if expected is not None:
        compare(found, expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: x.view(5), "invalid for input of size 12"),
        (lambda x: x.t().view(-1), "view size is not compatible"),
        (lambda x: x.expand(3, 5), "must match the existing size"),
        (lambda x: x.expand(4), "greater or equal to the number of dimensions"),
        (lambda x: x.permute(0, 0), "duplicate dims are not allowed"),
        (lambda x: x.transpose(0, 2), "Dimension out of range"),
        (lambda x: x.narrow(0, 2, 2), "exceeds dimension size"),
        (lambda x: x.select(0, 3), "out of range"),
        (lambda x: x.unfold(0, 4, 1), "maximum size for tensor at dimension 0 is 3"),
        (lambda x: x.split([1, 1]), "to sum exactly to 3"),
        (lambda x: x.chunk(0), "greater than 0"),
        (lambda x: x.repeat(2), "can not be smaller than number of dimensions"),
        (lambda x: x.unflatten(1, (3, -1)), "don't multiply up to the size of dim 1"),
        (lambda x: x.flatten(1, 0), "start_dim cannot come after end_dim"),
        (lambda x: x.as_strided((9,), (2,)), "out of bounds for storage"),
    ],
)
def test_refusals_say_what_pytorch_says(call, words):
    theirs, ours = pair_of((3, 4))
    _, their_error = attempt(call, theirs)
    _, our_error = attempt(call, ours)
    assert words in str(their_error)
    assert isinstance(our_error, type(their_error))
    assert words in str(our_error)


def test_names_of_nodes_are_pytorchs():
    theirs, ours = (x.requires_grad_() for x in pair_of((3, 4)))
    for call in (
        lambda x: x.view(-1), lambda x: x[0], lambda x: x[1:], lambda x: x.t(),
        lambda x: x.transpose(0, 1), lambda x: x.permute(1, 0), lambda x: x.unsqueeze(0),
        lambda x: x.squeeze(), lambda x: x.squeeze(0), lambda x: x.expand(2, 3, 4),
        lambda x: x.diagonal(), lambda x: x.unfold(0, 2, 1), lambda x: x.flip(0),
        lambda x: x.clone(), lambda x: x @ x.t(),
    ):  # fmt: skip
        assert call(ours).grad_fn.name == call(theirs).grad_fn.name()
