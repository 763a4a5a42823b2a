"""Tokenizers that cut a text by a fixed rule: characters, words, Korean syllables and jamo."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from narae.base.errors import explain
from narae.text.vocabulary import SPECIALS, Specials, Vocabulary

from .base import Tokenizer

Kind = TypeVar("Kind", bound="PieceTokenizer")


class PieceTokenizer(Tokenizer):
    """A rule that cuts a text, and the vocabulary of the pieces; subclasses are the rules.

    Args:
        vocabulary: of the pieces.
        lower: whether a text is made lower-case first.
    """

    kind: ClassVar[str]

    def __init__(self, vocabulary: Vocabulary, lower: bool = False) -> None:
        self.vocabulary, self.lower = vocabulary, lower
        self.pad_id, self.bos_id = vocabulary.pad_id, vocabulary.bos_id
        self.eos_id, self.unk_id = vocabulary.eos_id, vocabulary.unk_id

    @classmethod
    def fit(
        cls: type[Kind],
        texts: str | Iterable[str],
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Specials = SPECIALS,
        lower: bool = False,
    ) -> Kind:
        """The tokenizer with the vocabulary of some texts; the arguments are `Vocabulary.of`'s."""
        texts = [texts] if isinstance(texts, str) else texts
        pieces = (piece for text in texts for piece in cls.cut(text.lower() if lower else text))
        return cls(Vocabulary.of(pieces, min_freq, max_size, specials), lower)

    @staticmethod
    def cut(text: str) -> list[str]:
        """The pieces of a text."""
        raise NotImplementedError(explain("PieceTokenizer", "it has no rule", "subclasses have"))

    @staticmethod
    def join(tokens: Iterable[str]) -> str:
        """The text that pieces make up."""
        raise NotImplementedError(explain("PieceTokenizer", "it has no rule", "subclasses have"))

    def tokenize(self, text: str) -> list[str]:
        return self.cut(text.lower() if self.lower else text)

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        return self._with_ends(self.vocabulary.encode(self.tokenize(text)), bos, eos)

    def decode(self, ids: Any, skip_specials: bool = True) -> str:
        return self.join(self.vocabulary.decode(ids, skip_specials))

    def unknown(self, text: str) -> Counter[str]:
        """How often each piece of a text comes that is not in the vocabulary."""
        return self.vocabulary.unknown(self.tokenize(text))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens)"

    def state_dict(self) -> dict[str, Any]:
        return {
            "tokenizer": self.kind,
            "lower": self.lower,
            "vocabulary": self.vocabulary.state_dict(),
        }


class Characters(PieceTokenizer):
    """Each character is a token; decoding gives the text back exactly.

    >>> from narae.text import NO_SPECIALS
    >>> tokenizer = Characters.fit("hello", specials=NO_SPECIALS)
    >>> tokenizer.encode("hole"), tokenizer.decode([2, 3, 0, 1])
    ([2, 3, 0, 1], 'hole')
    """

    kind = "characters"

    @staticmethod
    def cut(text: str) -> list[str]:
        return list(text)

    @staticmethod
    def join(tokens: Iterable[str]) -> str:
        return "".join(tokens)


class Whitespace(PieceTokenizer):
    """What stands between blanks is a token; decoding puts one blank between tokens.

    >>> tokenizer = Whitespace.fit(["to be or not to be"])
    >>> tokenizer.decode(tokenizer.encode("not  to be"))
    'not to be'
    """

    kind = "whitespace"

    @staticmethod
    def cut(text: str) -> list[str]:
        return text.split()

    @staticmethod
    def join(tokens: Iterable[str]) -> str:
        return " ".join(tokens)
