"""Noise in the inputs and in the weights, and what noise in the inputs amounts to.

With a linear model and squared errors, noise of standard deviation σ in N inputs has the solution
of ridge (Tikhonov) regression with λ = N σ² as its limit (Bishop 1995, "Training with noise is
equivalent to Tikhonov regularization"): measured first, on the same pictures.

Run `python examples/regularization/noise.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import harness
import numpy as np
from harness import Variant

import narae
import narae.nn.functional as F
from narae.train import Step
from narae.train.callbacks import InputNoise, WeightNoise

VARIANTS = (
    Variant("as it is"),
    *(
        Variant(f"noise of {std:g} in inputs", lambda model, std=std: [InputNoise(std)])
        for std in (0.1, 0.3, 0.5)
    ),
    *(
        Variant(f"noise of {std:g} in weights", lambda model, std=std: [WeightNoise(std)])
        for std in (0.01, 0.03, 0.05)
    ),
)


def tikhonov(task: harness.Task, copies: Sequence[int], std: float = 0.3) -> dict[int, float]:
    """How far least squares on noisy copies of the pictures is from ridge regression without noise.

    Returns:
        For each number of copies, |w - w_ridge| / |w_ridge|.
    """
    images, labels, _, _ = harness.split(task, 0)
    x = np.asarray(images).reshape(len(images), -1).astype(np.float64)  # (items, pixels)
    y = np.asarray(F.one_hot(labels, 10)).astype(np.float64)  # (items, 10)
    ridge = np.linalg.solve(x.T @ x + len(x) * std**2 * np.eye(x.shape[1]), x.T @ y)
    noise, products, found = InputNoise(std), (0.0, 0.0), {}
    narae.manual_seed(0)
    for count in range(1, max(copies) + 1):
        step = Step(None, None, (narae.from_numpy(x), labels))
        noise.on_batch(step)
        noisy = np.asarray(step.batch[0])
        products = products[0] + noisy.T @ noisy, products[1] + noisy.T @ y
        if count in copies:
            w = np.linalg.lstsq(*products, rcond=None)[0]
            found[count] = float(np.linalg.norm(w - ridge) / np.linalg.norm(ridge))
    return found


def main(argv: Sequence[str] | None = None) -> harness.Results:
    chosen = harness.arguments("noise", argv)
    copies = (1, 10, 100) if chosen.small else (3, 30, 300)
    print("least squares on noisy copies of the pictures, against ridge regression:")
    for count, distance in tikhonov(harness.task_of(chosen), copies).items():
        print(f"  {count:5} copies: {100 * distance:5.1f} % apart")
    print()
    return harness.main("noise", VARIANTS, argv)


if __name__ == "__main__":
    main()
