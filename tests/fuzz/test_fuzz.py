"""Hundreds of damaged files of each kind that a user can hand over, or thousands: see `mutants`.

`pytest -m slow tests/fuzz` reads 200 of each kind, `pytest -m long tests/fuzz` 2,000.

Faults that it has seen: a picture whose header says that it is huge, which Pillow refuses in its
own way.
"""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import narae
from narae.base.errors import ConfigError
from narae.cli import main
from narae.io import read_records, save
from narae.train import build, load_recipe
from narae.train.card import read_card
from narae.train.checkpoint_folder import CheckpointFolder
from narae.train.recipe import recipe_names
from narae.train.runs.folder import RunFolder
from tests.fuzz.mutants import check
from tests.hostile_files import GOOD
from tests.train.small_recipe import SIDES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="children are forks")


@pytest.fixture(
    params=[pytest.param(200, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.long)]
)
def count(request):
    """How many files."""
    return request.param


INI = b"""[train]
recipe = digits-cnn
epochs = 3
lr = 1e-3
quiet = 1

[set]
width = 16
mixup = 0.2
"""
TOML = b"""[train]
recipe = "digits-cnn"
epochs = 3
lr = 1e-3

[set]
width = 16
mixup = 0.2
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a finished run."""
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "sides.py"
    recipe.write_text(SIDES.lstrip(), "utf-8")
    assert main(["train", str(recipe), "-q", "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def saved_settings(file: Path) -> None:
    """Read a settings file as `narae train` does, without training."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        saved = str(file.with_name("saved.toml"))
        code = main(["train", "--config", str(file), "--save-config", saved])
        said = sys.stderr.getvalue()
    finally:
        sys.stdout, sys.stderr = out, err
    if code != 0:
        assert code == 2, f"exit code {code}"
        raise ConfigError(said)


@pytest.mark.parametrize(("name", "original"), [("a.ini", INI), ("a.toml", TOML)])
def test_settings_files(tmp_path, name, original, count):
    saved_settings(_written(tmp_path / name, original))
    assert check(saved_settings, original, tmp_path / name, count) > count // 4


def test_checkpoints(run, tmp_path, count):
    folder = CheckpointFolder(run / "checkpoints")
    original = folder.file(folder.steps()[-1]).read_bytes()
    recipe = load_recipe(str(run.parent / "sides.py"))
    trainer = build(recipe)

    def read(file: Path) -> None:
        before = {name: x.clone() for name, x in trainer.model.state_dict().items()}
        try:
            trainer.load_state_dict(narae.load(file))
        except narae.errors.NaraeError:
            after = trainer.model.state_dict()
            assert all(bool((after[name] == x).all()) for name, x in before.items()), "half loaded"
            raise

    assert check(read, original, tmp_path / "mutant.safetensors", count) > 0.95 * count


def test_plans_of_runs(run, tmp_path, count):
    original = (run / "run.json").read_bytes()

    def read(file: Path) -> None:
        folder = RunFolder(file.parent)
        folder.plan()
        folder.recipe()

    assert check(read, original, run / "run.json", count) > count // 4


def test_records(run, tmp_path, count):
    original = (run / "metrics.jsonl").read_bytes() * 3
    assert check(lambda file: list(read_records(file)), original, tmp_path / "a.jsonl", count)


def test_cards_of_recipes(tmp_path, count):
    import narae.train.recipes.digits_cnn as recipe

    original = Path(recipe.__file__).read_bytes()
    assert "digits-cnn" in recipe_names()
    assert check(read_card, original, tmp_path / "a.py", count) > count // 10


def test_weights(tmp_path, count):
    file = tmp_path / "a.safetensors"
    save({"w": narae.arange(12.0).reshape(3, 4), "epoch": 3, "names": ["x", "y"]}, file)
    assert check(narae.load, file.read_bytes(), tmp_path / "mutant.safetensors", count) > count // 2


def test_weights_of_torch(tmp_path, count):
    """A zip as `torch.save` writes it, with everything in it that it may hold."""
    file, base = tmp_path / "a.pt", narae.arange(12.0)
    model = narae.nn.Sequential(narae.nn.Linear(2, 3), narae.nn.BatchNorm1d(3))
    state = {"state": model.state_dict(), "w": model[0].weight, "epoch": (3, "x", None)}
    state["views"] = [base[2:8], base.view(3, 4).T, base[:0]]
    state["short"] = [narae.ones(3, dtype=x) for x in (narae.bfloat16, narae.uint16)]
    save(state, file)
    assert check(narae.load, file.read_bytes(), tmp_path / "mutant.pt", count) > count // 2


def test_weights_of_old_torch(tmp_path, count):
    assert check(narae.load, GOOD["old"], tmp_path / "mutant.pt", count) > count // 3


def test_programs_of_pickles(tmp_path, count):
    """The program alone, without the checksum of a zip before it."""
    data = pickle.dumps({"a": np.arange(6.0).reshape(2, 3), "b": [1, (2.5, {"c": {3}})]}, 4)
    assert check(narae.load, data, tmp_path / "mutant.pkl", count) > count // 3


def test_headers_of_safetensors(tmp_path, count):
    """A file of another library's, without a checksum."""
    assert check(narae.load, GOOD["safetensors"], tmp_path / "mutant", count) > count // 2


def test_indexes_of_shards(tmp_path, count):
    save({"a": narae.ones(2)}, tmp_path / "one.safetensors")
    save({"b": narae.ones(3)}, tmp_path / "two.safetensors")
    index = b'{"metadata": {"total_size": 20}, "weight_map": {"a": "one.safetensors", '
    index += b'"b": "two.safetensors"}}'
    narae.load(_written(tmp_path / "good.index.json", index))
    assert check(narae.load, index, tmp_path / "mutant.index.json", count) > count // 2


def test_pictures_of_digits(tmp_path, count):
    from narae.vision.idx import read_idx

    header = bytes([0, 0, 8, 3]) + np.array([20, 28, 28], ">i4").tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, 20 * 28 * 28, np.uint8)
    original = header + pixels.tobytes()
    assert read_idx(_written(tmp_path / "good", original)).shape == (20, 28, 28)
    assert check(read_idx, original, tmp_path / "mutant", count) > count // 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_picture_files(tmp_path, kind, count):
    image = pytest.importorskip("PIL.Image")
    from narae.vision.picture_files import open_picture

    image.init()  # its plugins are loaded here, not by a mutant
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    file = io.BytesIO()
    image.fromarray(pixels).save(file, kind)

    def read(path: Path) -> None:
        open_picture(path).convert("L").load()

    assert check(read, file.getvalue(), tmp_path / f"mutant.{kind.lower()}", count) > 10


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
