"""Saving a run, so that it can go on, and the best model of it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, DataError, explain

from ..callback import Callback
from ..checkpoint_folder import CheckpointFolder, read_checkpoint
from ..checks import at_least
from ..log_file import is_disk_full
from ..monitor import BestSoFar, best_by, monitored
from ..resume import logger
from ..trainer import Trainer


class Checkpoints(Callback):
    """Saves at the beginning, after each validation, where a run is stopped, every so many updates.

    The newest few stay, and the best. A checkpoint is on the disk as a whole before an older one is
    removed. On a full disk the run goes on: what can be spared of the older checkpoints is removed,
    and if that is not enough, a warning says so, and the next moment is tried.

    Args:
        folder: where to: a path, or a folder of checkpoints.
        monitor: the number that says which epoch is best; "val_accuracy" and the like are better
            the larger they are, losses and errors the smaller. Empty: accuracy, or the loss.
        save_steps: updates from checkpoint to checkpoint within an epoch; 0: none.
        keep: how many of the newest stay, at least 1.

    Attributes:
        best_epoch, best_value: the best epoch so far, and its number; 0 and NaN before the first.
        failure: why the last checkpoint, or the best model, could not be written; empty if it was.

    Raises:
        ConfigError: if nothing would stay, or `save_steps` is negative.

    Example:
        >>> Checkpoints("runs/mine", monitor="val_loss", save_steps=100, keep=3).best_epoch
        0
    """

    order = 90

    def __init__(
        self,
        folder: str | Path | CheckpointFolder,
        monitor: str = "",
        save_steps: int = 0,
        keep: int = 2,
    ) -> None:
        if not isinstance(folder, CheckpointFolder):
            folder = CheckpointFolder(Path(folder))
        self.folder: CheckpointFolder = folder
        self.monitor = monitor
        self.save_steps = at_least("Checkpoints", "save_steps", save_steps, 0)
        self.keep = at_least("Checkpoints", "keep", keep)
        self._best = self._second = BestSoFar()
        self.failure, self._owes_best = "", False
        self._best_of: dict[int, int] = {}  # for each checkpoint, the best one that it knows of
        self._saved: tuple[int, int] | None = None  # epoch and update of the newest

    @property
    def best_epoch(self) -> int:
        """0 before the first."""
        return self._best.epoch

    @property
    def best_value(self) -> float:
        """NaN before the first."""
        return self._best.value

    @property
    def _best_step(self) -> int:
        return self._best.updates

    # --- when -------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer) -> None:
        """Save the beginning, so that there is always something to go on from.

        Raises:
            ConfigError: if the folder holds another run.
        """
        self.folder.clean()
        if self._saved is not None:
            return
        if self.folder.steps():
            given, rule = f"{self.folder.path} holds a run already", "each run has its own folder"
            fix = "checkpoints.resume(trainer) goes on with it; or name another folder"
            raise ConfigError(explain("Checkpoints", given, rule, fix))
        self._save(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        """Save if it is time."""
        inside = trainer.batches < len(trainer.data.train)
        due = self.save_steps and trainer.updates % self.save_steps == 0
        if inside and (due or trainer.stop):
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save, and keep the model if it is the best so far."""
        if trainer.validated:
            name = self.monitor = self.monitor or best_by(trainer.numbers)
            value = monitored("Checkpoints", name, trainer.numbers)
            if self._best.is_beaten_by(name, value):
                self._second = self._best
                self._best = BestSoFar(trainer.epoch, value, trainer.updates)
        if trainer.validated or trainer.stop:
            self._save(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Save if the user's stop came after this callback was asked last."""
        if not trainer.finished and self._saved != (trainer.epoch, trainer.updates):
            self._save(trainer)

    # --- saving -----------------------------------------------------------------------------

    def _save(self, trainer: Trainer) -> None:
        """First the checkpoint, then the best model, then out with what is not needed."""
        step = trainer.updates
        self._best_of[step] = self._best_step
        state = trainer.state_dict()
        failure = self._try(
            f"the checkpoint of update {step}", lambda: self.folder.save(state, step)
        )
        self._owes_best |= self._best_step == step and self.best_epoch > 0
        best_failure = self._pay_best(state, step)
        if not failure:
            self._saved = trainer.epoch, step
            logger.debug("saved %s", self.folder.file(step))
            self._prune(step)
        elif best_failure and self._best_step == step:  # nothing is left of this epoch
            self._best, self._owes_best = self._second, False
        self._note(failure or best_failure)

    def _pay_best(self, state: dict[str, Any] | None, step: int | None) -> str:
        """Write the best model's file if that has not been done; what went wrong."""
        if not self._owes_best:
            return ""
        if state is None or self._best_step != step:
            state = self._best_state()
        if state is None:
            return ""
        best, text = state, f"the best model, of epoch {self.best_epoch},"
        failure = self._try(text, lambda: self.folder.save_best(best))
        self._owes_best = bool(failure)
        return failure

    def _best_state(self) -> dict[str, Any] | None:
        """The checkpoint of the best epoch; None if it is lost, and with it which one that was."""
        try:
            return self.folder.load(self._best_step)
        except (DataError, OSError) as error:
            logger.warning(
                "the best model so far, of epoch %d, is lost: %s", self.best_epoch, error
            )
            self._best, self._owes_best = BestSoFar(), False
            return None

    def _try(self, what: str, write: Callable[[], Any]) -> str:
        """Write; on a full disk make room and try again; what went wrong."""
        try:
            try:
                write()
            except OSError as error:
                if not (is_disk_full(error) and self._make_room()):
                    raise
                write()
        except OSError as error:
            if not is_disk_full(error):
                raise
            newest = self.folder.steps()[-1:]
            there = f"the newest checkpoint is of update {newest[0]}" if newest else "there is none"
            return f"{what} found no space in {self.folder.path} ({error.strerror}); {there}"
        return ""

    def _make_room(self) -> bool:
        """Remove what is neither the best nor the newest; whether there was such a one."""
        spare = [each for each in self.folder.steps()[:-1] if each != self._best_step]
        self.folder.remove(spare)
        return bool(spare)

    def _prune(self, step: int) -> None:
        """Keep the newest, and the best of each; what is of later updates was undone."""
        kept = self._keep_in_mind(step)
        self.folder.remove([each for each in self.folder.steps() if each not in kept])

    def _keep_in_mind(self, step: int) -> set[int]:
        """Which checkpoints there shall be after that of an update."""
        past = [each for each in self.folder.steps() if each <= step]
        kept = set(past[-self.keep :])
        kept |= {self._best_of.get(each, 0) for each in kept} - {0}  # 0: before the first best one
        self._best_of = {each: x for each, x in self._best_of.items() if each in kept}
        return kept

    # --- going on ---------------------------------------------------------------------------

    def resume(self, trainer: Trainer, file: Path | None = None) -> bool:
        """Take a trainer, of which this is a callback, to the newest checkpoint that is whole.

        Args:
            trainer: as it was made.
            file: an older checkpoint to go back to; what came after it is removed later.

        Returns:
            Whether there is one; a run without any begins at the beginning.

        Raises:
            DataError: if none is whole and fits.
        """
        self.folder.clean()
        found = self.folder.newest(trainer) if file is None else (0, read_checkpoint(file))
        if found is None:
            return False
        trainer.load_state_dict(found[1])
        step = trainer.updates
        self._saved = trainer.epoch, step
        kept = self._keep_in_mind(step)
        self.folder.remove(
            [each for each in self.folder.steps() if each < step and each not in kept]
        )
        # A process that was killed between the two may have left an older, or a newer, best one.
        self._owes_best = self.best_epoch > 0 and self.folder.best_step() != self._best_step
        self._note(self._pay_best(None, None))
        return True

    def _note(self, failure: str) -> None:
        if failure and not self.failure:
            logger.warning("%s; training goes on, and the next moment is tried", failure)
        self.failure = failure

    def state_dict(self) -> dict[str, Any]:
        """Which epoch was best, and which checkpoints know of which best one."""
        known = [[*each] for each in sorted(self._best_of.items())]
        return {"monitor": self.monitor, "best": asdict(self._best), "best_of": known}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it again; by another number, no epoch is the best yet."""
        same = self.monitor in ("", state["monitor"])
        self._best = BestSoFar(**state["best"]) if same else BestSoFar()
        self.monitor = self.monitor or str(state["monitor"])
        self._best_of = {int(step): int(known) for step, known in state["best_of"]}
