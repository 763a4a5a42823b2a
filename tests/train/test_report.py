"""`narae report`: one page that needs nothing beside itself, whatever is in the run."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

import narae
from narae.cli import main
from narae.explain.report import write_report
from narae.explain.report.charts import heat_map, line_chart, log_ticks, scatter_chart, thinned
from narae.explain.report.facts import gather
from narae.explain.report.layers import layer_statistics
from narae.explain.report.png import data_uri
from narae.train.recipe import load_recipe
from narae.train.runs.launch import start
from narae.train.runs.saved import load_run

pytest.importorskip("matplotlib")

NAMES = [
    '<script>alert("x")</script>',
    "a & b",
    "'quoted' \"name\"",
    "한국어",
    "https://example.org",
]

OWN = '''
"""Colours <b>of</b> noise & "more".

task: classify pictures
"""
from pathlib import Path

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.train import Data, Example, Settings

SETTINGS = Settings(epochs=3)
NAMES = %r


def data(folder: Path | None, batch_size: int = 20) -> Data:
    narae.manual_seed(1)
    y = narae.randint(0, 5, (160,))
    x = narae.rand(160, 3, 6, 7)
    x[:, 0] = (y / 5).reshape(-1, 1, 1)
    train = DataLoader(TensorDataset(x[:100], y[:100]), batch_size, shuffle=True)
    return Data(train, DataLoader(TensorDataset(x[100:], y[100:]), 25), classes=NAMES)


def model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


def loss(out, target):
    return F.cross_entropy(out, target)


def optimizer(model, lr: float = 0.1):
    return SGD(model.parameters(), lr=lr)


def metrics(out, target):
    return {"accuracy": (out.argmax(dim=1) == target).float().mean()}


def examples(model, batch):
    return [Example("<i>first</i>", batch[0][0], "a<b"), Example("text only", text="x\\n<y>")]
'''

LINE = '''
"""A line."""
from pathlib import Path

import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader, TensorDataset
from narae.optim import SGD
from narae.tensors.creation import tensor
from narae.train import Data, Settings

SETTINGS = Settings(epochs=4)


def data(folder: Path | None) -> Data:
    x = tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 0.5]])
    points = DataLoader(TensorDataset(x, tensor([[2.0], [4.0], [6.0]])), 2)
    return Data(points, points)


def model() -> nn.Module:
    return nn.Linear(2, 1)


def loss(out, target):
    return F.mse_loss(out, target)


def optimizer(model, lr: float = 0.01):
    return SGD(model.parameters(), lr=lr)
'''


class Tags(html.parser.HTMLParser):
    """Whether every tag is closed, and what stands in attributes and texts."""

    VOID = frozenset({"meta", "br", "img", "path", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag not in self.VOID or (tag in ("rect", "circle") and self._has_inside(tag)):
            self.open.append(tag)

    def _has_inside(self, tag: str) -> bool:
        return not self.get_starttag_text().endswith("/>")

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.texts.append(data)


def check_page(text: str) -> Tags:
    """What holds for every report."""
    tags = Tags(text)
    assert tags.open == []
    assert not {"script", "link", "iframe", "object", "b0"} & tags.tags
    for name, value in tags.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "action"):
            assert value.startswith("data:image/png;base64,")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    drawn = re.findall(r' (?:d|x|y|width|height|cx|cy|r|viewBox|points)="([^"]*)"', text)
    assert drawn and not [d for d in drawn if re.search(r"nan|inf|None", d)]
    return tags


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    recipe = folder / "colours.py"
    recipe.write_text((OWN % (NAMES,)).lstrip(), "utf-8")
    start(load_recipe(str(recipe)).changed({"clip": 5.0, "lr": 0.3}), folder / "run", quiet=True)
    return folder / "run"


@pytest.fixture
def copy(run, tmp_path):
    """The run, to be damaged."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def page_of(path: pathlib.Path, **options) -> tuple[str, Tags]:
    written, _ = write_report(path, **options)
    text = written.read_text("utf-8")
    return text, check_page(text)


class TestPage:
    def test_everything_is_there_and_nothing_else_is_needed(self, run):
        text, tags = page_of(run)
        headings = re.findall(r"<h2>(.*?)</h2>", text)
        expected = ["Curves", "Test data, class by class", "Worst mistakes", "Examples", "Time"]
        assert headings == [*expected, "Layers", "Run"]
        words = " ".join(tags.texts)
        for word in ("validation loss", "gradient norm", "learning rate", "optimizer.lr", "clip"):
            assert word in words
        assert "prefers-color-scheme: dark" in text and "width=device-width" in text
        assert len(text) < 400_000

    def test_hostile_names_are_only_text(self, run):
        text, tags = page_of(run)
        assert "<script>" not in text and "<i>first" not in text and "<b>of" not in text
        words = "".join(tags.texts)
        for name in NAMES:
            assert name in words
        assert 'Colours <b>of</b> noise & "more".' in words and "x\n<y>" in words

    def test_numbers_are_those_of_the_model(self, run):
        """The confusion matrix and the loss, as PyTorch has them with the same weights."""
        torch = pytest.importorskip("torch")
        metrics = pytest.importorskip("sklearn.metrics")
        facts, saved = gather(run), load_run(run)
        test = saved.recipe.data(None).test.dataset
        x, y = (torch.from_numpy(np.asarray(part).copy()) for part in test.tensors)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(4, 5),
        )
        weights = {
            k: torch.from_numpy(np.asarray(v).copy()) for k, v in saved.model.state_dict().items()
        }
        model.load_state_dict(weights)
        out = model(x)
        loss = torch.nn.functional.cross_entropy(out, y)
        assert facts.numbers["loss"] == pytest.approx(loss.item(), rel=1e-5)
        counts = metrics.confusion_matrix(y, out.argmax(1), labels=range(5))
        np.testing.assert_array_equal(facts.confusion, counts)
        shares = torch.softmax(out, 1)
        wrong = (out.argmax(1) != y).nonzero().ravel()
        order = sorted(wrong.tolist(), key=lambda i: -shares[i].max().item())
        assert [mistake.place for mistake in facts.mistakes] == order[:24]
        assert facts.mistakes[0].weight == pytest.approx(shares[order[0]].max().item(), rel=1e-4)
        np.testing.assert_array_equal(facts.mistakes[0].input, x[order[0]].numpy())

    def test_the_same_page_again(self, run):
        first, _ = page_of(run, out=run / "one.html")
        narae.manual_seed(7)
        before = narae.get_rng_state()
        second, _ = page_of(run, out=run / "two.html")
        np.testing.assert_array_equal(np.asarray(before), np.asarray(narae.get_rng_state()))
        without_time = re.compile(r"<footer>.*?</footer>")
        assert without_time.sub("", first) == without_time.sub("", second)

    def test_the_recipes_own_settings_stand_beside(self, tmp_path):
        """Those of a recipe that says nothing of how to train too."""
        text = LINE.replace("SETTINGS = Settings(epochs=4)", "")
        (tmp_path / "line.py").write_text(text.lstrip(), "utf-8")
        recipe = load_recipe(str(tmp_path / "line.py")).changed({"epochs": 3, "lr": 0.02})
        start(recipe, tmp_path / "run", quiet=True)
        text, _ = page_of(tmp_path / "run")
        assert "3 (recipe: 10)" in text
        assert "0.02 (recipe: 0.01)" in text

    def test_regression(self, tmp_path):
        (tmp_path / "line.py").write_text(LINE.lstrip(), "utf-8")
        start(load_recipe(str(tmp_path / "line.py")), tmp_path / "run", quiet=True)
        text, _ = page_of(tmp_path / "run")
        assert "predicted against true" in text and "Confusion" not in text
        facts = gather(tmp_path / "run")
        assert len(facts.pairs) == 3
        worst = [abs(true - said) for true, said in facts.pairs]
        assert facts.mistakes[0].weight == pytest.approx(max(worst))

    def test_answers_that_are_no_single_numbers(self, tmp_path):
        """A dict of outputs, several targets, eager steps: what can be shown is."""
        text = LINE.replace("Settings(epochs=4)", "Settings(epochs=2, compile=False)")
        text = text.replace(
            "def loss(out, target):",
            """def forward(model, batch):
    out = model(batch[0])
    return {"both": out, "rest": [out]}, {"y": batch[1]}


def loss(out, target):
    out, target = out["both"], target["y"]""",
        )
        (tmp_path / "boxes.py").write_text(text.lstrip(), "utf-8")
        start(load_recipe(str(tmp_path / "boxes.py")), tmp_path / "run", quiet=True)
        page, _ = page_of(tmp_path / "run")
        assert "Epoch 2 (the best) on 3 test samples" in page and "<h2>Layers</h2>" in page
        assert "Confusion" not in page and "predicted against" not in page


class TestMissing:
    """What is missing is said, and the rest is shown."""

    def test_without_the_recipe(self, copy, run):
        hidden = run.parent / "colours.py"
        away = hidden.with_suffix(".away")
        hidden.rename(away)
        try:
            text, _ = page_of(copy)
        finally:
            away.rename(hidden)
        assert "Without the model" in text and "<h2>Curves</h2>" in text
        assert "<h2>Layers</h2>" not in text

    def test_without_the_data(self, copy, run):
        hidden = run.parent / "colours.py"
        source = hidden.read_text("utf-8")
        raising = 'raise narae.errors.MissingDataError("[data] it is not here")\n    narae.manual'
        other = copy.parent / "colours.py"
        other.write_text(source.replace("narae.manual", raising, 1), "utf-8")
        text, _ = page_of(copy, recipe=str(other))
        assert "Without the data: [data] it is not here" in text and "<h2>Curves</h2>" in text

    def test_without_checkpoints_and_numbers(self, copy):
        """A run that was killed at once."""
        shutil.rmtree(copy / "checkpoints")
        for name in ("metrics.jsonl", "timing.jsonl", "result.json"):
            (copy / name).unlink()
        text, _ = page_of_any(copy)
        assert "Without the model" in text and "<h2>Run</h2>" in text

    def test_numbers_that_are_none(self, copy):
        lines = [
            {"epoch": 1, "train_loss": float("nan"), "val_loss": float("inf")},
            {"epoch": 2, "train_loss": 1.0},
            {"epoch": 3, "train_loss": -1e300, "val_loss": 0.0, "<x>": 1e-300},
        ]
        (copy / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        text, _ = page_of(copy)
        assert "<x>" not in text and "&lt;x&gt;" in text

    def test_damaged_seconds(self, copy):
        """Text, huge and negative numbers, half a record: the rest of the page is there."""
        lines = ['{"epoch": 1, "seconds": "x", "step": 1.0, "samples": 5}']
        lines += ['{"epoch": 1e99, "seconds": 1}', '{"epoch": 2, "seconds": -1}', '{"epoch": NaN}']
        (copy / "timing.jsonl").write_text("\n".join(lines) + "\n")
        text, _ = page_of(copy)
        assert "<h2>Layers</h2>" in text
        (copy / "timing.jsonl").write_text("{{\n")
        text, _ = page_of(copy)
        assert "Without the time" in text and "<h2>Layers</h2>" in text

    def test_damaged_plan(self, copy, capsys):
        (copy / "run.json").write_text("{")
        assert main(["report", str(copy)]) == 2
        assert "damaged" in capsys.readouterr().err
        assert main(["report", str(copy / "nowhere")]) == 2

    def test_command(self, copy, capsys):
        target = copy.parent / "page.html"
        assert main(["report", str(copy), "--out", str(target)]) == 0
        assert str(target) in capsys.readouterr().out
        check_page(target.read_text("utf-8"))
        assert main(["report", str(copy), "--out", str(copy.parent / "no" / "x.html")]) == 2


def page_of_any(path: pathlib.Path) -> tuple[str, Tags | None]:
    """A page that may have no chart."""
    written, _ = write_report(path)
    text = written.read_text("utf-8")
    assert Tags(text).open == []
    return text, None


class TestLayers:
    def test_as_pytorch_has_it(self):
        torch = pytest.importorskip("torch")
        own = narae.nn.Sequential(
            narae.nn.Linear(4, 6), narae.nn.ReLU(), narae.nn.Linear(6, 3, bias=False)
        )
        x = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
        found = layer_statistics(own, lambda: (own(narae.tensor(x)) ** 2).mean())
        other = torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3, bias=False)
        )
        other.load_state_dict(
            {k: torch.from_numpy(np.asarray(v).copy()) for k, v in own.state_dict().items()}
        )
        outs = []
        for layer in other:
            layer.register_forward_hook(lambda module, inputs, out: outs.append(out.detach()))
        (other(torch.from_numpy(x)) ** 2).mean().backward()
        for layer, module, out in zip(found, other, outs, strict=True):
            assert layer.shape == tuple(out.shape)
            assert layer.mean == pytest.approx(out.mean().item(), rel=1e-4, abs=1e-6)
            assert layer.std == pytest.approx(out.std(unbiased=False).item(), rel=1e-4)
            assert layer.zeros == pytest.approx((out == 0).float().mean().item())
            assert sum(layer.counts) == out.numel()
            if layer.parameters:
                grads = [p.grad.ravel() for p in module.parameters()]
                assert layer.grad_norm == pytest.approx(torch.cat(grads).norm().item(), rel=1e-4)
                std = module.weight.std(unbiased=False).item()
                assert layer.weight_std == pytest.approx(std, rel=1e-4)
            else:
                assert layer.grad_norm is None

    def test_leaves_the_model_as_it_was(self):
        model = narae.nn.Sequential(narae.nn.Linear(2, 2), narae.nn.Linear(2, 2))
        model[0].weight.grad = narae.full((2, 2), 7.0)
        found = layer_statistics(model, lambda: model[0](narae.ones(1, 2)).sum())
        np.testing.assert_array_equal(np.asarray(model[0].weight.grad), np.full((2, 2), 7))
        assert model[1].weight.grad is None
        model(narae.ones(1, 2))
        assert found[1].shape is None  # it is watched no more

    def test_layers_that_are_not_called_or_give_no_tensor(self):
        class Odd(narae.nn.Module):
            def __init__(self):
                super().__init__()
                self.used, self.unused = narae.nn.LSTM(2, 3), narae.nn.Linear(2, 2)
                self.own = narae.nn.Parameter(narae.ones(3))

            def forward(self, x):
                return (self.used(x)[0] * self.own).sum()

        model = Odd()
        found = {x.path: x for x in layer_statistics(model, lambda: model(narae.ones(4, 1, 2)))}
        assert found["unused"].shape is None and found["unused"].grad_norm is None
        assert found["used"].shape == (4, 1, 3) and found[""].parameters == 3


class TestCharts:
    def test_pictures_are_png(self):
        image = pytest.importorskip("PIL.Image")
        rng = np.random.default_rng(0)
        for shape in ((5, 7), (1, 5, 7), (3, 5, 7)):
            picture = rng.integers(0, 256, shape).astype(np.float32)
            picture.flat[0], picture.flat[-1] = 0, 255
            data = base64.b64decode(data_uri(picture).partition(",")[2])
            read = np.asarray(image.open(io.BytesIO(data)))
            want = picture if len(shape) == 2 else picture.transpose(1, 2, 0).squeeze()
            np.testing.assert_array_equal(read, want)

    def test_odd_pictures(self):
        image = pytest.importorskip("PIL.Image")
        for picture in (np.zeros((4, 4)), np.full((3, 4, 4), np.nan), np.ones((900, 700))):
            data = base64.b64decode(data_uri(picture).partition(",")[2])
            assert max(image.open(io.BytesIO(data)).size) <= 160

    def test_lines_go_through_their_points(self):
        """Places on a chart, turned back to numbers by the ticks that it shows."""
        chart = line_chart({"a": [(0, 0.0), (5, 1.0), (10, 4.0)]}, title="t", whole_x=True)
        circles = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)
        x, y = np.array(circles, float).T
        assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.15)
        assert (y[0] - y[1]) * 3 == pytest.approx(y[1] - y[2], abs=0.5)
        log = line_chart({"a": [(0, 0.01), (1, 0.1), (2, 1.0)]}, title="t", log=True)
        y = np.array(re.findall(r'cy="([\d.]+)"', log), float)
        assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.15)

    @pytest.mark.parametrize(
        "points",
        [
            [],
            [(1, float("nan"))],
            [(1, 0.0)],
            [(1, 5.0), (2, 5.0)],
            [(1, -1.0), (2, 1e-30)],
            [(1, 1e300), (2, -1e300)],
            [(i, float(i % 7)) for i in range(5000)],
        ],
    )
    @pytest.mark.parametrize("log", [False, True])
    def test_odd_curves(self, points, log):
        for chart in (
            line_chart({"<a>": points}, title="<t>", log=log),
            scatter_chart(points, title="t", x_label="x", y_label="y"),
        ):
            assert not re.search(r'"[^"]*(nan|inf)[^"]*"', chart) and len(chart) < 600_000
            assert Tags(chart).open == [] and "<a>" not in chart

    def test_no_peak_is_lost(self):
        points = [(i, 0.0) for i in range(3000)]
        points[1234] = (1234, 9.0)
        assert (1234, 9.0) in thinned(points) and len(thinned(points)) <= 402

    def test_ticks_of_many_powers(self):
        assert len(log_ticks(1e-30, 1e30)) <= 9
        assert log_ticks(0.003, 0.004) == []

    @pytest.mark.parametrize("classes", [1, 2, 20, 21, 300])
    def test_heat_maps(self, classes):
        counts = np.random.default_rng(0).poisson(0.3, (classes, classes))
        chart = heat_map(counts, [f"<{i}>" for i in range(classes)], title="t")
        assert Tags(chart).open == []
        if classes <= 20:
            shown = [int(x) for x in re.findall(r'px">(\d+)</text>', chart)]
            assert sum(shown) == counts.sum()
        else:
            assert len(re.findall(r"M[\d.]+ [\d.]+h", chart)) == (counts > 0).sum()


class TestTiming:
    def test_seconds_are_all_there(self, run):
        records = [json.loads(x) for x in (run / "timing.jsonl").read_text().splitlines()]
        assert [record["epoch"] for record in records] == [1, 2, 3]
        for record in records:
            parts = [record[part] for part in ("data", "step", "validation", "saving")]
            assert all(part > 0 for part in parts)
            assert record["seconds"] == pytest.approx(sum(parts), abs=1e-5)
            assert record["samples"] == 100

    def test_numbers_stay_bit_identical(self, run, tmp_path):
        """Time is kept apart: numbers of a second run are the same bytes."""
        path = run.parent / "colours.py"
        again = load_recipe(str(path)).changed({"clip": 5.0, "lr": 0.3})
        start(again, tmp_path / "run", quiet=True)
        first, second = ((x / "metrics.jsonl").read_bytes() for x in (run, tmp_path / "run"))
        assert first == second and b'"lr"' in first


@pytest.mark.slow
class TestBrowser:
    @pytest.mark.parametrize("dark", [False, True])
    def test_chromium_draws_it(self, run, tmp_path, dark):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if chromium is None:
            pytest.skip("chromium is not installed")
        image = pytest.importorskip("PIL.Image")
        path, _ = write_report(run)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1600"]
        flags += [f"--screenshot={tmp_path / 'page.png'}"]
        flags += ["--blink-settings=preferredColorScheme=0"] * dark
        subprocess.run(
            [chromium, *flags, path.as_uri()], check=True, timeout=120, capture_output=True
        )
        shot = np.asarray(image.open(tmp_path / "page.png").convert("L"), float)
        assert shot.shape[1] == 1200
        ground = np.median(shot)
        assert ground < 60 if dark else ground > 230
        assert 0.005 < np.mean(np.abs(shot - ground) > 60) < 0.4  # something is drawn
