"""`optim.swa_utils` against PyTorch: mean models, their statistics, what is refused."""

import numpy as np
import pytest

import narae

torch = pytest.importorskip("torch")

RULES = {
    "equal weights": lambda m: {},
    # PyTorch's rule for lists divides in float32, and refuses a batch norm's count: its rule for
    # one parameter is the measure.
    "equal weights, lists": lambda m: (
        {"multi_avg_fn": m.get_swa_multi_avg_fn()} if m is narae.optim.swa_utils else {}
    ),
    "exponential": lambda m: {"avg_fn": m.get_ema_avg_fn(0.9)},
    "exponential, lists": lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(0.9)},
    "my own": lambda m: {"avg_fn": lambda mean, p, n: mean * 0.5 + p / (2 + n)},
}


def network(library):
    nn = library.nn
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).double()
    rng = np.random.default_rng(0)
    with library.no_grad():
        for p in net.parameters():
            p.copy_(library.tensor(rng.normal(size=tuple(p.shape))))
    return net


def train(library, net, mean, steps=6):
    rng = np.random.default_rng(1)
    optimizer = library.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(steps):
        x = library.tensor(rng.normal(size=(8, 3)))
        optimizer.zero_grad()
        (net(x) ** 2).mean().backward()
        optimizer.step()
        mean.update_parameters(net)


def values(module):
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_means_are_pytorchs(rule, use_buffers):
    found = []
    for library in (narae, torch):
        room, net = library.optim.swa_utils, network(library)
        mean = room.AveragedModel(net, use_buffers=use_buffers, **RULES[rule](room))
        train(library, net, mean)
        x = library.tensor(np.random.default_rng(2).normal(size=(5, 3)))
        found.append(values(mean) | {"out": mean.eval()(x).detach().numpy()})
    assert found[0].keys() == found[1].keys()
    for name, expected in found[1].items():
        np.testing.assert_allclose(found[0][name], expected, rtol=1e-12, err_msg=name)
        assert found[0][name].dtype == expected.dtype


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_statistics_anew(paired, training):
    found = []
    for library in (narae, torch):
        net = network(library).train(training)
        rng = np.random.default_rng(3)
        batches = [library.tensor(rng.normal(size=(size, 3))) for size in (8, 8, 3)]
        loader = [(x, x) for x in batches] if paired else batches
        library.optim.swa_utils.update_bn(loader, net)
        assert net.training is training
        assert net[1].momentum == 0.1
        found.append(values(net))
    for name, expected in found[1].items():
        np.testing.assert_allclose(found[0][name], expected, rtol=1e-12, err_msg=name)


def test_the_copy_is_a_copy_and_saves_its_count():
    net = network(narae)
    mean = narae.optim.swa_utils.AveragedModel(net)
    train(narae, net, mean, 2)
    again = narae.optim.swa_utils.AveragedModel(network(narae))
    again.load_state_dict(mean.state_dict())
    for each in (mean, again):
        train(narae, network(narae), each, 2)
    assert again.n_averaged.item() == 4
    for name, expected in values(mean).items():
        np.testing.assert_array_equal(values(again)[name], expected)


BAD = {
    "two rules": lambda m: m.AveragedModel(
        network(narae), avg_fn=m.get_ema_avg_fn(), multi_avg_fn=m.get_ema_multi_avg_fn()
    ),
    "decay": lambda m: m.get_ema_avg_fn(1.5),
    "decay of lists": lambda m: m.get_ema_multi_avg_fn(-0.1),
    "strategy": lambda m: m.SWALR(narae.optim.SGD(network(narae).parameters()), 0.1, 5, "square"),
    "epochs": lambda m: m.SWALR(narae.optim.SGD(network(narae).parameters()), 0.1, -5),
    "lengths": lambda m: m.SWALR(narae.optim.SGD(network(narae).parameters()), [0.1, 0.2]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case):
    with pytest.raises(ValueError):
        BAD[case](narae.optim.swa_utils)


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="swa_utils"):
        narae.optim.swa_utils.AverageModel  # noqa: B018
    assert "AveragedModel" in dir(narae.optim.swa_utils)
