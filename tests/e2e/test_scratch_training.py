"""The programs of examples/scratch on optimizers, initial values and regularization."""

from __future__ import annotations

import math

import numpy as np
import pytest

import narae
import narae.nn as nn

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from tests.e2e.scratch_programs import differences, leaf, program

OPTIMIZERS = {
    "SGD": (lambda o: o.SGD(0.1), lambda p: narae.optim.SGD(p, lr=0.1)),
    "Momentum": (
        lambda o: o.Momentum(0.1, momentum=0.8),
        lambda p: narae.optim.SGD(p, lr=0.1, momentum=0.8),
    ),
    "AdaGrad": (lambda o: o.AdaGrad(0.1), lambda p: narae.optim.Adagrad(p, lr=0.1)),
    "Adam": (
        lambda o: o.Adam(0.1, betas=(0.8, 0.99)),
        lambda p: narae.optim.Adam(p, lr=0.1, betas=(0.8, 0.99)),
    ),
}


def steps_apart(name: str, steps: int = 12) -> float:
    """How far our optimizer and narae.optim's are from each other after some steps."""
    rng = np.random.default_rng(0)
    params = [rng.normal(size=(2, 3)), rng.normal(size=4)]
    make, make_theirs = OPTIMIZERS[name]
    tensors = [leaf(p) for p in params]
    ours, theirs = make(program("optimizers")), make_theirs(tensors)
    for _ in range(steps):
        grads = [rng.normal(size=p.shape) for p in params]
        ours.step(params, grads)
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = narae.tensor(grad)
        theirs.step()
    pairs = zip(params, tensors, strict=True)
    return max(float(np.abs(p - tensor.detach().numpy()).max()) for p, tensor in pairs)


# -------------------------------------------------------------------------------------- optimizers
def test_sgd():
    """E23: SGD: update equality, and the closed form (1 - lr·c)^n on a parabola."""
    assert steps_apart("SGD") < 1e-12
    x = program("14").path(program("optimizers").SGD(0.3), steps=9)
    exact = [[-8 * (1 - 0.03) ** n, 1.6 * (1 - 0.6) ** n] for n in range(10)]
    assert x == pytest.approx(np.array(exact), rel=1e-12)


def test_paths_and_two_wells():
    """E24: paths on f = x²/20 + y² and a two-well function: oscillation, a minimum by the start."""
    paths, sgd = program("14"), program("optimizers").SGD
    place = np.array([0.7, -1.3])
    f = lambda p: float(paths.f(p[0], p[1]))  # noqa: E731
    assert paths.gradient(place) == pytest.approx(differences(f, place), abs=1e-8)
    path = paths.path(paths.optimizers()["SGD"])
    assert (np.diff(np.sign(path[:, 1])) != 0).all()  # across, it changes side at every step
    assert (path[:, 0] < 0).all()  # along, never
    minima = np.sort(np.roots([1, 0, -1, 0.15]).real)  # of x⁴/4 - x²/2 + 0.15x; middle: the hill
    left, hill, right = minima
    assert paths.end_of(hill - 0.05, sgd(0.05)) == pytest.approx(left, abs=1e-6)
    assert paths.end_of(hill + 0.05, sgd(0.05)) == pytest.approx(right, abs=1e-6)
    assert paths.wells(left) < paths.wells(right)


def test_momentum():
    """E25: Momentum: update equality; zigzag measure < SGD's."""
    assert steps_apart("Momentum") < 1e-12
    paths = program("14")
    made = paths.optimizers()
    zigzag = {name: paths.zigzag(paths.path(made[name])) for name in ("SGD", "Momentum")}
    assert zigzag["Momentum"] < 0.5 * zigzag["SGD"]
    # Σ|Δy|/|y0| of SGD in closed form: each step moves 2·lr·|y|, and |y| shrinks by |1 - 2·lr|.
    lr = made["SGD"].lr
    shrink = abs(1 - 2 * lr)
    assert zigzag["SGD"] == pytest.approx(2 * lr * (1 - shrink**40) / (1 - shrink), rel=1e-9)


def test_adagrad():
    """E26: AdaGrad: equality; effective lr → 0, as lr/√(steps) for gradients of size 1."""
    assert steps_apart("AdaGrad") < 1e-12
    adagrad, adam = program("14").effective_rates(steps=1000)
    for step in (100, 400, 1000):
        assert adagrad[step - 1] == pytest.approx(0.1 / math.sqrt(step), rel=0.05)
    assert adam[-1] == pytest.approx(0.1, rel=0.05)


def test_adam():
    """E27: Adam: equality incl. bias correction: the first step is lr, whatever the gradient."""
    assert steps_apart("Adam") < 1e-12
    p = [np.zeros(3)]
    program("optimizers").Adam(0.25).step(p, [np.array([1e-3, -5.0, 400.0])])
    assert p[0] == pytest.approx([-0.25, 0.25, -0.25], rel=1e-4)


def test_the_ranking_flips():
    """E28: the ranking flips between two problems."""
    problems = program("15")
    runs = {name: problems.best_runs(make()) for name, make in problems.PROBLEMS.items()}
    orders = {name: problems.ranking(found) for name, found in runs.items()}
    assert orders["straight valley"][0] == "AdaGrad"
    assert orders["slanted valley"][0] == "Momentum"
    ends = {name: found["SGD"][1][-1] for name, found in runs.items()}
    assert ends["slanted valley"] == pytest.approx(ends["straight valley"], rel=1e-6)
    start, loss, gradient = problems.slanted_valley()
    assert gradient(start) == pytest.approx(differences(loss, start), abs=1e-5)


# ---------------------------------------------------------------------------------- initial values
def test_activation_histograms():
    """E30: 5 layers × std 1 / 0.01 / Xavier / He.

    Sigmoid outputs sit at 0/1 with std 1 and at one half with 0.01; Xavier and He keep a spread.
    """
    initial = program("16")
    layers = {name: initial.activations(*case) for name, case in initial.CASES.items()}
    assert all(len(outs) == 5 and outs[0].shape == (1000, 100) for outs in layers.values())
    for out in layers["std 1, sigmoid"]:
        assert ((out < 0.1) | (out > 0.9)).mean() > 0.6
    for out in layers["std 0.01, sigmoid"]:
        assert np.abs(out - 0.5).mean() < 0.05
    for out in layers["Xavier, sigmoid"]:
        assert 0.08 < out.std() < 0.3
    for out in layers["He, ReLU"]:
        # E[relu(z)²] = var(z)/2, so weights of variance 2/fan_in keep the mean square at 1.
        assert (out**2).mean() == pytest.approx(1, abs=0.6)
    left = {name: initial.gradient_left(*case) for name, case in initial.CASES.items()}
    assert left["std 0.01, sigmoid"] < 1e-6  # the gradient vanishes
    assert left["He, ReLU"] > 0.3


def losses_by_init(images, labels, steps):
    initial = program("16")
    return {
        name: initial.train(rule, images, labels, steps) for name, rule in initial.RULES.items()
    }


def test_initial_values_decide():
    """E29: weight initial values decide success, on the small digits."""
    from narae.vision.datasets import Digits

    digits = Digits()
    images = digits.data.numpy()[:, None].astype(np.float32) / 255
    curves = losses_by_init(images, digits.targets.numpy(), steps=150)
    ends = {name: np.mean(losses[-20:]) for name, losses in curves.items()}
    assert ends["0.01"] == pytest.approx(math.log(10), abs=0.02)  # it guesses
    assert ends["He"] < 0.6 * ends["Xavier"] < 0.6 * ends["0.01"]


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_initial_values_on_mnist():
    """E31: MNIST loss curves std 0.01 / Xavier / He (and E29)."""
    common = program("common")
    chosen = common.options("", ["--mnist", "--out", "."], **common.MNIST)
    images, labels, *_ = common.load_images(chosen, 10_000, 100)
    curves = losses_by_init(images, labels, steps=300)
    ends = {name: np.mean(losses[-20:]) for name, losses in curves.items()}
    assert ends["0.01"] == pytest.approx(math.log(10), abs=0.02)
    assert ends["He"] < ends["Xavier"] < 1


# ----------------------------------------------------------------------------- batch normalization
def test_batch_norm_by_hand():
    """E32: equality with nn.BatchNorm1d in training, gradients, statistics and evaluation."""
    rng = np.random.default_rng(0)
    ours, theirs = program("17").BatchNorm(3), nn.BatchNorm1d(3).double()
    for _ in range(4):
        x, grad_out = rng.normal(3, 2, (6, 3)), rng.normal(size=(6, 3))
        x_ = leaf(x)
        theirs.zero_grad()
        out = theirs(x_)
        out.backward(narae.tensor(grad_out))
        mine = ours.forward(x)
        assert mine == pytest.approx(out.detach().numpy(), abs=1e-12)
        assert mine.mean(axis=0) == pytest.approx(0, abs=1e-12)
        assert mine.var(axis=0) == pytest.approx(1, abs=1e-4)
        assert ours.backward(grad_out) == pytest.approx(x_.grad.numpy(), abs=1e-12)
        assert ours.grads["gamma"] == pytest.approx(theirs.weight.grad.numpy(), abs=1e-12)
        assert ours.grads["beta"] == pytest.approx(theirs.bias.grad.numpy(), abs=1e-12)
    theirs.eval()
    assert ours.forward(x, train=False) == pytest.approx(theirs(x_).detach().numpy(), abs=1e-12)
    assert ours.running_var == pytest.approx(theirs.running_var.numpy(), abs=1e-12)


def results_by_scale(scales):
    from narae.vision.datasets import Digits

    batch_norm, digits = program("17"), Digits()
    images, labels = digits.data.numpy()[:1000] / 255, digits.targets.numpy()[:1000]
    with np.errstate(all="ignore"):
        return [
            [batch_norm.train(scale, kind, images, labels, epochs=8)[-1] for kind in (False, True)]
            for scale in scales
        ]


def test_batch_norm_needs_no_good_start():
    """E32: with batch norm, learning depends less on the initial scale (three of the 16)."""
    assert len(program("17").SCALES) == 16
    for plain, normal in results_by_scale((0.54, 0.046, 0.0074)):
        assert plain < 0.3
        assert normal > 0.8


@pytest.mark.slow
def test_sixteen_initial_scales():
    """E32: experiment of 16 init scales × with/without BN."""
    results = np.array(results_by_scale(program("17").SCALES))
    assert (results[:, 0] > 0.6).sum() <= 3
    assert (results[:, 1] > 0.6).sum() >= 10


# ------------------------------------------------------------------------------------- overfitting
@pytest.fixture(scope="module")
def overfitted():
    """By remedy: accuracies on known and new digits over the last 20 epochs; the network."""
    overfitting, common = program("18"), program("common")
    data = overfitting.load(common.options("", ["--out", "."], **common.MNIST))
    results = {}
    for name, remedy in overfitting.REMEDIES.items():
        known, new, model = overfitting.train(data, 120, **remedy)
        results[name.split()[0]] = (np.mean(known[-20:]), np.mean(new[-20:]), model)
    return results


@pytest.mark.slow
def test_overfitting(overfitted):
    """E33: overfitting, 300 samples, 7 layers: much better on known digits than on new ones."""
    known, new, model = overfitted["nothing"]
    assert sum("w" in layer.params for layer in model.layers) == 7
    assert known > 0.88
    assert known - new > 0.18


@pytest.mark.slow
def test_weight_decay_closes_the_gap(overfitted):
    """E34: weight decay: the gap shrinks, and so do the weights."""
    gaps = {name: known - new for name, (known, new, _) in overfitted.items()}
    assert gaps["weight"] < 0.5 * gaps["nothing"]
    size = program("18").weight_size
    assert size(overfitted["weight"][2]) < 0.8 * size(overfitted["nothing"][2])


@pytest.mark.slow
def test_dropout_closes_the_gap(overfitted):
    """E35: dropout: the gap shrinks."""
    gaps = {name: known - new for name, (known, new, _) in overfitted.items()}
    assert gaps["dropout"] < 0.5 * gaps["nothing"]


def test_weight_decay_by_hand():
    """E34: weight decay: equality with narae.optim.SGD, and with the gradient of λ/2·‖w‖²."""
    rng = np.random.default_rng(0)
    p, tensor = rng.normal(size=5), None
    tensor = leaf(p)
    ours = program("optimizers").SGD(0.1, weight_decay=0.3)
    theirs = narae.optim.SGD([tensor], lr=0.1, weight_decay=0.3)
    for _ in range(5):
        before, grad = p.copy(), rng.normal(size=5)
        ours.step([p], [grad])
        tensor.grad = narae.tensor(grad)
        theirs.step()
        penalty = differences(lambda w: 0.15 * float(w @ w), before)
        assert p == pytest.approx(before - 0.1 * (grad + penalty), abs=1e-8)
    assert p == pytest.approx(tensor.detach().numpy(), abs=1e-12)


def test_dropout_by_hand():
    """E35: dropout: mean preserved; eval identity; the gradient passes where the number did."""
    layer = program("18").Dropout(0.3, seed=0)
    x = np.random.default_rng(7).uniform(1, 2, (400, 500))
    out = layer.forward(x)
    assert out.mean() == pytest.approx(x.mean(), rel=0.01)
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.01)
    kept = out != 0
    np.testing.assert_allclose(out[kept], x[kept] / 0.7, rtol=1e-12)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), kept / 0.7, rtol=1e-12)
    assert (layer.forward(x, train=False) == x).all()
