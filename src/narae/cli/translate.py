"""`narae translate RUN "sentence"`: sentences into another language by a saved model."""

import json
import sys
from typing import Any

from .generate import add_text_options, load_text_model
from .types import count


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "translate",
        help="translate sentences",
        description="Translate sentences with a saved model, by beam search; without sentences, "
        "each line of standard input is one.",
    )
    add_text_options(parser)
    parser.add_argument("sentences", nargs="*", metavar="sentence", help="what to translate")
    parser.add_argument(
        "--beams", type=count, default=4, metavar="N", help="beginnings that are kept (default: 4)"
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        default=1.0,
        metavar="A",
        help="the larger, the longer translations are (default: 1)",
    )
    parser.add_argument(
        "--max-tokens", type=count, default=None, metavar="N", help="of a translation, at most"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Translate and print, a line for each sentence."""
    from narae.text.generation.translate import translate

    model = load_text_model(options, "translates", "start")
    sentences = options.sentences or [line.rstrip("\n") for line in sys.stdin]
    found = translate(model, sentences, options.beams, options.length_penalty, options.max_tokens)
    if options.json:
        pairs = zip(sentences, found, strict=True)
        rows = [{"source": source, "translation": text} for source, text in pairs]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print(*found, sep="\n")
    return 0
