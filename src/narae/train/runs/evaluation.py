"""How good a saved model is, on data that its recipe names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import DataError, explain
from narae.data import DataLoader, RandomSampler, SequentialSampler

from ..answers import Answers, answers_of
from ..data import items_of
from ..figures import training_figure
from ..metrics import ClassScores, Counts, class_scores, confusion_matrix
from ..progress import format_metric
from .results import mistakes_text
from .saved import SavedRun


@dataclass(frozen=True)
class Evaluation:
    """What came of judging a model.

    Attributes:
        part: "test", "validation" or "train".
        samples: how many it was judged on.
        numbers: the mean loss and the recipe's metrics.
        classes: names; empty where an item is not given one class.
        answers: what the model says of each sample; None without classes.
        scores: precision, recall and F1 of each class; None without classes.
        confusion: counts[true class, predicted class]; None without classes.
    """

    part: str
    samples: int
    numbers: dict[str, float]
    classes: list[str]
    answers: Answers | None = None
    scores: ClassScores | None = None
    confusion: Counts | None = None

    def as_dict(self) -> dict[str, Any]:
        """Numbers and lists, for JSON."""
        found: dict[str, Any] = {"part": self.part, "samples": self.samples, **self.numbers}
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
        lines = [f"{self.part} data: {self.samples:,} samples · {' · '.join(words)}"]
        if self.scores is not None and self.confusion is not None:
            lines += ["", *_class_table(self.classes, self.scores), ""]
            lines.append("mistakes  " + mistakes_text(self.confusion, self.classes))
        return "\n".join(lines)

    def draw(self, path: Path, run: SavedRun) -> None:
        """Write a picture: the run's curves, the confusion matrix, the surest mistakes.

        Raises:
            DataError: where there are no classes, or no curves.
        """
        if not run.history:
            given, rule = f"{run.title} has no curves", "the picture shows those of a run"
            raise DataError(explain("evaluate", given, rule, "leave --picture out"))
        if self.confusion is None or self.answers is None:
            given, rule = f"{run.recipe.name} has no classes", "the picture shows their confusion"
            raise DataError(explain("evaluate", given, rule))
        shown = self.answers.examples()
        training_figure(run.history, self.confusion, self.classes, path, run.title, shown)


def evaluate_run(
    run: SavedRun, data_dir: Path | None = None, part: str = "test", batch_size: int = 256
) -> Evaluation:
    """Judge a saved model on data of its recipe.

    Args:
        run: what to judge.
        data_dir: a folder to look for data in first.
        part: "test", "validation" or "train".
        batch_size: samples at once; the result does not depend on it.
    """
    trainer = run.trainer(data_dir)
    loader = getattr(trainer.data, part)
    if hasattr(loader, "dataset"):  # in its order, without what is drawn for each sample's place
        loader = _in_order(loader, batch_size)
    numbers = trainer.validate(loader)
    answers = answers_of(trainer, loader) if trainer.data.classes else None
    if answers is None:
        return Evaluation(part, sum(map(items_of, loader)), numbers, [])
    classes, pairs = list(trainer.data.classes), (answers.targets, answers.said)
    scores = class_scores(*pairs, len(classes))
    counts = confusion_matrix(*pairs, len(classes))
    return Evaluation(part, len(answers.said), numbers, classes, answers, scores, counts)


def _in_order(loader: Any, batch_size: int) -> Any:
    """A loader of the same samples as they come; the same one where it makes its batches itself."""
    plain = isinstance(getattr(loader, "sampler", None), (SequentialSampler, RandomSampler))
    if not plain or loader.batch_size is None:
        return loader
    return DataLoader(loader.dataset, batch_size, collate_fn=loader.collate_fn)


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
