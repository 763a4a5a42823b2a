"""How good a saved model is, on data that its recipe names."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from narae.base.errors import DataError, explain
from narae.data import DataLoader

from .building import build
from .figures import training_figure, worst_mistakes
from .metrics import ClassScores, class_scores, confusion_matrix
from .progress import format_metric
from .runs.results import inputs_of, mistakes_text, outputs_and_targets, softmax
from .runs.saved import SavedRun

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Evaluation:
    """What came of judging a model.

    Attributes:
        part: "test" or "train".
        numbers: the mean loss and the recipe's metrics.
        images, targets, outputs: inputs, true answers, the model's scores, of all samples.
        classes: names; empty for a regression.
        scores: precision, recall and F1 of each class; None for a regression.
        confusion: counts[true class, predicted class]; None for a regression.
    """

    part: str
    numbers: dict[str, float]
    images: Array
    targets: Array
    outputs: Array
    classes: list[str]
    scores: ClassScores | None
    confusion: Array | None

    def as_dict(self) -> dict[str, Any]:
        """Numbers and lists, for JSON."""
        found: dict[str, Any] = {"part": self.part, "samples": len(self.targets), **self.numbers}
        if self.scores is not None and self.confusion is not None:
            columns = {name: values.tolist() for name, values in vars(self.scores).items()}
            found["classes"] = {
                name: {column: columns[column][i] for column in columns}
                for i, name in enumerate(self.classes)
            }
            found["confusion"] = self.confusion.tolist()
        return found

    def __str__(self) -> str:
        words = [f"{name} {format_metric(name, x)}" for name, x in self.numbers.items()]
        lines = [f"{self.part} data: {len(self.targets):,} samples · {' · '.join(words)}"]
        if self.scores is not None:
            lines += ["", *_class_table(self.classes, self.scores), ""]
            lines.append("mistakes  " + mistakes_text(self.outputs, self.targets, self.classes))
        return "\n".join(lines)

    def draw(self, path: Path, run: SavedRun) -> None:
        """Write a picture: the run's curves, the confusion matrix, the surest mistakes.

        Raises:
            DataError: for a regression.
        """
        if self.confusion is None:
            given, rule = f"{run.recipe.name} has no classes", "the picture shows their confusion"
            raise DataError(explain("evaluate", given, rule))
        shares = softmax(self.outputs)
        pictures = self.images.ndim >= 3
        shown = worst_mistakes(self.images, self.targets, shares) if pictures else None
        training_figure(run.folder.history(), self.confusion, self.classes, path, run.title, shown)


def evaluate_run(
    run: SavedRun, data_dir: Path | None = None, part: str = "test", batch_size: int = 256
) -> Evaluation:
    """Judge a saved model on the "test" or the "train" data of its recipe.

    Args:
        run: what to judge.
        data_dir: a folder to look for data in first.
        part: which data.
        batch_size: samples at once; the result does not depend on it.
    """
    trainer = build(run.recipe, data_dir)
    trainer.model.load_state_dict(run.model.state_dict())
    loader = getattr(trainer.data, part)
    if part == "train":  # in its order, without what is drawn for each sample's place in it
        loader = DataLoader(loader.dataset, batch_size, collate_fn=loader.collate_fn)
    trainer.data = replace(trainer.data, test=loader)
    numbers = trainer.validate()
    outputs, targets = outputs_and_targets(trainer)
    images = inputs_of(loader)
    data = trainer.data
    classes = list(data.classes)
    if not classes:
        return Evaluation(part, numbers, images, targets, outputs, classes, None, None)
    predicted = outputs.argmax(axis=1)
    scores = class_scores(targets, predicted, len(classes))
    counts = confusion_matrix(targets, predicted, len(classes))
    return Evaluation(part, numbers, images, targets, outputs, classes, scores, counts)


def _class_table(classes: list[str], scores: ClassScores) -> list[str]:
    width = max(map(len, ["class", *classes]))
    head = f"{'class':<{width}}  precision  recall      F1  samples"
    rows = zip(classes, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    return [
        head,
        *(
            f"{name:<{width}}  {100 * p:8.2f}%  {100 * r:5.1f}%  {100 * f:5.1f}%  {n:7,}"
            for name, p, r, f, n in rows
        ),
    ]
