"""Recipes that find things: they train, judge, answer and draw, on a few small pictures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from narae.cli import main
from narae.errors import DataError
from narae.train.building import build
from narae.train.example import Example
from narae.train.recipe import load_recipe
from narae.train.runs.evaluation import evaluate_run
from narae.train.runs.saved import load_run
from narae.vision.models.detection import SmallFasterRCNN, YOLOv1

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("sklearn")

KINDS = [("bccd-yolo", YOLOv1), ("bccd-faster-rcnn", SmallFasterRCNN)]
ROOT = Path(__file__).resolve().parent.parent.parent
BOXES = {"RBC": (40, 60, 140, 160), "WBC": (300, 200, 520, 420), "Platelets": (500, 40, 540, 80)}


@pytest.fixture(scope="module")
def bccd(tmp_path_factory):
    """A folder in BCCD's form: squares of three sizes and colours on a light ground."""
    root = tmp_path_factory.mktemp("data") / "bccd"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    colours = {"RBC": (200, 120, 120), "WBC": (110, 60, 160), "Platelets": (120, 90, 200)}
    for number in range(4):
        picture, objects = Image.new("RGB", (640, 480), (230, 225, 220)), ""
        for name, (x1, y1, x2, y2) in BOXES.items():
            corners = x1 + 8 * number, y1, x2 + 8 * number, y2
            picture.paste(colours[name], corners)
            words = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
            box = "".join(f"<{key}>{x}</{key}>" for key, x in words)
            objects += f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
        picture.save(root / "JPEGImages" / f"{number}.jpg")
        size = "<size><width>640</width><height>480</height></size>"
        text = f"<annotation>{size}{objects}</annotation>"
        (root / "Annotations" / f"{number}.xml").write_text(text)
    for name, numbers in (("trainval", "0\n1\n2\n3\n"), ("test", "1\n3\n")):
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(numbers)
    return root.parent


@pytest.mark.parametrize("name", ["bccd-yolo", "bccd-faster-rcnn", "mnist-detection"])
def test_recipes_are_short_and_say_what_they_reach(name):
    recipe = load_recipe(name)
    lines = [line for line in recipe.path.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= 80
    assert set(recipe.card.fields) == {"task", "data", "expect", "time"}
    assert recipe.settings.monitor == "val_ap50"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_cells_are_learned_judged_and_drawn(name, kind, bccd, tmp_path, monkeypatch, capsys):
    """I17, I19: from the command line to a picture with boxes."""
    monkeypatch.chdir(tmp_path)
    width = ["width=4", "ema=0", "validate_every=1"]
    run = ["train", name, "--epochs", "2", "--batch-size", "2", "--data-dir", str(bccd)]
    assert main([*run, "--set", *width, "--out", "run", "-q"]) == 0
    records = [json.loads(x) for x in Path("run/metrics.jsonl").read_text().splitlines()]
    assert {"val_ap50", "val_ap", "val_ap50_RBC", "train_loss"} <= set(records[-1])
    assert records[1]["train_loss"] < records[0]["train_loss"]
    saved = load_run(Path("run"))
    assert type(saved.model) is kind
    judged = evaluate_run(saved, bccd)
    assert judged.samples == 2
    assert judged.numbers["ap50"] == pytest.approx(records[-1]["val_ap50"], abs=0.2)
    picture = bccd / "bccd" / "JPEGImages" / "1.jpg"
    capsys.readouterr()
    assert main(["predict", str(picture), "--checkpoint", "run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)[0]["said"]
    assert set(said) == {"found", "drawn"}
    with Image.open("1-boxes.png") as drawn:
        assert drawn.size == (640, 480)


def test_a_damaged_picture_stops_a_run_by_name(bccd, tmp_path):
    folder = tmp_path / "bccd"
    folder.mkdir()
    for part in ("Annotations", "JPEGImages", "ImageSets"):
        (folder / part).mkdir()
    (folder / "ImageSets" / "Main").mkdir()
    for file in (bccd / "bccd").rglob("*.*"):
        (folder / file.relative_to(bccd / "bccd")).write_bytes(file.read_bytes())
    broken = folder / "JPEGImages" / "2.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    data = load_recipe("bccd-yolo").changed({"batch_size": 2}).data(tmp_path)
    with pytest.raises(DataError, match=r"2\.jpg cannot be read"):
        list(data.train)


@pytest.mark.parametrize("detector", ["yolo", "faster-rcnn"])
def test_digits_are_shown_in_the_report(detector):
    """What `examples` gives: pictures with true boxes above found ones."""
    settings = {"items": 8, "width": 4, "source": "digits", "detector": detector}
    trainer = build(load_recipe("mnist-detection").changed(settings))
    trainer.model.programs.wanted = False
    recipe = load_recipe("mnist-detection")
    found = recipe.part("examples")(trainer.model.eval(), next(iter(trainer.data.test)))
    assert all(isinstance(each, Example) for each in found)
    assert found[0].picture.shape == (3, 192, 96)
    assert found[0].picture[:, :96].max() > found[0].picture[:, 96:].min()


@pytest.mark.slow
def test_the_lineage_is_one_command(tmp_path, monkeypatch, capsys):
    """I14 to I19: accuracy, passes and time of all five detectors, as a table and a figure."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "vision"))
    program = importlib.import_module("detection_lineage")
    found = program.main(["--small", "--items", "16", "--figure", str(tmp_path / "five.png")])
    assert [each.name for each in found] == list(program.LINEAGE)
    assert [each.passes for each in found] == [64, 1, 1, 1, 1]
    assert all(each.search > 0 for each in found[:3])
    assert all(each.search == 0 for each in found[3:])
    assert all(np.isfinite(each.ap50) for each in found)
    text = capsys.readouterr().out
    for name in ("R-CNN", "SPPNet", "Fast R-CNN", "Faster R-CNN", "YOLO v1"):
        assert f"\n{name} " in text
    assert (tmp_path / "five.png").stat().st_size > 10_000


@pytest.mark.long
def test_digits_are_found():
    """I17, I19: minutes of training find digits of MNIST, or of scikit-learn."""
    for detector, epochs in (("faster-rcnn", 16), ("yolo", 60)):
        settings = {"items": 400, "detector": detector, "epochs": epochs, "validate_every": epochs}
        numbers = build(load_recipe("mnist-detection").changed(settings)).fit()
        assert numbers["val_ap50"] > 0.5
