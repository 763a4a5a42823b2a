"""Why residual networks: a plain net of 56 layers learns its pictures worse than one of 20.

That is no overfitting, since it is the *training* error. With skips around each two layers, which
cost no parameters, depth helps again (He et al., 2015, figures 1 and 6).

Run `python examples/vision/degradation.py`; with `--small` in seconds and with 8 and 20 layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import experiment

import narae
from narae.vision.models import CifarResNet

NETS = {"plain": None, "residual": "A"}


def main(argv: Sequence[str] | None = None) -> dict[str, experiment.Result]:
    chosen = experiment.arguments("plain and residual nets", argv, epochs=20, items=4000)
    if chosen.small:
        task, depths = experiment.digits(chosen.items, channels=3), (8, 20)
    else:
        task, depths = experiment.cifar(chosen.items, chosen.data_dir), (20, 56)
    print(task.headline(chosen.epochs))
    found, rows = {}, []
    for kind, shortcut in NETS.items():
        for depth in depths:
            narae.manual_seed(1)
            model = CifarResNet(depth, shortcut=shortcut)
            result = experiment.train(model, task, chosen.epochs, batch=min(128, chosen.items // 4))
            name = f"{kind}-{depth}"
            found[name] = result
            numbers = [f"{result.parameters:,}", f"{result.losses[-1]:.3f}"]
            numbers += [f"{100 * result.errors[-1]:.1f}", f"{100 * result.test_accuracy:.1f}"]
            rows.append([name, *numbers, f"{result.seconds:.0f} s"])
            print(f"{name}: training error {100 * result.errors[-1]:.1f} %", flush=True)
    head = ["network", "parameters", "train loss", "train error %", "test %", "time"]
    print(f"\n{experiment.table(head, rows)}")
    if chosen.figure:
        draw(found, depths, chosen.figure)
    return found


def draw(found: dict[str, experiment.Result], depths: Sequence[int], path: str) -> None:
    drawn, axes = experiment.figure(2, 4.2, 3.4)
    for place, kind in zip(axes, NETS, strict=True):
        for depth, colour in zip(depths, ("#2563eb", "#ea580c"), strict=True):
            errors = [100 * error for error in found[f"{kind}-{depth}"].errors]
            place.plot(range(1, len(errors) + 1), errors, color=colour, label=f"{depth} layers")
        place.set_title(kind)
        experiment.epochs_below(place)
        place.set_ylim(0, 100)
        place.legend()
    axes[0].set_ylabel("training error, %")
    experiment.save(drawn, path)


if __name__ == "__main__":
    main()
