"""G13: an optimizer that steps in vain is noticed, and nothing else is.

In the notes a typing mistake (`potimizer = …`) left a loop stepping the optimizer of an older
model: the cost never fell, and nothing warned.
"""

import inspect
import warnings

import pytest

import narae
from narae import optim
from narae.optim import StaleOptimizerWarning

X = narae.tensor([[73.0, 80.0, 75.0], [93.0, 88.0, 93.0], [89.0, 91.0, 90.0]])
Y = narae.tensor([[152.0], [185.0], [180.0]])


def parameters():
    return [narae.zeros(3, 1, requires_grad=True), narae.zeros(1, requires_grad=True)]


def cost_of(params, x=X, y=Y):
    w, b = params
    return ((x @ w + b - y) ** 2).mean()


def train(params, optimizer, steps, zero_grad=True, **options):
    for _ in range(steps):
        cost = cost_of(params)
        if zero_grad:
            optimizer.zero_grad(**options)
        cost.backward()
        optimizer.step()


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- what must warn -------------------------------------------------------------------------


def stale_steps(params, optimizer, steps=4, **options):
    """The warnings of a loop, and the number of the step that each came in."""
    found = []
    for number in range(1, steps + 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(params, optimizer, 1, **options)
        found += [(number, item) for item in caught]
    return found


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("trained_before", [0, 5])
@pytest.mark.parametrize("options", [{}, {"set_to_none": False}, {"zero_grad": False}])
def test_the_accident_of_the_notes(name, trained_before, options):
    old = parameters()
    optimizer = getattr(optim, name)(old, lr=1e-5)
    train(old, optimizer, trained_before)
    new = parameters()
    potimizer = optim.SGD(new, lr=1e-5)
    line = inspect.currentframe().f_lineno - 1
    found = stale_steps(new, optimizer, **options)
    assert [number for number, _ in found] == [2]  # once, at the second step
    warning = found[0][1]
    assert warning.category is StaleOptimizerWarning
    assert issubclass(StaleOptimizerWarning, UserWarning)
    message = str(warning.message)
    assert f"[{name}.step]" in message
    assert "Tensor (3, 1), Tensor (1,), received no gradient in the last 2 steps" in message
    assert f"another optimizer, SGD, was created at {__file__}:{line}" in message
    assert "is this the variable you meant?" in message
    assert warning.filename == __file__  # the user's line: optimizer.step() in `train`
    source = inspect.getsourcelines(train)
    assert "optimizer.step()" in source[0][warning.lineno - source[1]]
    assert potimizer.param_groups


def test_a_new_model_without_a_new_optimizer():
    old = parameters()
    optimizer = optim.SGD(old, lr=1e-5)
    train(old, optimizer, 3)
    found = stale_steps(parameters(), optimizer)
    assert [number for number, _ in found] == [2]
    assert "make a new optimizer" in str(found[0][1].message)


def test_names_are_shown_if_they_are_known():
    w, b = parameters()
    optimizer = optim.SGD([("layer.weight", w), ("layer.bias", b)], lr=1e-5)
    found = stale_steps(parameters(), optimizer)
    assert "layer.weight (3, 1), layer.bias (1,)" in str(found[0][1].message)


def test_long_lists_are_cut():
    optimizer = optim.SGD([narae.zeros(2, requires_grad=True) for _ in range(9)], lr=0.1)
    found = stale_steps(parameters(), optimizer)
    assert "and 5 more" in str(found[0][1].message)


def test_in_a_compiled_step():
    old = parameters()
    optimizer = optim.SGD(old, lr=1e-5)
    new = parameters()

    @narae.compile
    def step():
        optimizer.zero_grad()
        for p in new:
            p.grad = None
        cost = cost_of(new)
        cost.backward()
        optimizer.step()
        return cost

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            step()
    assert [item.category for item in caught] == [StaleOptimizerWarning]


# --- what must not --------------------------------------------------------------------------


def test_ordinary_training():
    params = parameters()
    train(params, optim.SGD(params, lr=1e-5), 5)


def test_two_optimizers_in_turn():
    """A GAN: the generator's step also sends gradients through the discriminator."""
    generator, discriminator = parameters(), parameters()
    first, second = optim.Adam(generator, lr=1e-3), optim.Adam(discriminator, lr=1e-3)
    for _ in range(4):
        second.zero_grad()
        fake = X @ generator[0] + generator[1]
        (fake.detach() * discriminator[1]).sum().backward()
        second.step()
        first.zero_grad()
        (fake * discriminator[1]).sum().backward()
        first.step()


def test_one_optimizer_steps_more_often():
    often, seldom = parameters(), parameters()
    first, second = optim.SGD(often, lr=1e-5), optim.SGD(seldom, lr=1e-5)
    for _ in range(3):
        train(often, first, 5)
        train(seldom, second, 1)


def test_two_optimizers_both_step_but_one_part_learns_at_a_time():
    parts = [parameters(), parameters()]
    optimizers = [optim.SGD(part, lr=1e-5) for part in parts]
    for turn in (0, 0, 0, 1, 1, 1, 0, 0, 0):
        for optimizer in optimizers:
            optimizer.zero_grad()
        cost_of(parts[turn]).backward()
        for optimizer in optimizers:
            optimizer.step()


def test_gradient_accumulation():
    params = parameters()
    optimizer = optim.SGD(params, lr=1e-6)
    for number in range(1, 13):
        cost_of(params).backward()
        if number % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()


def test_frozen_layers():
    w, b = parameters()
    w.requires_grad_(False)
    train([w, b], optim.SGD([w, b], lr=1e-5), 4)
    w.requires_grad_(True)
    train([w, b], optim.SGD([b], lr=1e-5), 4)  # w receives gradients, and nobody updates it


def test_steps_without_any_backward():
    params = parameters()
    optimizer = optim.SGD(params, lr=1e-5)
    for _ in range(4):
        optimizer.step()
    cost_of(params).backward()
    for _ in range(4):
        optimizer.step()


def test_closures():
    params = parameters()
    optimizer = optim.SGD(params, lr=1e-6)

    def closure():
        for _ in range(3):  # as LBFGS does
            optimizer.zero_grad()
            cost = cost_of(params)
            cost.backward()
        return cost

    for _ in range(4):
        optimizer.step(closure)


@pytest.mark.parametrize("order", [[0, 1] * 4, [0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]])
@pytest.mark.parametrize("body_is_trained", [True, False])
def test_a_branch_that_is_not_used_for_a_while(order, body_is_trained):
    """Two heads on one body, each with an optimizer of its own; both step each time."""
    body, heads = parameters()[1], [parameters()[1], parameters()[1]]
    optimizers = [optim.SGD([head], lr=1e-5) for head in heads]
    if body_is_trained:
        optimizers.append(optim.SGD([body], lr=1e-5))
    for turn in order:
        for optimizer in optimizers:
            optimizer.zero_grad()
        ((body + heads[turn]) ** 2).sum().backward()
        for optimizer in optimizers:
            optimizer.step()


def test_another_model_is_trained_by_its_own_optimizer():
    idle, params = parameters(), parameters()
    idle_optimizer, optimizer = optim.SGD(idle, lr=1e-5), optim.SGD(params, lr=1e-5)
    for _ in range(4):
        train(params, optimizer, 1)
        idle_optimizer.step()


def test_gradients_given_by_hand():
    params = parameters()
    optimizer = optim.SGD(params, lr=1e-5)
    for number in range(4):
        student = parameters()
        cost_of(student).backward()
        for p, s in zip(params, student, strict=True):
            p.grad = s.grad * (number + 1)
        optimizer.step()


def test_gradients_of_inputs():
    """A fresh leaf in every step, as for adversarial examples."""
    params = parameters()
    optimizer = optim.SGD(params, lr=1e-6)
    for _ in range(4):
        optimizer.zero_grad()
        x = X.clone().requires_grad_()
        cost_of(params, x).backward()
        optimizer.step()


def test_a_compiled_step_counts_as_a_step():
    """Its optimizer serves the parameters, though `step()` runs in the first trace alone."""
    idle, params = parameters(), parameters()
    idle_optimizer, optimizer = optim.SGD(idle, lr=1e-5), optim.SGD(params, lr=1e-5)

    @narae.compile
    def step():
        optimizer.zero_grad()
        cost_of(params).backward()
        optimizer.step()

    for _ in range(4):
        step()
        idle_optimizer.step()


def test_living_optimizers_are_not_kept_alive():
    import gc
    import weakref

    optimizer = optim.Adam(parameters(), lr=0.1)
    reference = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert reference() is None


def test_a_new_generator_with_the_optimizer_of_the_old_one():
    """Something else is trained at the same time, which is no excuse."""
    old, discriminator = parameters(), parameters()
    first, second = optim.SGD(old, lr=1e-6), optim.SGD(discriminator, lr=1e-6)

    def rounds(generator, count):
        for _ in range(count):
            first.zero_grad()
            second.zero_grad()
            ((X @ generator[0] + generator[1]) * discriminator[1]).sum().backward()
            first.step()
            second.step()

    rounds(old, 3)
    with pytest.warns(StaleOptimizerWarning, match=r"received no gradient in the last 2 steps"):
        rounds(parameters(), 3)
