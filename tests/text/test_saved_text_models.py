"""What `narae train` saved goes on with texts and translates in a new process."""

import json
import os
import subprocess
import sys

import pytest

import narae
from narae.cli.main import main
from narae.train.runs.saved import load_run

RECIPE = '''
"""A tiny language model.

task:   predict the next character
"""
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import Adam
from narae.text import NO_SPECIALS, Characters, Windows
from narae.text.models.gpt import GPT
from narae.train import Data, Settings

SETTINGS = Settings(epochs=2)


def data(folder):
    text = "abc, abd; " * 12
    tokenizer = Characters.fit(text, specials=NO_SPECIALS)
    windows = Windows(tokenizer.encode(text), 8, stride=8)
    return Data(DataLoader(windows, 7), DataLoader(windows, 7), tokenizer=tokenizer)


def model():
    return GPT(7, width=8, layers=1, heads=2, length=8)


def loss(out, target):
    return F.cross_entropy(out.flatten(0, 1), target.flatten())


def optimizer(model):
    return Adam(model.parameters(), lr=1e-2)
'''
COPIES = '''
"""A tiny translator that copies.

task:   translate
"""
import narae.nn.functional as F
from narae.data import DataLoader
from narae.optim import Adam
from narae.text import Characters, Padded, TokenDataset
from narae.text.models.transformer import TranslationTransformer
from narae.train import Data, Settings

SETTINGS = Settings(epochs=1)
WORDS = ["ab", "ba", "abab", "bbaa"]


def data(folder):
    tokenizer = Characters.fit("ab")
    dataset = TokenDataset(
        tokenizer.encode_all(WORDS, eos=True), tokenizer.encode_all(WORDS, bos=True, eos=True)
    )
    loader = DataLoader(dataset, 4, collate_fn=Padded([8]))
    return Data(loader, loader, tokenizer=tokenizer)


def model():
    return TranslationTransformer(6, 8, 1, 2, 16, length=12)


def forward(model, batch):
    return model(batch[0], batch[1][:, :-1]), batch[1][:, 1:]


def loss(out, target):
    return F.cross_entropy(out.flatten(0, 1), target.flatten())


def optimizer(model):
    return Adam(model.parameters(), lr=1e-2)
'''


def trained(folder, source, name):
    recipe = folder / f"{name}.py"
    recipe.write_text(source, "utf-8")
    out = folder / "run"
    assert main(["train", str(recipe), "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("lm"), RECIPE, "tiny_lm")


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("mt"), COPIES, "tiny_copy")


def in_new_process(*words, text=""):
    command = [sys.executable, "-m", "narae", *map(str, words)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    options = {"capture_output": True, "text": True, "env": environment, "encoding": "utf-8"}
    return subprocess.run(command, input=text, timeout=300, **options)


def said(capsys, *words):
    code = main([str(word) for word in words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_saved_model_generates_in_a_new_process(language_model, capsys):
    words = ["generate", language_model, "abc", "--max-tokens", 30, "--seed", 3]
    other = in_new_process(*words)
    assert other.returncode == 0, other.stderr
    code, here, notice = said(capsys, *words)
    assert (code, here) == (0, other.stdout)
    assert here.startswith("abc")
    assert len(here.rstrip("\n")) == 33
    assert set(here.strip("\n")) <= set("abc, d;")
    assert "8 tokens at most" in notice
    assert said(capsys, *words[:-1], 4)[1] != here


def test_the_tokenizer_is_part_of_the_saved_model(language_model):
    model = load_run(language_model).model
    assert model.tokenizer.decode(model.tokenizer.encode("abd; ")) == "abd; "
    assert model.state_dict()["_extra_state"]["tokenizer"]["tokenizer"] == "characters"


def test_a_saved_model_translates_in_a_new_process(translator, capsys):
    other = in_new_process("translate", translator, text="abab\nba\n")
    assert other.returncode == 0, other.stderr
    code, here, _ = said(capsys, "translate", translator, "abab", "ba", "--json")
    rows = json.loads(here)
    assert code == 0
    assert [row["source"] for row in rows] == ["abab", "ba"]
    assert [row["translation"] for row in rows] == other.stdout.split("\n")[:2]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["abcabcabc"], "positions for 8"),
        ([""], "the prompt is empty"),
        (["abz"], "not in the vocabulary: 'z'"),
        (["ab", "--top-p", 0], "top_p is 0"),
        (["ab", "--temperature", -1], "temperature is -1"),
    ],
)
def test_prompts_and_options_that_cannot_be(language_model, words, rule, capsys):
    code, out, error = said(capsys, "generate", language_model, *words)
    assert (code, out) == (2, "")
    assert rule in error


def test_sentences_that_cannot_be(translator, capsys):
    code, _, error = said(capsys, "translate", translator, "ab", "")
    assert code == 2
    assert "sentence 2 is empty" in error
    code, _, error = said(capsys, "translate", translator, "ab" * 9)
    assert code == 2
    assert "positions for 12" in error


def test_a_model_without_text(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "linear-regression", "--out", str(run), "--quiet"]) == 0
    code, _, error = said(capsys, "generate", run, "abc")
    assert code == 2
    assert "a run of linear-regression" in error


def test_a_model_made_without_a_tokenizer():
    from narae.base.errors import ConfigError
    from narae.text.models.gpt import GPT

    with pytest.raises(ConfigError, match="no tokenizer"):
        GPT(7, width=8, layers=1, heads=2, length=8).needed_tokenizer()
    assert narae.is_grad_enabled()
