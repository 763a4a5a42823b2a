"""`narae translate RUN "sentence"`: sentences into another language by a saved model."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from narae.base.errors import DataError, explain

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
    sentences = parser.add_argument(
        "sentences", nargs="+", metavar="sentence", help="what to translate"
    )
    sentences.required = False  # options may come before them; see the parser's help
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
        "--max-tokens",
        type=count,
        default=None,
        metavar="N",
        help="tokens of a translation, at most (default: the model's positions)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run(options: Any) -> int:
    """Translate and print, a line for each sentence."""
    from narae.text.generation.stepping import Stepper
    from narae.text.generation.translate import translate

    stepper = Stepper(load_text_model(options, "translates", "start"))
    rules = (options.beams, options.length_penalty, options.max_tokens)
    rows: list[dict[str, str]] = []
    for sentences in _sentences(options):
        found = translate(stepper, sentences, *rules)
        if not options.json:
            print(*found, sep="\n", flush=True)
        pairs = zip(sentences, found, strict=True)
        rows += [{"source": source, "translation": text} for source, text in pairs]
    if not rows:
        given, rule = "there is no sentence", "a sentence is a word after RUN, or a line of input"
        raise DataError(explain("translate", given, rule))
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    return 0


def _sentences(options: Any) -> Iterator[list[str]]:
    """What is translated together: all, but line by line where somebody types.

    Raises:
        DataError: if what is read is no text.
    """
    if options.sentences:
        yield options.sentences
        return
    with contextlib.suppress(AttributeError, ValueError):  # a stream that cannot be set is left
        sys.stdin.reconfigure(errors="strict")  # type: ignore[union-attr]
    lines = (line.rstrip("\n") for line in sys.stdin)
    try:
        if sys.stdin.isatty():
            yield from ([line] for line in lines if line.strip())
        else:
            together = list(lines)
            yield from [together] if together else []
    except UnicodeDecodeError as error:
        given, rule = f"standard input is damaged ({error})", f"it is text in {error.encoding}"
        fix = f"iconv -f cp949 -t {error.encoding}, for example"
        raise DataError(explain("translate", given, rule, fix)) from error
