"""The recipes for CIFAR-10 with residual networks and a transformer learn from small sets."""

from __future__ import annotations

import numpy as np
import pytest

import narae
from narae.cli import main
from narae.train.recipe import load_recipe
from narae.train.runs.folder import RunFolder

pytest.importorskip("matplotlib")
pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.filterwarnings("ignore:CIFAR10. .* holds a subset")
RECIPES = ("cifar-resnet20", "cifar-resnet18", "cifar-vit")


@pytest.fixture
def squares(tmp_path):
    """Binary files like CIFAR-10's: noise with a square whose place and colour tell its class."""
    for name, count in (("data_batch_1_small.bin", 200), ("test_batch_small.bin", 100)):
        rng = np.random.default_rng(count)
        labels = np.arange(count) % 10
        pictures = rng.integers(0, 120, (count, 3, 32, 32))
        for picture, label in zip(pictures, labels, strict=True):
            top, left = 6 + 12 * (label // 5), rng.integers(4, 18)
            colour = 255 * ((label % 5 + 1) >> np.arange(3) & 1)
            picture[:, top : top + 9, left : left + 9] = colour[:, None, None]
        rows = np.concatenate([labels[:, None], pictures.reshape(count, -1)], axis=1)
        (tmp_path / name).write_bytes(rows.astype(np.uint8).tobytes())
    return tmp_path


@pytest.mark.parametrize("name", RECIPES)
def test_parts_fit_each_other(name, squares):
    """Data, model, loss, optimizer and schedule of a recipe: pictures in, ten logits out."""
    recipe = load_recipe(name).changed({"data.batch_size": 4})
    narae.manual_seed(0)
    data = recipe.data(squares)
    x, target = next(iter(data.train))
    assert tuple(x.shape) == (4, 3, 32, 32) and len(data.classes) == 10
    model = recipe.model()
    out = model(x)
    assert tuple(out.shape) == (4, 10)
    optimizer = recipe.part("optimizer")(model)
    schedule = recipe.part("schedule")(optimizer, 10)
    before = {key: value.detach().numpy().copy() for key, value in model.named_parameters()}
    recipe.part("loss")(out, target).backward()
    optimizer.step()
    schedule.step()
    moved = [not np.array_equal(x.detach().numpy(), before[k]) for k, x in model.named_parameters()]
    assert np.mean(moved) > 0.5  # behind a head of zeros, only weight decay moves a transformer
    assert recipe.part("metrics")(out, target)["accuracy"].item() in (0, 0.25, 0.5, 0.75, 1)


@pytest.mark.slow
def test_resnet20_learns(squares, tmp_path):
    options = ["--epochs", "4", "--batch-size", "20", "--data-dir", str(squares), "--quiet"]
    options += ["--set", "lr=0.05", "--seed", "0"]
    assert main(["train", "cifar-resnet20", "--out", str(tmp_path / "out"), *options]) == 0
    history = RunFolder(tmp_path / "out").history()
    assert history["train_loss"][-1] < 0.7 * history["train_loss"][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar-resnet20", "cifar-vit"])
def test_a_step_runs_as_one_native_program(name, squares):
    """The whole step of training is one program that the native executor runs."""
    recipe = load_recipe(name).changed({"data.batch_size": 8})
    narae.manual_seed(0)
    model = recipe.model()
    optimizer = recipe.part("optimizer")(model)
    batch = next(iter(recipe.data(squares).train))
    compiled = narae.compile(lambda x, y: stepped(model, optimizer, recipe, x, y))
    losses = [compiled(*batch).item() for _ in range(6)]
    assert losses[-1] < losses[0]
    assert "run by the native executor" in str(compiled.explain())


def stepped(model, optimizer, recipe, x, target):
    loss = recipe.part("loss")(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
