"""Label smoothing: what it does to accuracy, and to how well the network knows what it knows.

The expected calibration error (ECE) is the mean distance between the confidence of answers and the
share of them that is right, over 15 bins of confidence (Guo et al. 2017, "On Calibration of Modern
Neural Networks", eq. 3). `--figure FILE` draws both for each bin.

Run `python examples/regularization/label_smoothing.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import harness
import numpy as np
from harness import Variant

import narae
from narae.train.callbacks import LabelSmoothing
from narae.train.metrics import calibration_error

BINS = 15

VARIANTS = (
    Variant("as it is"),
    *(
        Variant(f"smoothing of {share:g}", lambda model, share=share: [LabelSmoothing(share)])
        for share in (0.05, 0.1, 0.3)
    ),
)


def by_confidence(out, labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each bin of confidence: how many answers, how sure they are, how many are right."""
    sure, answers = (np.asarray(x) for x in out.softmax(dim=1).max(dim=1))
    right = answers == np.asarray(labels)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    full = np.maximum(counts, 1)
    means = (np.bincount(bins, x, BINS) / full for x in (sure, right))
    return counts, *means


def calibration(trainer, out, labels) -> dict[str, float]:
    """The expected calibration error, and how sure the answers are on average."""
    shares = np.asarray(out.softmax(dim=1))
    error = calibration_error(np.asarray(labels), shares, BINS)
    return {"ECE": error, "confidence": float(shares.max(axis=1).mean())}


def draw(path: str, task: harness.Task) -> None:
    """How often answers of each confidence are right, without and with smoothing."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True, layout="constrained")
    parts = harness.split(task, 0)
    for axis, variant in zip(axes, (VARIANTS[0], VARIANTS[2]), strict=True):
        trainer = harness.trainer_of(variant, task, parts, seed=0)
        trainer.fit()
        trainer.model.eval()
        with narae.no_grad():
            counts, sure, right = by_confidence(trainer.model(parts[2]), parts[3])
        there = counts > 0
        middles = (np.arange(BINS) + 0.5) / BINS
        axis.bar(middles[there], right[there], 0.9 / BINS, color="#4878a8", label="right")
        axis.plot(sure[there], sure[there], "o-", color="#c05020", label="confidence")
        axis.set(title=variant.name, xlabel="confidence of the answer", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share of right answers")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> harness.Results:
    chosen = harness.arguments("label smoothing", argv)
    results = harness.main("label smoothing", VARIANTS, argv, calibration)
    if chosen.figure:
        draw(chosen.figure, harness.task_of(chosen))
    return results


if __name__ == "__main__":
    main()
