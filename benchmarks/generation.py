"""Generation with a cache of keys and values: tokens per second, Narae and PyTorch in turn.

    python benchmarks/generation.py [--rounds 5] [--tokens 120] [--write]

Both sides have the same weights, a cache with room for all positions, and choose the likeliest
token; a ratio stands in the table only if they wrote the same tokens. They take turns, and medians
are compared; the rival is PyTorch's better mode, eager or compiled.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import Neighbours, environment, features, restart_with, set_threads, versions
from results import write_table

import narae
from narae.text.generation.generate import generate
from narae.text.generation.stepping import Stepper
from narae.text.models.gpt import GPT

WORDS, LENGTH = 1000, 128
SIZES = [(256, 4, 4), (512, 8, 8)]  # width, layers, heads
BATCHES = (1, 16)


# --- PyTorch doing the same -----------------------------------------------------------------


def torch_step(torch: Any, w: dict[str, Any], layers: int, heads: int) -> Callable[..., Any]:
    """One token of each row: tokens (batch,), position (1,), caches -> logits."""
    F = torch.nn.functional

    def norm(x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def line(x: Any, name: str) -> Any:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def step(tokens: Any, position: Any, caches: Any) -> Any:
        x = w["embedding.weight"][tokens] + w["positions.embedding.weight"][position]
        seen = (torch.arange(LENGTH) <= position)[None, None, None]
        for layer in range(layers):
            at = f"layers.{layer}"
            attention = f"{at}.self_attn"
            qkv = F.linear(
                norm(x, f"{at}.norm1"),
                w[f"{attention}.in_proj_weight"],
                w[f"{attention}.in_proj_bias"],
            )
            q, k, v = (part.view(len(x), heads, 1, -1) for part in qkv.chunk(3, -1))
            keys, values = caches[layer]
            keys.index_copy_(2, position, k)
            values.index_copy_(2, position, v)
            out = F.scaled_dot_product_attention(q, keys, values, seen).reshape(len(x), -1)
            x = x + line(out, f"{attention}.out_proj")
            hidden = F.gelu(line(norm(x, f"{at}.norm2"), f"{at}.linear1"))
            x = x + line(hidden, f"{at}.linear2")
        return F.linear(norm(x, "norm"), w["embedding.weight"])

    return step


def torch_writer(model: GPT, layers: int, heads: int, compiled: bool) -> Callable[..., Any]:
    """A function that goes on with first tokens (batch,), as `generate` does."""
    import torch

    names = model.state_dict().items()
    w = {name: torch.from_numpy(x.numpy().copy()) for name, x in names if hasattr(x, "numpy")}
    step = torch_step(torch, w, layers, heads)
    if compiled:
        step = torch.compile(step, dynamic=False)
    size = w["embedding.weight"].shape[1] // heads

    def write(first: Any, count: int) -> Any:
        shape = (2, len(first), heads, LENGTH, size)
        caches = [tuple(torch.zeros(shape)) for _ in range(layers)]
        tokens, found = torch.from_numpy(first), []
        with torch.no_grad():
            for place in range(count):
                tokens = step(tokens, torch.tensor([place]), caches).argmax(-1)
                found.append(tokens.tolist())
        return np.array(found).T.tolist()

    return write


# --- taking turns ---------------------------------------------------------------------------


def row(size: tuple[int, int, int], batch: int, count: int, rounds: int) -> str:
    """A line of the table."""
    width, layers, heads = size
    narae.manual_seed(0)
    model = GPT(WORDS, width, layers, heads, LENGTH).eval()
    stepper, first = Stepper(model), np.arange(1, batch + 1)
    writers = {
        "narae": lambda count: generate(stepper, first[:, None].tolist(), count),
        "eager": _bound(torch_writer(model, layers, heads, compiled=False), first),
        "torch.compile": _bound(torch_writer(model, layers, heads, compiled=True), first),
    }
    texts, notes = {}, []
    for name in list(writers):
        try:
            texts[name] = writers[name](count)  # traces, compiles and warms up
        except Exception as error:
            if name != "torch.compile":
                raise
            notes.append(f"{name} skipped: {str(error).strip().splitlines()[0][:60]}")
            del writers[name]
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for _ in range(rounds):
        for name, write in writers.items():
            begin = time.perf_counter()
            write(count)
            seconds[name].append(time.perf_counter() - begin)
    speed = {name: batch * count / statistics.median(x) for name, x in seconds.items()}
    rival = max((name for name in speed if name != "narae"), key=speed.__getitem__)
    same = all(text == texts["narae"] for text in texts.values())
    ratio = f"{speed['narae'] / speed[rival]:.2f}" if same else "texts differ"
    sizes = f"{layers} layers, width {width}, batch {batch}"
    cells = (sizes, f"{speed['narae']:.0f}", f"{speed[rival]:.0f} ({rival})", ratio)
    return f"| {' | '.join(cells)} |" + "".join(f" {note}" for note in notes)


def _bound(write: Callable[..., Any], first: Any) -> Callable[[int], Any]:
    return lambda count: write(first, count)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--write", action="store_true", help="put it into RESULTS.md")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    restart_with(environment(options.threads))
    set_threads(options.threads)
    neighbours = Neighbours()
    lines = [
        "| GPT, 1,000 words, 128 positions | Narae tokens/s | PyTorch tokens/s | ratio |",
        "|---|---|---|---|",
    ]
    for size in SIZES:
        for batch in BATCHES:
            lines.append(row(size, batch, options.tokens, options.rounds))
            print(lines[-1], flush=True)
    lines += [
        "",
        f"Measured with {versions()}, threads: {options.threads}, on {features()}; "
        f"{options.rounds} rounds of {options.tokens} tokens. {neighbours}",
    ]
    print(lines[-1])
    if options.write:
        write_table("generation", lines, "Generation with a cache")


if __name__ == "__main__":
    main()
