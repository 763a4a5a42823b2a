"""What `narae train` saved goes on with texts and translates in a new process."""

import io
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


def test_the_command_for_the_other_kind(language_model, translator, capsys):
    code, out, error = said(capsys, "generate", translator, "ab")
    assert (code, out) == (2, "")
    assert "TranslationTransformer translates a source" in error
    code, out, error = said(capsys, "translate", language_model, "ab")
    assert (code, out) == (2, "")
    assert "GPT goes on with a prompt" in error


def test_no_sentence_and_no_text(translator):
    empty = in_new_process("translate", translator)
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "there is no sentence" in empty.stderr
    command = [sys.executable, "-m", "narae", "translate", str(translator)]
    damaged = subprocess.run(command, input=b"ab\n\xff\xfe\n", capture_output=True, timeout=300)
    assert damaged.returncode == 2
    assert b"standard input is damaged" in damaged.stderr


def test_options_may_come_before_the_sentences(translator, capsys):
    """`nargs="*"` would have taken no sentence as soon as an option follows the run."""
    after = said(capsys, "translate", translator, "ab", "ba", "--beams", 2)
    assert after[0] == 0
    assert said(capsys, "translate", translator, "--beams", 2, "ab", "ba") == after
    assert said(capsys, "translate", "--beams", 2, translator, "ab", "ba") == after
    with pytest.raises(SystemExit):
        main(["translate", "--help"])
    assert "RUN [sentence ...]" in capsys.readouterr().out


def test_more_tokens_than_positions(translator, capsys):
    code, _, error = said(capsys, "translate", translator, "ab", "--max-tokens", 13)
    assert code == 2
    assert "12 positions" in error


class Typed(io.StringIO):
    """What somebody types; it notes what was answered before each line."""

    def __init__(self, text, capsys):
        super().__init__(text)
        self.capsys, self.answers = capsys, []

    def isatty(self):
        return True

    def __next__(self):
        self.answers.append(self.capsys.readouterr().out)
        return super().__next__()


def test_each_line_is_answered_where_somebody_types(translator, capsys, monkeypatch):
    wanted = said(capsys, "translate", translator, "ab", "ba")[1].splitlines(keepends=True)
    typed = Typed("ab\n\nba\n", capsys)
    monkeypatch.setattr(sys, "stdin", typed)
    assert main(["translate", str(translator)]) == 0
    assert typed.answers == ["", wanted[0], "", wanted[1]]


def test_ctrl_c_in_the_middle_of_a_text(language_model, capsys, monkeypatch):
    from narae.cli import generate

    def interrupted(tokenizer, prompt, tokens):
        yield "c"
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "_pieces", interrupted)
    code, out, error = said(capsys, "generate", language_model, "ab", "--quiet")
    assert (code, out, error) == (130, "abc\n", "stopped\n")


def test_a_character_of_several_tokens_comes_whole():
    """Tokens are streamed, and bytes of a character wait for each other."""
    from narae.cli.generate import _pieces
    from narae.text.tokenizers import Subwords

    tokenizer = Subwords.train(["a b"] * 9, 270)
    text = "a 나래 b"
    ids = tokenizer.encode(text)
    pieces = list(_pieces(tokenizer, ids[:1], ([token] for token in ids[1:])))
    assert "".join(pieces) == text[1:]
    assert len(pieces) < len(ids) - 1
    assert "나" in pieces
    ended = ([token] for token in [*ids[:2], tokenizer.eos_id, *ids[2:]])
    assert "".join(_pieces(tokenizer, [], ended)) == "a "


def test_a_model_without_text(tmp_path, capsys):
    run = tmp_path / "run"
    short = ["--epochs", "5", "--quiet"]
    assert main(["train", "linear-regression", "--out", str(run), *short]) == 0
    code, _, error = said(capsys, "generate", run, "abc")
    assert code == 2
    assert "a run of linear-regression" in error


def test_a_model_made_without_a_tokenizer():
    from narae.base.errors import ConfigError
    from narae.text.models.gpt import GPT

    with pytest.raises(ConfigError, match="no tokenizer"):
        GPT(7, width=8, layers=1, heads=2, length=8).needed_tokenizer()
    assert narae.is_grad_enabled()
