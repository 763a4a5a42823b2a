"""How a training run shows itself: a live bar on a terminal, one line an epoch anywhere else."""

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from narae.base.errors import ConfigError, explain

_REFRESH_SECONDS = 0.05


class EpochProgress:
    """Show each epoch of a run: metrics, samples a second, time left.

    On a terminal a bar moves below the lines of the finished epochs. In a file, a pipe, or
    without the library rich there are only the lines, one an epoch.

    Args:
        epochs: how many epochs the run has.
        items: training items an epoch.
        quiet: show nothing.
        every: write the line of every so many epochs only, and of the last one.
        unit: what the items are.
        stream: where to; standard output unless told otherwise.
        clock: gives seconds; only differences matter.

    Attributes:
        done: items of this epoch so far.

    Raises:
        ConfigError: if `epochs` or `items` is negative.

    Example:
        >>> times = iter([0.0, 2.0, 3.0])
        >>> with EpochProgress(2, items=100, stream=sys.stdout, clock=lambda: next(times)) as show:
        ...     show.start_epoch(1)
        ...     show.advance(100, loss=0.5)
        ...     show.end_epoch(loss=0.5, accuracy=0.875)
        epoch 1/2 · loss 0.5000 · accuracy 87.50% · 50 samples/s · 3.0 s · 3.0 s left
    """

    def __init__(
        self,
        epochs: int,
        items: int,
        *,
        quiet: bool = False,
        every: int = 1,
        unit: str = "samples",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if epochs < 0 or items < 0:
            given = f"epochs={epochs}, items={items}"
            raise ConfigError(explain("EpochProgress", given, "neither can be negative"))
        self.epochs = epochs
        self.items = items
        self._every = every
        self._unit = unit
        self._stream = stream or sys.stdout
        self._clock = clock
        self._quiet = quiet
        self._bar = None if quiet else _live_bar(self._stream)
        self._run_start: float | None = None
        self._run_from = 0.0  # epochs that were done before this run began
        self._epoch = 0
        self.done = self._done_before = 0
        self._train_seconds = 0.0
        self._epoch_start = 0.0
        self._shown_at = -math.inf

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start_epoch(self, epoch: int, done: int = 0) -> None:
        """Begin an epoch, counted from 1; a resumed run begins with a later one.

        Args:
            epoch: which one.
            done: items of it that another run went through before this one goes on.
        """
        now = self._clock()
        first = self._run_start is None
        if first:
            self._run_start, self._run_from = now, epoch - 1 + done / max(self.items, 1)
        self._epoch, self._epoch_start = epoch, now
        self.done = self._done_before = done
        self._train_seconds = 0.0
        if self._bar is not None and (first or self._epochs_on_bar() == 0):
            self._shown_at = -math.inf
            self._bar.begin(f"epoch {self._count()}", self.items * self._every)

    def advance(self, items: int, **metrics: float) -> None:
        """Count a batch of items and show the metrics so far."""
        now = self._clock()
        self.done += items
        self._train_seconds = now - self._epoch_start
        done = self._epochs_on_bar() * self.items + self.done
        due = now - self._shown_at >= _REFRESH_SECONDS or done >= self.items * self._every
        if self._bar is not None and due:
            self._shown_at = now
            self._bar.move(done, self._words(metrics, now))

    def end_epoch(self, **metrics: float) -> None:
        """Write the epoch's line, if it is one of those to write."""
        if self._epoch % self._every and self._epoch != self.epochs:
            return
        now = self._clock()
        seconds = format_seconds(now - self._epoch_start)
        if self._done_before:  # only what this run did of the epoch was measured
            seconds += f" for its last {1 - self._done_before / self.items:.0%}"
        words = [f"epoch {self._count()}", *self._words(metrics, now, seconds)]
        line = " · ".join(words)
        if self._bar is not None:
            self._bar.write(line)
        elif not self._quiet:
            print(line, file=self._stream, flush=True)

    def _epochs_on_bar(self) -> int:
        """How many epochs the bar shows before the current one."""
        return (self._epoch - 1) % self._every

    def _count(self) -> str:
        return f"{self._epoch:>{len(str(self.epochs))}}/{self.epochs}"

    def _words(self, metrics: Mapping[str, float], now: float, seconds: str = "") -> list[str]:
        words = [f"{name} {format_metric(name, value)}" for name, value in metrics.items()]
        if self._train_seconds > 0:
            speed = (self.done - self._done_before) / self._train_seconds
            words.append(f"{speed:,.0f} {self._unit}/s")
        if seconds:
            words.append(seconds)
        left = self._seconds_left(now, epoch_over=bool(seconds))
        if left > 0:
            words.append(f"{format_seconds(left)} left")
        return words

    def _seconds_left(self, now: float, epoch_over: bool) -> float:
        """Time for the rest of the run if it goes on as it went so far."""
        share = 1.0 if epoch_over else min(self.done / max(self.items, 1), 1.0)
        reached = self._epoch - 1 + share
        done = reached - self._run_from
        start = now if self._run_start is None else self._run_start
        return (now - start) / done * (self.epochs - reached) if done > 0 else 0.0


def format_metric(name: str, value: float) -> str:
    """An accuracy as a percentage, anything else to four digits.

    Example:
        >>> format_metric("val_accuracy", 0.9871), format_metric("loss", 0.04231)
        ('98.71%', '0.0423')
    """
    if name.endswith("accuracy"):
        return f"{100 * value:.2f}%"
    if value == 0 or 1e-3 <= abs(value) < 1e4 or not math.isfinite(value):
        return f"{value:.4f}"
    return f"{value:.3e}"


def format_seconds(seconds: float) -> str:
    """A length of time in the two units that matter.

    Example:
        >>> format_seconds(4.25), format_seconds(95), format_seconds(7290)
        ('4.2 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _live_bar(stream: TextIO) -> "_RichBar | None":
    """A bar if the stream can show one and rich is installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    notebook = Console(highlight=False)
    if notebook.is_jupyter and stream is sys.stdout:
        # rich draws in a notebook through this library; without it, lines serve better.
        return _RichBar(notebook) if importlib.util.find_spec("ipywidgets") else None
    console = Console(file=stream, highlight=False, force_jupyter=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return _RichBar(console)
    return None


class _RichBar:
    """A single moving bar under the lines that were written."""

    def __init__(self, console: Any) -> None:
        from rich import progress

        self._console = console
        self._display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[words]}"),
            console=console,
            transient=True,
        )
        self._task: Any = None

    def start(self) -> None:
        self._display.start()

    def stop(self) -> None:
        self._display.stop()

    def begin(self, title: str, items: int) -> None:
        if self._task is not None:
            self._display.remove_task(self._task)
        self._task = self._display.add_task(title, total=items, words="")

    def move(self, done: int, words: list[str]) -> None:
        self._display.update(self._task, completed=done, words=" · ".join(words))

    def write(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)
