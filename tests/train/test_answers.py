"""What a model says of each sample: one pass, whatever the data does between two."""

from __future__ import annotations

import weakref

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.explain.report.facts import gather
from narae.optim import SGD
from narae.train import Data, Trainer, load_recipe
from narae.train.answers import answers_of
from narae.train.runs import evaluation, results
from narae.train.runs.launch import start
from narae.train.runs.saved import load_run
from tests.train.small_recipe import SIDES


class Given(nn.Module):
    """Scores are what comes in."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(narae.ones(1))

    def forward(self, x):
        return x.reshape(len(x), -1) * self.one


class Once:
    """Batches that can be gone through one time only."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.passes += 1
        assert self.passes == 1, "a second pass"
        return iter(self.batches)


def trainer_of(classes=(), model=None, loss=F.cross_entropy, **options):
    model = model or Given()
    data = Data([(narae.ones(1, 2),)], [(narae.ones(1, 2),)], classes)
    return Trainer(data, model, loss, SGD(model.parameters(), lr=0.1), **options)


def batches_of(x, y, size):
    return Once([(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 9), st.integers(1, 12))
def test_the_worst_are_the_surest_wrong_answers(seed, items, size, count):
    """As a sort of all of them at once, softmax by hand; places, classes and inputs fit."""
    draws = np.random.default_rng(seed)
    scores = draws.integers(-3, 4, (items, 3)).astype(np.float32)  # many are equal
    targets = draws.integers(0, 3, items)
    found = answers_of(
        trainer_of("abc"),
        batches_of(narae.from_numpy(scores), narae.from_numpy(targets), size),
        count,
    )
    said = [int(np.argmax(row)) for row in scores]
    assert found.said.tolist() == said
    assert found.targets.tolist() == targets.tolist()
    sure = [float(np.exp(x).max() / np.exp(x).sum()) for x in scores.astype(np.float64)]
    wrong = [i for i in range(items) if said[i] != targets[i]]
    order = sorted(wrong, key=lambda i: -round(sure[i], 12))[:count]
    assert [round(each.weight, 9) for each in found.worst] == [round(sure[i], 9) for i in order]
    for each in found.worst:
        i = each.place
        assert (each.target, each.said) == (targets[i], said[i])
        np.testing.assert_array_equal(each.input, scores[i])
    assert len({each.place for each in found.worst}) == len(order)


def test_numbers_that_are_furthest_off():
    """Of a regression; what is no number is worst."""
    x = narae.tensor([[1.0], [float("nan")], [3.0], [-9.0]])
    y = narae.tensor([[1.5], [0.0], [3.25], [-9.0]])
    found = answers_of(trainer_of(), batches_of(x, y, 3), worst=3)
    assert [each.place for each in found.worst] == [1, 0, 2]
    assert [each.weight for each in found.worst] == [float("inf"), 0.5, 0.25]
    np.testing.assert_array_equal(found.said, [1, np.nan, 3, -9])
    np.testing.assert_array_equal(found.targets, [1.5, 0, 3.25, -9])
    assert found.examples() is None  # no pictures


def test_scores_that_are_no_numbers_are_no_error():
    x = narae.tensor([[float("nan"), 0.0], [0.0, 5.0], [9.0, 0.0]])
    found = answers_of(trainer_of("ab"), batches_of(x, narae.tensor([1, 0, 0]), 2))
    assert [each.place for each in found.worst] == [1, 0]


def test_pictures_of_one_size_are_a_figure():
    x = narae.rand(6, 1, 1, 2)
    found = answers_of(trainer_of("ab"), batches_of(x, narae.zeros(6).long(), 2))
    assert found.examples() is None  # lines of one pixel
    rows = narae.zeros(4, 2, 2)
    rows[:, 0, 1] = narae.tensor([1.0, 3.0, 2.0, -1.0])

    def forward(model, batch):
        return model(batch[0][:, 0]), batch[1]

    trainer = trainer_of("ab", forward=forward)
    shown = answers_of(trainer, batches_of(rows, narae.zeros(4).long(), 3)).examples()
    np.testing.assert_array_equal(shown.images, np.asarray(rows)[[1, 2, 0]])
    assert shown.targets.tolist() == [0, 0, 0] and shown.predictions.tolist() == [1, 1, 1]
    np.testing.assert_allclose(shown.confidences, 1 / (1 + np.exp([-3.0, -2.0, -1.0])))


def test_inputs_that_are_not_one_for_each_sample_are_left_out():
    def forward(model, batch):
        return model(batch[0]["x"][0]), batch[1]

    x, y = narae.rand(1, 5, 2), narae.zeros(5).long()
    trainer = trainer_of("ab", forward=forward)
    found = answers_of(trainer, [({"x": x}, y)])
    assert found.worst and all(each.input is None for each in found.worst)


def test_no_more_than_one_batch_is_in_memory():
    """What was asked about is let go, but for copies of the worst samples."""
    seen = []

    def batches():
        for _ in range(5):
            assert sum(each() is not None for each in seen) <= 1
            x = narae.tensor([[0.0, 1.0]] * 4)  # all wrong
            seen.append(weakref.ref(x))
            yield x, narae.zeros(4).long()

    found = answers_of(trainer_of("ab"), batches())
    assert len(found.worst) == 20
    assert all(each.input.base is None for each in found.worst)


@pytest.mark.parametrize(
    ("classes", "x", "y"),
    [
        ("abc", narae.rand(4, 2), narae.zeros(4).long()),  # scores of other classes
        ("ab", narae.rand(4, 2), narae.rand(4, 2)),  # several classes for each
        ("", narae.rand(4, 2), narae.rand(4, 2)),  # several numbers
        ("", narae.rand(4, 1), narae.tensor(1.0)),  # one for all
    ],
)
def test_what_is_no_single_answer(classes, x, y):
    assert answers_of(trainer_of(classes), [(x, y)]) is None


# ------------------------------------------------- data that is another one in each pass
OTHER_EACH_TIME = (
    SIDES.replace("nn.Linear(sizes[-1], 2))", "nn.Linear(sizes[-1], 2), nn.Dropout(0.0))")
    .replace("DataLoader(TensorDataset(x[44:], y[44:]), 20)", "Drawn()")
    .replace(
        "SETTINGS =",
        """
class Drawn:
    def __len__(self):
        return 3

    def __iter__(self):
        for _ in range(3):
            x = rand(20, 2, 2)
            yield x, (rand(20) > 0.5).long()


def forward(model, batch):
    return model(batch[0][:, 0]), batch[1]


SETTINGS =""",
    )
    .replace("x = rand(64, 2)", "x = rand(64, 2, 2)")
    .replace("y = (x.sum(dim=1) > 1)", "y = (x[:, 0].sum(dim=1) > 1)")
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "drawn.py").write_text(OTHER_EACH_TIME, "utf-8")
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            results, "training_figure", lambda *_, examples, **more: shown.append(examples)
        )
        start(load_recipe(str(folder / "drawn.py")), folder / "run", quiet=True)
    return folder / "run", shown


def said_of(run, images):
    """What the saved model says of pictures."""
    model = load_run(run).model
    with narae.no_grad():
        scores = np.asarray(model(narae.from_numpy(np.stack(images))[:, 0]))
    return scores.argmax(axis=1).tolist(), np.asarray(narae.tensor(scores).softmax(dim=1)).max(1)


def check(run, images, predictions, weights):
    assert len(images) >= 5
    said, sure = said_of(run, images)
    assert said == list(predictions)
    np.testing.assert_allclose(sure, weights, rtol=1e-5)


def test_a_report_shows_what_the_model_saw(run):
    mistakes = gather(run[0]).mistakes
    check(
        run[0],
        [each.input for each in mistakes],
        [each.said for each in mistakes],
        [each.weight for each in mistakes],
    )


def test_an_evaluation_draws_what_the_model_saw(run, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(evaluation, "training_figure", lambda *given: shown.append(given[-1]))
    saved = load_run(run[0])
    found = evaluation.evaluate_run(saved)
    assert found.samples == 60 == found.confusion.sum()
    found.draw(tmp_path / "x.png", saved)
    check(run[0], shown[0].images, shown[0].predictions, shown[0].confidences)


def test_a_run_draws_what_the_model_saw(run):
    shown = run[1][0]
    checkpoint = max((run[0] / "checkpoints").glob("step-*"))
    check(checkpoint, shown.images, shown.predictions, shown.confidences)


def test_shuffled_test_data(tmp_path):
    """A loader that shuffles: each mistake is shown with its own picture."""
    x = narae.rand(60, 2, 2)
    loader = DataLoader(TensorDataset(x, narae.zeros(60).long()), 7, shuffle=True)

    def forward(model, batch):
        return model(batch[0][:, 0]), batch[1]

    found = answers_of(trainer_of("ab", forward=forward), loader)
    assert len(found.worst) == 24
    for each in found.worst:
        assert each.input[0, 1] > each.input[0, 0]
