"""The examples of sequences to sequences do what they say."""

import importlib.util
import pathlib

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "sequences"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_dates_are_learnt(capsys):
    """J2: "toy translation/date task ≥ 95 %"."""
    dates = example("dates")
    known, new = (
        {text for text, _ in dates.pairs(20_000 if seed == 0 else 500, seed)} for seed in (0, 1)
    )
    assert len(new - known) > 100  # most are not learnt by heart
    assert dates.share_right(dates.train(400)) >= 0.95


@pytest.mark.slow
def test_the_three_questions_are_answered(tmp_path, capsys):
    """J10: "three pages answering with live tensors"; and J11's page."""
    example("three_questions").main(tmp_path / "maps.html")
    said = capsys.readouterr().out
    assert "beam search: I am a student" in said
    assert "5 words: in (1, 5, 32), out (1, 5, 32), scores (5, 5)" in said
    assert (tmp_path / "maps.html").stat().st_size > 5_000
