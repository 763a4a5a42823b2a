"""The checkpoints of a run: one file each, whole or not there, named by the update they are of."""

import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any

from narae.base.errors import DataError, FileFormatError, explain
from narae.io import load, save
from narae.io.atomic import remove_leftovers, sync_folder

from .resume import check_fits, check_state, logger
from .trainer import Trainer

_PATTERN = "step-*.safetensors"
BEST = "best.safetensors"


class CheckpointFolder:
    """Checkpoints in a folder, which is made when the first is written.

    One process at a time writes to it.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- each update's ----------------------------------------------------------------------

    def steps(self) -> list[int]:
        """The updates that there are checkpoints of, the newest last."""
        found = (path.stem.partition("-")[2] for path in self.path.glob(_PATTERN))
        return sorted(int(number) for number in found if number.isdigit())

    def file(self, step: int) -> Path:
        """Where the checkpoint of an update is."""
        return self.path / f"step-{step:08d}.safetensors"

    def save(self, state: dict[str, Any], step: int) -> Path:
        """Write a checkpoint.

        Raises:
            OSError: if that fails, as on a full disk; the others are as they were.
        """
        self._make()
        path = self.file(step)
        if path.is_dir():  # nobody's checkpoint, and perhaps somebody's files
            path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}"))
        save(state, path)
        return path

    def _make(self) -> None:
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)

    def load(self, step: int) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            FileFormatError: if it is damaged.
            MissingDataError: if there is none.
        """
        return read_checkpoint(self.file(step))

    def newest(self, trainer: Trainer | None = None) -> tuple[int, dict[str, Any]] | None:
        """The newest checkpoint that is whole, and its update; None if there is none at all.

        Damaged ones are passed over with a warning.

        Args:
            trainer: whom it must fit, if given.

        Raises:
            DataError: if none is whole and fits.
        """
        passed: list[Exception] = []
        for step in reversed(self.steps()):
            try:
                state = self.load(step)
                if trainer is not None:
                    check_fits(trainer, state)
            except (DataError, OSError) as error:
                passed.append(error)
                continue
            for reason in passed:
                logger.warning("a checkpoint is passed over: %s", reason)
            return step, state
        if not passed:
            return None
        raise _none_left(self.path, passed)

    def remove(self, steps: Collection[int]) -> None:
        """Remove checkpoints, as far as they are there."""
        for step in steps:
            path = self.file(step)
            if not path.is_dir():  # nothing of ours
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what writers that were killed have left half done."""
        if self.path.is_dir():
            remove_leftovers(self.path)

    # --- the best ---------------------------------------------------------------------------

    def save_best(self, state: dict[str, Any]) -> Path:
        """Write the model that was judged in a state, with its epoch and numbers.

        Raises:
            OSError: if that fails, as on a full disk; the one before is as it was.
        """
        self._make()
        best = {"model": state["judged"], "epoch": state["epoch"], "numbers": state["numbers"]}
        save({**best, "updates": state["updates"]}, self.path / BEST)
        return self.path / BEST

    def best_step(self) -> int | None:
        """The update that the best model's file is of; None if it is damaged or not there."""
        try:
            found = load(self.path / BEST)
            return int(found["updates"])
        except (DataError, OSError, KeyError, TypeError, ValueError):
            return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state of a training in a file.

    Raises:
        FileFormatError: if it is damaged, or something else.
        MissingDataError: if there is none.
    """
    state: dict[str, Any] = load(path)
    check_state(state, str(path))
    return state


def _none_left(path: Path, passed: list[Exception]) -> DataError:
    """One error for all files; of a run that fits none of them, the newest one's."""
    damaged = [each for each in passed if isinstance(each, FileFormatError | OSError)]
    if not damaged and isinstance(passed[0], DataError):
        return passed[0]
    given = f"{path} holds no whole checkpoint ({'; '.join(map(str, passed))})"
    fix = "take the weights of best.safetensors, or train from the beginning in another folder"
    return FileFormatError(explain("resume", given, "a run goes on from one", fix))
