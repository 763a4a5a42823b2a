"""A recurrent net runs once for each token, a Transformer once for all of them.

    python examples/sequences/steps_and_length.py --out steps_and_length

For texts of 16 to 1024 tokens: how many operations must wait for one another, and how many
multiplications and additions there are, both counted in the traced programs of an LSTM and of a
Transformer's encoder layer; and the time of a forward pass, operation by operation ("eager") and
compiled. The LSTM's chain grows with the text. The Transformer's does not, and its work grows with
the square of the text, since each token looks at each.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import narae
from narae import Tensor, nn
from narae.explain.line_figure import draw_lines
from narae.ir import Program, Value
from narae.primitives.cost import program_flops

LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
BATCH, WIDTH, INNER, HEADS = 4, 64, 256, 4


def models(width: int = WIDTH, inner: int = INNER) -> dict[str, nn.Module]:
    """An LSTM, and an encoder of one layer: (batch, time, width) -> (batch, time, width)."""
    narae.manual_seed(0)
    layer = nn.TransformerEncoderLayer(width, HEADS, inner, dropout=0.0, batch_first=True)
    lstm = nn.LSTM(width, width, batch_first=True)
    return {"LSTM": lstm, "Transformer": nn.TransformerEncoder(layer, 1).eval()}


def states(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Its result for each token."""
    return (lambda x: model(x)[0]) if isinstance(model, nn.LSTM) else lambda x: model(x)


# ------------------------------------------------------------------------------------ counting
def program_of(model: nn.Module, length: int, batch: int = 1) -> Program:
    """The traced program of a forward pass."""
    x = narae.zeros(batch, length, next(model.parameters()).shape[1])
    with narae.no_grad():
        return narae.compile(states(model)).explain(x).plans[-1].program


def longest_chain(program: Program) -> int:
    """How many operations wait for one another; those of a loop as often as it goes round."""
    depth: dict[int, int] = {}
    for node in program.nodes:
        before = [depth.get(id(x), 0) for x in node.operands if isinstance(x, Value)]
        body = node.attrs.get("body")
        own = node.attrs["length"] * longest_chain(body) if isinstance(body, Program) else 1
        depth |= {id(value): max(before, default=0) + own for value in node.outputs}
    return max(depth.values(), default=0)


def counts(model: nn.Module, length: int, batch: int = 1) -> tuple[int, int]:
    """The longest chain, and floating-point operations."""
    program = program_of(model, length, batch)
    return longest_chain(program), program_flops(program)


# -------------------------------------------------------------------------------------- timing
def seconds(function: Callable[[Tensor], Tensor], x: Tensor, rounds: int = 5) -> float:
    """The fastest of some passes, after one that compiles."""
    spent = []
    with narae.no_grad():
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            function(x).numpy()
            spent.append(time.perf_counter() - begin)
    return min(spent[1:])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a folder of pictures")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    options = parser.parse_args(arguments)
    chains: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    print("              tokens   chain      MFLOP   eager (ms)   compiled (ms)")
    for name, model in models().items():
        for length in options.lengths:
            chain, flops = counts(model, length, BATCH)
            x = narae.randn(BATCH, length, WIDTH)
            eager = 1e3 * seconds(states(model), x)
            compiled = 1e3 * seconds(narae.compile(states(model)), x)
            millions = flops / 1e6
            print(f"{name:12}{length:8}{chain:8}{millions:11.1f}{eager:13.2f}{compiled:16.2f}")
            chains.setdefault(f"{name}, operations in a chain", []).append(chain)
            chains.setdefault(f"{name}, MFLOP", []).append(millions)
            times.setdefault(f"{name}, eager", []).append(eager)
            times.setdefault(f"{name}, compiled", []).append(compiled)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for file, rows, unit in (("counts", chains, "how many"), ("times", times, "milliseconds")):
            lines = {name: (options.lengths, row) for name, row in rows.items()}
            path, title = options.out / f"{file}.png", "Once for each token, or once for all"
            draw_lines(path, lines, title, "tokens", unit, log=True, log_across=True)


if __name__ == "__main__":
    main()
