"""A bar that counts the bytes of a download, or nothing at all."""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def download_bar(name: str, show: bool) -> "Iterator[RichBar | bool]":
    """The bar in the form pooch asks for, or False: not shown, or rich is not installed."""
    if not show:
        yield False
        return
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        yield False
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as display:
        yield RichBar(display, name)


class RichBar:
    """Speaks pooch's progress protocol: `total`, `update`, `reset`, `close`."""

    def __init__(self, display: Any, name: str) -> None:
        self._display = display
        self._task = display.add_task(name, total=None)
        self._done = 0
        self.total = 0

    def update(self, count: int) -> None:
        """Add bytes; pooch reports whole blocks, so the last one may exceed the file."""
        self._done = min(self._done + count, self.total) if self.total else self._done + count
        self._display.update(self._task, total=self.total or None, completed=self._done)

    def reset(self) -> None:
        """Begin again at no bytes: pooch does so once, before reporting the whole."""
        self._done = 0

    def close(self) -> None:
        """Nothing to do: leaving the context closes the display."""
