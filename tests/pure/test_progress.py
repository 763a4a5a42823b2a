"""The progress display: what it says, where it stays silent, that it never breaks a run."""

import io
import sys

import pytest

from narae.base.errors import ConfigError
from narae.train.progress import EpochProgress, format_metric, format_seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch):
    """The variables that rich reads, as on a person's screen."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def run_epochs(stream, first=1, epochs=3, quiet=False):
    """Each epoch: four batches of 25 in 2 s, then 1 s of validation."""
    clock = Clock()
    with EpochProgress(epochs, 100, quiet=quiet, stream=stream, clock=clock) as show:
        for epoch in range(first, epochs + 1):
            show.start_epoch(epoch)
            for _ in range(4):
                clock.now += 0.5
                show.advance(25, loss=1 / epoch)
            clock.now += 1.0
            show.end_epoch(loss=1 / epoch, val_accuracy=0.5)
    return stream.getvalue()


def test_away_from_a_terminal_each_epoch_is_one_plain_line():
    lines = run_epochs(io.StringIO()).splitlines()
    assert lines == [
        "epoch 1/3 · loss 1.0000 · val_accuracy 50.00% · 50 samples/s · 3.0 s · 6.0 s left",
        "epoch 2/3 · loss 0.5000 · val_accuracy 50.00% · 50 samples/s · 3.0 s · 3.0 s left",
        "epoch 3/3 · loss 0.3333 · val_accuracy 50.00% · 50 samples/s · 3.0 s",
    ]


def test_a_resumed_run_estimates_from_its_own_epochs():
    lines = run_epochs(io.StringIO(), first=2, epochs=4).splitlines()
    assert [line.rpartition(" · ")[2] for line in lines] == ["6.0 s left", "3.0 s left", "3.0 s"]


def test_a_terminal_shows_a_bar_and_keeps_the_lines():
    pytest.importorskip("rich")
    shown = run_epochs(Terminal())
    for part in ("\x1b[", "100%", "epoch 3/3 · loss 0.3333 · val_accuracy 50.00% · 50 samples/s"):
        assert part in shown
    assert shown.rindex("\x1b[?25h") > shown.index("\x1b[?25l"), "the cursor must come back"


def test_the_cursor_comes_back_when_the_run_breaks():
    pytest.importorskip("rich")
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), EpochProgress(1, 10, stream=stream) as show:
        show.start_epoch(1)
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in run_epochs(Terminal())


def test_without_rich_a_terminal_gets_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    shown = run_epochs(Terminal())
    assert "\x1b" not in shown and len(shown.splitlines()) == 3


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_quiet_is_silent(stream):
    assert run_epochs(stream(), quiet=True) == ""


def test_brackets_are_not_markup():
    pytest.importorskip("rich")
    stream = Terminal()
    with EpochProgress(1, 1, stream=stream) as show:
        show.start_epoch(1)
        show.end_epoch(**{"loss[red]": 1.0})
    assert "loss[red] 1.0000" in stream.getvalue()


def test_an_epoch_without_items_or_time_does_not_divide_by_zero():
    stream = io.StringIO()
    with EpochProgress(1, 0, stream=stream, clock=lambda: 0.0) as show:
        show.start_epoch(1)
        show.advance(0)
        show.end_epoch()
    assert stream.getvalue() == "epoch 1/1 · 0.0 s\n"


def test_bad_counts_are_refused():
    with pytest.raises(ConfigError, match="epochs=-1"):
        EpochProgress(-1, 10)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0.0000"), (2.5e-7, "2.500e-07"), (123456.0, "1.235e+05"), (-0.5, "-0.5000")],
)
def test_metrics_keep_their_digits(value, words):
    assert format_metric("loss", value) == words


def test_a_loss_that_is_not_a_number_is_shown_as_such():
    assert format_metric("loss", float("nan")) == "nan"
    assert format_metric("loss", float("inf")) == "inf"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (3599.6, "1 h 0 min")],
)
def test_seconds_round_without_odd_units(seconds, words):
    assert format_seconds(seconds) == words
