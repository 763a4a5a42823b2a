"""The experiments with recurrent nets show what they claim."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "examples" / "sequences"))

from narae.train.recipe import load_recipe


def test_a_longer_block_needs_more_memory():
    """B13: "memory/time figure": what lies within a step grows with the block, linearly."""
    from truncated_bptt import cost

    short, long = cost(32, 16, rounds=1)[0], cost(256, 16, rounds=1)[0]
    assert 4 < long / short <= 8


def test_linear_nets_of_the_figure():
    """B12: "slope = log ρ", as the example draws it."""
    import math

    from gradient_flow import linear_flow

    for radius in (0.9, 1.0, 1.1):
        assert linear_flow(radius, 30, 8).slope == pytest.approx(math.log(radius), abs=1e-3)


@pytest.mark.parametrize("net", ["MLP", "RNN"])
def test_only_a_loop_can_say_what_was_before(net):
    """B10: "parity/echo task MLP fails, RNN solves"; half of the answers are right by chance."""
    from memory_of_the_past import accuracy

    found = accuracy("echo", net, updates=150)
    assert found > 0.99 if net == "RNN" else abs(found - 0.5) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("net", ["MLP", "RNN"])
def test_only_a_loop_can_count(net):
    """B10: "parity/echo task MLP fails, RNN solves"."""
    from memory_of_the_past import accuracy

    found = accuracy("parity", net)
    assert found > 0.99 if net == "RNN" else abs(found - 0.5) < 0.05


def test_sequences_of_the_copy_task():
    """B16: what is asked for was said first, and the sign to begin stands at the first answer."""
    data = load_recipe("copy-task").module.sequences(0, 50, gap=6, copies=3)
    for inputs, said in data:
        row = inputs.tolist()
        assert row == [*said.tolist(), *[8] * 6, 9, 8, 8]


def test_sequences_of_the_adding_task():
    """B16: the sum is that of the two marked numbers, `gap` steps apart."""
    for inputs, target in load_recipe("adding-task").module.sequences(0, 50, gap=6):
        numbers, marks = inputs.numpy().T
        assert marks.nonzero()[0].tolist() == [0, 6]
        assert target.item() == pytest.approx(numbers[marks == 1].sum(), abs=1e-6)


@pytest.mark.slow
def test_only_gates_bridge_a_gap():
    """B16: "accuracy vs gap": all add over 5 steps; over 20 the plain RNN falls back."""
    from long_gaps import fresh_accuracy, trained

    def accuracy(gap, kind):
        chosen = {"lr": 5e-4} if kind == "rnn" else {"lr": 2e-3, "forget_bias": 3.0}
        trainer = trained(
            "adding-task", {"gap": gap, "kind": kind, "epochs": 12, "seed": 1} | chosen
        )
        return fresh_accuracy("adding-task", trainer, gap, {})

    assert accuracy(5, "rnn") > 0.9
    assert accuracy(20, "rnn") < 0.7
    for kind in ("lstm", "gru"):
        assert accuracy(20, kind) > 0.9


def test_settings_are_not_chosen_on_the_test_sequences(monkeypatch):
    """B16: three parts of one kind of sequences, and none is in two of them."""
    import long_gaps

    recipe = load_recipe("adding-task").module
    parts = [recipe.data(None, gap=5).train, recipe.data(None, gap=5).test]
    rows = [{x.numpy().tobytes() for x, _ in part.dataset} for part in parts]
    fresh = recipe.sequences(long_gaps.TEST_SEED, long_gaps.TEST_SIZE, 5)
    rows.append({x.numpy().tobytes() for x, _ in fresh})
    assert [len(part) for part in rows] == [4096, 512, 1024]
    assert len(set().union(*rows)) == 4096 + 512 + 1024
    assert not {long_gaps.CHOOSING_SEED} & set(long_gaps.SEEDS)

    class Trained:
        def __init__(self, settings):
            self.settings = settings

        def validate(self):
            return {"loss": abs(self.settings["lr"] - 2e-3), "accuracy": 0.5}

    monkeypatch.setattr(long_gaps, "trained", lambda task, settings: Trained(settings))
    judged = []

    def judge(task, trainer, gap, settings):
        judged.append(trainer.settings)
        return 1.0

    monkeypatch.setattr(long_gaps, "fresh_accuracy", judge)
    result = long_gaps.experiment("adding-task", 5, "rnn", epochs=1)
    assert result.chosen == {"lr": 2e-3}
    assert [(each["lr"], each["seed"]) for each in judged] == [(2e-3, 1), (2e-3, 2)]


def test_sequences_of_the_char_lm_recipe():
    """B13: its batches go on, and its model carries a state for each row."""
    recipe = load_recipe("shakespeare-lstm").changed({"batch_size": 4, "width": 8})
    assert recipe.values == {"data.batch_size": 4, "model.batch_size": 4, "model.width": 8}
    assert recipe.model().rows == 4
