"""Figures: what is drawn is what was given, no global state is touched, bad input is refused."""

import concurrent.futures
import io
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from narae.base.errors import DataError, MissingExtraError, ShapeError
from narae.train import figures
from narae.train.figures import Examples, is_picture, line_figure, overview_figure, training_figure

matplotlib = pytest.importorskip("matplotlib")
pytestmark = pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")

HISTORY = {
    "train_loss": [2.0, 1.0, 0.5],
    "val_loss": [1.8, 1.1, 0.7],
    "train_accuracy": [0.3, 0.6, 0.8],
    "val_accuracy": [0.35, 0.55, 0.75],
}
CONFUSION = np.array([[50, 3, 0], [0, 40, 7], [1, 0, 60]])
NAMES = ("cat", "dog", "bird")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be saved, to look inside; drawing the pixels is left out."""
    kept = []
    monkeypatch.setattr(figures, "_save", lambda figure, _path: kept.append(figure))
    return kept


def axes_named(figure, beginning):
    found = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(beginning)]
    assert len(found) == 1
    return found[0]


def decode(path: Path) -> np.ndarray:
    from matplotlib import image

    return image.imread(io.BytesIO(path.read_bytes()), format="png")


def some_examples(count=3, shape=(1, 8, 8)) -> Examples:
    images = np.random.default_rng(0).random((count, *shape), np.float32)
    return Examples(images, np.arange(count) % 3, np.arange(1, count + 1) % 3, np.full(count, 0.9))


class TestTrainingFigure:
    def test_a_png_of_decent_size_with_ink_in_every_quarter(self, tmp_path):
        path = tmp_path / "run.png"
        training_figure(HISTORY, CONFUSION, NAMES, path, "a run", some_examples())
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        picture = decode(path)
        height, width = picture.shape[:2]
        assert width >= 1200 and height >= 800
        for part in (picture[: height // 2], picture[height // 2 :]):
            for quarter in (part[:, : width // 2], part[:, width // 2 :]):
                assert quarter.std() > 0.05

    def test_curves_are_the_history(self, tmp_path, drawn):
        training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png")
        for kind in ("loss", "accuracy"):
            curves = axes_named(drawn[0], kind.capitalize()).get_lines()
            for part, curve in zip(("train", "val"), curves, strict=True):
                assert list(curve.get_xdata()) == [1, 2, 3]
                assert list(curve.get_ydata()) == HISTORY[f"{part}_{kind}"]
        labels = [text.get_text() for text in axes_named(drawn[0], "Loss").get_legend().get_texts()]
        assert labels == ["training (last 0.5)", "validation (last 0.7)"]

    def test_every_count_stands_in_its_cell_and_true_classes_are_rows(self, tmp_path, drawn):
        training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png")
        axes = axes_named(drawn[0], "Confusion matrix: 150 of 161 right (93.17%)")
        numbers = {text.get_position(): int(text.get_text()) for text in axes.texts}
        expected = {(p, t): int(CONFUSION[t, p]) for t, p in np.argwhere(CONFUSION)}
        assert numbers == expected
        assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")

    def test_right_answers_are_blue_mistakes_orange_zeros_pale(self):
        colours = figures._confusion_colours(CONFUSION)
        red, _green, blue = np.moveaxis(colours, -1, 0)
        assert (blue > red)[np.eye(3, dtype=bool)].all()
        wrong = (CONFUSION > 0) & ~np.eye(3, dtype=bool)
        assert (red > blue)[wrong].all()
        assert (colours[CONFUSION == 0] > 0.95).all()
        assert blue[1, 2] < blue[0, 1] < blue[2, 0], "more mistakes are darker"

    def test_examples_say_true_and_predicted(self, tmp_path, drawn):
        training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png", examples=some_examples(12))
        titles = [axes.get_title() for axes in drawn[0].findobj(matplotlib.axes.Axes)]
        shown = [title for title in titles if "→" in title]
        assert shown[:2] == ["cat → dog\n90% sure", "dog → bird\n90% sure"]
        assert len(shown) == 10

    @pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 8, 8)])
    def test_grey_and_colour_examples(self, tmp_path, drawn, shape):
        examples = some_examples(2, shape)
        training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png", examples=examples)
        first = drawn[0].findobj(matplotlib.image.AxesImage)[-2].get_array()
        image = examples.images[0]
        scaled = (image - image.min()) / (image.max() - image.min())
        expected = scaled.transpose(1, 2, 0) if shape[0] == 3 else scaled.reshape(8, 8)
        np.testing.assert_allclose(first, expected, atol=1e-6)

    @pytest.mark.parametrize(
        "history",
        [
            {"train_loss": [0.5]},
            {"train_loss": [math.nan, math.inf, 1.0], "val_loss": [math.nan] * 3},
            {"train_loss": [0.0, 0.0], "train_accuracy": [1.0, 1.0]},
            {"train_loss": [100.0, 1.0, 1e-6]},
            {"train_loss": [-1.0, -2.0]},
            {"val_accuracy": list(np.linspace(0, 1, 500))},
            {"train_loss": [3.0, 2.0], "val_loss": [2.5]},
        ],
    )
    def test_unusual_histories_are_drawn_without_a_warning(self, tmp_path, history):
        training_figure(history, CONFUSION, NAMES, tmp_path / "run.png")
        assert decode(tmp_path / "run.png").shape[1] >= 1200

    @pytest.mark.parametrize("classes", [1, 100])
    def test_extreme_numbers_of_classes_are_drawn_without_a_warning(self, tmp_path, classes):
        names = [f"class {index}" for index in range(classes)]
        training_figure(HISTORY, np.eye(classes, dtype=int), names, tmp_path / "run.png")
        assert decode(tmp_path / "run.png").shape[1] >= 1200

    @pytest.mark.parametrize("classes", [1, 2, 12, 25, 100])
    def test_cells_are_numbered_while_they_are_few(self, tmp_path, drawn, classes):
        confusion = 9999 * np.eye(classes, dtype=int) + 12345 * (classes == 2)
        names = [f"class number {index}" for index in range(classes)]
        training_figure(HISTORY, confusion, names, tmp_path / "run.png")
        axes = axes_named(drawn[0], "Confusion")
        assert len(axes.texts) == (np.count_nonzero(confusion) if classes <= 20 else 0)
        assert 1 <= len(axes.get_yticklabels()) <= 26

    def test_an_empty_confusion_matrix(self, tmp_path, drawn):
        training_figure(HISTORY, np.zeros((3, 3), int), NAMES, tmp_path / "run.png")
        axes_named(drawn[0], "Confusion matrix: no items")

    def test_dollars_are_not_formulas(self, tmp_path):
        names = ("$", "$x", "a_b^")
        examples = some_examples()
        training_figure(HISTORY, CONFUSION, names, tmp_path / "run.png", "$1 \\frac", examples)

    def test_an_old_figure_survives_a_failure(self, tmp_path, monkeypatch):
        path = tmp_path / "run.png"
        path.write_bytes(b"old")
        monkeypatch.setattr(figures, "_DPI", -1)
        with pytest.raises(ValueError, match="dpi"):
            training_figure(HISTORY, CONFUSION, NAMES, path)
        assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1

    def test_bad_input_is_refused(self, tmp_path):
        path = tmp_path / "run.png"
        with pytest.raises(ShapeError, match=r"\(3, 3\), there are 2 class names"):
            training_figure(HISTORY, CONFUSION, ("a", "b"), path)
        with pytest.raises(ShapeError, match=r"confusion is \(3,\)"):
            training_figure(HISTORY, np.zeros(3, int), NAMES, path)
        with pytest.raises(DataError, match="at least one epoch"):
            training_figure({"train_loss": []}, CONFUSION, NAMES, path)
        with pytest.raises(ShapeError, match=r"an example is \(8, 8, 2\)"):
            strange = some_examples(1, (2, 8, 8))
            training_figure(HISTORY, CONFUSION, NAMES, path, examples=strange)
        assert not path.exists()


class TestOverviewFigure:
    history = {
        "train_loss": [3.0, 2.0, 1.0, 0.5],
        "val_loss": [math.nan, 2.5, math.nan, 1.5],
        "val_mean_iou": [math.nan, 0.25, math.nan, 0.5],
    }

    def test_epochs_without_a_number_are_left_out(self, tmp_path, drawn):
        overview_figure(self.history, tmp_path / "run.png", "a run", "mean_iou")
        train, val = axes_named(drawn[0], "Loss").get_lines()
        assert list(train.get_xdata()) == [1, 2, 3, 4]
        assert (list(val.get_xdata()), list(val.get_ydata())) == ([2, 4], [2.5, 1.5])
        (measure,) = axes_named(drawn[0], "Mean IoU").get_lines()
        assert (list(measure.get_xdata()), list(measure.get_ydata())) == ([2, 4], [0.25, 0.5])
        assert measure.get_label() == "validation (last 0.5)"

    def test_the_loss_alone(self, tmp_path, drawn):
        overview_figure({"train_loss": [1.0], "val_loss": [math.nan]}, tmp_path / "run.png")
        (axes,) = drawn[0].axes
        assert [list(line.get_ydata()) for line in axes.get_lines()] == [[1.0]]

    @pytest.mark.parametrize(("count", "shape", "columns"), [(3, (3, 8, 8), 3), (7, (8, 24), 2)])
    def test_pictures_stand_below(self, tmp_path, drawn, count, shape, columns):
        images = np.random.default_rng(0).random((count, *shape), np.float32)
        pictures = [(f"no. {place}", image) for place, image in enumerate(images)]
        path = tmp_path / "run.png"
        overview_figure(self.history, path, pictures=pictures)
        shown = [axes for axes in drawn[0].findobj(matplotlib.axes.Axes) if axes.images]
        assert [axes.get_title(loc="left") for axes in shown] == [title for title, _ in pictures]
        assert shown[0].get_gridspec().ncols == columns

    def test_a_png(self, tmp_path):
        path = tmp_path / "run.png"
        overview_figure(self.history, path, "a run", "mean_iou", [("all", np.eye(8))])
        picture = decode(path)
        assert picture[: len(picture) // 2].std() > 0.05 < picture[len(picture) // 2 :].std()

    def test_an_empty_history_is_refused(self, tmp_path):
        with pytest.raises(DataError):
            overview_figure({"train_loss": []}, tmp_path / "run.png")


class TestLineFigure:
    x = np.array([3.0, 1.0, 2.0])
    y = np.array([[6.1], [1.9], [4.0]])

    def test_points_and_fitted_line(self, tmp_path, drawn):
        line_figure(self.x, self.y, 2 * self.x[:, None], [5, 1], tmp_path / "fit.png", x_label="kg")
        axes = axes_named(drawn[0], "Fit")
        line = axes.get_lines()[0]
        assert list(line.get_xdata()) == [1, 2, 3] and list(line.get_ydata()) == [2, 4, 6]
        points = axes.collections[0].get_offsets()
        np.testing.assert_array_equal(points, np.column_stack([self.x, self.y]))
        assert axes.get_xlabel() == "kg"
        assert list(axes_named(drawn[0], "Loss").get_lines()[0].get_ydata()) == [5, 1]

    def test_several_features_show_predicted_against_true(self, tmp_path, drawn):
        features = np.ones((3, 4))
        line_figure(features, self.y, self.y + 1, [1.0], tmp_path / "fit.png")
        points = axes_named(drawn[0], "Predicted").collections[0].get_offsets()
        np.testing.assert_array_equal(points, np.column_stack([self.y, self.y + 1]))

    def test_bad_input_is_refused(self, tmp_path):
        path = tmp_path / "fit.png"
        with pytest.raises(ShapeError, match=r"x is \(3, 1\), y is \(2, 1\)"):
            line_figure(self.x, [1, 2], [1, 2], [1.0], path)
        with pytest.raises(ShapeError, match=r"\(1, 1, 1\)"):
            line_figure([[[1]]], [1], [1], [1.0], path)
        with pytest.raises(DataError):
            line_figure(self.x, self.y, self.y, [], path)
        assert not path.exists()


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((2, 2), True), ((1, 8, 8), True), ((3, 8, 8), True), ((2, 8, 8), False), ((8,), False),
     ((8, 1), False), ((8, 5000), False), ((1, 1, 8, 8), False), ((), False)],
)  # fmt: skip
def test_what_a_picture_is(shape, drawn):
    assert is_picture(np.zeros(shape)) is drawn
    assert not is_picture(None)


def test_neither_pyplot_nor_settings_are_touched(tmp_path):
    script = (
        "import sys, narae.train.figures as figures\n"
        "assert 'matplotlib' not in sys.modules, 'importing must stay cheap'\n"
        "import matplotlib\n"
        "before = matplotlib.rcParams.copy()  # without resolving its backend\n"
        "figures.training_figure({'train_loss': [1, 2]}, [[1]], ['a'], sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "keys = [key for key in before if key != 'backend']\n"
        "assert all(before[key] == matplotlib.rcParams[key] for key in keys)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("DISPLAY", None)
    command = [sys.executable, "-c", script, str(tmp_path / "run.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_figures_can_be_drawn_from_several_threads(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: training_figure(HISTORY, CONFUSION, NAMES, path), paths))
    assert len({path.read_bytes() for path in paths}) == 1


def test_letters_fall_back_on_an_installed_font(tmp_path, drawn, monkeypatch):
    training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png", "a run")
    monkeypatch.setattr(figures, "_EAST_ASIAN_FONTS", ("No such font", "DejaVu Serif"))
    figures._choose_fonts(drawn[0])
    for text in drawn[0].findobj(matplotlib.text.Text):
        assert text.get_fontfamily() == ["DejaVu Sans", "DejaVu Serif"]


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"narae\[train\]"):
        training_figure(HISTORY, CONFUSION, NAMES, tmp_path / "run.png")
