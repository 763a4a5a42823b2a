"""Showing the user how far a run is."""

from ..callback import Callback
from ..progress import EpochProgress
from ..trainer import Trainer


class Progress(Callback):
    """A bar on a terminal, lines elsewhere: numbers, samples a second, time left.

    Args:
        quiet: show nothing.
        samples: training samples of an epoch; 0: it is not known, and batches are counted.
    """

    order = 85

    def __init__(self, quiet: bool = False, samples: int = 0) -> None:
        self._quiet, self._samples = quiet, samples
        self._show: EpochProgress | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Put up the bar; a run that goes on in the middle of an epoch begins there."""
        self._show = EpochProgress(
            trainer.epochs,
            self._samples or len(trainer.data.train),
            quiet=self._quiet,
            every=trainer.validate_every,
            unit="samples" if self._samples else "batches",
        ).__enter__()
        if trainer.batches:
            self._show.start_epoch(trainer.epoch + 1, self._done(trainer))

    def on_epoch_start(self, trainer: Trainer) -> None:
        """A new epoch."""
        self._shown.start_epoch(trainer.epoch + 1)

    def on_step_end(self, trainer: Trainer) -> None:
        """Move the bar."""
        self._shown.advance(self._done(trainer) - self._shown.done, **trainer.averages.values())

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the epoch's line; learning rates have their place in the files."""
        numbers = {
            name.removeprefix("train_"): x
            for name, x in trainer.numbers.items()
            if name.partition("_")[0] != "lr"
        }
        self._shown.end_epoch(**numbers)

    def close(self) -> None:
        """Take the bar down."""
        if self._show is not None:
            self._show.__exit__(None, None, None)
            self._show = None

    def _done(self, trainer: Trainer) -> int:
        """Items of the epoch so far."""
        return round(trainer.batches / len(trainer.data.train) * self._shown.items)

    @property
    def _shown(self) -> EpochProgress:
        assert self._show is not None, "events of a run come between its start and its end"
        return self._show
