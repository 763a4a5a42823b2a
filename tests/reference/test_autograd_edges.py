"""The tape at its edges: depth, threads, memory, aliasing, messages, anomaly mode.

E19, E20, G25.
"""

import gc
import threading
import weakref

import numpy as np
import pytest

import narae
from narae import nn
from narae import primitives as p
from narae.base.errors import DTypeError, GraphError
from narae.nn import functional as F

DEEP = 100_000


# --- depth and threads ----------------------------------------------------------------------


def chain(x, factor, length):
    for _ in range(length):
        x = x * factor
    return x


def test_a_deep_graph_needs_no_recursion():
    """Neither backward nor dropping the tape recurses."""
    x, one = narae.tensor([1.0], requires_grad=True), narae.tensor([1.0])
    y = chain(x, one, DEEP)
    y.backward(retain_graph=True)
    assert x.grad.item() == 1.0
    del y  # what it saved is dropped with it
    y = chain(x, one, DEEP // 10)
    (slope,) = narae.autograd.grad(y, x, create_graph=True)
    assert slope.item() == 1.0
    del y, slope
    gc.collect()


def test_many_paths_are_walked_once():
    """2 ** 60 paths through a ladder of diamonds: each node is visited once."""
    x = narae.tensor([1.0], dtype=narae.float64, requires_grad=True)
    y, visits = x, []
    for _ in range(60):
        y = y + y
        y.register_hook(lambda _: visits.append(1))
    y.backward()
    assert x.grad.item() == 2.0**60
    assert len(visits) == 60


def test_threads_run_backward_at_once():
    """Each thread has its own graph, its own modes, and a shared leaf per thread."""
    wanted, found, errors = {}, {}, []

    def work(number):
        try:
            for turn in range(20):
                x = narae.full((50,), float(number), requires_grad=True)
                if number % 2:
                    with narae.no_grad():
                        assert not (x * 2).requires_grad
                y = x
                for _ in range(20):
                    y = (y * 1.01).sin() + x
                y.sum().backward()
                found[number, turn] = x.grad.tolist()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    concurrent = dict(found)
    found.clear()
    for number in range(4):
        work(number)
        wanted.update(found)
    assert concurrent == wanted


# --- who owns a gradient --------------------------------------------------------------------


def overlapping(*tensors):
    return [
        (first, second)
        for place, first in enumerate(tensors)
        for second in tensors[:place]
        if np.shares_memory(first._value, second._value)
    ]


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_never_share_memory(create_graph):
    x, y, z = (narae.ones(4, requires_grad=True) for _ in range(3))
    start = narae.full((4,), 2.0)
    (x + y + z.reshape(2, 2).reshape(4)).backward(start, create_graph=create_graph)
    assert overlapping(x.grad, y.grad, z.grad, start, x, y, z) == []
    x.grad.detach().add_(100)
    assert start.tolist() == [2, 2, 2, 2]
    assert y.grad.tolist() == z.grad.tolist() == [2, 2, 2, 2]


def test_grad_hands_out_memory_of_its_own():
    x, y = narae.ones(4, requires_grad=True), narae.ones(4, requires_grad=True)
    start = narae.full((4,), 2.0)
    total = x + y
    found = narae.autograd.grad(total, [x, y, x, total], start)
    assert overlapping(*found, start, x, y) == []


def test_a_function_that_returns_what_it_saved_gives_away_nothing():
    class Product(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(w)
            return x * w

        @staticmethod
        def backward(ctx, grad):
            return ctx.saved_tensors[0], None

    x, w = narae.ones(3, requires_grad=True), narae.full((3,), 5.0)
    Product.apply(x, w).backward(narae.ones(3))
    assert overlapping(x.grad, w) == []


def test_what_a_hook_kept_is_not_changed_later():
    x, kept = narae.ones(3, requires_grad=True), []
    x.register_hook(kept.append)
    x.sum().backward()
    (x * 2).sum().backward()
    assert kept[0].tolist() == [1, 1, 1]
    assert x.grad.tolist() == [3, 3, 3]


def test_gradients_are_contiguous():
    x = narae.ones(3, 4, requires_grad=True)
    x.t().exp().sum().backward()
    assert x.grad.is_contiguous()


# --- what is kept alive ---------------------------------------------------------------------


def test_backward_frees_what_was_saved():
    x = narae.ones(3, requires_grad=True)
    hidden = x.exp()
    out = (hidden * hidden).sum()
    watched = weakref.ref(hidden)
    del hidden
    assert watched() is not None
    out.backward()
    assert watched() is None


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_no_circle_keeps_the_tape(without_collector):
    """With the cycle collector off, dropping the result drops every node."""

    class Twice(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x * 2
            ctx.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = narae.ones(3, requires_grad=True)
    y = x.exp()
    y.retain_grad()
    y.register_hook(lambda g: g * 1)
    z = Twice.apply(y[1:])
    z.mul_(2)
    out = narae.utils.checkpoint.checkpoint(lambda z: z.tanh().softmax(0), z).sum()
    watched = [weakref.ref(t.grad_fn) for t in (y, z, out)] + [weakref.ref(y), weakref.ref(z)]
    del y, z, out
    assert [ref() for ref in watched] == [None] * 5


def test_a_detached_result_keeps_nothing(without_collector):
    x = narae.ones(3, requires_grad=True)
    y = x.exp()
    watched = weakref.ref(y.grad_fn)
    y = y.detach()
    assert watched() is None
    losses = [(x * x).sum().detach() for _ in range(2)]
    assert losses[0]._view.base.grad_fn is None


def test_nothing_is_recorded_without_need():
    x = narae.ones(3)
    assert (x * x).exp().grad_fn is None
    with narae.no_grad():
        assert narae.ones(3, requires_grad=True).exp().grad_fn is None


# --- what is refused, and how ---------------------------------------------------------------


def test_an_overwritten_value_names_both_places():
    x = narae.ones(3, requires_grad=True)
    with narae.autograd.detect_anomaly():
        y = x.exp()
        y.mul_(2)
        with pytest.raises(GraphError) as caught:
            y.sum().backward()
    text = str(caught.value)
    assert "ExpBackward0" in text
    assert text.count("test_autograd_edges.py") == 2
    assert "test_an_overwritten_value_names_both_places" in text
    lines = [int(part.split()[0]) for part in text.split("test_autograd_edges.py:")[1:]]
    assert lines[1] - lines[0] == 1


def test_a_float_operand_without_a_rule_says_so():
    x = narae.randn(4, 3).log_softmax(1).requires_grad_()
    weight = narae.ones(3, requires_grad=True)
    with pytest.raises(GraphError, match="derivative for 'weight' of nll_loss is not implemented"):
        target = narae.tensor([0, 1, 2, 0])
        p.nll_loss(x, target, weight, reduction="mean", ignore_index=-100).backward()


def test_an_integer_gradient_is_converted_and_other_things_are_refused():
    x = narae.ones(3, requires_grad=True)
    (x * 2).backward(narae.tensor([1, 2, 3]))
    assert x.grad.tolist() == [2, 4, 6]
    with pytest.raises(TypeError, match="Tensors or None, but got list"):
        (x * 2).backward([[1, 2, 3]])
    with pytest.raises(GraphError, match="1 tensors and 2 gradients"):
        narae.autograd.backward(x * 2, [x.detach(), x.detach()])
    with pytest.raises(GraphError, match="cannot be empty"):
        x.sum().backward(inputs=[])


def test_a_hook_must_keep_the_shape():
    x = narae.ones(3, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda g: g[:2])
    with pytest.raises(ValueError, match="changed the size"):
        y.sum().backward(retain_graph=True)
    handle.remove()
    y.register_hook(lambda g: 3)
    with pytest.raises(TypeError, match="must return a Tensor or None"):
        y.sum().backward()


def test_save_for_backward_takes_tensors_only():
    class Bad(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)
            return x

    with pytest.raises(TypeError, match="can only save variables"):
        Bad.apply(narae.ones(2, requires_grad=True))


# --- numerical gradients and gradcheck ------------------------------------------------------


def test_numerical_gradient_costs_two_evaluations_for_each_element():
    """E19: central differences, by O(params) evaluations."""
    x, calls = narae.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=narae.float64), []

    def f(x):
        calls.append(1)
        return (x**3).sum()

    found = narae.autograd.numerical_gradient(f, x, 1e-4)
    np.testing.assert_allclose(found.tolist(), [[3, 12], [27, 48]], rtol=1e-7)
    assert len(calls) == 2 * 4
    assert x.tolist() == [[1, 2], [3, 4]]


def test_numerical_gradient_of_parameters_where_they_are():
    """E19: f may read the parameters of a model instead of its argument."""
    narae.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, t = narae.randn(5, 3, dtype=narae.float64), narae.tensor([0, 1, 1, 0, 1])

    def loss(_=None):
        return F.cross_entropy(model(x), t)

    loss().backward()
    for parameter in model.parameters():
        found = narae.autograd.numerical_gradient(loss, parameter)
        np.testing.assert_allclose(found.tolist(), parameter.grad.tolist(), atol=1e-9)


def test_numerical_gradient_of_arrays():
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(narae.autograd.numerical_gradient(np.prod, x), [2, 1], rtol=1e-9)
    with pytest.raises(GraphError, match="2 numbers"):
        narae.autograd.numerical_gradient(np.sin, x)
    with pytest.raises(DTypeError, match="int64"):
        narae.autograd.numerical_gradient(np.prod, np.array([1, 2]))


class Wrong(narae.autograd.Function):
    """The derivative of x² but for one element."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        slope = 2 * x
        spoiled = narae.where(narae.arange(3) == 1, slope * 1.5, slope)
        return grad * spoiled


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck_finds_a_wrong_rule(fast_mode):
    """E19: the message names the input, the index and both numbers."""
    x = narae.tensor([1.0, 2.0, 3.0], dtype=narae.float64, requires_grad=True)
    with pytest.raises(narae.autograd.GradcheckError, match="with respect to input 0") as caught:
        narae.autograd.gradcheck(Wrong.apply, x, fast_mode=fast_mode)
    if not fast_mode:
        assert "index (1,) of the output and index (1,) of the input" in str(caught.value)
        assert "numerical derivative is 4, the analytical 6" in str(caught.value)
    assert not narae.autograd.gradcheck(Wrong.apply, x, raise_exception=False)
    assert x.tolist() == [1, 2, 3]


def test_gradgradcheck_finds_a_wrong_second_derivative():
    class Once(narae.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            return grad * 3 * ctx.saved_tensors[0].detach() ** 2

    x = narae.tensor([1.0, 2.0], dtype=narae.float64, requires_grad=True)
    assert narae.autograd.gradcheck(Once.apply, x)
    with pytest.raises(GraphError):
        narae.autograd.gradgradcheck(Once.apply, x)
    assert narae.autograd.gradgradcheck(lambda x: x**3, x)


def test_gradcheck_demands_float64_memory_of_its_own_and_a_gradient():
    x = narae.ones(2, requires_grad=True)
    with pytest.raises(DTypeError, match=r"input 0 is float32 \(2,\).*float64"):
        narae.autograd.gradcheck(narae.exp, x)
    wide = narae.ones(1, dtype=narae.float64).expand(3).requires_grad_()
    with pytest.raises(GraphError, match="expanded tensor"):
        narae.autograd.gradcheck(narae.exp, wide)
    with pytest.raises(GraphError, match="at least one input tensor"):
        narae.autograd.gradcheck(narae.exp, narae.ones(2, dtype=narae.float64))
    y = narae.ones(2, dtype=narae.float64, requires_grad=True)
    with pytest.raises(GraphError, match="no output requires gradients"):
        narae.autograd.gradcheck(lambda y: y.detach(), y)


def test_gradcheck_finds_a_backward_that_changes():
    class Drifting(narae.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            Drifting.calls += 1
            return grad * (2 + Drifting.calls * 1e-3)

    x = narae.ones(2, dtype=narae.float64, requires_grad=True)
    with pytest.raises(GraphError, match="not reentrant"):
        narae.autograd.gradcheck(Drifting.apply, x)


# --- anomaly mode ---------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Logarithm())

    def forward(self, x):
        return self.features(x)


class Logarithm(nn.Module):
    def forward(self, x):
        return narae.log(x - 1e6)


def test_anomaly_mode_names_operation_line_and_layer():
    model = Net()
    with narae.autograd.detect_anomaly() as anomaly, pytest.raises(GraphError) as caught:
        (model(narae.ones(1, 2)) ** 2).sum().backward()
    text = str(caught.value)
    assert "Function 'PowBackward0' returned nan values in its 0th output" in text
    assert "the first nan was made by LogBackward0 at" in text
    assert "in layer features.2 (Logarithm)" in text
    assert "test_autograd_edges.py" in text
    assert anomaly.first.startswith("the first nan was made by LogBackward0")


def test_anomaly_mode_leaves_healthy_runs_alone():
    x = narae.ones(3, requires_grad=True)
    with narae.autograd.detect_anomaly():
        assert narae.autograd.is_anomaly_enabled()
        (x * 2).exp().sum().backward()
    assert not narae.autograd.is_anomaly_enabled()
    narae.autograd.set_detect_anomaly(True)
    assert narae.autograd.is_anomaly_enabled()
    narae.autograd.set_detect_anomaly(False)
    with narae.autograd.set_detect_anomaly(True):
        assert narae.autograd.is_anomaly_enabled()
    assert not narae.autograd.is_anomaly_enabled()


def test_anomaly_mode_can_leave_numbers_alone():
    x = narae.zeros(1, requires_grad=True)
    with narae.autograd.detect_anomaly(check_nan=False):
        (x.sqrt() * 0).sum().backward()
    assert np.isnan(x.grad.item())


def test_infinity_is_named_when_it_leads_to_nan():
    x = narae.zeros(1, requires_grad=True)
    with narae.autograd.detect_anomaly(), pytest.raises(GraphError, match="first inf was made by"):
        y = x.log()
        (y - y).sum().backward()


def test_import_in_pytorchs_way():
    """`from torch.autograd import …` works with only the module's name changed."""
    import subprocess
    import sys

    code = (
        "from narae.autograd import Variable, Function, grad, no_grad\n"
        "from narae.autograd.functional import jacobian, hessian\n"
        "from narae.autograd.function import once_differentiable\n"
        "import narae.autograd as ag\n"
        "import narae\n"
        "v = Variable(narae.ones(2), requires_grad=True)\n"
        "assert isinstance(v, Variable) and isinstance(v, narae.Tensor)\n"
        "assert ag.grad is grad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'graad'"):
        _ = narae.autograd.graad
