"""The recipe contract: settings in signatures, values of texts, cards, errors; prediction hooks."""

from __future__ import annotations

import hashlib
import inspect
import json
import pathlib
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae import errors, nn
from narae.cli import main
from narae.optim import SGD
from narae.train import Data, Settings, Trainer, build, load_recipe, recipe_names
from narae.train.card import FIELDS
from narae.train.parsing import can_be_set, described, parse_value
from tests.train.small_recipe import SIDES, write_sides


@pytest.fixture
def recipe_of_sides(tmp_path):
    return load_recipe(str(write_sides(tmp_path)))


# --------------------------------------------------------------------------------- values of texts
SAID = [
    ("3", int, 3),
    ("-1", int, -1),
    ("3e-4", float, 3e-4),
    (3, float, 3.0),
    (4.0, int, 4),
    ("yes", bool, True),
    ("Off", bool, False),
    (True, bool, True),
    ("none", int | None, None),
    ("7", int | None, 7),
    ("64,32", tuple[int, ...], (64, 32)),
    ([64, 32], tuple[int, ...], (64, 32)),
    ("1,2.5", tuple[int, float], (1, 2.5)),
    ("adam", Literal["sgd", "adam"], "adam"),
    ("2", Literal[1, 2], 2),
    ("a b", str, "a b"),
    ("a/b", pathlib.Path, pathlib.Path("a/b")),
]


@pytest.mark.parametrize(("text", "kind", "value"), SAID)
def test_texts_become_values(text, kind, value):
    found = parse_value(text, kind, "x")
    assert found == value
    assert type(found) is type(value)


REFUSED = [
    ("3.5", int),
    (3.5, int),
    (True, int),
    (float("inf"), int),
    ("fast", float),
    (True, float),
    ("maybe", bool),
    ("none", int),
    ("1,x", tuple[int, ...]),
    ("1,2,3", tuple[int, int]),
    ("rmsprop", Literal["sgd", "adam"]),
    (3, str),
    ({"a": 1}, float),
    ([1], pathlib.Path),
    (None, float),
]


@pytest.mark.parametrize(("text", "kind"), REFUSED)
def test_other_texts_are_refused_in_words(text, kind):
    with pytest.raises(errors.ConfigError, match="it is "):
        parse_value(text, kind, "x")
    assert "typing" not in described(kind)


@given(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.lists(st.integers())
    )
)
def test_no_value_leads_to_another_error(value):
    for kind in (int, float, bool, str, int | None, tuple[float, ...], Literal["a"]):
        try:
            parse_value(value, kind, "x")
        except errors.ConfigError:
            continue


def test_classes_and_functions_are_no_settings(tmp_path):
    assert not can_be_set(type)
    path = write_sides(tmp_path)
    path.write_text(SIDES.replace("dropout: float = 0.1", "layer: type = nn.ReLU, dropout=0.1"))
    assert {name for name in load_recipe(str(path)).options if name.startswith("model.")} == {
        "model.widths",
        "model.dropout",
    }


# -------------------------------------------------------------------------------- settings, by name
def test_a_setting_is_found_by_its_name(tmp_path):
    recipe = load_recipe(str(write_sides(tmp_path)))
    changed = recipe.changed({"lr": "0.25", "model.dropout": 0, "patience": "5", "widths": "4,2"})
    own = {"optimizer.lr": 0.25, "model.dropout": 0.0, "model.widths": (4, 2)}
    assert changed.values == own
    assert changed.settings == Settings(epochs=3, patience=5)
    assert changed.chosen_settings() == {**own, "patience": 5}
    assert recipe.values == {}  # the first one is as it was
    assert changed.model()[0].weight.shape == (4, 2)
    assert changed.all_settings()["data.batch_size"] == 16


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("momentun", "momentum"),
        ("optimiser.lr", "optimizer.lr"),
        ("batchsize", "batch_size"),
        ("epoch", "epochs"),
        ("mix_up", "mixup"),
    ],
)
def test_an_unknown_setting_names_the_nearest(tmp_path, key, near):
    """An unknown key names the nearest known one, and what there is."""
    recipe = load_recipe(str(write_sides(tmp_path)))
    with pytest.raises(errors.ConfigError, match=rf"did you mean {near}\?") as caught:
        recipe.changed({key: 1})
    assert "sides has batch_size, widths, dropout, lr, momentum" in str(caught.value)


# --------------------------------------------------------------------------------- what comes along
@pytest.mark.parametrize("name", recipe_names())
def test_recipes_that_come_along_are_short_and_say_what_they_are(name):
    """H1: data, model, loss and algorithm are the parts of every recipe."""
    recipe = load_recipe(name)
    assert set(recipe.card.fields) == set(FIELDS)
    assert sum(map(bool, recipe.source.split(b"\n"))) <= 60  # beside empty lines
    assert all(recipe.part(part) is not None for part in ("data", "model", "loss", "optimizer"))
    assert recipe.sha256 == hashlib.sha256(recipe.path.read_bytes()).hexdigest()
    assert recipe.comes_along
    json.dumps(recipe.all_settings())


def test_one_that_comes_along_is_a_file_like_any_other_when_named_so(tmp_path):
    path = str(load_recipe("linear-regression").path)
    assert not load_recipe(path).comes_along
    out = tmp_path / "out"
    assert main(["train", path, "-q", "--epochs", "2", "--out", str(out)]) == 0
    assert main(["train", "--resume", str(out), "-q", "--epochs", "3"]) == 0
    assert main(["train", "--from", str(out), "-q", "--out", str(tmp_path / "again")]) == 0


def test_a_recipe_may_import_what_lies_beside_it(tmp_path):
    """And its dataclasses work; what it is named after is not hidden."""
    (tmp_path / "beside_it.py").write_text("WIDTH = 5\n", "utf-8")
    more = (
        "\n\nfrom dataclasses import dataclass\n\nfrom beside_it import WIDTH\n\n\n"
        "@dataclass\nclass Size:\n    width: int = WIDTH\n"
    )
    recipe = load_recipe(str(write_sides(tmp_path, more)))
    assert recipe.module.Size().width == 5


BROKEN = {
    "no Python": ("def model(:\n", "is no Python program"),
    "parts": ("def model(): ...\n", "does not define data, loss, optimizer"),
    "settings": (SIDES.replace("Settings(epochs=3)", "3"), "it is narae.train.Settings"),
    "arguments": (SIDES.replace("def loss(out, target)", "def loss(out)"), "takes 2 arguments"),
    "keywords": (SIDES.replace("momentum: float = 0.9", "**more"), "then settings with one"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recipe_is_explained(tmp_path, capsys, name):
    text, said = BROKEN[name]
    (tmp_path / "own.py").write_text(text, "utf-8")
    assert main(["train", str(tmp_path / "own.py"), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_must_be_data(tmp_path, capsys):
    path = write_sides(tmp_path, "\n\ndef data(folder):\n    return [1, 2]\n")
    assert main(["train", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "data() of sides gave a list" in capsys.readouterr().err


def test_the_four_parts_of_a_recipe_are_the_slots_of_the_trainer(recipe_of_sides):
    """H1: data, model, loss and algorithm: the functions of a recipe, the Trainer's first four."""
    trainer = build(recipe_of_sides)
    names = list(inspect.signature(Trainer.__init__).parameters)[1:5]
    assert names == ["data", "model", "loss", "optimizer"]
    assert isinstance(trainer.data, Data)
    assert isinstance(trainer.model, nn.Sequential)
    assert trainer.loss is recipe_of_sides.module.loss
    assert isinstance(trainer.optimizer, SGD)
    assert len(trainer.optimizer.param_groups[0]["params"]) == len(list(trainer.model.parameters()))


def test_a_default_of_none_is_one_of_the_values(tmp_path, monkeypatch):
    """`width: int = None` can be written to run.json, and read again when the run goes on."""
    pytest.importorskip("matplotlib")
    path = write_sides(tmp_path)
    text = path.read_text("utf-8").replace("lr: float = 0.5", "lr: float = None")
    path.write_text(text.replace("lr=lr,", "lr=lr or 0.5,"), "utf-8")
    recipe = load_recipe(str(path))
    assert recipe.kind_of("lr") == float | None
    assert recipe.changed({"lr": "none"}).all_settings()["optimizer.lr"] is None
    assert recipe.changed({"lr": "0.25"}).all_settings()["optimizer.lr"] == 0.25
    assert recipe.kind_of("momentum") is float
    out = str(tmp_path / "run")
    assert main(["train", str(path), "--epochs", "1", "--out", out, "-q"]) == 0
    assert main(["train", "--resume", out, "--epochs", "2", "-q"]) == 0


def test_as_written(recipe_of_sides):
    """What the file itself says, whatever was chosen."""
    changed = recipe_of_sides.changed({"epochs": 7, "lr": 0.1})
    assert changed.chosen_settings() == {"epochs": 7, "optimizer.lr": 0.1}
    assert changed.as_written.all_settings() == recipe_of_sides.all_settings()
    assert changed.as_written.settings == Settings(epochs=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("validate_every", 0), ("accumulate", 0), ("accumulate", 1.5), ("epochs", -1)],
)
def test_counts_of_a_trainer(recipe_of_sides, name, value):
    """They are refused when the trainer is made, not by a division in its loop."""
    made = build(recipe_of_sides)
    with pytest.raises(errors.ConfigError, match=rf"\[Trainer\] {name} is {value}; .* at least"):
        Trainer(made.data, made.model, made.loss, made.optimizer, **{name: value})


# --------------------------------------------------------------------------- not only of pictures
def test_a_recipe_answers_in_its_own_way(tmp_path, capsys):
    """`predict(model, path)` of a recipe is what `narae predict` shows."""
    more = (
        "\n\ndef predict(model, path, unit: str = 'points'):\n"
        "    return f'{len(path.read_text().split())} {unit}, {model[0].weight.shape[0]} wide'\n"
    )
    path = write_sides(tmp_path, more)
    run = str(tmp_path / "run")
    assert main(["train", str(path), "-q", "--out", run, "--set", "unit=words"]) == 0
    (tmp_path / "text.txt").write_text("a b c", "utf-8")
    ask = ["predict", str(tmp_path / "text.txt"), "--checkpoint", run]
    assert main([*ask, "-q"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'text.txt'}: 3 words, 8 wide\n"
    assert main([*ask, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["said"] == "3 words, 8 wide"
    assert main(["predict", "nothing.txt", "--checkpoint", run]) == 2


DICTS = """

def forward(model, batch):
    x, y = batch
    return {"scores": model(x)}, {"labels": y}


def loss(out, target):
    return F.cross_entropy(out["scores"], target["labels"])


def metrics(out, target):
    return {}


def evaluate(model, batches):
    return {"items": float(sum(len(x) for x, _ in batches))}
"""


def test_outputs_and_targets_may_be_anything(tmp_path, capsys):
    """The trainer, the results and `narae evaluate` never look into outputs or targets."""
    path = write_sides(tmp_path, DICTS)
    run = tmp_path / "run"
    assert main(["train", str(path), "-q", "--out", str(run)]) == 0
    assert len(list(run.glob("*.png"))) == 1  # the curves
    assert main(["evaluate", "--checkpoint", str(run), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["items"]) == (20, 20.0)
    assert "confusion" not in found
    assert main(["evaluate", "--checkpoint", str(run), "--picture", str(tmp_path / "x.png")]) == 2
