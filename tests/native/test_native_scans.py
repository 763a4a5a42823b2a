"""Loops over time: what is computed in the loop, and what the last step leaves out.

Results are compared with a loop in NumPy.
"""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import narae.testing  # noqa: F401  (operations without operands need tensors)
from narae import primitives as p
from narae.ir import trace
from narae.native.plan.expand import expand
from tests.native.native_checks import check_program

LENGTH, FEATURES, SIZE = 5, 6, 32


def cell(w, h, z):
    """The next state, which is also what the step returns, and the state before."""
    new = p.tanh(p.add(z, p.matmul(h, w)))
    return new, h


def looped(z, w, h, reverse):
    """The states before all steps, and the last one."""
    before = np.empty((len(z), *h.shape))
    for time in reversed(range(len(z))) if reverse else range(len(z)):
        before[time] = h
        h = np.tanh(z[time] + h @ w)
    return h, before


def arrays(batch, features=FEATURES):
    rng = np.random.default_rng(0)
    shapes = [(LENGTH, batch, features), (features, SIZE), (SIZE,), (SIZE, SIZE), (batch, SIZE)]
    return [rng.normal(size=shape) / 3 for shape in shapes]


def program_of(given, linear, reverse, last=True):
    """A recurrent layer of (x, u, b, w, h) whose sequence is `linear(x, u, b)`."""
    batch = given[0].shape[1]
    shapes = [(SIZE, SIZE), (batch, SIZE), (batch, SIZE)]
    body = trace(cell, [(shape, np.dtype(np.float64)) for shape in shapes], "cell")

    def layer(x, u, b, w, h):
        found = p.scan(
            *(w, h, linear(x, u, b)),
            body=body,
            constants=1,
            carries=1,
            length=LENGTH,
            reverse=reverse,
        )
        return tuple(found) if last else found[1]

    return trace(layer, given)


def with_bias(x, u, b):
    return p.add(p.matmul(x, u), b)


def without_bias(x, u, b):
    return p.matmul(x, u)


def of_rows(x, u, b):
    rows = p.matmul(p.reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2])), u)
    return p.add(p.reshape(rows, shape=(*x.shape[:2], u.shape[1])), b)


def turned(x, u, b):
    """The product of another sequence in another order."""
    return with_bias(p.permute(p.permute(x, dims=(1, 0, 2)), dims=(1, 0, 2)), u, b)


def products_in_loop(program):
    """How many products a step of the expanded program has."""
    (scan,) = [node for node in expand(program).nodes if node.operation is p.scan]
    return sum(node.operation is p.matmul for node in scan.attrs["body"].nodes)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("linear", [with_bias, without_bias, of_rows, turned])
@pytest.mark.parametrize("batch", [3, 64, 70])
def test_a_step_multiplies_its_own_rows(linear, reverse, batch):
    """A large product before the loop becomes one in every step, if a step has enough rows."""
    given = arrays(batch)
    program = program_of(given, linear, reverse)
    assert products_in_loop(program) == (2 if batch >= 64 else 1)
    _, found = check_program(program, given)
    x, u, b, w, h = given
    z = x @ u + (0 if linear is without_bias else b)
    for got, want in zip(found, looped(z, w, h, reverse), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_large_matrices_stay_before_the_loop():
    """A step would read them from memory again."""
    assert products_in_loop(program_of(arrays(64, 3000), with_bias, False)) == 1


def kernels(runner, about):
    """How many steps of the table do something of that kind."""
    phases = runner.built.scheduled.phases
    steps = [step for phase in phases for chain in phase.chains for step in chain.steps]
    return sum(about in step.kernel.about for step in steps)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_state_is_not_computed_for_nobody(reverse):
    given = arrays(3)
    want, counts = looped(given[0] @ given[1] + given[2], *given[3:], reverse)[1], []
    for last in (True, False):
        program = program_of(given, with_bias, reverse, last)
        runner, found = check_program(program, given)
        np.testing.assert_allclose(found[-1], want, rtol=1e-12, atol=1e-12)
        counts.append(kernels(runner, f"product 3 x {SIZE} x {SIZE}"))
    assert counts == [LENGTH, LENGTH - 1]
