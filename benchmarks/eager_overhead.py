"""What an eager operation costs on small tensors: Narae and PyTorch in turn, in one run.

    python benchmarks/eager_overhead.py [--rounds 200] [--write]

Small tensors show the overhead of the framework, not the speed of arithmetic. Each row is timed in
many short rounds, Narae and PyTorch alternating, and the ratio is the median of the ratios of
neighbouring rounds, so that a noisy machine disturbs both alike. `--write` puts the table into
benchmarks/RESULTS.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "RESULTS.md"
TARGETS = {"overhead": 1.5, "composite": 4.0, "convolution": None}


@dataclass
class Row:
    """One operation, written once for both libraries."""

    name: str
    family: str
    build: Callable[[Any], Callable[[], Any]]


def leaf(lib: Any, *shape: int) -> Any:
    """A small tensor that requires gradients."""
    return lib.ones(*shape, requires_grad=True)


def with_leaves(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[Any], Any]:
    """A builder that calls `function(lib, *leaves)`."""

    def build(lib: Any) -> Callable[[], Any]:
        leaves = [leaf(lib, *shape) for shape in shapes]
        return lambda: function(lib, *leaves)

    return build


def functional(lib: Any) -> Any:
    """The library's `nn.functional`."""
    return lib.nn.functional


def labels(lib: Any) -> Any:
    """Class indices for four samples."""
    return lib.tensor([0, 1, 2, 3])


S = (4, 4)


def cross_entropy(lib: Any) -> Callable[[], Any]:
    """Cross entropy of four samples in four classes."""
    x, y = leaf(lib, *S), labels(lib)
    return lambda: functional(lib).cross_entropy(x, y)


def index_with_tensor(lib: Any) -> Callable[[], Any]:
    """Rows chosen by a tensor of indices."""
    x, y = leaf(lib, *S), labels(lib)
    return lambda: x[y]


ROWS = [
    Row("x + y", "overhead", with_leaves(lambda lib, x, y: x + y, S, S)),
    Row("x * y", "overhead", with_leaves(lambda lib, x, y: x * y, S, S)),
    Row("x / y", "overhead", with_leaves(lambda lib, x, y: x / y, S, S)),
    Row("x * 2.0", "overhead", with_leaves(lambda lib, x: x * 2.0, S)),
    Row("x ** 2", "overhead", with_leaves(lambda lib, x: x**2, S)),
    Row("-x", "overhead", with_leaves(lambda lib, x: -x, S)),
    Row("x.exp()", "overhead", with_leaves(lambda lib, x: x.exp(), S)),
    Row("x.sqrt()", "overhead", with_leaves(lambda lib, x: x.sqrt(), S)),
    Row("x.tanh()", "overhead", with_leaves(lambda lib, x: x.tanh(), S)),
    Row("x.sigmoid()", "overhead", with_leaves(lambda lib, x: x.sigmoid(), S)),
    Row("x.relu()", "overhead", with_leaves(lambda lib, x: x.relu(), S)),
    Row(
        "where(x > 0, x, y)",
        "overhead",
        with_leaves(lambda lib, x, y: lib.where(x > 0, x, y), S, S),
    ),
    Row("maximum(x, y)", "overhead", with_leaves(lambda lib, x, y: lib.maximum(x, y), S, S)),
    Row("x.sum()", "overhead", with_leaves(lambda lib, x: x.sum(), S)),
    Row("x.sum(0)", "overhead", with_leaves(lambda lib, x: x.sum(0), S)),
    Row("x.mean()", "overhead", with_leaves(lambda lib, x: x.mean(), S)),
    Row("x.amax(1)", "overhead", with_leaves(lambda lib, x: x.amax(1), S)),
    Row("x.reshape(16)", "overhead", with_leaves(lambda lib, x: x.reshape(16), S)),
    Row("x.t()", "overhead", with_leaves(lambda lib, x: x.t(), S)),
    Row("x.permute(1, 0)", "overhead", with_leaves(lambda lib, x: x.permute(1, 0), S)),
    Row("x.unsqueeze(0)", "overhead", with_leaves(lambda lib, x: x.unsqueeze(0), S)),
    Row("x.expand(3, 4, 4)", "overhead", with_leaves(lambda lib, x: x.expand(3, 4, 4), S)),
    Row("cat([x, y])", "overhead", with_leaves(lambda lib, x, y: lib.cat([x, y]), S, S)),
    Row("x[1]", "overhead", with_leaves(lambda lib, x: x[1], S)),
    Row("x[1:3]", "overhead", with_leaves(lambda lib, x: x[1:3], S)),
    Row("x[:, 1]", "overhead", with_leaves(lambda lib, x: x[:, 1], S)),
    Row("x[index]", "overhead", index_with_tensor),
    Row("x @ y", "overhead", with_leaves(lambda lib, x, y: x @ y, S, S)),
    Row(
        "linear(x, w, b)",
        "overhead",
        with_leaves(lambda lib, x, w, b: functional(lib).linear(x, w, b), S, S, (4,)),
    ),
    Row("softmax(x, 1)", "composite", with_leaves(lambda lib, x: x.softmax(1), S)),
    Row("log_softmax(x, 1)", "composite", with_leaves(lambda lib, x: x.log_softmax(1), S)),
    Row(
        "layer_norm(x)",
        "composite",
        with_leaves(lambda lib, x: functional(lib).layer_norm(x, (4,)), S),
    ),
    Row(
        "batch_norm(x)",
        "composite",
        with_leaves(
            lambda lib, x, w, b: functional(lib).batch_norm(x, None, None, w, b, training=True),
            S,
            (4,),
            (4,),
        ),
    ),
    Row(
        "mse_loss(x, y)",
        "composite",
        with_leaves(lambda lib, x, y: functional(lib).mse_loss(x, y), S, S),
    ),
    Row("cross_entropy(x, y)", "composite", cross_entropy),
    Row(
        "conv2d 1x1x8x8, 3x3",
        "convolution",
        with_leaves(lambda lib, x, w: functional(lib).conv2d(x, w), (1, 1, 8, 8), (4, 1, 3, 3)),
    ),
    Row(
        "max_pool2d 1x4x8x8, 2x2",
        "convolution",
        with_leaves(lambda lib, x: functional(lib).max_pool2d(x, 2), (1, 4, 8, 8)),
    ),
]


def backward_of(lib: Any, forward: Callable[[], Any]) -> Callable[[], Any]:
    """Forward and backward of an operation, with a given gradient and fresh `.grad`s."""
    gradient = lib.ones_like(forward().detach())
    leaves = _leaves_of(forward)

    def run() -> None:
        for x in leaves:
            x.grad = None
        forward().backward(gradient)

    return run


def _leaves_of(forward: Callable[[], Any]) -> list[Any]:
    """The leaves that a builder closed over."""
    found = []
    for cell in forward.__closure__ or ():
        content = cell.cell_contents
        for item in content if isinstance(content, list) else [content]:
            if getattr(item, "requires_grad", False):
                found.append(item)
    return found


def seconds(function: Callable[[], Any], calls: int) -> float:
    """Seconds a call, over `calls` calls."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, calls: int) -> Any:
    """Medians in microseconds of both, and the median of the ratios of neighbouring rounds."""
    pairs = []
    for place in range(rounds + 2):
        pair = seconds(ours, calls), seconds(theirs, calls)
        if place >= 2:  # the first rounds warm up
            pairs.append(pair)
    first, second = (statistics.median(side) * 1e6 for side in zip(*pairs, strict=True))
    return first, second, statistics.median(a / b for a, b in pairs)


def measure(rounds: int, calls: int) -> list[tuple[Row, Any, Any]]:
    """Every row, forward alone and forward with backward."""
    import torch

    import narae

    torch.set_num_threads(1)
    table = []
    for row in ROWS:
        ours, theirs = row.build(narae), row.build(torch)
        forward = compare(ours, theirs, rounds, calls)
        both = compare(
            backward_of(narae, ours), backward_of(torch, theirs), rounds, max(calls // 4, 1)
        )
        table.append((row, forward, both))
        print(_line(row, forward, both), flush=True)
    return table


def _line(row: Row, forward: Any, both: Any) -> str:
    numbers = "".join(
        f" {ours:.1f} | {theirs:.1f} | {ratio:.2f} |" for ours, theirs, ratio in (forward, both)
    )
    target = TARGETS[row.family]
    verdict = "reported" if target is None else f"≤ {target}"
    missed = target is not None and max(forward[2], both[2]) > target
    return f"| `{row.name}` |{numbers} {verdict}{' **missed**' if missed else ''} |"


HEADER = """\
| operation | Narae µs | PyTorch µs | ratio | and backward: Narae µs | PyTorch µs | ratio | target |
|---|---|---|---|---|---|---|---|"""
MARKS = "<!-- eager_overhead -->", "<!-- /eager_overhead -->"


def write(table: list[tuple[Row, Any, Any]]) -> None:
    """Put the table between its marks in RESULTS.md."""
    import platform

    import numpy
    import torch

    lines = [MARKS[0], HEADER, *(_line(*entry) for entry in table)]
    versions = f"NumPy {numpy.__version__}, PyTorch {torch.__version__}"
    versions = f"Python {platform.python_version()}, {versions}"
    lines += ["", f"Measured with {versions}, one thread.", MARKS[1]]
    text = RESULTS.read_text(encoding="utf8") if RESULTS.exists() else _new_results()
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    RESULTS.write_text(before + "\n".join(lines) + after, encoding="utf8")


def _new_results() -> str:
    return f"""# Results

Every table names the command that makes it. Losses are listed like wins.

## Eager overhead on small tensors

`python benchmarks/eager_overhead.py --write`

{MARKS[0]}
{MARKS[1]}
"""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="pairs of rounds for each row")
    parser.add_argument("--calls", type=int, default=20, help="calls in each round")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    options = parser.parse_args()
    print(HEADER)
    table = measure(options.rounds, options.calls)
    if options.write:
        write(table)


if __name__ == "__main__":
    main()
