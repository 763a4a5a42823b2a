"""`narae export RUN FILE`: the weights of a run for other programs."""

from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "export",
        help="write a run's weights for other programs",
        description="Write the best weights of a run, and nothing else, under the names that "
        "PyTorch gives them: model.load_state_dict(torch.load(FILE)) of a .pt, or "
        "safetensors.torch.load_file(FILE), where no code can hide.",
    )
    parser.add_argument("model", type=Path, metavar="RUN", help="its folder, or a checkpoint in it")
    endings = "ends in .safetensors, .pt (.pth, .th, .bin) or .npz"
    parser.add_argument("file", type=Path, metavar="FILE", help=endings)
    return parser


def run(options: Any) -> int:
    """Write the file and say what is in it."""
    from narae.train.runs.export import export_weights
    from narae.train.runs.saved import find_run, load_weights

    _, checkpoint = find_run(options.model)
    weights, epoch = load_weights(checkpoint)
    found = export_weights(weights, options.file)
    if not options.quiet:
        print(f"{checkpoint}, epoch {epoch}: {found}, written to {options.file}")
    return 0
