"""`narae generate RUN "prompt"`: a saved language model goes on with a text, as it comes."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .types import count


def add_parser(commands: Any) -> Any:
    """Add the command with its options."""
    parser = commands.add_parser(
        "generate",
        help="go on with a text",
        description="Let a saved language model go on with a text; tokens appear as they come.",
    )
    add_text_options(parser)
    parser.add_argument("prompt", help="what the text begins with")
    parser.add_argument(
        "--max-tokens", type=count, default=200, metavar="N", help="new tokens (default: 200)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        metavar="T",
        help="below 1: likely tokens are likelier; 0: always the likeliest (default: 0.8)",
    )
    parser.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="only the K likeliest (0: all)"
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="only the likeliest that have the probability P together (default: 1)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the draws (default: 0)"
    )
    return parser


def add_text_options(parser: Any) -> None:
    """Add what names a saved model of text."""
    parser.add_argument("model", type=Path, metavar="RUN", help="a run's folder or a checkpoint")
    parser.add_argument("--recipe", metavar="FILE", help="the recipe.py, if it is one of your own")


def run(options: Any) -> int:
    """Write the prompt, then token after token."""
    from narae.text.generation.generate import stream
    from narae.text.generation.sampling import Sampling
    from narae.text.generation.stepping import Stepper

    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    stepper = Stepper(load_text_model(options, "generates", "step"))
    stepper.check_kind(translates=False)
    model = stepper.model
    tokenizer = model.needed_tokenizer()
    bos = tokenizer.bos_id is not None and tokenizer.eos_id is not None
    prompt = tokenizer.encode(options.prompt, bos=bos)
    told = _check_prompt(prompt, model, options)
    if told and not options.quiet:
        print(told, file=sys.stderr)
    tokens = stream(stepper, [prompt], options.max_tokens, sampling, options.seed, window=True)
    sys.stdout.write(options.prompt)
    try:
        for text in _pieces(tokenizer, prompt, tokens):
            sys.stdout.write(text)
            sys.stdout.flush()
    finally:
        print(flush=True)  # what is said after Ctrl-C has a line of its own
    return 0


def _pieces(tokenizer: Any, prompt: list[int], tokens: Iterable[Any]) -> Iterator[str]:
    """What each token adds to the text; a character may take several tokens."""
    ids, shown = list(prompt), tokenizer.decode(prompt)
    for (token,) in tokens:
        if int(token) == tokenizer.eos_id:
            return
        ids.append(int(token))
        text = tokenizer.decode(ids)
        if not text.endswith("\ufffd"):  # a character of which bytes are still missing
            yield text[len(shown) :]
            shown = text


def _check_prompt(prompt: list[int], model: Any, options: Any) -> str:
    """What is to be said of a text longer than the model's positions.

    Raises:
        BoundsError: if the prompt itself is.
        DataError: if it is empty.
    """
    from narae.base.errors import DataError, explain
    from narae.nn.positions import check_length

    if not prompt:
        raise DataError(explain("generate", "the prompt is empty", "it has at least one token"))
    length = getattr(model, "length", None)
    if length is None:
        return ""
    check_length("generate", len(prompt), length)
    if len(prompt) + options.max_tokens - 1 <= length:
        return ""
    return (
        f"(the model sees {length} tokens at most: where they are full, it forgets the first half)"
    )


def load_text_model(options: Any, does: str, method: str) -> Any:
    """The model of a run that has a method and a tokenizer.

    Raises:
        ConfigError: if it has not.
    """
    from narae.base.errors import ConfigError, explain
    from narae.train.runs.saved import load_run

    saved = load_run(options.model, options.recipe)
    if not hasattr(saved.model, method) or not hasattr(saved.model, "needed_tokenizer"):
        given = f"{options.model} is a run of {saved.recipe.name}"
        rule = f"a model of text that {does} has `{method}` and a tokenizer"
        raise ConfigError(explain(options.command, given, rule))
    return saved.model
