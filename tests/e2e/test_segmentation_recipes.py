"""The recipes of CamVid learn, answer and report, on drawn streets in the form of CamVid."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

import narae
from narae.cli import main
from narae.errors import MissingDataError
from narae.train.runs.folder import RunFolder
from narae.vision.datasets import CamVid

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

SKY, ROAD, CAR, NOTHING = 0, 3, 8, 11
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "vision"


def street(seed: int) -> tuple:
    """A frame of 240 x 180: sky over a road with a car; the lowest rows have no class."""
    rng = np.random.default_rng(seed)
    labels = np.full((180, 240), SKY, np.uint8)
    labels[90:] = ROAD
    left = rng.integers(10, 150)
    labels[80:120, left : left + 60] = CAR
    labels[176:] = NOTHING
    colours = np.zeros((12, 3))
    colours[[SKY, ROAD, CAR, NOTHING]] = [(90, 160, 230), (100, 100, 100), (200, 30, 30), (0, 0, 0)]
    picture = colours[labels] + rng.normal(0, 12, (180, 240, 3))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), Image.fromarray(labels)


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """Frames and masks in folders like CamVid's."""
    root = tmp_path_factory.mktemp("camvid")
    for split, count in (("train", 24), ("val", 4), ("test", 4)):
        (root / split).mkdir()
        (root / f"{split}annot").mkdir()
        for number in range(count):
            frame, mask = street(number + {"train": 0, "val": 50, "test": 100}[split])
            frame.save(root / split / f"{number}.jpg", quality=95)
            mask.save(root / f"{split}annot" / f"{number}.png")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camvid-fcn", "camvid-unet"])
def test_recipe_learns_and_says_what_it_sees(name, streets, tmp_path, monkeypatch, capsys):
    """I11: per pixel; training, evaluation, prediction with a drawing, and the report."""
    monkeypatch.chdir(tmp_path)
    given = ["--data-dir", str(streets), "--epochs", "6"]
    given += ["--set", "validate_every=3", "batch_size=4"]
    assert main(["train", name, "-q", "--out", "run", *given]) == 0
    history = RunFolder(Path("run")).history()
    assert Image.open(f"run/{name}.png").size[0] > 1000  # curves, and frames with masks
    # Three classes of eleven occur, and no other may be called: chance is far below.
    assert history["val_mean_iou"][-1] > 0.5
    assert history["val_pixel_accuracy"][-1] > 0.9
    capsys.readouterr()

    judged = ["--data-dir", str(streets), "--json"]
    chosen = np.nanmax(history["val_mean_iou"])  # of the best epoch
    tested = json.loads(Path("run/result.json").read_text("utf-8"))["test"]["mean_iou"]
    for part, expected in (("validation", chosen), ("test", tested)):
        assert main(["evaluate", "--checkpoint", "run", "--part", part, *judged]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["samples"] == 4
        assert found["mean_iou"] == pytest.approx(expected, abs=1e-3)

    wide, _ = street(7)
    wide.resize((480, 360)).save("wide.png")
    assert main(["predict", "wide.png", "--checkpoint", "run"]) == 0
    said = capsys.readouterr().out
    assert "road" in said
    assert "drawn to wide-classes.png" in said
    assert Image.open("wide-classes.png").size[1] == 360

    assert main(["report", "run", "--data-dir", str(streets)]) == 0
    page = next(Path("run").glob("*.html")).read_text("utf-8")
    assert page.count("frame, true and predicted classes</figcaption>") == 4


def test_a_damaged_frame_stops_the_training_with_its_name(streets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "broken"
    for folder in ("train", "trainannot", "val", "valannot", "test", "testannot"):
        (broken / folder).mkdir(parents=True)
        for path in (streets / folder).iterdir():
            os.link(path, broken / folder / path.name)
    (broken / "train" / "5.jpg").unlink()
    (broken / "train" / "5.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    narae.set_executor("reference")
    try:
        status = main(["train", "camvid-fcn", "-q", "--data-dir", str(broken), "--epochs", "1"])
    finally:
        narae.set_executor(None)
    assert status != 0
    said = capsys.readouterr().err
    assert "5.jpg cannot be read" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_example_compares_four_networks(tmp_path, monkeypatch, capsys):
    """I12: FCN-8s skip: the measured example runs, and its table is whole."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    narae.set_executor("reference")
    try:
        found = importlib.import_module("segmentation").main(
            ["--small", "--out", str(tmp_path / "shapes.png")]
        )
    finally:
        narae.set_executor(None)
    assert list(found) == ["FCN-32s", "FCN-16s", "FCN-8s", "U-Net"]
    assert all(0 < value <= 1 for value in found.values())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 5
    columns, rows = 6, 3  # picture, true classes and four answers; twice as large
    size = Image.open(tmp_path / "shapes.png").size
    assert size == (columns * (192 + 4) + 4, rows * (128 + 4) + 4)


@pytest.mark.long
def test_camvid_itself(tmp_path, monkeypatch):
    """I11: mIoU of FCN-8s on CamVid's test frames; half an hour on two cores."""
    try:
        CamVid(split="test")
    except MissingDataError:
        pytest.skip("CamVid is not here: NARAE_DATA names its folder")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "camvid-fcn", "-q", "--out", "run"]) == 0
    assert json.loads(Path("run/result.json").read_text("utf-8"))["test"]["mean_iou"] > 0.45
