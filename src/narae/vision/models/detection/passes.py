"""How many images, or parts of images, go through the convolutions of a detector."""

from types import TracebackType
from typing import Any


class CountPasses:
    """Counts what goes through a detector's backbone within a `with` block: each row is one pass.

    Args:
        model: a detector of the lineage, with `backbone` and `programs`.

    Attributes:
        passes: rows so far.

    >>> import narae
    >>> from narae.vision.models.detection import SmallBackbone, YOLOv1
    >>> model = YOLOv1(SmallBackbone((4, 4), (0, 0)), num_classes=2, compiled=False).eval()
    >>> with CountPasses(model) as counted:
    ...     _ = model(narae.zeros(3, 3, 16, 16))
    >>> counted.passes
    3
    """

    def __init__(self, model: Any) -> None:
        self.model, self.passes = model, 0

    def _note(self, module: Any, inputs: Any) -> None:
        if module is self.model.backbone:
            self.passes += int(inputs[0].shape[0])

    def __enter__(self) -> "CountPasses":
        self.model.programs.watchers.append(self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.model.programs.watchers.remove(self._note)
