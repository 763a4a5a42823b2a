"""What can take part in training beside the loop: callbacks, told of events in their order."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .step import Step
    from .trainer import Trainer


class Callback:
    """Something that is told what happens; what it does not override costs nothing.

    `on_batch`, `on_loss`, `on_backward`, `on_gradients` and `on_update` are part of the step: they
    are traced with it, and what they compute is in the program. Numbers that change from step to
    step live in tensors there. All others run in Python each time.

    Attributes:
        order: who is told first: 10 mixes the batch, 20 adds noise, 30 changes the loss, 40 the
            gradients, 50 keeps means, 60 moves learning rates, 70 stops, 80 logs, 90 saves.
    """

    order: ClassVar[int] = 50

    def on_batch(self, step: "Step") -> None:
        """Before the model sees a batch: `step.batch` may be replaced."""

    def on_loss(self, step: "Step") -> None:
        """Before going backward: `step.loss` may be replaced; `plain_loss` is what is shown."""

    def on_backward(self, step: "Step") -> None:
        """After going backward, for each batch, also where no update follows."""

    def on_gradients(self, step: "Step") -> None:
        """Before the optimizer's step: gradients of all accumulated batches are there."""

    def on_update(self, step: "Step") -> None:
        """After the optimizer's step."""

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Before the first epoch, also of a run that goes on."""

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Before the first batch of an epoch; not when a run goes on in the middle of one."""

    def on_step_end(self, trainer: "Trainer") -> None:
        """After each update of the parameters."""

    def on_epoch_end(self, trainer: "Trainer") -> None:
        """After the validation that follows an epoch: `trainer.numbers` has its results."""

    def on_fit_end(self, trainer: "Trainer") -> None:
        """After the last epoch, or where the run was stopped."""

    def close(self) -> None:
        """At the very end of `fit`, also where an error ended it: let go of files and the screen.

        It may come without `on_fit_start` before it, and more than once.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs to know: tensors, numbers, texts in lists and dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` gave."""

    def differs_from(self, state: dict[str, Any]) -> bool:
        """Whether it was made for other settings than what gave that `state_dict`."""
        return False


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def listeners_of(callbacks: Sequence[Callback]) -> dict[str, list[Callable[[Any], None]]]:
    """For each event, the methods of those that listen to it, in the order of the callbacks."""

    def listens(callback: Callback, event: str) -> bool:
        return getattr(type(callback), event) is not getattr(Callback, event)

    return {
        event: [getattr(callback, event) for callback in callbacks if listens(callback, event)]
        for event in EVENTS
    }
