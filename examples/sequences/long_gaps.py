"""What was long ago is hard to use: accuracy by gap of RNN, LSTM and GRU.

    python examples/sequences/long_gaps.py --task adding-task

Each net is trained by the recipe (`narae train copy-task --set kind=rnn --set gap=50`) and judged
on sequences that it did not learn from. A guess is right in 1 of 8 cases of the copy task, and,
where it is the mean, in 19 of 100 of the adding task.

After 12 epochs, one symbol to copy, 64 numbers in a state:

    gap      copy  5       20       60      adding  5       20       60
    rnn       100.0%   100.0%    87.9%        100.0%    23.0%    19.5%
    lstm      100.0%   100.0%   100.0%        100.0%   100.0%    19.1%
    gru       100.0%   100.0%   100.0%        100.0%   100.0%   100.0%

Gates bridge gaps that the plain net does not; in adding over 60 steps the LSTM has not begun to
learn either.
"""

import argparse
from collections.abc import Sequence

from narae.train.building import build
from narae.train.recipe import load_recipe

KINDS = ("rnn", "lstm", "gru")
GAPS = (5, 20, 60)


def accuracies(
    task: str, gaps: Sequence[int] = GAPS, kinds: Sequence[str] = KINDS, **settings: object
) -> dict[str, list[float]]:
    """Of each kind of net, the accuracy by gap."""
    return {kind: [accuracy(task, gap, kind, **settings) for gap in gaps] for kind in kinds}


def accuracy(task: str, gap: int, kind: str, **settings: object) -> float:
    """Of one net, trained by the recipe of the task."""
    trainer = build(load_recipe(task).changed({"gap": gap, "kind": kind, **settings}))
    trainer.fit()
    return trainer.validate()["accuracy"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="adding-task", choices=["copy-task", "adding-task"])
    parser.add_argument("--gaps", type=int, nargs="+", default=GAPS, help="steps in between")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=64, help="numbers in a state")
    parser.add_argument("--copies", type=int, default=1, help="symbols of the copy task")
    options = parser.parse_args(arguments)
    print(f"{options.task}, {options.epochs} epochs: accuracy by gap\n")
    print("net   " + "".join(f"{gap:9}" for gap in options.gaps))
    for kind in KINDS:
        settings = {"epochs": options.epochs, "hidden": options.hidden}
        settings |= {"copies": options.copies} if options.task == "copy-task" else {}
        row = accuracies(options.task, options.gaps, [kind], **settings)[kind]
        print(f"{kind:6}" + "".join(f"{100 * x:8.1f}%" for x in row))


if __name__ == "__main__":
    main()
