"""Narae's layers and functions beside PyTorch's: converting, comparing, differentiating."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae import testing  # noqa: E402

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def to_narae(x):
    """What Narae calls a tensor, a dtype, or any structure of them."""
    if isinstance(x, torch.Tensor):
        return testing.to_narae(x)
    if isinstance(x, torch.dtype):
        return getattr(narae, str(x).removeprefix("torch."))
    if isinstance(x, (tuple, list)):
        return type(x)(to_narae(item) for item in x)
    return {key: to_narae(item) for key, item in x.items()} if isinstance(x, dict) else x


def as_numpy(x):
    """The numbers of either kind of tensor."""
    return testing.to_numpy(x)


def assert_same(ours, theirs, tolerance=None, what="result"):
    """Equal dtype, shape and (within tolerance) values, through tuples and numbers."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(our, their, tolerance, f"{what}[{place}]")
        return
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs, what
        return
    assert isinstance(ours, narae.Tensor), f"{what} is {type(ours)}"
    assert ours.dtype is to_narae(theirs.dtype), f"{what}: {ours.dtype} for {theirs.dtype}"
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: {ours.shape} for {theirs.shape}"
    if tolerance is None:
        tolerance = TOLERANCE.get(theirs.dtype, 0)
    found, wanted = as_numpy(ours), as_numpy(theirs)
    if wanted.dtype.kind not in "biu":
        found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=what)


def leaves(x):
    """All tensors of a structure that want gradients."""
    if isinstance(x, (torch.Tensor, narae.Tensor)):
        return [x] if x.requires_grad else []
    items = list(x.values()) if isinstance(x, dict) else x
    if isinstance(items, (tuple, list)):
        return [leaf for item in items for leaf in leaves(item)]
    return []


def weights_for(outputs, seed):
    """Numbers of both kinds to start gradients with."""
    generator = torch.Generator().manual_seed(seed)
    theirs = [
        torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) for y in outputs
    ]
    return [to_narae(w) for w in theirs], theirs


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


def check_call(our_function, their_function, args, *, second=True, tolerance=None):
    """Run both and compare results, first gradients and second gradients."""
    our_args = to_narae(args)
    ours, theirs = our_function(*our_args), their_function(*args)
    assert_same(ours, theirs, tolerance)
    our_outputs, their_outputs = leaves(ours), leaves(theirs)
    assert len(our_outputs) == len(their_outputs), "requires_grad differs"
    if not their_outputs:
        return
    our_leaves, their_leaves = leaves(our_args), leaves(args)
    our_weights, their_weights = weights_for(their_outputs, 1)
    our_grads = _grads(narae, our_outputs, our_leaves, our_weights, second)
    their_grads = _grads(torch, their_outputs, their_leaves, their_weights, second)
    assert_same(our_grads, their_grads, tolerance, "gradient")
    if not second or not leaves(their_grads):
        return
    our_weights, their_weights = weights_for(their_grads, 2)
    their_second = _grads(torch, their_grads, their_leaves, their_weights, False)
    if not leaves(our_grads):
        assert not any(bool((grad != 0).any()) for grad in their_second), "no second gradient"
        return
    our_second = _grads(narae, our_grads, our_leaves, our_weights, False)
    assert_same(our_second, their_second, tolerance, "second gradient")
