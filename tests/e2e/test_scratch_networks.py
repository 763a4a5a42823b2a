"""The programs of examples/scratch on networks, layers and losses, against independent answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import narae
import narae.nn.functional as F

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from tests.e2e.scratch_programs import differences, leaf, program

SEEDS = st.integers(0, 2**32 - 1)


# ------------------------------------------------------------------------------------- perceptrons
GATES = {
    "AND": lambda a, b: a and b,
    "OR": lambda a, b: a or b,
    "NAND": lambda a, b: not (a and b),
}


@pytest.mark.parametrize("name", GATES)
def test_a_perceptron_learns_gates(name):
    """E1: learns AND/OR/NAND in finite steps."""
    perceptron = program("03")
    w, b, right = perceptron.learn(perceptron.GATES[name])
    assert len(right) < 10
    for first, second in itertools.product((0, 1), repeat=2):
        answer = w[0] * first + w[1] * second + b > 0
        assert answer == bool(GATES[name](first, second))


def test_a_perceptron_cannot_learn_xor(tmp_path):
    """E2: XOR never reaches 100 %, and no line does; the boundary figure is drawn."""
    perceptron = program("03")
    *_, right = perceptron.learn(perceptron.GATES["XOR"])
    assert len(right) == 1000
    assert max(right) < 4
    lines = np.random.default_rng(0).normal(0, 1, (20_000, 3))
    answers = lines[:, :2] @ perceptron.INPUTS.T + lines[:, 2:] > 0  # (lines, 4)
    assert (answers == (perceptron.GATES["XOR"] > 0)).sum(axis=1).max() == 3
    perceptron.main(["--out", str(tmp_path)])
    assert (tmp_path / "perceptron.png").is_file()


def test_two_layers_solve_xor():
    """E3: XOR 100 %; curved boundary."""
    network = program("04")
    narae.manual_seed(0)
    model = network.multilayer_perceptron()
    network.learn(model)
    answers = model(narae.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0] > 0
    assert answers.tolist() == [False, True, True, False]
    side = np.linspace(-0.5, 1.5, 41)
    region = network.scores(model, side).ravel() > 0
    plane = np.stack([*np.meshgrid(side, side), np.ones((41, 41))], axis=-1).reshape(-1, 3)
    line, *_ = np.linalg.lstsq(plane, 2.0 * region - 1, rcond=None)
    assert ((plane @ line > 0) == region).mean() < 0.9  # no line bounds this region


@given(st.integers(1, 6), SEEDS)
@settings(max_examples=20)
def test_linear_depth_is_useless(layers, seed):
    """E4: a deep linear net collapses to one matrix (max error < 1e-5)."""
    network = program("04")
    narae.manual_seed(seed)
    model = network.deep_linear(layers)
    w, b = network.collapse(model)
    assert w.shape == (1, 2)
    x = np.random.default_rng(seed).uniform(-2, 2, (50, 2)).astype(np.float32)
    deep = model(narae.from_numpy(x)).detach().numpy()
    assert np.ptp(deep) > 1e-4  # the outputs are not all the same
    assert np.abs(deep - (x @ w.T + b)).max() < 1e-5


# ------------------------------------------------------------------------------------- activations
def drawn(start: str, name: str):
    """The axes of one figure."""
    _, axes = program("common").new_figure()
    getattr(program(start), name)(axes)
    return axes


def test_figure_of_the_step_function():
    """E5: x > 0 → 1, plotted over -5..5 with ylim -0.1..1.1."""
    axes = drawn("05", "draw_step")
    (line,) = axes.get_lines()
    x, y = line.get_data()
    assert (x[0], round(x[-1], 6)) == (-5.0, 4.99)
    assert y.tolist() == [1.0 if value > 0 else 0.0 for value in x]
    assert axes.get_xlim() == (-5, 5)
    assert axes.get_ylim() == (-0.1, 1.1)


def test_figure_of_the_sigmoid():
    """E6: 1/(1+e^-x), the step dashed; stable for ±1000."""
    axes = drawn("05", "draw_sigmoid")
    sigmoid, step = axes.get_lines()
    x, y = sigmoid.get_data()
    assert y == pytest.approx([1 / (1 + math.exp(-value)) for value in x], rel=1e-14)
    assert step.get_linestyle() == "--"
    assert set(step.get_ydata()) == {0.0, 1.0}
    assert axes.get_ylim() == (-0.1, 1.1)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert program("05").sigmoid([-1000.0, 1000.0]).tolist() == [0.0, 1.0]


def test_figure_of_relu():
    """E7: max(0, x), plotted over -5..5 with ylim -1..5.5."""
    axes = drawn("05", "draw_relu")
    x, y = axes.get_lines()[0].get_data()
    assert y.tolist() == [max(0.0, value) for value in x]
    assert axes.get_xlim() == (-5, 5)
    assert axes.get_ylim() == (-1, 5.5)


# ----------------------------------------------------------------------------------- output layers
@given(arrays.arrays(np.float64, 4, elements=st.floats(-1e300, 1e300)))
def test_identity_output(x):
    """E8: the identity function gives what it gets."""
    assert program("06").identity(x).tolist() == x.tolist()


def test_softmax_subtracts_the_maximum():
    """E9: softmax([1010, 1000, 990]) is finite and sums to 1."""
    shares = program("06").softmax(np.array([1010.0, 1000.0, 990.0]))
    smaller = [math.exp(value) for value in (0.0, -10.0, -20.0)]
    assert shares == pytest.approx([value / sum(smaller) for value in smaller], rel=1e-12)
    assert shares.sum() == pytest.approx(1, abs=1e-15)


@given(st.floats(-1000, 1000), st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
def test_binary_cross_entropy_is_stable(logit, target):
    """E10: BCE-with-logits is stable: equal to the definition in 500 digits, for ±1000 too."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(500):
        chance = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        exact = -target * mpmath.log(chance) - (1 - target) * mpmath.log(1 - chance)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value = program("06").binary_cross_entropy(np.float64(logit), np.float64(target))
    rounding = 1e-15 * abs(logit) if 0 < target < 1 else 1e-300  # z·t is rounded
    assert value == pytest.approx(float(exact), rel=1e-12, abs=rounding)


# ----------------------------------------------------------------------------------------- batches
def test_batches_are_faster():
    """E11: timing of batches of 1..1024: the same answers, and big arrays at once are faster."""
    batches = program("07")
    assert batches.SIZES == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    narae.manual_seed(0)
    model, images = batches.network(), narae.rand(256, 784)
    whole = batches.predict_in_batches(model, images, 256).numpy()
    for size in (1, 48, 100):
        parts = batches.predict_in_batches(model, images, size).numpy()
        assert np.abs(parts - whole).max() < 1e-5
    seconds = batches.measure(model, images)
    assert seconds[1] > 3 * seconds[256]


@given(st.lists(st.integers(0, 6), max_size=9))
def test_one_hot(labels):
    """E14: one-hot encoding: rows of the unit matrix."""
    rows = program("07").one_hot(np.array(labels, int), 7)
    assert rows.tolist() == np.eye(7)[np.array(labels, int)].tolist()


def test_one_hot_from_a_loader():
    """E14: a loader gives one-hot labels that name the digits' classes."""
    from narae.vision.datasets import Digits

    images, targets = program("07").one_hot_batch()
    assert images.shape == (4, 8, 8)
    assert targets.argmax(dim=1).tolist() == Digits().targets[:4].tolist()
    assert targets.sum(dim=1).tolist() == [1.0] * 4


# ------------------------------------------------------------------------------------------ losses
@given(arrays.arrays(np.float64, 6, elements=st.floats(-5, 5)), SEEDS)
def test_half_the_sum_of_squares(y, seed):
    """E15: 0.5·Σ(y-t)², and the mean variant, both available."""
    target = np.random.default_rng(seed).normal(0, 1, 6)
    half = sum((a - b) ** 2 for a, b in zip(y, target, strict=True)) / 2
    assert program("08").sum_squared_error(y, target) == pytest.approx(half)
    mean = F.mse_loss(narae.tensor(y), narae.tensor(target)).item()
    assert mean == pytest.approx(2 * half / 6)


@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(-3, 3)), SEEDS)
def test_cross_entropy_with_delta(scores, seed):
    """E16: cross entropy with delta 1e-7 equals the log-softmax form to 1e-6.

    The delta changes a logarithm by delta / p, so it is 1e-6 where probabilities are above 0.1; for
    smaller ones the bound grows.
    """
    losses, labels = program("08"), np.random.default_rng(seed).integers(0, 4, 3)
    shares = losses.softmax(scores)
    by_delta = losses.cross_entropy(shares, np.eye(4)[labels])
    exact = F.cross_entropy(narae.tensor(scores), narae.tensor(labels)).item()
    smallest = shares[np.arange(3), labels].min()
    assert abs(by_delta - exact) < max(1e-6, 1.1e-7 / smallest)
    assert losses.cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(
        7 * math.log(10)
    )


def test_accuracy_has_no_gradient():
    """E17: gradient of accuracy/step = 0 nearly everywhere; no learning."""
    losses = program("08")
    assert losses.flat_share(losses.accuracy) > 0.97
    assert losses.flat_share(losses.loss) == 0
    w = np.array([0.3, -0.2, 0.1])
    x, labels = losses.clouds()
    right = ((x * w[:2]).sum(axis=1) + w[2] > 0) == (labels == 1)
    assert losses.accuracy(w) == pytest.approx(right.mean())
    assert losses.slope(losses.loss, w) == pytest.approx(differences(losses.loss, w), abs=1e-6)
    still, learned = losses.learn(losses.accuracy, +1), losses.learn(losses.loss, -1)
    assert len(set(still)) == 1
    assert learned[-1] > 0.9 > still[-1]
    x = narae.tensor([-2.0, 0.5], requires_grad=True)
    (x.sign() + x).sum().backward()  # the step alone gives nothing
    assert x.grad.tolist() == [1.0, 1.0]


# -------------------------------------------------------------------------------- gradient descent
@given(st.floats(0.001, 0.3))
def test_learning_rates(lr):
    """E18: diverge / converge / crawl: after n steps each part of f is (1 - lr·curvature)^2n."""
    descent = program("09")
    values = descent.descend(lr, steps=40)
    exact = sum(0.5 * c * (1 - lr * c) ** 80 for c in (1.0, 8.0))
    assert values[-1] == pytest.approx(exact, rel=1e-9)
    assert (values[-1] > values[0]) == (exact > 4.5)


def test_the_three_learning_rates():
    """E18: the trio: one crawls, one converges, one diverges."""
    descent = program("09")
    ends = {name: descent.descend(lr)[-1] for name, lr in descent.RATES.items()}
    assert ends["diverge"] > 1e4
    assert ends["converge"] < 1e-6
    assert 0.1 < ends["crawl"] < 4.5


def test_the_learning_rate_finder():
    """E18: the suggestion of the LR finder trains well; much more and much less do not."""
    from narae.vision.datasets import Digits

    descent, digits = program("09"), Digits()
    x = digits.data.numpy().reshape(len(digits), -1) / 255
    labels = digits.targets.numpy()
    with np.errstate(all="ignore"):
        rates, losses, suggestion = descent.find_learning_rate(x, labels)
        ends = [
            np.mean(descent.train(lr, x, labels)[-20:])
            for lr in (suggestion / 300, suggestion, 30 * suggestion)
        ]
    assert rates[0] == pytest.approx(1e-4)
    assert suggestion == pytest.approx(rates[np.argmin(losses)] / 3)
    assert ends[1] < 0.3
    assert ends[0] > 1
    assert not ends[2] < 1


# ---------------------------------------------------------------------- gradients, three ways
def test_numerical_gradient():
    """E19: numerical differentiation checks backprop: two passes for each parameter."""
    numerical, calls = program("10"), []
    x = np.random.default_rng(0).normal(0, 1, (3, 4))

    def f() -> float:
        calls.append(1)
        return float(np.sin(x).sum())

    before = x.copy()
    assert numerical.numerical_gradient(f, x) == pytest.approx(np.cos(x), abs=1e-9)
    assert len(calls) == 2 * x.size
    assert (x == before).all()
    ways = [
        method(*numerical.example(8))
        for method in (numerical.by_differences, numerical.by_backprop)
    ]
    for slow, fast in zip(*ways, strict=True):
        assert np.abs(slow - fast).max() < 1e-8


def test_the_time_of_numerical_gradients():
    """E19: timing figure: O(params) passes, so far slower, and the more so the larger."""
    rows = program("10").measure()
    assert [row[0] for row in rows] == [26 * w + 5 for w in (2, 4, 8, 16, 32, 64)]
    assert rows[-1][1] > 5 * rows[0][1]
    assert rows[-1][1] > 50 * rows[-1][2]


@given(st.lists(st.floats(1, 1000), min_size=4, max_size=4))
def test_graph_view(numbers):
    """E20: graph view with values and gradients on each edge, equal to autograd and drawn."""
    graph_program = program("11")
    graph = graph_program.bag(*numbers)
    graph.backward("price")
    given_edges = dict(zip(("apple", "apples", "pear", "pears"), map(leaf, numbers), strict=True))
    edges = {**given_edges, "tax": leaf(1.1)}
    edges["all apples"] = edges["apple"] * edges["apples"]
    edges["all pears"] = edges["pear"] * edges["pears"]
    edges["fruit"] = edges["all apples"] + edges["all pears"]
    edges["price"] = edges["fruit"] * edges["tax"]
    for tensor in edges.values():
        tensor.retain_grad()
    edges["price"].backward()
    assert graph.edges.keys() == edges.keys()
    for name, tensor in edges.items():
        assert graph.edges[name].value == pytest.approx(tensor.item())
        assert graph.edges[name].grad == pytest.approx(tensor.grad.item())


def test_graph_view_shows_every_number():
    """E20: on each edge of the drawing stand its value and its gradient."""
    graph = program("11").bag()
    graph.backward("price")
    _, axes = program("common").new_figure()
    program("11").draw(axes, graph)
    texts = [text.get_text() for text in axes.texts]
    for edge in graph.edges.values():
        assert f"{edge.value:g}" in texts
        assert f"{edge.grad:g}" in texts


# ------------------------------------------------------------------------------------------ layers
@given(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4), st.integers(1, 4), SEEDS)
@settings(max_examples=30)
def test_affine(shape, width, seed):
    """E21: the affine layer: N-D input, gradient check against autograd."""
    rng = np.random.default_rng(seed)
    w, b, x = rng.normal(size=(shape[-1], width)), rng.normal(size=width), rng.normal(size=shape)
    layer = program("layers").Affine(w, b)
    w_, b_, x_ = leaf(w), leaf(b), leaf(x)
    out = x_ @ w_ + b_
    grad_out = rng.normal(size=out.shape)
    out.backward(narae.tensor(grad_out))
    assert layer.forward(x) == pytest.approx(out.detach().numpy(), abs=1e-12)
    assert layer.backward(grad_out) == pytest.approx(x_.grad.numpy(), abs=1e-12)
    assert layer.grads["w"] == pytest.approx(w_.grad.numpy(), abs=1e-12)
    assert layer.grads["b"] == pytest.approx(b_.grad.numpy(), abs=1e-12)


@pytest.mark.parametrize(("name", "function"), [("Relu", F.relu), ("Sigmoid", F.sigmoid)])
@given(x=arrays.arrays(np.float64, (3, 4), elements=st.floats(-50, 50)), seed=SEEDS)
@settings(max_examples=30)
def test_activations(name, function, x, seed):
    """E22: layer-wise backprop of ReLU and Sigmoid: each equals autograd."""
    layer, x_ = getattr(program("layers"), name)(), leaf(x)
    grad_out = np.random.default_rng(seed).normal(size=x.shape)
    out = function(x_)
    out.backward(narae.tensor(grad_out))
    assert layer.forward(x) == pytest.approx(out.detach().numpy(), rel=1e-12)
    assert layer.backward(grad_out) == pytest.approx(x_.grad.numpy(), rel=1e-12, abs=1e-16)


@given(x=arrays.arrays(np.float64, (5, 3), elements=st.floats(-500, 500)), seed=SEEDS)
@settings(max_examples=30)
def test_softmax_with_loss(x, seed):
    """E22: SoftmaxWithLoss equals autograd; its gradient is (probability - target) / n."""
    labels = np.random.default_rng(seed).integers(0, 3, 5)
    layer, x_ = program("layers").SoftmaxWithLoss(), leaf(x)
    loss = F.cross_entropy(x_, narae.tensor(labels))
    loss.backward()
    assert layer.forward(x, labels) == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    assert layer.backward() == pytest.approx(x_.grad.numpy(), abs=1e-14)


def test_two_trainings_are_one():
    """E22: trained with hand-written backward passes, a network's losses equal autograd's."""
    from narae.vision.datasets import Digits

    digits = Digits()
    images = digits.data.numpy()[:300] / 255
    ours, theirs, _ = program("13").train(images, digits.targets.numpy()[:300], steps=20)
    assert ours == pytest.approx(theirs, rel=1e-10)
    assert len(ours) == 20
    assert ours[-1] < 0.7 * ours[0]
