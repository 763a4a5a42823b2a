"""Text: files, vocabularies, tokenizers, batches, data sets, models and metrics.

from narae.text import Characters, Streams
from narae.text.datasets import TinyShakespeare
"""

from .batches import (
    LengthBuckets,
    Padded,
    TokenDataset,
    length_bounds,
    lengths_of,
    packed,
    pad,
    padding_mask,
)
from .files import read_lines, read_table, read_text
from .streams import Streams, Windows
from .tokenizers import (
    Characters,
    Jamo,
    Subwords,
    Syllables,
    Tokenizer,
    Whitespace,
    load_tokenizer,
    tokenizer_from_state_dict,
)
from .vocabulary import NO_SPECIALS, SPECIALS, Specials, Vocabulary

__all__ = [
    "NO_SPECIALS",
    "SPECIALS",
    "Characters",
    "Jamo",
    "LengthBuckets",
    "Padded",
    "Specials",
    "Streams",
    "Subwords",
    "Syllables",
    "TokenDataset",
    "Tokenizer",
    "Vocabulary",
    "Whitespace",
    "Windows",
    "length_bounds",
    "lengths_of",
    "load_tokenizer",
    "packed",
    "pad",
    "padding_mask",
    "read_lines",
    "read_table",
    "read_text",
    "tokenizer_from_state_dict",
]
