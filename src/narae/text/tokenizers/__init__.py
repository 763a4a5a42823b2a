"""Tokenizers: text to ids and back."""

from .base import Tokenizer
from .korean import Jamo, Syllables
from .loading import load_tokenizer, tokenizer_from_state_dict
from .pieces import Characters, PieceTokenizer, Whitespace
from .subwords import Subwords

__all__ = [
    "Characters",
    "Jamo",
    "PieceTokenizer",
    "Subwords",
    "Syllables",
    "Tokenizer",
    "Whitespace",
    "load_tokenizer",
    "tokenizer_from_state_dict",
]
