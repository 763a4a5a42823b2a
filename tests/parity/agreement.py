"""The same call on Narae and PyTorch, compared in every respect.

A call is given with PyTorch tensors; its twin is made by converting every tensor in it. Compared
are dtype, shape, values, whether a gradient is recorded, first gradients, and second gradients by
PyTorch's double backward; or, when PyTorch refuses the call, that Narae refuses it too.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import difference, to_narae  # noqa: E402

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
DTYPES = (*FLOATS, *INTEGERS, torch.bool)


def narae_of(x):
    """What Narae calls a tensor, a dtype, or any structure of them."""
    if isinstance(x, torch.Tensor):
        return to_narae(x)
    if isinstance(x, torch.dtype):
        return getattr(narae, str(x).removeprefix("torch."))
    if isinstance(x, (tuple, list)):
        return type(x)(narae_of(item) for item in x)
    return {key: narae_of(item) for key, item in x.items()} if isinstance(x, dict) else x


def assert_same(ours, theirs, what="result"):
    """Equal type, dtype, shape and values, through tuples and numbers."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{what}[{place}]")
    elif isinstance(theirs, torch.Tensor):
        assert isinstance(ours, narae.Tensor), f"{what} is a {type(ours).__name__}"
        assert ours.dtype is narae_of(theirs.dtype), f"{what}: {ours.dtype} for {theirs.dtype}"
        assert not difference(ours, theirs), f"{what}: {difference(ours, theirs)}"
    else:
        assert type(ours) is type(theirs), what
        assert ours == theirs or (ours != ours and theirs != theirs), what


def leaves(x):
    """All tensors of a structure that want gradients."""
    if isinstance(x, (torch.Tensor, narae.Tensor)):
        return [x] if x.requires_grad else []
    items = list(x.values()) if isinstance(x, dict) else x
    if isinstance(items, (tuple, list)):
        return [leaf for item in items for leaf in leaves(item)]
    return []


def _grads(library, outputs, inputs, weights, create_graph):
    started = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    return library.autograd.grad(
        [y for y, _ in started],
        inputs,
        [w for _, w in started],
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )


def _weights(outputs, seed):
    """Numbers of both kinds to start gradients with."""
    generator = torch.Generator().manual_seed(seed)
    theirs = [
        torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) for y in outputs
    ]
    return [to_narae(w) for w in theirs], theirs


def agree(our_function, their_function, *args, second=True, **kwargs):
    """Run both and compare results, first and second gradients; or that both refuse."""
    our_args, our_kwargs = narae_of(args), narae_of(kwargs)
    try:
        theirs = their_function(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError) as refusal:
        with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)):
            pytest.fail(f"gives {our_function(*our_args, **our_kwargs)} where PyTorch: {refusal}")
        return
    ours = our_function(*our_args, **our_kwargs)
    assert_same(ours, theirs)
    our_outputs, their_outputs = leaves(ours), leaves(theirs)
    assert len(our_outputs) == len(their_outputs), "requires_grad differs"
    if not their_outputs:
        return
    our_leaves, their_leaves = leaves((our_args, our_kwargs)), leaves((args, kwargs))
    wide = second and all(x.dtype == torch.float64 for x in their_leaves)
    our_weights, their_weights = _weights(their_outputs, 1)
    our_grads = _grads(narae, our_outputs, our_leaves, our_weights, wide)
    their_grads = _grads(torch, their_outputs, their_leaves, their_weights, wide)
    assert_same(our_grads, their_grads, "gradient")
    if not any(x.requires_grad for x in their_grads):
        return
    our_weights, their_weights = _weights(their_grads, 2)
    their_second = _grads(torch, their_grads, their_leaves, their_weights, False)
    if any(x.requires_grad for x in our_grads):
        our_second = _grads(narae, our_grads, our_leaves, our_weights, False)
        assert_same(our_second, their_second, "second gradient")
    else:
        assert not any(bool((g != 0).any()) for g in their_second), "no second gradient"


def agree_named(name, *args, **kwargs):
    """The same for a function that both have under one name."""
    agree(getattr(narae, name), getattr(torch, name), *args, **kwargs)


def numbers(*shape, dtype=torch.float64, seed=0, grad=False, low=-3.0, high=3.0):
    """Random numbers of any dtype."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * (high - low) + low
    if dtype == torch.bool:
        return x > 0
    if dtype == torch.uint8:
        x = x.abs()
    return x.to(dtype).requires_grad_(grad)


def layouts(dtype=torch.float64, grad=False):
    """Shapes and strides: plain, 0-d, empty, transposed, every second element, expanded."""
    yield numbers(3, 4, dtype=dtype, grad=grad)
    yield numbers(dtype=dtype, grad=grad)
    yield numbers(0, dtype=dtype, grad=grad)
    yield numbers(2, 0, 3, dtype=dtype, grad=grad)
    yield numbers(4, 3, dtype=dtype).t().detach().requires_grad_(grad)
    yield numbers(3, 8, dtype=dtype)[:, ::2].detach().requires_grad_(grad)
    yield numbers(3, 1, dtype=dtype).expand(3, 4).detach().requires_grad_(grad)
