"""AR(τ): how far to look back? The error of each τ on months that were not learned from.

Sunspots come and go in some 11 years. On the training part a longer memory is never worse; on the
validation part the curve falls, lies flat, and rises again where the model learns noise. τ = 1 is
a Markov model: the last month is all it knows.

Run `python examples/sequences/ar_order.py`; `--figure FILE` draws the curve.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from narae.series import Autoregression, mae, order_curve, sunspots, windows

ORDERS = (1, 2, 3, 6, 9, 12, 18, 24, 36, 48, 72, 96, 132, 180, 240, 300)
TRAINING, VALIDATION = 1000, 1900  # months; what follows is for the test


def draw(path: str, curve: dict[int, tuple[float, float]], best: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    roots = np.sqrt(list(curve.values()))
    for values, name, color in zip(
        roots.T, ("training", "validation"), ("#2563eb", "#ea580c"), strict=True
    ):
        axes.plot(list(curve), values, marker="o", markersize=4, color=color, label=name)
    axes.axvline(best, color="#9ca3af", linestyle="--", label=f"τ = {best}")
    axes.set(xscale="log", xlabel="τ (months)", ylabel="RMSE, one month ahead")
    axes.set_title("How far to look back: monthly sunspots")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> dict[int, tuple[float, float]]:
    parser = argparse.ArgumentParser(description="the order of an AR model")
    parser.add_argument("--figure", help="a file to draw to")
    chosen = parser.parse_args(argv)
    values = sunspots(download=True).values[:, 0]
    curve = order_curve(values[:VALIDATION], ORDERS, TRAINING)
    best = min(curve, key=lambda order: curve[order][1])
    print("  τ  training RMSE  validation RMSE")
    for order, errors in curve.items():
        training, validation = np.sqrt(errors)
        print(f"{order:3}{training:15.2f}{validation:17.2f}{'  <- best' * (order == best)}")
    print("\ntest, 12 months ahead, learned from training and validation:")
    for order in (1, best, max(ORDERS)):
        model = Autoregression.fit(values[:VALIDATION], order)
        test = windows(values, order, 12, begin=VALIDATION)
        error = mae(test.future, model.forecast(test.past, 12))
        print(f"AR({order}): mean absolute error {error:.1f}")
    if chosen.figure:
        draw(chosen.figure, curve, best)
    return curve


if __name__ == "__main__":
    main()
