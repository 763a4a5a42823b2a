"""What cutting gradients saves: memory and time of a step of training, by length of a block.

    python examples/sequences/truncated_bptt.py --out truncated_bptt.png

A text of 512 tokens is learnt in blocks of 32 to 512, the state going on from block to block.
Memory is what lies within one step's program at once, so it grows with the block. Time is for all
512 tokens: it is about the same work, with an update for each block.
"""

import argparse
import time
from collections.abc import Sequence

import narae
import narae.nn.functional as F
from narae.explain.line_figure import draw_lines
from narae.optim import SGD
from narae.text.models.recurrent import RecurrentLM
from narae.text.streams import Streams

TOKENS, ROWS, VOCABULARY = 512, 8, 32
BLOCKS = (32, 64, 128, 256, 512)


def cost(block: int, width: int = 64, rounds: int = 3) -> tuple[int, float]:
    """Bytes that a step of training needs at once, and seconds for all tokens."""
    narae.manual_seed(0)
    model = RecurrentLM(VOCABULARY, width, layers=1, dropout=0.0, rows=ROWS)
    optimizer = SGD(model.parameters(), lr=0.1)

    def step(inputs: narae.Tensor, targets: narae.Tensor, start: narae.Tensor) -> narae.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs, start).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        return loss

    compiled = narae.compile(step)
    text = narae.randint(0, VOCABULARY, (TOKENS * ROWS + 1,))
    streams = Streams(text, ROWS, block)
    batches = [streams[index] for index in range(len(streams))]
    compiled(*batches[0])  # traced
    spent = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for batch in batches:
            compiled(*batch).item()
        spent.append(time.perf_counter() - begin)
    return compiled.explain().plans[0].memory["at once"], min(spent)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="a picture to write")
    options = parser.parse_args(arguments)
    print("block   memory (MiB)   time (s)")
    costs = [cost(block) for block in BLOCKS]
    memory, spent = [size / 2**20 for size, _ in costs], [seconds for _, seconds in costs]
    for block, size, seconds in zip(BLOCKS, memory, spent, strict=True):
        print(f"{block:5}{size:15.2f}{seconds:11.3f}")
    if options.out:
        hundredths = [100 * seconds for seconds in spent]
        lines = {
            "memory (MiB)": (BLOCKS, memory),
            "time (hundredths of a second)": (BLOCKS, hundredths),
        }
        draw_lines(
            options.out, lines, "Truncated BPTT", "steps of a block", "of a step; of all tokens"
        )


if __name__ == "__main__":
    main()
