"""Which number a run is judged by, and which of two is the better one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from narae.errors import ConfigError
from narae.train.callbacks import Checkpoints
from narae.train.monitor import BestSoFar, best_by, is_better, is_small_better, monitored


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("val_loss", True),
        ("train_loss", True),
        ("loss", True),
        ("val_wer", True),
        ("val_CER", True),
        ("val_log_mse", True),
        ("val_rmse", True),
        ("val_perplexity", True),
        ("val_topk_error", True),
        ("val_nllloss", True),
        ("val_accuracy", False),
        ("val_flower", False),  # holds "wer"
        ("val_answered", False),
        ("val_maestro_f1", False),
        ("val_glossary_recall", False),
        ("val_mean_iou", False),
    ],
)
def test_small_is_better_by_the_words_of_the_name(name, small):
    assert is_small_better(name) is small
    assert is_better(name, 1.0, 2.0) is small
    assert is_better(name, 2.0, 1.0) is not small
    assert not is_better(name, 1.0, 1.0)
    assert not is_better(name, math.nan, 1.0)


def test_gains_that_are_too_small():
    assert is_better("val_loss", 1.0, 1.5, 0.4) and not is_better("val_loss", 1.0, 1.5, 0.5)
    assert is_better("val_f1", 1.5, 1.0, 0.4) and not is_better("val_f1", 1.5, 1.0, 0.5)


def test_the_first_and_what_is_no_number():
    """Any number beats none, and one that is not a number."""
    assert BestSoFar().is_beaten_by("val_loss", math.inf)
    assert BestSoFar(1, math.nan).is_beaten_by("val_accuracy", 0.1)
    assert not BestSoFar(1, 0.5).is_beaten_by("val_accuracy", math.nan)


def test_the_number_that_is_asked_for():
    numbers = {"val_loss": 1.0, "val_f1": 0.5}
    assert monitored("X", best_by(numbers), numbers) == 1.0
    with pytest.raises(
        ConfigError, match=r"\[X\] there is no number 'f1'; an epoch has val_loss, val_f1"
    ):
        monitored("X", "f1", numbers)


@pytest.mark.parametrize(("name", "value"), [("keep", 0), ("keep", -1), ("save_steps", -1)])
def test_checkpoints_refuse(name, value):
    """`keep=0` would be all of a list's end."""
    with pytest.raises(ConfigError, match=rf"\[Checkpoints\] {name} is {value}; .* at least"):
        Checkpoints("nowhere", **{name: value})


@pytest.mark.parametrize("kind", [str, Path])
def test_checkpoints_take_a_path(kind, tmp_path):
    assert Checkpoints(kind(tmp_path)).folder.path == tmp_path
