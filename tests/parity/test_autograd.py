"""Automatic differentiation does what PyTorch's does: each scenario runs on both.

E19, E20, D6, D7.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402

SCENARIOS = []
REFUSALS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def refused(match):
    """A scenario that must raise RuntimeError, with these words on both sides."""

    def register(function):
        REFUSALS.append((function, match))
        return function

    return register


def leaf(lib, *shape, low=-1.0, high=1.5, requires_grad=True):
    count = int(np.prod(shape))
    numbers = np.linspace(low, high, count) + 0.05 * np.sin(np.arange(count))
    x = lib.tensor(numbers.tolist(), dtype=lib.float64).reshape(shape)
    return x.detach().clone().requires_grad_(requires_grad)


def plain(x):
    """Any result as something that can be compared."""
    if isinstance(x, (torch.Tensor, narae.Tensor)):
        numbers = np.asarray(x.detach().tolist(), np.float64).reshape(tuple(x.shape))
        return numbers, str(x.dtype).split(".")[-1], x.requires_grad
    if isinstance(x, (tuple, list)):
        return [plain(item) for item in x]
    return x


def assert_same(one, other):
    assert type(one) is type(other), (one, other)
    if isinstance(one, tuple):
        np.testing.assert_allclose(one[0], other[0], rtol=1e-12, atol=1e-12)
        assert one[1:] == other[1:]
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other


# --- backward and grad ----------------------------------------------------------------------


@scenario
def accumulates(lib):
    x = leaf(lib, 3)
    (x * x).sum().backward()
    (x.exp()).sum().backward()
    return x.grad


@scenario
def gradient_argument(lib):
    x = leaf(lib, 2, 3)
    (x * 3).backward(leaf(lib, 2, 3, requires_grad=False))
    return x.grad


@scenario
def diamond(lib):
    x = leaf(lib, 3)
    a = x.sin()
    b, c = a * 2, a.exp()
    (b * c + a).sum().backward()
    return x.grad


@scenario
def retain_graph(lib):
    x = leaf(lib, 3)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@scenario
def second_backward_without_saved_values(lib):
    x = leaf(lib, 3)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


@scenario
def chosen_inputs(lib):
    x, w = leaf(lib, 3), leaf(lib, 3, low=0.5)
    (x * w).sum().backward(inputs=[w])
    return [x.grad, w.grad]


@scenario
def inputs_that_are_not_leaves(lib):
    x = leaf(lib, 3)
    y = x.exp()
    (y * x).sum().backward(inputs=[y])
    return [x.grad, y.grad]


@scenario
def grad_of_intermediate(lib):
    x = leaf(lib, 3)
    y = x.exp()
    z = (y * y * x).sum()
    return [*lib.autograd.grad(z, [y, x], retain_graph=True), x.grad, y.requires_grad]


@scenario
def grad_of_the_output_itself(lib):
    x = leaf(lib, 3)
    y = x.exp().sum()
    return lib.autograd.grad(y, [y, x])


@scenario
def grad_wrt_intermediate_of_a_freed_graph(lib):
    x = leaf(lib, 3)
    y = x.exp()
    y.sum().backward(retain_graph=False)
    z = (y + 1).sum()
    return lib.autograd.grad(z, y)


@scenario
def several_outputs(lib):
    x = leaf(lib, 3)
    return lib.autograd.grad([(x * 2).sum(), x.exp()], x, [None, leaf(lib, 3)])


@scenario
def same_input_twice(lib):
    x = leaf(lib, 3)
    return lib.autograd.grad((x * x).sum(), [x, x])


@scenario
def unused(lib):
    x, y = leaf(lib, 3), leaf(lib, 2)
    first = lib.autograd.grad((x * x).sum(), [x, y], allow_unused=True)
    return [*first, *lib.autograd.grad((x * x).sum(), [x, y], materialize_grads=True)]


@scenario
def third_derivative(lib):
    x = leaf(lib, 3)
    y = (x**5 + x.sin()).sum()
    found = []
    for _ in range(3):
        (slope,) = lib.autograd.grad(y, x, create_graph=True)
        found.append(slope)
        y = (slope * slope.detach().cos()).sum()
    return found


@scenario
def create_graph_accumulates(lib):
    x = leaf(lib, 3)
    (x**3).sum().backward(create_graph=True)
    first = x.grad.clone()
    (x.grad**2).sum().backward()
    return [first.detach(), x.grad.detach()]


@scenario
def gradient_penalty(lib):
    x, w = leaf(lib, 4, 3), leaf(lib, 3, 2)
    out = (x @ w).tanh().sum()
    (slope,) = lib.autograd.grad(out, x, create_graph=True)
    ((slope**2).sum(1).sqrt() - 1).pow(2).mean().backward()
    return w.grad


@scenario
def broadcasting(lib):
    x, y, z = leaf(lib, 3, 1), leaf(lib, 1, 4, low=0.4), leaf(lib, low=0.7)
    (x * y / z - y**2).sum().backward()
    return [x.grad, y.grad, z.grad]


@scenario
def zero_dim_and_empty(lib):
    x, y = leaf(lib), leaf(lib, 0, 3)
    (x * x).backward()
    (y * 2).sum().backward()
    (y * x).sum().backward()
    return [x.grad, y.grad]


@scenario
def not_contiguous(lib):
    x = leaf(lib, 3, 4)
    y = x.t()[1:, ::2]
    (y * y.exp()).sum().backward()
    return [x.grad, x.grad.is_contiguous()]


@scenario
def mixed_dtypes(lib):
    x = leaf(lib, 3)
    half = x.float()
    (half * x + half * half).sum().backward()
    return [x.grad, half.requires_grad]


@scenario
def integers_receive_nothing(lib):
    x = leaf(lib, 3, low=0.2, high=4)
    kinds = [x.long().requires_grad, (x > 1).requires_grad, x.argmax().requires_grad]
    return [kinds, lib.autograd.grad((x * x.long()).sum(), x)]


@scenario
def detach_cuts(lib):
    x = leaf(lib, 3)
    (x * x.detach()).sum().backward()
    return [x.grad, x.detach().requires_grad]


@scenario
def no_grad_and_back(lib):
    x = leaf(lib, 3)
    with lib.no_grad():
        y = x * 2
        with lib.enable_grad():
            z = x * 3
        with lib.set_grad_enabled(False):
            w = x * 4
    return [y.requires_grad, z.requires_grad, w.requires_grad, y.is_leaf, z.is_leaf]


@scenario
def names_of_nodes(lib):
    x = leaf(lib, 2, 2)
    nodes = [
        x * 2, x + x, x - x, x / 2, -x, x.exp(), x.log(), x.sum(), x.mean(), x @ x, x.t(),
        x.reshape(4), x[0], x.tanh(), x.sigmoid(), x.relu(), x.clone(), x.pow(2), x.sqrt(),
        x.abs(), x.softmax(0), x.unsqueeze(0), x.expand(3, 2, 2), x.permute(1, 0),
    ]  # fmt: skip
    return [str(y.grad_fn).strip("<>").split(" ")[0] for y in nodes]


@scenario
def the_graph_can_be_walked(lib):
    x, w = leaf(lib, 3), leaf(lib, 3)
    node = ((x * w).exp() + 1).grad_fn
    names = []
    while node.next_functions:
        names.append((node.name(), len(node.next_functions)))
        node = node.next_functions[0][0]
    return [names, node.name().split("::")[-1], node.variable is x, node.next_functions == ()]


# --- hooks ----------------------------------------------------------------------------------


@scenario
def hooks_in_order(lib):
    x, seen = leaf(lib, 3), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("first", g.sum().item())))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(("third", g.sum().item())))
    x.register_hook(lambda g: seen.append(("leaf", g.sum().item())))
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    return [x.grad, seen]


@scenario
def hooks_removed(lib):
    x = leaf(lib, 3)
    y = x * 2
    handles = [y.register_hook(lambda g: g * 10), x.register_hook(lambda g: g * 100)]
    y.sum().backward(retain_graph=True)
    for handle in handles:
        handle.remove()
    y.sum().backward()
    return x.grad


@scenario
def hooks_on_chosen_leaves(lib):
    x, seen = leaf(lib, 3), []
    x.register_hook(lambda g: seen.append(1) or g * 3)
    return [lib.autograd.grad((x * x).sum(), x), seen]


@scenario
def hook_on_one_of_several_outputs(lib):
    x, seen = leaf(lib, 3, 2), []
    values, _ = x.max(0)
    values.register_hook(lambda g: seen.append(g.sum().item()) or g * 2)
    values.sum().backward()
    return [x.grad, seen]


@scenario
def hooks_and_create_graph(lib):
    x = leaf(lib, 3)
    y = x**3
    y.register_hook(lambda g: g * 2)
    (slope,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return lib.autograd.grad(slope.sum(), x)


@scenario
def retained_grad(lib):
    x = leaf(lib, 3)
    y = x.exp()
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    (y * y).sum().backward(retain_graph=True)
    (y * 2).sum().backward()
    return [x.grad, y.grad, y.retains_grad, x.retains_grad]


@scenario
def retained_grad_follows_writes(lib):
    x = leaf(lib, 3)
    y, z = x.exp(), x.exp()
    y.retain_grad()
    z.retain_grad()
    w = y * 1
    w.retain_grad()
    w.mul_(3)
    v = z * 1
    v.retain_grad()
    v[1:].mul_(4)
    (w.sum() + (v * v).sum()).backward()
    return [x.grad, y.grad, z.grad, w.grad, v.grad, w.retains_grad]


@scenario
def post_accumulate(lib):
    x, seen = leaf(lib, 3), []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.sum().item()))
    (x * x).sum().backward()
    x.sum().backward()
    return [x.grad, seen]


# --- views and in-place writes --------------------------------------------------------------


@scenario
def write_to_a_view(lib):
    x = leaf(lib, 3, 4)
    y = x * 2
    y[1].mul_(3)
    y[:, 1:3] = x[:, :2] ** 2
    (y * y).sum().backward()
    return x.grad


@scenario
def views_see_writes_to_the_base(lib):
    x = leaf(lib, 3)
    y = x.clone()
    v = y[1:]
    y.mul_(x)
    return [v, lib.autograd.grad((v * v).sum(), x)]


@scenario
def chains_of_writes(lib):
    x = leaf(lib, 3)
    y = x * 3
    y += x
    y *= 2
    y.add_(y)
    return lib.autograd.grad((y * y).sum(), x)


@scenario
def in_place_without_need_of_the_old_value(lib):
    x = leaf(lib, 3)
    y = x * 2
    z = y + 1
    y.mul_(2)
    return lib.autograd.grad((y + z).sum(), x)


# --- functions of one's own -----------------------------------------------------------------


def functions(lib):
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale=2.0):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x**3 * scale

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * grad * ctx.scale, None

    class Both(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            out = x * y
            ctx.save_for_backward(x, y, out)
            return out, x + y, 7

        @staticmethod
        def backward(ctx, grad_product, grad_sum, _):
            x, _, out = ctx.saved_tensors
            return grad_product * out / x + grad_sum, grad_product * x + grad_sum

    class Split(lib.autograd.Function):
        @staticmethod
        def forward(x, n):
            return x.exp(), x.argmax()

        @staticmethod
        def setup_context(ctx, inputs, output):
            out, place = output
            ctx.mark_non_differentiable(place)
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(out)
            ctx.n = inputs[1]

        @staticmethod
        def backward(ctx, grad, grad_place):
            assert grad_place is None
            return (None if grad is None else grad * ctx.saved_tensors[0] * ctx.n), None

    return Cube, Both, Split


@scenario
def function_with_a_number(lib):
    cube, _, _ = functions(lib)
    x = leaf(lib, 3)
    y = cube.apply(x, 5.0)
    y.sum().backward()
    return [y.detach(), x.grad, str(y.grad_fn).strip("<>").split(" ")[0].split(".")[-1]]


@scenario
def function_twice_differentiable(lib):
    cube, _, _ = functions(lib)
    x = leaf(lib, 3)
    (slope,) = lib.autograd.grad(cube.apply(x).sum(), x, create_graph=True)
    return [slope, *lib.autograd.grad(slope.sum(), x)]


@scenario
def function_with_several_outputs(lib):
    _, both, _ = functions(lib)
    x, y = leaf(lib, 3, low=0.3), leaf(lib, 3, low=0.4)
    product, total, seven = both.apply(x, y)
    first = lib.autograd.grad(product.sum(), [x, y], create_graph=True)
    second = lib.autograd.grad(first[0].sum() + total.sum(), [x, y], allow_unused=True)
    return [product, total, seven, first, second]


@scenario
def function_with_setup_context(lib):
    _, _, split = functions(lib)
    x = leaf(lib, 3)
    out, place = split.apply(x, 3)
    out.sum().backward()
    return [x.grad, place, out.requires_grad]


@scenario
def function_that_writes(lib):
    class Double(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = leaf(lib, 3)
    y = x * 3
    z = Double.apply(y)
    (z * y).sum().backward()
    return [z is y, x.grad]


@scenario
def function_that_returns_its_argument(lib):
    class Reverse(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return -grad

    class Same(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 4

    x = leaf(lib, 3)
    y = Same.apply(x)
    (Reverse.apply(x) * 2 + y).sum().backward()
    return [x.grad, y is x, y.requires_grad, x.is_leaf]


@scenario
def function_whose_gradient_broadcasts(lib):
    class Wide(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, flag):
            assert ctx.needs_input_grad == (True, False)
            return x.expand(4, 3) * 1

        @staticmethod
        def backward(ctx, grad):
            return grad.float(), None, None

    x = leaf(lib, 1, 3)
    (Wide.apply(x, None) * leaf(lib, 4, 3, requires_grad=False)).sum().backward()
    return [x.grad.dtype == lib.float64, x.grad.shape == (1, 3), x.grad.float()]


@scenario
def function_that_differentiates_inside(lib):
    class Inner(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with lib.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = ctx.x.exp() * ctx.x
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, grad):
            return lib.autograd.grad(ctx.y, ctx.x, grad)[0]

    x = leaf(lib, 3)
    Inner.apply(x * 2).sum().backward()
    return x.grad


@scenario
def function_without_need(lib):
    cube, _, _ = functions(lib)
    x = leaf(lib, 3)
    with lib.no_grad():
        y = cube.apply(x)
    return [y, cube.apply(x.detach())]


@scenario
def function_of_a_function(lib):
    cube, _, split = functions(lib)
    x = leaf(lib, 3, low=0.2, high=0.7)
    return lib.autograd.grad(split.apply(cube.apply(x), 2)[0].sum(), x)


# --- checkpoints ----------------------------------------------------------------------------


@scenario
def checkpointed(lib):
    checkpoint = _utils(lib).checkpoint
    x, w = leaf(lib, 4), leaf(lib, 4, low=0.3)

    def part(x, *, scale):
        return (x * w).sin().exp() * scale, x.cos()

    first, second = checkpoint(part, x, use_reentrant=False, scale=2.0)
    (first * second).sum().backward()
    return [first.detach(), x.grad, w.grad]


@scenario
def checkpointed_twice_differentiated(lib):
    checkpoint = _utils(lib).checkpoint
    x = leaf(lib, 4)
    y = checkpoint(lambda x: (x.sin() * x.exp()).tanh(), x, use_reentrant=False).sum()
    (slope,) = lib.autograd.grad(y, x, create_graph=True)
    return [slope, *lib.autograd.grad((slope**2).sum(), x)]


@scenario
def checkpoints_inside_checkpoints(lib):
    checkpoint = _utils(lib).checkpoint
    x = leaf(lib, 4)

    def inner(x):
        return x.sin() * x

    def outer(x):
        return checkpoint(inner, x.exp(), use_reentrant=False) * x

    y = checkpoint(outer, x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@scenario
def checkpointed_sequence(lib):
    sequential = _utils(lib).checkpoint_sequential
    x = leaf(lib, 4)
    parts = [lib.sin, lib.exp, lib.tanh, lib.cos, lib.sigmoid]
    sequential(parts, 2, x, use_reentrant=False).sum().backward()
    return x.grad


def _utils(lib):
    if lib is narae:
        import narae.utils.checkpoint as utils
    else:
        import torch.utils.checkpoint as utils
    return utils


# --- functional -----------------------------------------------------------------------------


def two_outputs(x, y):
    return (x * y).sin(), (x**2).sum()


@scenario
def jacobians(lib):
    x, y = leaf(lib, 3), leaf(lib, 3, low=0.4)
    functional = lib.autograd.functional
    return [
        functional.jacobian(lambda x: x.exp() * x.sum(), x),
        functional.jacobian(two_outputs, (x, y)),
        functional.jacobian(lambda x: x.sum(), leaf(lib, 2, 2)),
    ]


@scenario
def jacobian_with_graph(lib):
    x = leaf(lib, 3)
    found = lib.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
    return [found, *lib.autograd.grad(found.sum(), x)]


@scenario
def hessians(lib):
    x, y = leaf(lib, 3), leaf(lib, 2, low=0.4)
    functional = lib.autograd.functional
    return [
        functional.hessian(lambda x: (x**3).sum() * x.sin().sum(), x),
        functional.hessian(lambda x, y: (x**2).sum() * (y**3).sum(), (x, y)),
    ]


@scenario
def products_with_vectors(lib):
    functional = lib.autograd.functional
    x, y, v = leaf(lib, 3), leaf(lib, 3, low=0.4), leaf(lib, 3, low=-2, requires_grad=False)
    one = lib.tensor(1.5, dtype=lib.float64)

    def value(x, y):
        return (x * y).sin().sum() + (x**3).sum()

    return [
        functional.vjp(two_outputs, (x, y), (v, one)),
        functional.vjp(lambda x: x.sum(), x),
        functional.jvp(two_outputs, (x, y), (v, v * 2)),
        functional.vhp(value, (x, y), (v, v + 1)),
        functional.hvp(value, (x, y), (v, v + 1)),
        functional.vhp(lambda x: (x**3).sum(), x, v),
    ]


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case.__name__)
def test_scenario(case):
    assert_same(plain(case(narae)), plain(case(torch)))


# --- what both refuse -----------------------------------------------------------------------


@refused("a second time")
def second_backward(lib):
    x = leaf(lib, 3)
    y = x.exp().sum()
    y.backward()
    y.backward()


@refused("grad can be implicitly created only for scalar outputs")
def backward_of_many(lib):
    leaf(lib, 3).exp().backward()


@refused("does not require grad and does not have a grad_fn")
def backward_of_a_constant(lib):
    leaf(lib, 3, requires_grad=False).sum().backward()


@refused("Mismatch in shape")
def gradient_of_another_shape(lib):
    leaf(lib, 3).exp().backward(leaf(lib, 2))


@refused("appears to not have been used in the graph")
def unused_input(lib):
    lib.autograd.grad(leaf(lib, 3).sum(), leaf(lib, 2))


@refused("One of the differentiated Tensors does not require grad")
def input_without_grad(lib):
    lib.autograd.grad(leaf(lib, 3).sum(), leaf(lib, 2, requires_grad=False))


@refused("nly Tensors of floating point")
def integer_leaf(lib):
    lib.tensor([1, 2]).requires_grad_()


@refused("modified by an inplace operation")
def saved_result_overwritten(lib):
    x = leaf(lib, 3)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


@refused("modified by an inplace operation")
def saved_operand_overwritten(lib):
    x, w = leaf(lib, 3), leaf(lib, 3)
    y = x * w
    with lib.no_grad():
        w.add_(1)
    y.sum().backward()


@refused("a leaf Variable that requires grad is being used in an in-place operation")
def write_to_a_leaf(lib):
    leaf(lib, 3).add_(1)


@refused("a view of a leaf Variable that requires grad is being used in an in-place operation")
def write_to_a_view_of_a_leaf(lib):
    leaf(lib, 3)[0].add_(1)


@refused("marked with @once_differentiable")
def twice_through_once(lib):
    if lib is narae:
        from narae.autograd.function import once_differentiable
    else:
        from torch.autograd.function import once_differentiable

    class Once(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            return ctx.saved_tensors[0] * 2 * grad

    x = leaf(lib, 3)
    (slope,) = lib.autograd.grad((Once.apply(x) ** 2).sum(), x, create_graph=True)
    slope.sum().backward()


@refused("returned an incorrect number of gradients")
def too_many_gradients(lib):
    class Bad(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    Bad.apply(leaf(lib, 3)).sum().backward()


@refused("returned an invalid gradient at index 0")
def gradient_of_wrong_shape(lib):
    class Bad(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad[:2]

    Bad.apply(leaf(lib, 3)).sum().backward()


@refused("modified by an inplace operation")
def function_whose_saved_tensor_changed(lib):
    cube, _, _ = functions(lib)
    x = leaf(lib, 3) * 1
    y = cube.apply(x)
    x.add_(1)
    y.sum().backward()


@refused("a leaf Variable that requires grad")
def function_that_writes_to_a_leaf(lib):
    class Write(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    Write.apply(leaf(lib, 3))


@refused("must implement the forward")
def function_without_forward(lib):
    class Empty(lib.autograd.Function):
        pass

    try:
        Empty.apply(leaf(lib, 3))
    except NotImplementedError as error:
        raise RuntimeError(str(error)) from error


@refused("different number of tensors was saved|different metadata")
def checkpoint_that_changes(lib):
    x, calls = leaf(lib, 3), []

    def part(x):
        calls.append(1)
        return x.exp().sin().cos() if len(calls) == 1 else x.exp()

    _utils(lib).checkpoint(part, x, use_reentrant=False).sum().backward()


@refused("returned nan values in its 0th output")
def nan_in_backward(lib):
    with lib.autograd.detect_anomaly():
        x = lib.tensor([0.0], requires_grad=True)
        (x.sqrt() * 0).sum().backward()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("case", "match"), REFUSALS, ids=[function.__name__ for function, _ in REFUSALS]
)
def test_refusal(case, match):
    with pytest.raises(RuntimeError, match=match):
        case(torch)
    with pytest.raises(RuntimeError, match=match):
        case(narae)


def test_every_public_name_of_autograd():
    ours = set(narae.autograd.__all__) | {"functional"}
    wanted = {
        "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad",
        "gradcheck", "gradgradcheck", "inference_mode", "no_grad", "set_detect_anomaly",
        "set_grad_enabled",
    }  # fmt: skip
    assert wanted <= ours
    for name in wanted:
        assert hasattr(torch.autograd, name)
        assert hasattr(narae.autograd, name)
