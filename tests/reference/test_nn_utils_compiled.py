"""Parametrized, normalized and pruned weights in compiled steps: the bits of eager ones."""

import warnings

import pytest

import narae
import narae.nn.functional as F
from narae import nn
from narae.nn.utils import parametrizations, parametrize, prune


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT


def _older(function, layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(layer)


def _pruned(layer):
    prune.l1_unstructured(layer, "weight", 0.3)
    return prune.random_structured(layer, "weight", 1, dim=0)


MODELS = {
    "parametrized": lambda layer: parametrize.register_parametrization(
        layer, "weight", Symmetric()
    ),
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "exponential": parametrizations.orthogonal,
    "cayley": lambda layer: parametrizations.orthogonal(layer, orthogonal_map="cayley"),
    "reflections": lambda layer: parametrizations.orthogonal(layer, orthogonal_map="householder"),
    "older weight norm": lambda layer: _older(nn.utils.weight_norm, layer),
    "older spectral norm": lambda layer: _older(nn.utils.spectral_norm, layer),
    "pruned": _pruned,
}


def trained(wrap, compiled, steps=5):
    narae.manual_seed(0)
    model = nn.Sequential(wrap(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 1))
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x, target):
        optimizer.zero_grad()
        with parametrize.cached():
            loss = F.mse_loss(model(x) + model(-x), target)  # the weight is read twice
        loss.backward()
        optimizer.step()
        return loss

    run = narae.compile(step) if compiled else step
    losses = [run(narae.randn(3, 4), narae.randn(3, 1)).item() for _ in range(steps)]
    with narae.no_grad():
        weight = model.eval()[0].weight.numpy().tobytes()  # fresh after a step, in both
    return losses, weight, {key: x.numpy().tobytes() for key, x in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_compiled_equals_eager(name):
    assert trained(MODELS[name], compiled=True) == trained(MODELS[name], compiled=False)


def test_calls_with_other_weights_inside_a_compiled_step():
    layer = nn.Linear(3, 2)

    def fast_weights(x, w, b):
        loss = narae.func.functional_call(layer, {"weight": w, "bias": b}, x).square().sum()
        grad_w, grad_b = narae.autograd.grad(loss, (w, b), create_graph=True)
        adapted = {"weight": w - 0.1 * grad_w, "bias": b - 0.1 * grad_b}
        return narae.func.functional_call(layer, adapted, x).square().sum()

    x, w, b = narae.rand(4, 3), narae.rand(2, 3), narae.rand(2)
    w.requires_grad_()
    b.requires_grad_()
    before = layer.weight
    assert narae.equal(narae.compile(fast_weights)(x, w, b), fast_weights(x, w, b))
    assert layer.weight is before
