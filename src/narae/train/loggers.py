"""From `log=jsonl,csv,tensorboard` to the callbacks that write there."""

from collections.abc import Callable
from pathlib import Path

from narae.base.errors import require

from .callback import Callback
from .callbacks.csv_log import CSVLog
from .callbacks.json_lines import JSONLines
from .callbacks.mlflow import MLflow
from .callbacks.tensorboard import TensorBoard
from .callbacks.wandb import WandB
from .settings import log_names

Make = Callable[[Path], Callback]

# What each name becomes, given the folder of the run.
_TABLE: dict[str, Make] = {
    "jsonl": lambda folder: JSONLines(folder / "metrics.jsonl"),
    "csv": lambda folder: CSVLog(folder / "metrics.csv"),
    "tensorboard": lambda folder: TensorBoard(folder / "tensorboard"),
    "mlflow": lambda folder: MLflow(folder.name),
    "wandb": lambda folder: WandB(folder.name, folder),
}


# What a name needs: the library, and the extra that installs it.
_LIBRARIES = {
    "tensorboard": ("tensorboardX", "tensorboard"),
    "mlflow": ("mlflow", "mlflow"),
    "wandb": ("wandb", "wandb"),
}


def check_loggers(log: str) -> None:
    """Ask for the libraries of a run's logs, before it begins.

    Raises:
        MissingExtraError: if one is not installed.
    """
    for name in log_names(log):
        if name in _LIBRARIES:
            require(*_LIBRARIES[name], f"log={name}")


def loggers_of(log: str, folder: Path) -> list[Callback]:
    """Who writes numbers down; "jsonl" always does, for Narae itself reads it.

    Args:
        log: names with commas.
        folder: of the run.

    Raises:
        ConfigError: for a name that there is not.
        MissingExtraError: if a library is not installed.

    >>> [type(each).__name__ for each in loggers_of("csv", Path("runs/one"))]
    ['JSONLines', 'CSVLog']
    """
    return [_TABLE[name](folder) for name in dict.fromkeys(("jsonl", *log_names(log)))]
