"""Where the time of each epoch goes: kept beside the numbers, which are the same every time."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from narae.io import append_record

from ..callback import Callback
from ..data import items_of
from ..log_file import is_disk_full
from ..trainer import Trainer

PARTS = ("data", "step", "validation", "saving")
logger = logging.getLogger("narae.train")


class Timing(Callback):
    """Appends a line for each epoch: its seconds, and how many of them went to what.

    "data" is waiting for batches, "step" is learning, "saving" is logs and checkpoints. Samples
    are those that were learned from. An epoch that was stopped and gone on with has two lines.

    Args:
        path: the file.
        clock: gives seconds; only differences matter.

    Attributes:
        learning: whether the epoch's batches are still being learned from.
    """

    order = 75  # after what takes part in learning, before logs and checkpoints

    def __init__(self, path: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self._path, self._clock = path, clock
        self._part, self._since = "saving", 0.0
        self._trainer: Trainer | None = None
        self._reset(0)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Watch the loader."""
        self._reset(trainer.epoch + 1)
        self._trainer = trainer
        if not isinstance(trainer.data.train, _Watched):
            trainer.data = replace(trainer.data, train=_Watched(trainer.data.train, self))

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Write the line of the epoch before: its checkpoint was saved by now."""
        self._write()
        self._reset(trainer.epoch + 1)

    def on_step_end(self, trainer: Trainer) -> None:
        """What follows is no step."""
        self.switch("saving")

    def on_epoch_end(self, trainer: Trainer) -> None:
        """What follows is no validation."""
        self.switch("saving")

    def on_fit_end(self, trainer: Trainer) -> None:
        """Write the last line."""
        self._write()

    def close(self) -> None:
        """Give the loader back."""
        if self._trainer is not None:
            watched = self._trainer.data.train
            if isinstance(watched, _Watched):
                self._trainer.data = replace(self._trainer.data, train=watched.loader)
            self._trainer = None

    def switch(self, part: str, samples: int = 0) -> None:
        """From now on, time goes to another part."""
        now = self._clock()
        self._seconds[self._part] += now - self._since
        self._part, self._since = part, now
        self._samples += samples

    def end_learning(self) -> None:
        """The epoch's batches were all given; who goes through them again does not learn."""
        self.learning = False
        self.switch("validation")

    def _reset(self, epoch: int) -> None:
        self._epoch, self._samples = epoch, 0
        self.learning = True
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._part, self._since = "saving", self._clock()

    def _write(self) -> None:
        self.switch("saving")
        if not self._samples:
            return
        parts = {part: round(seconds, 6) for part, seconds in self._seconds.items()}
        record = {"epoch": self._epoch, "seconds": round(sum(parts.values()), 6), **parts}
        try:
            append_record(self._path, {**record, "samples": self._samples})
        except OSError as error:
            if not is_disk_full(error):
                raise
            logger.debug("no space for %s", self._path, exc_info=True)  # nothing depends on it


class _Watched:
    """A loader that says when it is asked for a batch and when it has one."""

    def __init__(self, loader: Any, timing: Timing) -> None:
        self.loader, self._timing = loader, timing

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        if not self._timing.learning:  # such as for the statistics of a mean of weights
            yield from self.loader
            return
        self._timing.switch("data")
        for batch in self.loader:
            self._timing.switch("step", items_of(batch))
            yield batch
            self._timing.switch("data")
        self._timing.end_learning()

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # while it is copied, before it has one
            raise AttributeError(name)
        return getattr(self.loader, name)
