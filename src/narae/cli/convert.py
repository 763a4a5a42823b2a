"""`narae convert IN OUT`: weights in another form, without running anything in the file."""

from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "convert",
        help="write a file of weights in another form",
        description="Read weights (.safetensors, .pt, .pth, .th, an index of shards, the folder of "
        "a model) and write them as safetensors or for PyTorch. Nothing in the file is run.",
    )
    parser.add_argument("source", type=Path, metavar="IN", help="what there is")
    parser.add_argument(
        "target", type=Path, metavar="OUT", help="ends in .safetensors, .pt, .pth, .th or .bin"
    )
    return parser


def run(options: Any) -> int:
    """Write the file and say what is in it."""
    from narae.io.listing import convert

    from .inspect import total_text

    held = convert(options.source, options.target)
    if not options.quiet:
        print(f"{options.source}: {total_text(held)}, written to {options.target}")
    return 0
