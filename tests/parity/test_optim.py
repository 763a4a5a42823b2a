"""Optimizers against PyTorch: 50 steps in float64, every element to 1e-12.

Rows E23 (SGD), E25 (momentum), E26 (AdaGrad), E27 (Adam), E34 (weight decay), H12 (Nesterov),
H13 (Adadelta), H14 (RMSprop).
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import optim

torch = pytest.importorskip("torch")

STEPS = 50
SHAPES = [(3, 4), (6,), ()]
SIZES = [0.0, 1e-20, 1e-8, 1.0, 1e4]


def one_of(**choices):
    """A strategy of keyword arguments; each may also be left at its default."""
    return st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(c) for key, c in choices.items()}
    )


# β₂ = 0 is left out: a step divided by the size of one gradient alone, which weight decay can bring
# near 0, magnifies rounding without bound.
ADAM = {
    "lr": [1e-3, 0.1, 0.0],
    "betas": [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)],
    "eps": [1e-8, 1e-16, 1e-3],
    "weight_decay": [0, 0.01, 1.0],
    "maximize": [False, True],
}
DECOUPLED = dict(ADAM, decoupled_weight_decay=[False, True])
OPTIONS = {
    "SGD": one_of(
        lr=[0.1, 1e-3],
        momentum=[0, 0.5, 0.9],
        dampening=[0, 0.3],
        weight_decay=[0, 0.01, 0.5],
        maximize=[False, True],
    ),
    "Adagrad": one_of(
        lr=[0.1, 1.0],
        lr_decay=[0, 0.1],
        weight_decay=[0, 0.01],
        initial_accumulator_value=[0, 0.1],
        eps=[1e-10, 1e-30],
        maximize=[False, True],
    ),
    "Adadelta": one_of(
        lr=[1.0, 0.1],
        rho=[0.9, 0.0, 0.99],
        eps=[1e-6, 1e-30],
        weight_decay=[0, 0.01],
        maximize=[False, True],
    ),
    "RMSprop": one_of(
        lr=[0.01, 0.1],
        alpha=[0.9, 0.99],
        eps=[1e-8, 1e-3],
        weight_decay=[0, 0.01],
        momentum=[0, 0.9],
        centered=[False, True],
        maximize=[False, True],
    ),
    "Adam": one_of(**DECOUPLED, amsgrad=[False, True]),
    "AdamW": one_of(**ADAM, amsgrad=[False, True]),
    "NAdam": one_of(**DECOUPLED, momentum_decay=[0, 4e-3, 0.5]),
    "RAdam": one_of(**DECOUPLED),
    "Adamax": one_of(**ADAM),
    "ASGD": one_of(
        lr=[0.01, 0.1],
        lambd=[1e-4, 0.1],
        alpha=[0.75, 1.0],
        t0=[1e6, 0, 20],
        weight_decay=[0, 0.01],
        maximize=[False, True],
    ),
    "Rprop": one_of(
        lr=[0.01, 1.0],
        etas=[(0.5, 1.2), (0.1, 3.0)],
        step_sizes=[(1e-6, 50), (0.05, 0.2)],
        maximize=[False, True],
    ),
}


def gradients(seed, absent):
    """For each step and parameter a gradient, each element with a size of its own, or None."""
    rng = np.random.default_rng(seed)
    sizes = [rng.choice(SIZES, size=shape) for shape in SHAPES]
    for _ in range(STEPS):
        row = []
        for shape, size in zip(SHAPES, sizes, strict=True):
            mixed = np.where(rng.random(shape) < 0.1, rng.choice(SIZES, size=shape), size)
            grad = rng.normal(size=shape) * mixed
            row.append(None if rng.random() < absent else grad)
        yield row


class Run:
    """One optimizer of either framework, on two groups."""

    def __init__(self, framework, name, options, other, seed):
        rng = np.random.default_rng(seed)
        self.framework = framework
        self.arrays = [rng.normal(size=shape) for shape in SHAPES]
        self.params = [self.tensor(a).requires_grad_() for a in self.arrays]
        groups = [{"params": self.params[:2]}, {"params": self.params[2:], **other}]
        self.optimizer = getattr(framework.optim, name)(groups, **options)

    def tensor(self, array):
        return self.framework.tensor(array, dtype=self.framework.float64)

    def step(self, grads):
        for p, grad in zip(self.params, grads, strict=True):
            p.grad = None if grad is None else self.tensor(grad)
        self.optimizer.step()

    def values(self):
        """All parameters and all state, by name."""
        found = {("p", i): p.detach().numpy().copy() for i, p in enumerate(self.params)}
        for i, p in enumerate(self.params):
            for name, value in self.optimizer.state.get(p, {}).items():
                if value is not None:
                    found[name, i] = np.array(value.detach().numpy())
        return found


def run_both(name, options, other, seed, absent):
    """Compare at every fifth step, relative to the largest size that an element ever had."""
    ours = Run(narae, name, options, other, seed)
    theirs = Run(torch, name, options, other, seed)
    largest = {}
    for number, row in enumerate(gradients(seed, absent), start=1):
        ours.step(row)
        theirs.step(row)
        if number % 5 and number > 2:
            continue
        found, expected = ours.values(), theirs.values()
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            largest[key] = np.fmax(np.abs(value), largest.get(key, 0.0))
            error = np.abs(found[key] - value)
            np.testing.assert_array_equal(np.isnan(found[key]), np.isnan(value))
            assert np.all(~(error > 1e-12 * largest[key])), (key, found[key], value)
            assert found[key].dtype == value.dtype
    return ours, theirs


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_fifty_steps(name, data):
    options = data.draw(OPTIONS[name])
    other = data.draw(OPTIONS[name])
    other.pop("initial_accumulator_value", None)  # PyTorch reads it from the defaults alone
    run_both(
        name,
        options,
        other,
        seed=data.draw(st.integers(0, 10_000)),
        absent=data.draw(st.sampled_from([0.0, 0.3])),
    )


@pytest.mark.parametrize("momentum", [0.3, 0.9])
@pytest.mark.parametrize("weight_decay", [0, 0.1])
@pytest.mark.parametrize("maximize", [False, True])
def test_nesterov(momentum, weight_decay, maximize):
    """H12: torch equality."""
    options = {
        "lr": 0.05,
        "momentum": momentum,
        "nesterov": True,
        "weight_decay": weight_decay,
        "maximize": maximize,
    }
    run_both("SGD", options, {}, seed=3, absent=0.2)


def test_a_wrong_rule_would_be_seen():
    """The comparison is able to fail: one hyper-parameter off by 1e-9."""
    theirs = Run(torch, "Adam", {"lr": 0.1}, {}, 1)
    ours = Run(narae, "Adam", {"lr": 0.1 * (1 + 1e-9)}, {}, 1)
    for row in gradients(1, 0.0):
        ours.step(row)
        theirs.step(row)
    error = np.abs(ours.values()["p", 0] - theirs.values()["p", 0])
    assert np.max(error / np.abs(theirs.values()["p", 0])) > 1e-12


def minimize(framework, name, **options):
    """The path on E24's valley f = x²/20 + y², by each framework's own gradients."""
    point = framework.tensor([-7.0, 2.0], dtype=framework.float64, requires_grad=True)
    scale = framework.tensor([0.05, 1.0], dtype=framework.float64)
    optimizer = getattr(framework.optim, name)([point], **options)
    path = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        (scale * point * point).sum().backward()
        optimizer.step()
        path.append(point.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.95}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        ("Adagrad", {"lr": 1.5}),
        ("Adadelta", {"lr": 10.0}),
        ("RMSprop", {"lr": 0.1}),
        ("Adam", {"lr": 0.3}),
        ("AdamW", {"lr": 0.3}),
        ("NAdam", {"lr": 0.3}),
        ("RAdam", {"lr": 0.3}),
        ("Adamax", {"lr": 0.3}),
        ("ASGD", {"lr": 0.3}),
        ("Rprop", {"lr": 0.1}),
    ],
)
def test_the_same_path_through_a_valley(name, options):
    np.testing.assert_allclose(
        minimize(narae, name, **options), minimize(torch, name, **options), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_other_dtypes_stay_close(name, dtype):
    """Narrow parameters keep their dtype, and so does their state."""
    tolerance = {"float32": 2e-6, "float16": 2e-2, "bfloat16": 1e-1}[dtype]
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=5), rng.normal(size=(10, 5))
    results = []
    for framework in (narae, torch):
        p = framework.tensor(start, dtype=getattr(framework, dtype), requires_grad=True)
        optimizer = getattr(framework.optim, name)([p], lr=0.01)
        for grad in grads:
            p.grad = framework.tensor(grad, dtype=getattr(framework, dtype))
            optimizer.step()
        assert all(
            str(value.dtype).endswith(dtype) or value.ndim == 0
            for value in optimizer.state[p].values()
        )
        results.append(p.detach().to(framework.float64).numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=tolerance, atol=tolerance)


def test_closures():
    """`step(closure)` evaluates with gradients recorded and returns the loss."""
    for framework in (narae, torch):
        w = framework.tensor([2.0], requires_grad=True)
        optimizer = framework.optim.SGD([w], lr=0.25)

        def closure(w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            return loss

        with framework.no_grad():
            loss = optimizer.step(closure)
        assert loss.item() == 4.0
        assert w.item() == 1.0


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_a_learning_rate_may_be_a_tensor(name):
    results = []
    for framework in (narae, torch):
        p = framework.tensor([1.0, 2.0], dtype=framework.float64, requires_grad=True)
        optimizer = getattr(framework.optim, name)(
            [p], lr=framework.tensor(0.1, dtype=framework.float64)
        )
        for _ in range(3):
            p.grad = framework.ones(2, dtype=framework.float64)
            optimizer.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


def test_optim_module_names():
    assert set(optim.__all__) - {"StaleOptimizerWarning"} <= set(dir(torch.optim))
