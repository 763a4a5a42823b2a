"""Checkpoints: the same bits, the same random numbers, less memory; eager and compiled."""

import gc
import weakref

import numpy as np
import pytest

import narae
from narae import nn
from narae.nn import functional as F
from narae.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


def bits(tensors):
    return [None if x is None else x.detach().numpy().tobytes() for x in tensors]


def block(w):
    def run(x):
        x = F.dropout(x @ w, 0.3, training=True).tanh()
        return x * narae.rand(x.shape[0], 1) + F.dropout(x, 0.5, training=True)

    return run


def inputs(seed=0):
    narae.manual_seed(seed)
    x = narae.randn(6, 5, requires_grad=True)
    return x, narae.randn(5, 5, requires_grad=True), narae.randn(5, 5, requires_grad=True)


def loss_of(x, w, v, wrapped):
    run = checkpoint if wrapped else lambda function, x: function(x)
    h = run(block(w), x)
    h = run(block(v), h)
    return (h * h).sum()


def results(wrapped):
    x, w, v = inputs()
    loss = loss_of(x, w, v, wrapped)
    before = narae.get_rng_state().tolist()
    loss.backward()
    after = narae.get_rng_state().tolist()
    assert before == after
    return bits([loss, x.grad, w.grad, v.grad, narae.rand(3)])


def test_same_bits_and_the_same_stream_afterwards():
    """Dropout's keys and `rand` are drawn again as they were; the stream does not move."""
    assert results(True) == results(False)


def test_same_bits_twice_through_one_graph():
    x, w, v = inputs()
    loss = loss_of(x, w, v, True)
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert bits([x.grad]) == bits([once + once])


def test_second_derivatives():
    x, w, v = inputs()
    (slope,) = narae.autograd.grad(loss_of(x, w, v, True), x, create_graph=True)
    found = narae.autograd.grad((slope * slope).sum(), [x, w])
    x, w, v = inputs()
    (slope,) = narae.autograd.grad(loss_of(x, w, v, False), x, create_graph=True)
    assert bits(found) == bits(narae.autograd.grad((slope * slope).sum(), [x, w]))


def test_without_random_state_the_stream_goes_on():
    x = narae.ones(100, requires_grad=True)
    calls = []

    def part(x):
        calls.append(narae.rand(1).item())
        return x.exp().sin()

    narae.manual_seed(0)
    checkpoint(part, x, preserve_rng_state=False).sum().backward()
    assert calls[0] != calls[1]
    calls.clear()
    checkpoint(part, x).sum().backward()
    assert calls[0] == calls[1]


def test_intermediate_results_are_forgotten_and_made_again():
    watched = []

    def part(x):
        hidden = x.exp()
        watched.append(weakref.ref(hidden._value))
        return hidden.sin()

    x = narae.ones(3, requires_grad=True)
    out = checkpoint(part, x).sum()
    gc.collect()
    assert watched[0]() is None
    out.backward()
    assert len(watched) == 2
    assert watched[1]() is None
    plain = part(x).sum()
    assert watched[2]() is not None
    del plain


def test_only_what_is_needed_runs_again():
    calls = []

    def part(x):
        calls.append(1)
        return x.exp()

    x, y = narae.ones(3, requires_grad=True), narae.ones(3, requires_grad=True)
    total = (checkpoint(part, x) + y).sum()
    narae.autograd.grad(total, y, retain_graph=True)
    assert len(calls) == 1
    total.backward()
    assert len(calls) == 2


def test_nothing_is_wrapped_without_need():
    calls = []
    with narae.no_grad():
        out = checkpoint(lambda x: calls.append(1) or x.exp(), narae.ones(2, requires_grad=True))
    assert not out.requires_grad
    constant = checkpoint(lambda x: x.exp(), narae.ones(2))
    assert not constant.requires_grad


def test_arguments_of_any_kind():
    x = narae.ones(2, requires_grad=True)

    def part(things, *, flag, scale=1.0):
        assert flag
        return {"out": things["x"].exp() * scale, "n": 3, "list": [things["x"].sin()]}

    out = checkpoint(part, {"x": x}, flag=True, scale=2.0)
    (out["out"].sum() + out["list"][0].sum()).backward()
    np.testing.assert_allclose(x.grad.tolist(), 2 * np.e + np.cos(1), rtol=1e-6)
    assert out["n"] == 3


def test_a_changed_parameter_is_refused_as_without_a_checkpoint():
    x, w = narae.ones(3, requires_grad=True), narae.ones(3, requires_grad=True)
    out = checkpoint(lambda x: (x * w).exp(), x).sum()
    with narae.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_a_function_that_does_something_else_is_refused():
    x, turn = narae.ones(3, requires_grad=True), []

    def part(x):
        turn.append(1)
        return x.exp().sin() if len(turn) % 2 else x.sin().exp()

    with pytest.raises(CheckpointError, match=r"operation 0 was ExpBackward0 .* SinBackward0"):
        checkpoint(part, x).sum().backward()


def test_context_managers_of_both_runs():
    seen = []

    class Note:
        def __init__(self, word):
            self.word = word

        def __enter__(self):
            seen.append(self.word)

        def __exit__(self, *_):
            pass

    x = narae.ones(3, requires_grad=True)
    checkpoint(narae.exp, x, context_fn=lambda: (Note("first"), Note("again"))).sum().backward()
    assert seen == ["first", "again"]


def test_functions_of_ones_own_inside():
    class Square(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2 * ctx.saved_tensors[0]

    x = narae.tensor([1.0, 2.0], requires_grad=True)
    checkpoint(lambda x: Square.apply(x.exp()).sin(), x).sum().backward()
    y = narae.tensor([1.0, 2.0], requires_grad=True)
    Square.apply(y.exp()).sin().sum().backward()
    assert bits([x.grad]) == bits([y.grad])


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequences(segments):
    narae.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3), nn.Softmax(1)
    )
    x = narae.randn(5, 4)

    def grads(run):
        model.zero_grad()
        narae.manual_seed(7)
        run().square().sum().backward()
        return bits([p.grad for p in model.parameters()])

    wrapped = grads(lambda: checkpoint_sequential(model, segments, x, use_reentrant=False))
    assert wrapped == grads(lambda: model(x))
    with pytest.raises(RuntimeError, match="between 1 and the number of functions"):
        checkpoint_sequential(model, 6, x)


@pytest.mark.parametrize("wrapped", [False, True])
def test_compiled_equals_eager(wrapped):
    """A checkpoint inside a compiled step draws the same keys in both of its runs."""
    x, w, v = inputs()

    def step(x):
        loss = loss_of(x, w, v, wrapped)
        return loss, *narae.autograd.grad(loss, [w, v])

    data = x.detach()
    compiled = narae.compile(step)
    for seed in (3, 4, 5):
        narae.manual_seed(seed)
        eager = bits(step(data))
        state = narae.get_rng_state().tolist()
        narae.manual_seed(seed)
        assert bits(compiled(data)) == eager
        assert narae.get_rng_state().tolist() == state
