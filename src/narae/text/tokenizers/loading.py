"""Tokenizers from the files that they were saved in."""

import os
from typing import Any

from narae.base.errors import FileFormatError, explain
from narae.text.vocabulary import Vocabulary, read_json

from .base import Tokenizer
from .korean import Jamo, Syllables
from .pieces import Characters, PieceTokenizer, Whitespace
from .subwords import Subwords

_RULES: tuple[type[PieceTokenizer], ...] = (Characters, Whitespace, Syllables, Jamo)


def load_tokenizer(path: str | os.PathLike[str], encoding: str = "utf-8") -> Tokenizer:
    """Read a file that a tokenizer's `save` wrote, or a Hugging Face tokenizer.json.

    Raises:
        FileFormatError: if it is neither.
        MissingDataError: if there is no file.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "tokenizer.json"
        >>> Characters.fit("hello").save(file)
        >>> load_tokenizer(file)
        Characters(8 tokens)
    """
    found = read_json(path, encoding)
    if "tokenizer" not in found and "model" in found:
        return Subwords.from_file(path)
    return tokenizer_from_state_dict(found)


def tokenizer_from_state_dict(state_dict: dict[str, Any]) -> Tokenizer:
    """The tokenizer that a `state_dict` describes.

    Raises:
        FileFormatError: if it describes none.
    """
    kind = state_dict.get("tokenizer")
    if kind == "subwords":
        return Subwords.from_state_dict(state_dict)
    for rule in _RULES:
        if kind == rule.kind:
            vocabulary = Vocabulary.from_state_dict(state_dict.get("vocabulary") or {})
            return rule(vocabulary, lower=bool(state_dict.get("lower", False)))
    known = ", ".join(["subwords", *(rule.kind for rule in _RULES)])
    given = f"the tokenizer is {kind!r}"
    raise FileFormatError(explain("load_tokenizer", given, f"it is one of {known}"))
