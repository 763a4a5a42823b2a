"""Settings in files: formats, encodings, precedence, bad input.

C12: `.ini` accepted by the CLI, round-trips. C13: `narae train --lr …`; precedence CLI > file >
default. C5: config, log and vocabulary readers take `encoding=`.
"""

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narae import errors
from narae.cli import main
from narae.cli.main import _parser, _with_settings_file
from narae.cli.train import with_settings
from narae.io import read_config, write_config
from narae.train import load_recipe

KEYS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=9
)
VALUES = st.one_of(st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False), TEXTS)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=3))
def test_toml_round_trips(tmp_path_factory, sections):
    path = tmp_path_factory.mktemp("toml") / "run.toml"
    finite = {
        name: {k: v for k, v in found.items() if not isinstance(v, float) or abs(v) < 1e300}
        for name, found in sections.items()
    }
    write_config(path, finite)
    assert read_config(path) == finite


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, TEXTS, max_size=4), max_size=3))
def test_ini_round_trips(tmp_path_factory, sections):
    """C12: settings saved in a file and read back, as texts."""
    path = tmp_path_factory.mktemp("ini") / "run.ini"
    write_config(path, sections)
    assert read_config(path) == sections


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
@pytest.mark.parametrize("ending", [".ini", ".toml"])
def test_korean_text_in_any_encoding(tmp_path, encoding, ending):
    """C5: utf8 and cp949 files."""
    path = tmp_path / f"설정{ending}"
    write_config(path, {"train": {"out": "실험/첫번째"}}, encoding)
    assert read_config(path, encoding) == {"train": {"out": "실험/첫번째"}}


def test_the_wrong_encoding_is_told(tmp_path):
    path = tmp_path / "run.ini"
    write_config(path, {"train": {"out": "실험"}}, "cp949")
    with pytest.raises(errors.FileFormatError, match='encoding="cp949"'):
        read_config(path)
    with pytest.raises(errors.ConfigError, match="unknown encoding"):
        read_config(path, "hangul")


def options_of(*arguments):
    parser = _parser()
    found = parser.parse_args(arguments)
    return _with_settings_file(parser, found, list(arguments))


FILES = {
    "run.ini": "[train]\nrecipe = mnist-cnn\nlr = 0.25\nbatch-size = 7\ncompile = no\n"
    "verbose = 2\n",
    "run.toml": '[train]\nrecipe = "mnist-cnn"\nlr = 0.25\nbatch_size = 7\ncompile = false\n'
    "verbose = 2\n",
    "flat.toml": 'recipe = "mnist-cnn"\nlr = 0.25\nbatch_size = 7\ncompile = false\nverbose = 2\n',
}


@pytest.mark.parametrize("name", FILES)
def test_c13_the_command_line_wins_over_the_file_and_the_file_over_the_default(tmp_path, name):
    """C12, C13: `narae train --lr …`; precedence CLI > file > default."""
    path = tmp_path / name
    path.write_text(FILES[name], "utf-8")
    found = options_of("train", "--config", str(path), "--lr", "0.5")
    assert found.lr == 0.5  # the command line
    assert (found.recipe, found.batch_size, found.compile, found.verbose) == (
        "mnist-cnn",
        7,
        False,
        2,
    )  # the file
    assert (found.epochs, found.quiet) == (None, False)  # the default
    assert options_of("train", "digits-cnn", "--config", str(path)).recipe == "digits-cnn"
    assert options_of("train").lr is None  # nothing is left of the file


SET_FILES = {
    "run.ini": "[train]\nlr = 0.25\nset = dropout=0.1 patience=3\n[set]\nweight_decay = 0.5\n"
    "mixup = 0.2\n",
    "run.toml": '[train]\nlr = 0.25\nset = ["dropout=0.1", "patience=3"]\n[set]\n'
    "weight_decay = 0.5\nmixup = 0.2\n",
}


@pytest.mark.parametrize("name", SET_FILES)
def test_c13_settings_of_the_recipe_stand_in_their_own_section(tmp_path, name):
    """C12, C13: the section [set] of an .ini or .toml file; precedence CLI > file > default."""
    path = tmp_path / name
    path.write_text(SET_FILES[name], "utf-8")
    recipe = load_recipe("digits-cnn")

    def chosen(*more):
        found = options_of("train", "--config", str(path), *more)
        return with_settings(recipe, found).chosen_settings()

    file = {"optimizer.lr": 0.25, "model.dropout": 0.1, "optimizer.weight_decay": 0.5}
    assert chosen() == {**file, "patience": 3, "mixup": 0.2}
    line = ("--lr", "0.125", "--set", "optimizer.weight_decay=0.25", "patience=9")
    assert chosen(*line) == {
        "optimizer.lr": 0.125,
        "model.dropout": 0.1,
        "optimizer.weight_decay": 0.25,
        "patience": 9,
        "mixup": 0.2,
    }
    assert with_settings(recipe, options_of("train")).chosen_settings() == {}


def test_the_short_option_wins_over_every_name_in_a_file(tmp_path):
    """C13: precedence CLI > file, also where the file says the long name of the same setting."""
    path = tmp_path / "run.toml"
    path.write_text('[set]\n"optimizer.lr" = 0.5\nlr = 0.25\n', "utf-8")
    found = options_of("train", "--config", str(path), "--lr", "0.125")
    recipe = with_settings(load_recipe("digits-cnn"), found)
    assert recipe.all_settings()["optimizer.lr"] == 0.125


def test_a_run_to_repeat_may_stand_in_a_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[train]\nfrom = "runs/first"\n', "utf-8")
    assert options_of("train", "--config", str(path)).again == pathlib.Path("runs/first")


@pytest.mark.parametrize("ending", ["ini", "toml"])
def test_saved_options_give_the_same_options(tmp_path, ending):
    path = tmp_path / f"run.{ending}"
    given = ["train", "mnist-cnn", "--lr", "0.1", "--no-compile", "--out", "여기", "--seed", "3"]
    given += ["--from", "here", "--set", "raw=yes", "weight-decay=0"]
    assert main([*given, "--save-config", str(path)]) == 0
    assert read_config(path)["set"] == {"raw": "yes", "weight_decay": "0"}
    before, after = options_of(*given), options_of("train", "--config", str(path))
    for name in (
        "recipe",
        "lr",
        "compile",
        "out",
        "seed",
        "epochs",
        "batch_size",
        "quiet",
        "again",
    ):
        assert getattr(before, name) == getattr(after, name), name


def test_words_of_a_list_and_sizes(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[predict]\nimages = ["a.png", "b.png"]\ntop = 5\n', "utf-8")
    found = options_of("predict", "c.png", "--config", str(path))
    assert [str(image) for image in found.images] == ["c.png"]
    assert found.top == 5


BAD = {
    "no/such.ini": (None, "there is no file"),
    "run.json": ("{}", "settings stand in an .ini or a .toml file"),
    "broken.ini": ("lr = 1\n", "no section headers"),
    "broken.toml": ("[train]\nlr =\n", "line 2"),
    "empty.ini": ("[other]\nlr = 1\n", "has no section [train]"),
    "section.ini": ("[trian]\nlr = 1\n", "did you mean [train]?"),
    "second.toml": ("[train]\nlr = 1\n[sets]\nlr = 1\n", "did you mean set?"),
    "nothing.toml": ("[train]\nset = 'lr'\n", "a setting is given as NAME=VALUE"),
    "typo.ini": ("[train]\nepohcs = 1\n", "did you mean epochs?"),
    "kind.ini": ("[train]\nepochs = many\n", "'many' is not a whole number"),
    "range.toml": ("[train]\nlr = -1\n", "-1 is not a positive number"),
    "truth.ini": ("[train]\ncompile = maybe\n", "is neither yes nor no"),
    "choice.ini": ("[train]\nlog_level = loud\n", "is not one of debug"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_explained(tmp_path, capsys, name):
    text, said = BAD[name]
    path = tmp_path / name
    if text is not None:
        path.write_text(text, "utf-8")
    assert main(["train", "--config", str(path)]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.startswith("error: [config] ")


@pytest.mark.parametrize("name", ["run.ini", "run.toml"])
def test_an_unknown_setting_in_a_file_names_the_nearest(tmp_path, capsys, name):
    """An unknown key in the section [set] names the nearest known one."""
    path = tmp_path / name
    path.write_text("[set]\nwieght_decay = 1\n", "utf-8")
    assert main(["train", "--config", str(path)]) == 2
    assert "did you mean weight_decay?" in capsys.readouterr().err
