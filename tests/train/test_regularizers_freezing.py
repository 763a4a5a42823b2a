"""Freezing, unfreezing, and learning rates that differ by layer."""

from __future__ import annotations

import numpy as np
import pytest

import narae.nn as nn
from narae.errors import ConfigError
from narae.optim import SGD, AdamW
from narae.optim.lr_scheduler import OneCycleLR
from narae.train import Callback
from narae.train.callbacks.freezing import Freeze
from narae.train.layer_groups import layer_groups
from tests.train.regularizer_runs import make_trainer, network, weights


class Moves(Callback):
    """Which parameters each epoch changed, and how often the step had been traced."""

    order = 90

    def on_fit_start(self, trainer):
        self.before, self.moved, self.traces = weights(trainer.model), [], []

    def on_epoch_end(self, trainer):
        after = weights(trainer.model)
        moved = {n for n, x in after.items() if not np.array_equal(x, self.before[n])}
        names = {name for name, _ in trainer.model.named_parameters()}
        self.moved.append(moved & names)
        self.before = after
        self.traces.append(getattr(trainer.train_step, "traces", 0))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_modules_learn_from_their_epoch_on(optimizer, compile):
    """With unfreeze=3 two epochs leave them bit for bit; weight decay and momentum too."""
    moves = Moves()
    trainer = make_trainer(
        lambda model: [Freeze(model, "1,2", unfreeze=3), moves],
        epochs=4,
        compile=compile,
        optimizer=lambda parameters: optimizer(parameters, lr=0.05, weight_decay=0.1),
    )
    trainer.fit()
    rest, all_of_it = {"5.weight", "5.bias"}, {n for n, _ in trainer.model.named_parameters()}
    assert moves.moved == [rest, rest, all_of_it, all_of_it]
    if compile:  # two sizes of batches; once more when they unfreeze
        assert moves.traces == [2, 2, 4, 4]


def test_frozen_for_good():
    """unfreeze=0: never."""
    moves = Moves()
    trainer = make_trainer(lambda model: [Freeze(model, ["5"]), moves], epochs=3)
    trainer.fit()
    assert all("5.weight" not in moved and "1.weight" in moved for moved in moves.moved)


def test_one_after_the_other():
    """Gradual unfreezing (Howard & Ruder 2018): a `Freeze` for each group of layers."""
    moves = Moves()
    trainer = make_trainer(
        lambda model: [Freeze(model, "1", unfreeze=3), Freeze(model, "2", unfreeze=2), moves],
        epochs=3,
    )
    trainer.fit()
    assert [("1.weight" in m, "2.weight" in m, "5.weight" in m) for m in moves.moved] == [
        (False, False, True),
        (False, True, True),
        (True, True, True),
    ]


def test_a_run_that_goes_on_unfreezes_in_its_epoch():
    """The epoch decides, not how long the process ran."""
    first = make_trainer(lambda model: [Freeze(model, "1", unfreeze=3)], epochs=2)
    first.fit()
    moves = Moves()
    second = make_trainer(lambda model: [Freeze(model, "1", unfreeze=3)], epochs=4)
    second.load_state_dict(first.state_dict())
    second.add_callbacks([moves])
    second.fit()
    assert ["1.weight" in moved for moved in moves.moved] == [True, True]


def test_what_never_learned_does_not_unfreeze():
    """A parameter that the model froze itself stays frozen."""
    model = network()
    model[1].bias.requires_grad_(False)
    trainer = make_trainer(lambda net: [Freeze(net, "1", unfreeze=2)], model=lambda: model)
    trainer.fit()
    assert model[1].weight.requires_grad and not model[1].bias.requires_grad


def test_inner_modules():
    """A name stands for all that is inside; shared parameters count once."""
    model = nn.Sequential(network(), nn.Linear(3, 3))
    assert len(Freeze(model, "0").parameters) == 6
    assert len(Freeze(model, "0, 0.5,").parameters) == 6
    assert len(Freeze(model, "0.5").parameters) == 2


def test_an_unknown_name_names_the_nearest():
    model = nn.ModuleDict({"features": network(), "head": nn.Linear(3, 3)})
    words = r"\[Freeze\] there is no module 'faetures'; .*features, head.*did you mean features\?"
    with pytest.raises(ConfigError, match=words):
        Freeze(model, "faetures")
    with pytest.raises(ConfigError, match=r"did you mean features\.5\?"):
        Freeze(model, "features.6")


@pytest.mark.parametrize(
    ("names", "unfreeze", "words"),
    [
        ("1,2,5", 0, "all parameters that learn"),
        ("3", 0, "no parameter that learns is in there"),
        ("", 0, "something to freeze"),
        ("1", 1, "unfreeze is 1; it is the epoch .* 2 or later, or 0"),
        ("1", -1, "unfreeze is -1"),
    ],
)
def test_what_makes_no_sense(names, unfreeze, words):
    with pytest.raises(ConfigError, match=words):
        Freeze(network(), names, unfreeze)


# --- learning rates by layer --------------------------------------------------------------------


def test_rates_fall_by_the_factor():
    """Howard & Ruder 2018, section 3.2: lr of a layer is that of the next one / 2.6."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    groups = layer_groups(model, lr=0.1)
    assert [group["lr"] for group in groups] == [0.1 / 2.6**2, 0.1 / 2.6, 0.1]
    assert [[id(x) for x in group["params"]] for group in groups] == [
        [id(x) for x in model[place].parameters()] for place in (0, 2, 3)
    ]


def test_each_layer_moves_by_its_rate():
    """An SGD step moves each layer by its own rate times its gradient, as PyTorch's does."""
    torch = pytest.importorskip("torch")
    trainer = make_trainer(
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)),
        epochs=1,
        batch_size=22,
        shuffle=False,
    )
    net = trainer.model
    trainer.optimizer = SGD(layer_groups(net, lr=0.5, factor=10))
    twin = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)
    )
    twin.load_state_dict({n: torch.tensor(x) for n, x in weights(net).items()})
    x, y = (torch.tensor(np.array(t)) for t in trainer.data.train.dataset.tensors)
    torch.nn.functional.cross_entropy(twin(x), y).backward()
    rates = [{"params": twin[1].parameters(), "lr": 0.05}, {"params": twin[3].parameters()}]
    torch.optim.SGD(rates, lr=0.5).step()
    trainer.fit()
    for name, value in weights(net).items():
        expected = twin.state_dict()[name].numpy()
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_groups_cover_every_parameter_once():
    """A wrapper is looked into, shared and direct parameters are in one group."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(nn.Linear(1, 1).weight)
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
            self.last.weight = self.first.weight

        def forward(self, x):
            return self.last(self.first(x))

    for model in (Tied(), nn.Sequential(Tied()), nn.Linear(2, 2), network()):
        found = [id(x) for group in layer_groups(model, 0.1) for x in group["params"]]
        assert sorted(found) == sorted(id(x) for x in model.parameters())
    groups = layer_groups(Tied(), 1.0, 2)
    assert [(len(group["params"]), group["lr"]) for group in groups] == [(3, 0.5), (1, 1.0)]


def test_a_schedule_keeps_the_rates_apart():
    """OneCycleLR with a list of largest rates, as the docstring says."""
    optimizer = SGD(layer_groups(network(), lr=0.4, factor=2), momentum=0.9)
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = OneCycleLR(optimizer, max_lr=rates, total_steps=10)
    for _ in range(4):
        optimizer.step()
        schedule.step()
        now = [group["lr"] for group in optimizer.param_groups]
        np.testing.assert_allclose(np.divide(now[1:], now[:-1]), [2, 2], rtol=1e-6)


@pytest.mark.parametrize(("lr", "factor"), [(0, 2), (-1, 2), (0.1, 0.5), (0.1, float("nan"))])
def test_rates_are_positive(lr, factor):
    with pytest.raises(ConfigError, match=r"lr is .*, factor is"):
        layer_groups(network(), lr, factor)


def test_a_model_without_parameters_has_no_layers():
    with pytest.raises(ConfigError, match="ReLU has no parameters"):
        layer_groups(nn.ReLU(), 0.1)
