"""`narae find`: a learning rate and a batch size to begin with."""

from __future__ import annotations

import errno
import io
import json
import sys

import numpy as np
import pytest

import narae
from narae.base.errors import ConfigError, DataError
from narae.cli import main
from narae.train.find_batch_size import Trial, answer, best_of, find_batch_size
from narae.train.find_lr import RateSweep, find_lr
from narae.train.recipe import load_recipe

OWN = '''
"""A quadratic."""
from pathlib import Path

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.optim.lr_scheduler import OneCycleLR
from narae.train import Data, Settings

SETTINGS = Settings(epochs=3)


def data(folder: Path | None, batch_size: int = 16, size: int = 64) -> Data:
    narae.manual_seed(5)
    x = narae.randn(size, 3)
    pairs = TensorDataset(x, (x * narae.tensor([1.0, 2.0, 3.0])).sum(dim=1, keepdim=True))
    return Data(DataLoader(pairs, batch_size, shuffle=True), DataLoader(pairs, 64))


def model() -> nn.Module:
    return nn.Linear(3, 1)


def loss(out, target):
    return F.mse_loss(out, target)


def optimizer(model, lr: float = 0.01, twice: bool = False):
    groups = [{"params": [model.weight], "lr": lr}, {"params": [model.bias], "lr": lr / 10}]
    return SGD(groups if twice else model.parameters(), lr=lr)


def schedule(optimizer, steps, top: float = 1.0):
    raise AssertionError("a schedule takes no part")
'''


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN.lstrip(), "utf-8")
    return load_recipe(str(path))


class TestRate:
    def test_the_sweep_is_that_of_a_loop_in_pytorch(self, recipe):
        """H11: the range test, update by update, with the same batches and weights."""
        torch = pytest.importorskip("torch")
        sweep = find_lr(recipe, lowest=1e-4, highest=1.0, updates=30, smoothing=0.9)
        recipe.seed()
        data, model = recipe.data(None), recipe.model()
        other = torch.nn.Linear(3, 1)
        other.load_state_dict(
            {k: torch.from_numpy(np.asarray(v).copy()) for k, v in model.state_dict().items()}
        )
        batches = []
        while len(batches) < 30:
            batches += list(data.train)
        losses = []
        optimizer = torch.optim.SGD(other.parameters(), lr=1.0)
        for i, (x, y) in enumerate(batches[:30]):
            optimizer.param_groups[0]["lr"] = 1e-4 * 1e4 ** (i / 29)
            x, y = (torch.from_numpy(np.asarray(part).copy()) for part in (x, y))
            loss = torch.nn.functional.mse_loss(other(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sweep.losses == pytest.approx(losses, rel=1e-4)
        assert sweep.rates[0] == pytest.approx(1e-4) and sweep.rates[-1] == pytest.approx(1.0)
        assert not sweep.diverged

    def test_smoothing_is_that_of_pandas(self, recipe):
        pandas = pytest.importorskip("pandas")
        losses = pandas.Series(find_lr(recipe, highest=0.1, updates=40).losses)
        first = losses[:10].median()
        once = losses.clip(upper=2 * first).ewm(alpha=0.1).mean()
        want = once[::-1].ewm(alpha=0.1).mean()[::-1]
        found = find_lr(recipe, highest=0.1, updates=40).smoothed
        assert found == pytest.approx(want.to_list(), rel=1e-9)

    def test_what_it_suggests_learns_well(self, recipe):
        """At the suggested rate the loss falls further than at a hundredth or 100 times of it."""
        rate = find_lr(recipe).steepest

        def end(lr):
            chosen = recipe.changed({"lr": lr})
            chosen.seed()
            data, model = chosen.data(None), chosen.model()
            optimizer = chosen.part("optimizer")(model)
            for _ in range(5):
                for x, y in data.train:
                    loss = chosen.part("loss")(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            return loss.item()

        assert end(rate) < 0.5 * end(rate / 100)
        assert not end(100 * rate) < end(rate)

    def test_it_stops_where_the_loss_explodes(self, recipe):
        sweep = find_lr(recipe, lowest=1e-3, highest=1e6, updates=100)
        assert sweep.diverged and len(sweep.rates) < 100
        assert sweep.steepest <= sweep.lowest < sweep.rates[-1]
        assert np.isfinite(sweep.losses).all()

    def test_groups_keep_their_ratio(self, recipe):
        whole = find_lr(recipe, lowest=1e-3, highest=1e-2, updates=20)
        parts = find_lr(recipe.changed({"twice": True}), lowest=1e-3, highest=1e-2, updates=20)
        assert whole.losses[0] == parts.losses[0] and whole.losses[-1] != parts.losses[-1]

    def test_accumulated_batches_are_one_update(self, recipe):
        one = find_lr(recipe.changed({"batch_size": 32}), updates=10)
        two = find_lr(recipe.changed({"accumulate": 2}), updates=10)
        assert one.losses == pytest.approx(two.losses, rel=1e-4)

    def test_nothing_else_is_touched(self, recipe):
        narae.manual_seed(3)
        want = narae.rand(3)
        narae.manual_seed(3)
        find_lr(recipe, updates=10)
        np.testing.assert_array_equal(np.asarray(narae.rand(3)), np.asarray(want))

    @pytest.mark.parametrize(
        "options",
        [{"lowest": 1.0, "highest": 0.1}, {"lowest": 0.0}, {"updates": 3}, {"smoothing": 1.0}],
    )
    def test_bad_options(self, recipe, options):
        with pytest.raises(ConfigError, match="find lr"):
            find_lr(recipe, **options)

    def test_a_loss_that_is_no_number(self, recipe):
        with pytest.raises(DataError, match="begin lower"):
            find_lr(recipe, lowest=1e30, highest=1e35)

    def test_flat_sweep(self):
        """A loss that does not move has no slope, and still an answer."""
        flat = RateSweep([1e-3, 1e-2, 1e-1], [2.0] * 3, [2.0] * 3, False)
        assert flat.steepest in flat.rates and "▁▁▁" in str(flat)

    def test_chance_at_the_beginning_is_no_slope(self):
        rates = np.geomspace(1e-6, 1.0, 30).tolist()
        smoothed = [9.0, 5.0, *[5.0] * 13, *np.linspace(5, 1, 10), *[1.0] * 5]
        assert 1e-4 < RateSweep(rates, smoothed, smoothed, False).steepest < 1e-1

    def test_command(self, recipe, tmp_path, capsys):
        pytest.importorskip("matplotlib")
        picture = tmp_path / "lr.png"
        words = ["find", "lr", str(recipe.path), "--updates", "20", "--set", "batch_size=8"]
        assert main([*words, "--picture", str(picture)]) == 0
        out = capsys.readouterr().out
        assert "steepest" in out and "--set batch_size=8 lr=" in out
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert main([*words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert f"{found['steepest']:.2g}" in out and len(found["rates"]) == 20
        assert main(["find", "lr", "no-such-recipe"]) == 2
        assert main(["find", "rates", "digits-cnn"]) == 2
        assert main([*words, "--lowest", "20"]) == 2


TOLD = """

from narae.train import Callback


class Told(Callback):
    told = False

    def on_fit_start(self, trainer):
        self.told = True

    def on_batch(self, step):
        assert self.told, "a batch before the beginning"


def callbacks(model):
    return [Told()]
"""


def answered(monkeypatch, asked, **instead):
    """The main program of a trial, in this process."""
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asked)))
    for name, function in {"_limit_memory": lambda most: None, **instead}.items():
        monkeypatch.setattr(f"narae.train.find_batch_size.{name}", function)
    answer()


class TestBatchSize:
    def test_best(self):
        trials = [Trial(8, 50.0), Trial(16, 96.0), Trial(32, 100.0), Trial(64, problem="x")]
        assert best_of(trials).batch_size == 16

    def test_to_the_end_of_the_data(self, recipe):
        """In processes of their own: 32 and 64 of 64 samples, then there are no more."""
        trials = find_batch_size(recipe, smallest=32, largest=256, seconds=0.1)
        assert [trial.batch_size for trial in trials] == [32, 64, 128]
        assert all(trial.samples > 0 and trial.memory > 2**20 for trial in trials[:2])
        assert "no batch holds 128 samples" in trials[2].problem

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (MemoryError("[compile] the program needs 9 MiB"), 3),
            (OSError(errno.ENOMEM, "Cannot allocate memory"), 3),
            (DataError("[data] the memory card is empty"), 4),
        ],
    )
    def test_which_errors_are_those_of_memory(self, monkeypatch, capsys, error, code):
        """Not by their words: what is no MemoryError keeps its own text."""

        def fail(asked):
            raise error

        with pytest.raises(SystemExit) as ended:
            answered(monkeypatch, {"memory": 0}, _measured=fail)
        assert ended.value.code == code
        assert capsys.readouterr().err == (f"{error}\n" if code == 4 else "")

    def test_callbacks_take_part(self, monkeypatch, capsys, tmp_path):
        """Those of the recipe are told of the beginning, before the first update."""
        path = tmp_path / "told.py"
        path.write_text(OWN.lstrip() + TOLD, "utf-8")
        asked = {"recipe": str(path), "settings": {"batch_size": 16}, "data_dir": None}
        answered(monkeypatch, {**asked, "size": 16, "seconds": 0.01, "memory": 0})
        assert json.loads(capsys.readouterr().out)["problem"] == ""

    @pytest.mark.long
    @pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux'")
    def test_memory_that_ends_is_an_answer(self, tmp_path, recipe):
        wide = OWN.replace("randn(size, 3)", "randn(size, 3) * ones_of(size, batch_size)").replace(
            "def model", "def ones_of(size, batch_size):\n"
            "    narae.ones(batch_size * 2**20)  # 4 MiB for each sample of a batch\n"
            "    return 1.0\n\n\ndef model", 1
        )  # fmt: skip
        path = tmp_path / "wide.py"
        path.write_text(wide.lstrip(), "utf-8")
        trials = find_batch_size(
            load_recipe(str(path)).changed({"size": 4096}),
            smallest=512,
            largest=4096,
            seconds=0.05,
            memory=12 * 2**30,
        )
        assert len(trials) > 1 and not trials[0].problem
        assert trials[-1].problem == "more memory than there is"

    def test_bad_input(self, recipe, tmp_path):
        with pytest.raises(ConfigError, match="they grow, from 1 or more"):
            find_batch_size(recipe, smallest=8, largest=4)
        with pytest.raises(ConfigError, match="for more than 0 and less than 3,600 seconds"):
            find_batch_size(recipe, seconds=0)
        other = tmp_path / "fixed.py"
        other.write_text(
            OWN.lstrip().replace("batch_size: int = 16, ", "").replace("batch_size", "16")
        )
        with pytest.raises(ConfigError, match="no setting 'batch_size'"):
            find_batch_size(load_recipe(str(other)))
        with pytest.raises(DataError, match="begin lower"):
            find_batch_size(recipe, smallest=512, largest=512)

    def test_command(self, recipe, capsys):
        words = ["find", "batch-size", str(recipe.path), "--smallest", "16", "--largest", "16"]
        assert main([*words, "--seconds", "0.05"]) == 0
        assert "--set batch_size=16" in capsys.readouterr().out
