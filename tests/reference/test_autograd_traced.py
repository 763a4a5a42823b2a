"""Functions of one's own, hooks and higher derivatives inside a compiled step."""

import numpy as np

import narae
from tests.executors import close, on_every_executor

pytestmark = on_every_executor


class Cube(narae.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        out = x**3 * scale
        ctx.save_for_backward(x, out)
        ctx.scale = scale
        return out, x.argmax()

    @staticmethod
    def backward(ctx, grad, _):
        x, out = ctx.saved_tensors
        return grad * (3 * out / x), None


def agree(step, *arguments):
    eager, compiled = step(*arguments), narae.compile(step)
    for _ in range(3):
        for one, other in zip(eager, compiled(*arguments), strict=True):
            close(other, one)


def leaf():
    return narae.tensor(np.linspace(0.3, 1.7, 6).reshape(2, 3))


def test_a_function_of_ones_own():
    def step(x):
        x = x.detach().requires_grad_()
        out, place = Cube.apply(x.sin(), 2.0)
        (slope,) = narae.autograd.grad(out.sum(), x, create_graph=True)
        (curve,) = narae.autograd.grad(slope.sum(), x)
        return out, place, slope, curve

    agree(step, leaf())


def test_a_function_that_writes():
    class Double(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    def step(x):
        x = x.detach().requires_grad_()
        y = x * 3
        Double.apply(y)
        y[0].add_(1)
        return y, *narae.autograd.grad((y * y).sum(), x)

    agree(step, leaf())


def test_hooks_and_kept_gradients():
    def step(x):
        x = x.detach().requires_grad_()
        y = x.exp()
        y.register_hook(lambda g: g * 2)
        y.retain_grad()
        (y * y).sum().backward()
        return y.grad, x.grad

    agree(step, leaf())


def test_third_derivative():
    def step(x):
        x = x.detach().requires_grad_()
        y = (x**4 * x.sin()).sum()
        for _ in range(3):
            (slope,) = narae.autograd.grad(y, x, create_graph=True)
            y = slope.sum()
        return (slope,)

    agree(step, leaf())


def test_anomaly_mode_does_not_read_symbolic_numbers():
    def step(x):
        x = x.detach().requires_grad_()
        with narae.autograd.detect_anomaly():
            return narae.autograd.grad(x.exp().sum(), x)

    agree(step, leaf())


def test_hessian_vector_product():
    def step(x):
        v = narae.ones_like(x)
        return narae.autograd.functional.vhp(lambda x: (x**3).sum(), x, v)

    agree(step, leaf())
