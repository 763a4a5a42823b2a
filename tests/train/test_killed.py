"""SIGKILL at random moments, and death before each single operation on files, change no bit.

A process is forked, killed, and another goes on, until one reaches the end. Then every file is
what an undisturbed run leaves: checkpoints with weights, optimizer, schedule, random streams and
place in the data; the best model; the log.
"""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest

from tests.train.trainings import TRAININGS, contents, in_fork, train_on

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """For each training: what it leaves, and how many seconds it takes in a warm process."""
    found = {}

    def measured(name):
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            train_on(TRAININGS[name], folder / "warm", epochs=1)
            begin = time.monotonic()
            assert in_fork(lambda: train_on(TRAININGS[name], folder / "whole")) == 0
            found[name] = contents(folder / "whole"), time.monotonic() - begin
        return found[name]

    return measured


def killed_run(make, folder, longest, random_stream, most):
    """Kill a run again and again, at most so often; then let it reach its end. How many kills."""
    kills = 0
    while kills < most:
        code = in_fork(lambda: train_on(make, folder), random_stream.uniform(0, longest))
        assert code in (0, -9)
        if not code:
            return kills
        kills += 1
    assert in_fork(lambda: train_on(make, folder)) == 0
    return kills


def check_kills(name, undisturbed, tmp_path, wanted, seed):
    expected, seconds = undisturbed(name)
    stream, kills, runs = random.Random(seed), 0, 0
    while kills < wanted:
        folder = tmp_path / str(runs)
        kills += killed_run(TRAININGS[name], folder, seconds, stream, min(10, wanted - kills))
        assert contents(folder) == expected
        shutil.rmtree(folder)
        runs += 1


@pytest.mark.parametrize("name", TRAININGS)
def test_two_kills(name, undisturbed, tmp_path):
    """Killed and gone on with, a run ends in the same bits; two kills for each training."""
    check_kills(name, undisturbed, tmp_path, 2, seed=len(name))


@pytest.mark.parametrize(
    "kills", [pytest.param(12, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("name", TRAININGS)
def test_many_kills(name, kills, undisturbed, tmp_path):
    """Many kills for each training; fifty of them with `pytest -m long`."""
    check_kills(name, undisturbed, tmp_path, kills, seed=7)
