"""`narae inspect FILE`: what a file of weights holds, without running anything in it."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "inspect",
        help="list what a file of weights holds",
        description="List the tensors of a file (.safetensors, .pt, .pth, .th, an index of shards) "
        "with their shapes, dtypes and sizes. Nothing in the file is run, and little of it read.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="or the folder of a model")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Read and print."""
    from narae.io.listing import held_in
    from narae.io.saving import load

    held = list(held_in(load(options.file)))
    if options.json:
        print(json.dumps([asdict(each) for each in held], indent=2, ensure_ascii=False))
        return 0
    rows = [_row(each) for each in held]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for key, dtype, shape, size in rows:
        line = f"{key:<{widths[0]}}  {dtype:<{widths[1]}}  {shape:<{widths[2]}}"
        print(f"{line}  {size:>{widths[3]}}".rstrip())
    print(total_text(held))
    return 0


def _row(each: Any) -> tuple[str, str, str, str]:
    shape = shape_text(each.shape, each.value)
    return printable(each.key), each.dtype, shape, size_text(each.nbytes)


def printable(text: str) -> str:
    r"""A name of a file without what would move a terminal's cursor.

    >>> printable("a\x1b[2J가")
    'a\\x1b[2J가'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shape_text(shape: tuple[int, ...] | None, value: str) -> str:
    """A shape, or the value of what has none."""
    return value if shape is None else " x ".join(map(str, shape)) or "one number"


def size_text(size: int) -> str:
    """Bytes in words.

    >>> size_text(999), size_text(1_500_000)
    ('999 B', '1.5 MB')
    """
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    if not size:
        return ""
    return f"{size} B" if unit == "B" else f"{number:.3g} {unit}"


def total_text(held: Any) -> str:
    """How much there is in all."""
    tensors = [each for each in held if each.shape is not None]
    numbers = sum(math.prod(each.shape) for each in tensors)
    size = size_text(sum(each.nbytes for each in tensors)) or "0 B"
    return f"{len(tensors):,} tensors, {numbers:,} numbers, {size}"
