"""The recipe that answers Korean questions: its data, and a run on a small file."""

import os
import subprocess
import sys

import pytest

from narae.cli.main import main
from narae.text.datasets import ChatbotKo, pairs
from narae.train import load_recipe
from narae.train.recipes import chatbot_ko

pytest.importorskip("tokenizers")
on_shelf = pytest.mark.skipif("NARAE_DATA" not in os.environ, reason="NARAE_DATA names no folder")

# By its CRC-32 the last question is the one to test on.
SMALL_TALK = {
    "안녕?": "네, 안녕하세요.",
    "배고파": "맛있는 것 드세요.",
    "심심해": "저랑 놀아요.",
    "추워": "따뜻하게 입으세요.",
    "이름이 뭐야?": "저는 나래예요.",
    "고마워": "별말씀을요.",
}


@pytest.fixture
def small_file(tmp_path, monkeypatch):
    path = tmp_path / "ChatbotData.csv"
    rows = [f'{question},"{answer}",0' for question, answer in SMALL_TALK.items()]
    # Twice, so that the tokenizer takes words as they are and all fit the shorter bucket.
    path.write_text("\n".join(["Q,A,label", *rows, *rows]) + "\n", "utf-8")
    monkeypatch.setattr(pairs, "find_files", lambda *_: {"pairs": path})


def test_targets_begin_with_bos_and_padding_does_not_count(small_file):
    """And nothing of the test part is learnt, not even by the tokenizer."""
    data = chatbot_ko.data(None, batch_size=10)
    (source, target), tokenizer = next(iter(data.train)), data.tokenizer
    assert source.shape == target.shape and source.shape[0] == 10
    said = [(tokenizer.decode(q), tokenizer.decode(a)) for q, a in zip(source, target, strict=True)]
    assert set(said) == set(list(SMALL_TALK.items())[:-1])
    assert (target[:, 0] == tokenizer.bos_id).all()
    model = chatbot_ko.model(width=8, layers=1, heads=2).eval()
    out, right = chatbot_ko.forward(model, (source, target))
    answers = tokenizer.encode_all([answer for _, answer in said], eos=True)
    assert chatbot_ko.count(right).item() == sum(map(len, answers))
    alone = sum(
        chatbot_ko.loss(*chatbot_ko.forward(model, (source[k : k + 1], target[k : k + 1]))).item()
        * chatbot_ko.count(right[k : k + 1]).item()
        for k in range(10)
    )
    assert chatbot_ko.loss(out, right).item() * chatbot_ko.count(right).item() == pytest.approx(
        alone, rel=1e-5
    )


@on_shelf
def test_every_question_and_answer_fits_the_model():
    """Against the file itself: no pair is left out, and none is longer than the positions."""
    data, whole = chatbot_ko.data(None), ChatbotKo(split="all")
    train, test = data.train.dataset, data.test.dataset
    assert len(train) + len(test) == len(whole)
    assert max(train.lengths + test.lengths) <= chatbot_ko.LENGTH
    assert len(data.tokenizer) == chatbot_ko.TOKENS
    assert data.train.batch_sampler.dropped < 0.01 * len(train)
    card = load_recipe("chatbot-ko").card.fields["data"]
    assert f"{len(train):,}" in card and f"{len(test):,}" in card


@pytest.mark.slow
def test_a_saved_chatbot_answers_in_a_new_process(small_file, tmp_path, capsys):
    """Five answers are learnt by heart; the process that gives them has no data."""
    run = tmp_path / "run"
    settings = ["width=32", "layers=1", "dropout=0", "batch_size=10", "lr=0.01"]
    settings += ["validate_every=100", "monitor=train_loss"]
    words = ["train", "chatbot-ko", "--epochs", "100", "--out", str(run), "-q"]
    assert main([*words, "--set", *settings]) == 0, capsys.readouterr().err
    *learnt, _ = SMALL_TALK
    command = [sys.executable, "-m", "narae", "translate", str(run), "--beams", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NARAE_DATA": str(tmp_path / "none")}
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "env": environment}
    found = subprocess.run(command, input="\n".join(learnt) + "\n", timeout=300, **options)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [SMALL_TALK[question] for question in learnt]
