"""Differentiating programs: random programs against differences, scans against loops.

B11: backpropagation through time equals that of the loop written out.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
from narae import primitives as p
from narae.autograd import gradcheck, gradgradcheck
from narae.autograd.vjp import vjp_program, vjp_split
from narae.ir import Program, check, evaluate, trace
from narae.primitives.control import step_of
from narae.tensors.tensor import wrap

SHAPE = (2, 3)
UNARY = [p.sin, p.tanh, p.neg, p.sigmoid, lambda x: p.mul(x, 0.5), lambda x: p.exp(p.mul(x, 0.3))]
BINARY = [p.add, p.sub, p.mul, lambda x, y: p.div(x, p.add(p.mul(y, y), 1.0))]
SHAPED = [
    lambda x: p.flip(x, dim=(1,)),
    lambda x: p.cumsum(x, dim=1),
    lambda x: p.reshape(p.permute(x, dims=(1, 0)), shape=SHAPE),
    lambda x: p.softmax(x, dim=1),
    lambda x: p.expand(p.sum_(x, dim=(0,), keepdim=True), shape=SHAPE),
    lambda x: p.sort(x, dim=1, descending=True)[0],
    lambda x: p.concat(p.narrow(x, 1, 2, 1), p.narrow(x, 1, 0, 2), dim=1),
]


@st.composite
def programs(draw):
    """A program of several inputs and outputs: a random walk over operations."""
    inputs = draw(st.integers(1, 3))
    length = draw(st.integers(1, 12))
    choices = []
    for made in range(inputs, inputs + length):
        kind = draw(st.sampled_from(["unary", "binary", "shaped"]))
        operation = draw(
            st.sampled_from({"unary": UNARY, "binary": BINARY, "shaped": SHAPED}[kind])
        )
        places = [draw(st.integers(0, made - 1)) for _ in range(2 if kind == "binary" else 1)]
        choices.append((operation, places))
    outputs = draw(st.lists(st.integers(0, inputs + length - 1), min_size=1, max_size=3))
    needs = draw(st.lists(st.booleans(), min_size=inputs, max_size=inputs))

    def run(*values):
        known = list(values)
        for operation, places in choices:
            known.append(operation(*(known[place] for place in places)))
        return tuple(known[place] for place in outputs)

    return trace(run, [(SHAPE, np.float64)] * inputs, "random"), needs


def numerical_vjp(program, arrays, weights, place, step=1e-6):
    """The gradient of the weighted sum of all outputs, by central differences."""
    grad = np.zeros_like(arrays[place])
    for index in np.ndindex(grad.shape):
        totals = []
        for sign in (1, -1):
            moved = [x.copy() for x in arrays]
            moved[place][index] += sign * step
            pairs = zip(evaluate(program, moved), weights, strict=True)
            totals.append(sum(float(np.sum(out * weight)) for out, weight in pairs))
        grad[index] = (totals[0] - totals[1]) / (2 * step)
    return grad


def numbers(count, seed):
    random = np.random.default_rng(seed)
    return [random.permutation(np.linspace(-1.1, 1.3, 6)).reshape(SHAPE) for _ in range(count)]


@given(programs())
def test_vjp_of_random_programs(case):
    program, needs = case
    backward = check(vjp_program(program, needs))
    arrays, weights = numbers(len(program.inputs), 0), numbers(len(program.outputs), 1)
    found = evaluate(backward, [*arrays, *weights])
    wanted = [place for place, needed in enumerate(needs) if needed]
    assert len(found) == len(wanted)
    for grad, place in zip(found, wanted, strict=True):
        expected = numerical_vjp(program, arrays, weights, place)
        np.testing.assert_allclose(grad, expected, rtol=1e-5, atol=1e-6)


@given(programs())
def test_the_vjp_of_a_vjp(case):
    """A vjp is a program like any other."""
    program, _ = case
    needs = [True] * len(program.inputs)
    backward = vjp_program(program, needs)
    twice = check(vjp_program(backward, [True] * len(backward.inputs)))
    arrays = numbers(len(backward.inputs), 2)
    weights = numbers(len(backward.outputs), 3)
    found = evaluate(twice, [*arrays, *weights])
    for place, grad in enumerate(found):
        expected = numerical_vjp(backward, arrays, weights, place)
        np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-5)


@given(programs())
def test_a_split_program_gives_the_same_bits(case):
    """Forward that keeps what backward reads, then backward: no other numbers."""
    program, needs = case
    forward, backward = vjp_split(program, needs)
    check(forward)
    check(backward)
    arrays, weights = numbers(len(program.inputs), 0), numbers(len(program.outputs), 1)
    count = len(program.outputs)
    kept = evaluate(forward, arrays)
    whole = evaluate(vjp_program(program, needs), [*arrays, *weights])
    assert [x.tobytes() for x in kept[:count]] == [x.tobytes() for x in evaluate(program, arrays)]
    found = evaluate(backward, [*kept[count:], *weights])
    assert [x.tobytes() for x in found] == [x.tobytes() for x in whole]


@given(programs())
def test_the_tape_agrees_with_the_program(case):
    """Two ways to differentiate, one set of rules: tensors and `vjp_program` to the bit."""
    program, needs = case
    if not any(needs):
        return
    arrays, weights = numbers(len(program.inputs), 0), numbers(len(program.outputs), 1)
    tensors = [wrap(x).requires_grad_(needed) for x, needed in zip(arrays, needs, strict=True)]
    leaves = [x for x in tensors if x.requires_grad]
    outputs = evaluate(program, tensors)
    pairs = [(y, wrap(w)) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    found = evaluate(vjp_program(program, needs), [*arrays, *weights])
    if not pairs:
        assert all(not np.any(grad) for grad in found)
        return
    grads = narae.autograd.grad(
        [y for y, _ in pairs], leaves, [w for _, w in pairs], materialize_grads=True
    )
    for grad, expected in zip(grads, found, strict=True):
        np.testing.assert_allclose(grad.numpy(), expected, rtol=1e-13, atol=1e-13)


# --- call and scan --------------------------------------------------------------------------


def cell(w, b, h, c, x):
    """A gated cell with two constants, two carries, and an output."""
    gate = p.sigmoid(p.add(p.matmul(x, w), b))
    new_c = p.add(p.mul(c, gate), p.mul(h, x))
    new_h = p.tanh(new_c)
    return new_h, new_c, p.mul(new_h, gate)


METAS = [((3, 3), np.float64), ((3,), np.float64)] + [((2, 3), np.float64)] * 3
BODY = trace(cell, METAS, "cell")


def scanned(w, b, h, c, xs, reverse=False):
    return p.scan(
        w, b, h, c, xs, body=BODY, constants=2, carries=2, length=xs.shape[0], reverse=reverse
    )


def unrolled(w, b, h, c, xs, reverse=False):
    length = xs.shape[0]
    outputs = [None] * length
    for time in range(length - 1, -1, -1) if reverse else range(length):
        h, c, outputs[time] = cell(w, b, h, c, step_of(xs, time))
    stacked = p.concat(*(p.reshape(y, shape=(1, *y.shape)) for y in outputs), dim=0)
    return h, c, stacked


def operands(length):
    shapes = [(3, 3), (3,), (2, 3), (2, 3), (length, 2, 3)]
    random = np.random.default_rng(length)
    return [wrap(random.uniform(-0.9, 0.9, shape)).requires_grad_() for shape in shapes]


def weighted(results):
    total = None
    for place, x in enumerate(results):
        part = p.sum_(p.mul(x, 0.5 + place), dim=tuple(range(len(x.shape))), keepdim=False)
        total = part if total is None else p.add(total, part)
    return total


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_scan_equals_the_loop_to_third_order(length, reverse):
    """B11: gradients through time, and gradients of these, are those of the written-out loop."""
    found = []
    for run in (scanned, unrolled):
        values = operands(length)
        level = [weighted(run(*values, reverse=reverse))]
        for _ in range(3):
            grads = narae.autograd.grad(level[-1], values, create_graph=True, allow_unused=True)
            found.append([grad.detach().numpy() for grad in grads])
            level.append(weighted([p.mul(grad, grad) for grad in grads]))
    for one, other in zip(found[:3], found[3:], strict=True):
        for grad, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(grad, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("needed", range(5))
def test_scan_needs_only_what_is_asked_for(needed):
    found = []
    for run in (scanned, unrolled):
        values = [x.detach().requires_grad_(i == needed) for i, x in enumerate(operands(4))]
        found.append(narae.autograd.grad(weighted(run(*values)), values[needed])[0].numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("output", range(3))
def test_scan_with_a_gradient_for_one_result(output):
    found = []
    for run in (scanned, unrolled):
        values = operands(4)
        grads = narae.autograd.grad(
            weighted([run(*values)[output]]), values, materialize_grads=True
        )
        found.append([grad.numpy() for grad in grads])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_scan_of_no_steps():
    values = operands(1)
    xs = wrap(np.zeros((0, 2, 3))).requires_grad_()
    h, c, ys = scanned(*values[:4], xs)
    assert ys.shape == (0, 2, 3)
    grads = narae.autograd.grad(weighted([h, c]), [*values[:4], xs], materialize_grads=True)
    assert grads[2].tolist() == np.full((2, 3), 0.5).tolist()
    assert grads[3].tolist() == np.full((2, 3), 1.5).tolist()
    assert not grads[0].numpy().any()
    assert grads[4].shape == (0, 2, 3)


def test_scan_with_integers_among_its_operands():
    """Steps, and tables of indices, have no gradient; everything else has."""

    def step(table, h, index):
        new = p.tanh(p.add(h, p.take(table, index, dim=0)))
        return new, new

    body = trace(step, [((4, 2), np.float64), ((2,), np.float64), ((), np.int64)], "lookup")
    table = wrap(np.linspace(-1, 1, 8).reshape(4, 2)).requires_grad_()
    start = wrap(np.array([0.1, -0.2])).requires_grad_()
    index = wrap(np.array([3, 0, 3], np.int64))

    def run(table, start):
        layout = {"constants": 1, "carries": 1, "length": 3, "reverse": False}
        return p.scan(table, start, index, body=body, **layout)

    assert gradcheck(run, [table, start])
    assert gradgradcheck(run, [table, start], fast_mode=True)


def test_call_equals_its_body():
    def body_of(x, y):
        return p.mul(p.sin(x), y), p.exp(y), x

    body: Program = trace(body_of, [(SHAPE, np.float64), ((3,), np.float64)], "body")
    x = wrap(np.linspace(-1, 1, 6).reshape(SHAPE)).requires_grad_()
    y = wrap(np.array([0.2, 0.4, 0.9])).requires_grad_()
    for wanted in ([x], [y], [x, y]):
        for results in (p.call(x, y, body=body), body_of(x, y)):
            grads = narae.autograd.grad(weighted(results), wanted, create_graph=True)
            second = narae.autograd.grad(weighted([p.mul(g, g) for g in grads]), wanted)
            numbers = [t.detach().numpy() for t in (*grads, *second)]
            if results[0].grad_fn.operation.name == "call":
                from_call = numbers
        for one, other in zip(from_call, numbers, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
