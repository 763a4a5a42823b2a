"""Numbers for MLflow."""

from typing import Any

from narae.base.errors import require

from ..callback import Callback
from ..trainer import Trainer


class MLflow(Callback):
    """Logs settings and the numbers of each epoch to MLflow, wherever its own settings say.

    Place and experiment are MLflow's: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME. A run that goes
    on later is the same run there; epochs that are trained again have the same numbers again.

    Args:
        name: of the run.

    Raises:
        MissingExtraError: if mlflow is not installed.
    """

    order = 80

    def __init__(self, name: str) -> None:
        self._library = require("mlflow", "mlflow", "log=mlflow")
        self._name, self._id, self._running = name, "", False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin, or take up again."""
        if self._id:
            self._library.start_run(run_id=self._id)
            self._running = True
            return
        self._id = self._library.start_run(run_name=self._name).info.run_id
        self._running = True
        settings = dict(trainer.about.get("settings", {}))
        self._library.log_params({"recipe": trainer.about.get("recipe", ""), **settings})

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Log the numbers."""
        self._library.log_metrics(dict(trainer.numbers), step=trainer.epoch)

    def on_fit_end(self, trainer: Trainer) -> None:
        """End it, or say that it was stopped."""
        self._end("FINISHED" if trainer.finished else "KILLED")

    def close(self) -> None:
        """Say that it failed, if nothing was said before."""
        self._end("FAILED")

    def _end(self, status: str) -> None:
        if self._running:
            self._running = False
            self._library.end_run(status)

    def state_dict(self) -> dict[str, Any]:
        """What MLflow calls the run."""
        return {"id": self._id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with that run."""
        self._id = str(state["id"])
