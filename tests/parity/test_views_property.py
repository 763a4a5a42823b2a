"""Random sequences of views, in-place writes and reads, run on PyTorch and on Narae in parallel.

After each step all live tensors must hold the same numbers and agree on `requires_grad` and on
being on the tape; a step that raises on one side must raise on the other; in the end the gradients
of the leaves must agree, or `backward` must raise on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narae

torch = pytest.importorskip("torch")

SHAPE = (3, 4)
Numbers = tuple[int, ...]


class World:
    """The live tensors of one framework."""

    def __init__(self, framework: Any, leaf_needs_grad: bool) -> None:
        self.framework = framework
        values = np.linspace(-1.0, 1.0, 12).reshape(SHAPE)
        self.leaf = framework.tensor(values.copy(), requires_grad=leaf_needs_grad)
        self.factor = framework.tensor(values[::-1] * 0.5 + 0.8, requires_grad=True)
        self.live = [self.leaf, self.factor, self.leaf * 1.0, framework.tensor(values * 2)]

    def pick(self, number: int) -> Any:
        return self.live[number % len(self.live)]


def dim_of(x: Any, number: int) -> int:
    if x.dim() == 0:
        raise IndexError("no dimension")
    return number % x.dim()


# --- steps: (world, tensor, numbers) -> a new tensor, or None -------------------------------


def a_slice(world: World, x: Any, n: Numbers) -> Any:
    dim = dim_of(x, n[0])
    key = [slice(None)] * x.dim()
    key[dim] = slice(n[1] % 3, None, 1 + n[2] % 2)
    return x[tuple(key)]


def a_select(world: World, x: Any, n: Numbers) -> Any:
    dim = dim_of(x, n[0])
    return x.select(dim, n[1] % max(x.shape[dim], 1))


def an_int_index(world: World, x: Any, n: Numbers) -> Any:
    return x[n[0] % 3 - 1]


def a_transpose(world: World, x: Any, n: Numbers) -> Any:
    return x.transpose(dim_of(x, n[0]), dim_of(x, n[1]))


def a_mirror(world: World, x: Any, n: Numbers) -> Any:
    return x.permute(*range(x.dim() - 1, -1, -1))


def a_reshape(world: World, x: Any, n: Numbers) -> Any:
    return x.reshape(-1)


def a_view(world: World, x: Any, n: Numbers) -> Any:
    return x.view(-1, 2) if n[0] % 2 else x.view(-1)


def an_unsqueeze(world: World, x: Any, n: Numbers) -> Any:
    return x.unsqueeze(n[0] % (x.dim() + 1))


def a_squeeze(world: World, x: Any, n: Numbers) -> Any:
    return x.squeeze()


def an_expand(world: World, x: Any, n: Numbers) -> Any:
    return x.expand(1 + n[0] % 2, *x.shape)


def a_diagonal(world: World, x: Any, n: Numbers) -> Any:
    return x.diagonal(n[0] % 3 - 1, dim_of(x, n[1]), dim_of(x, n[2]))


def a_detached(world: World, x: Any, n: Numbers) -> Any:
    return x.detach()


def an_unfold(world: World, x: Any, n: Numbers) -> Any:
    size = 1 + n[1] % 2
    return x.unfold(dim_of(x, n[0]), size, size)  # windows that do not overlap


def an_unbound(world: World, x: Any, n: Numbers) -> Any:
    return x.unbind(dim_of(x, n[0]))[n[1] % 2]


def a_piece(world: World, x: Any, n: Numbers) -> Any:
    return x.split(2, dim_of(x, n[0]))[n[1] % 2]


def a_view_without_grad(world: World, x: Any, n: Numbers) -> Any:
    with world.framework.no_grad():
        return x[n[0] % 2 :]


def add_number(world: World, x: Any, n: Numbers) -> None:
    x.add_(0.25)


def add_tensor(world: World, x: Any, n: Numbers) -> None:
    x.add_(world.pick(n[0]))


def mul_tensor(world: World, x: Any, n: Numbers) -> None:
    x.mul_(world.pick(n[0]))


def mul_number(world: World, x: Any, n: Numbers) -> None:
    x.mul_(0.75)


def copy_tensor(world: World, x: Any, n: Numbers) -> None:
    x.copy_(world.pick(n[0]))


def fill_number(world: World, x: Any, n: Numbers) -> None:
    x.fill_(n[0] * 0.125)


def set_number(world: World, x: Any, n: Numbers) -> None:
    x[n[0] % 3] = 0.5


def set_tensor(world: World, x: Any, n: Numbers) -> None:
    x[n[0] % 2 :: 2] = world.pick(n[1])


def set_where(world: World, x: Any, n: Numbers) -> None:
    x[x > 0.5] = -0.5


def set_places(world: World, x: Any, n: Numbers) -> None:
    x[[n[0] % x.shape[0], n[1] % x.shape[0]]] = world.pick(n[2])


def add_without_grad(world: World, x: Any, n: Numbers) -> None:
    with world.framework.no_grad():
        x.add_(0.125)


def a_square(world: World, x: Any, n: Numbers) -> Any:
    return x * x


def an_exponential(world: World, x: Any, n: Numbers) -> Any:
    return (x * 0.1).exp()


def a_product(world: World, x: Any, n: Numbers) -> Any:
    return x * world.factor


def a_clone(world: World, x: Any, n: Numbers) -> Any:
    return x.clone()


VIEWS = [
    a_slice, a_select, an_int_index, a_transpose, a_mirror, a_reshape, a_view, an_unsqueeze,
    a_squeeze, an_expand, a_diagonal, a_detached, an_unfold, an_unbound, a_piece,
    a_view_without_grad,
]  # fmt: skip
WRITES = [
    add_number, add_tensor, mul_tensor, mul_number, copy_tensor, fill_number, set_number,
    set_tensor, set_where, set_places, add_without_grad,
]  # fmt: skip
READS = [a_square, an_exponential, a_product, a_clone]

step = st.tuples(
    st.sampled_from(VIEWS + WRITES + READS),
    st.integers(0, 40),
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
)


# --- running both ---------------------------------------------------------------------------


def attempt(run: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return run(), None
    except (RuntimeError, IndexError, ValueError) as error:
        return None, error


def overlaps(x: Any) -> bool:
    """PyTorch's result is undefined when a write reads what it has written already."""
    return any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape, strict=True))


def apart(first: Any, second: Any) -> bool:
    """Whether a write from `second` into `first` is defined whatever the order of elements."""
    return first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def defined(world: World, action: Any, x: Any, numbers: Numbers) -> bool:
    if action in (add_tensor, mul_tensor, copy_tensor):
        return apart(x, world.pick(numbers[0]))
    if action is set_tensor:
        return apart(x, world.pick(numbers[1]))
    if action in (fill_number, set_where, set_places) and overlaps(x):
        return False  # PyTorch warns that this is deprecated; Narae refuses it
    if action is set_places:
        size = x.shape[0] if x.dim() else 0
        return (
            size > 1 and numbers[0] % size != numbers[1] % size and apart(x, world.pick(numbers[2]))
        )
    return True


def compare_live(theirs: World, ours: World, what: str) -> None:
    for place, (x, y) in enumerate(zip(theirs.live, ours.live, strict=True)):
        where = f"tensor {place} after {what}"
        assert tuple(x.shape) == tuple(y.shape), where
        np.testing.assert_allclose(
            y.detach().numpy(), x.detach().numpy(), rtol=1e-12, atol=1e-12, err_msg=where
        )
        assert x.requires_grad == y.requires_grad, where
        their_node, their_error = attempt(lambda x=x: x.grad_fn)
        our_node, our_error = attempt(lambda y=y: y.grad_fn)
        assert (their_error is None) == (our_error is None), where
        assert (their_node is None) == (our_node is None), where


def loss_of(world: World) -> Any:
    """A sum in which each element of each live tensor has a weight of its own."""
    total = world.framework.tensor(0.0, dtype=world.framework.float64)
    for place, x in enumerate(world.live):
        size = int(np.prod(tuple(x.shape)))
        weights = np.cos(np.arange(size) + place).reshape(tuple(x.shape))
        total = total + (x * world.framework.tensor(weights)).sum()
    return total


def take_step(theirs: World, ours: World, action: Any, target: int, numbers: Numbers) -> None:
    x, y = theirs.pick(target), ours.pick(target)
    if not defined(theirs, action, x, numbers):
        return
    name = f"{action.__name__}{numbers} on tensor {target % len(ours.live)}"
    expected, their_error = attempt(lambda: action(theirs, x, numbers))
    found, our_error = attempt(lambda: action(ours, y, numbers))
    assert (their_error is None) == (our_error is None), f"{name}: {their_error!r} / {our_error!r}"
    if expected is not None and len(theirs.live) < 12:
        theirs.live.append(expected)
        ours.live.append(found)
    compare_live(theirs, ours, name)


def compare_gradients(theirs: World, ours: World) -> None:
    _, their_error = attempt(lambda: loss_of(theirs).backward())
    _, our_error = attempt(lambda: loss_of(ours).backward())
    assert (their_error is None) == (our_error is None), f"{their_error!r} / {our_error!r}"
    if their_error is not None:
        return
    for x, y in ((theirs.leaf, ours.leaf), (theirs.factor, ours.factor)):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-10, atol=1e-10)


def run(leaf_needs_grad: bool, steps: list[Any]) -> None:
    theirs, ours = World(torch, leaf_needs_grad), World(narae, leaf_needs_grad)
    for action, target, numbers in steps:
        take_step(theirs, ours, action, target, numbers)
    compare_gradients(theirs, ours)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.booleans(), st.lists(step, min_size=1, max_size=10))
def test_views_writes_and_reads_agree_with_pytorch(leaf_needs_grad, steps):
    run(leaf_needs_grad, steps)
