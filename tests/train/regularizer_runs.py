"""A small network and its runs, for the tests of regularizers."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Callback, Data, Trainer

SAMPLES, BATCH, FEATURES, CLASSES = 22, 8, 6, 3
PICTURE = (1, 2, 3)


class Watch(Callback):
    """Keeps what the other callbacks made of each step; for runs that are not compiled."""

    order = 35

    def __init__(self):
        self.steps = []

    def on_loss(self, step):
        self.steps.append(step)


def pictures_and_labels(shape=PICTURE, samples=SAMPLES, classes=CLASSES, seed=3):
    """Random inputs, (samples, *shape), and labels that depend on them."""
    numbers = np.random.default_rng(seed)
    x = numbers.normal(size=(samples, *shape)).astype(np.float32)
    flat = x.reshape(samples, -1)
    labels = (flat @ numbers.normal(size=(flat.shape[1], classes))).argmax(axis=1)
    return narae.from_numpy(x), narae.from_numpy(labels.astype(np.int64))


def network(dropout=0.2):
    """A network with all that has a state or a random stream of its own."""
    first, last = nn.Linear(FEATURES, 5), nn.Linear(5, CLASSES)
    norm = nn.BatchNorm1d(5)
    return nn.Sequential(nn.Flatten(), first, norm, nn.ReLU(), nn.Dropout(dropout), last)


def linear():
    """A network without any of that."""
    last = nn.Linear(5, CLASSES)
    return nn.Sequential(nn.Flatten(), nn.Linear(FEATURES, 5), nn.Tanh(), last)


def make_trainer(
    callbacks=lambda model: (),
    *,
    model=network,
    loss=F.cross_entropy,
    epochs=3,
    compile=True,
    accumulate=1,
    data=None,
    optimizer=lambda parameters: SGD(parameters, lr=0.1, momentum=0.9),
    shuffle=True,
    batch_size=BATCH,
):
    """A trainer of 22 samples in batches of 8, 8 and 6, each time the same."""
    narae.manual_seed(5)
    x, y = pictures_and_labels() if data is None else data
    loader = DataLoader(TensorDataset(x, y), batch_size, shuffle=shuffle)
    net = model()
    return Trainer(
        Data(loader, DataLoader(TensorDataset(x, y), 11)),
        net,
        loss,
        optimizer(net.parameters()),
        callbacks=list(callbacks(net)),
        epochs=epochs,
        compile=compile,
        accumulate=accumulate,
    )


def weights(model):
    """All of its state, as arrays."""
    return {name: np.array(x) for name, x in model.state_dict().items()}


def assert_same(one, two):
    """Two states with the same bits."""
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name


def torch_twin(model):
    """The same layers with the same weights in PyTorch."""
    torch = pytest.importorskip("torch")
    layers = []
    for layer in model:
        kind = getattr(torch.nn, type(layer).__name__)
        made = kind(layer.in_features, layer.out_features) if kind is torch.nn.Linear else kind()
        made.load_state_dict({name: as_torch(x) for name, x in layer.state_dict().items()})
        layers.append(made)
    return torch.nn.Sequential(*layers)


def array(x):
    """A copy of a tensor's numbers, also of one that requires gradients."""
    return np.array(x.detach())


def as_torch(x):
    """The numbers of a tensor, as one of PyTorch's."""
    return pytest.importorskip("torch").from_numpy(np.array(x))


def assert_like_torch(model, twin, rtol=1e-5, atol=1e-6):
    """The same weights as a model of PyTorch, to rounding."""
    for (name, x), y in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        np.testing.assert_allclose(np.asarray(x), y.numpy(), rtol, atol, err_msg=name)
