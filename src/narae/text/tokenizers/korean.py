"""Korean text without a dictionary: syllables, or the jamo (letters) that they are made of.

A syllable block U+AC00 to U+D7A3 is (lead * 21 + vowel) * 28 + tail + 0xAC00.
Source: The Unicode Standard, section 3.12, "Conjoining Jamo Behavior".
"""

import unicodedata
from collections.abc import Iterable

from .pieces import PieceTokenizer

WORD_BOUNDARY = "▁"  # as in SentencePiece: U+2581, which no keyboard types


class Syllables(PieceTokenizer):
    """Korean syllables and other words: 나는 GPT다 becomes ▁나 는 ▁GPT 다.

    A Hangul syllable is a token, a run of other letters or digits is one, and so is any other
    sign. "▁" marks the first token of a word; decoding puts one blank between words, and one for a
    "▁" of the text itself.

    >>> tokenizer = Syllables.fit(["나는 학교에 간다", "나는 GPT다!"])
    >>> tokenizer.tokenize("나는 GPT다!")
    ['▁나', '는', '▁GPT', '다', '!']
    >>> tokenizer.decode(tokenizer.encode("학교에  간다!"))
    '학교에 간다!'
    """

    kind = "syllables"

    @staticmethod
    def cut(text: str) -> list[str]:
        tokens: list[str] = []
        # NFC: files from macOS may hold syllables as separate jamo.
        for word in unicodedata.normalize("NFC", text).split():
            first, *others = _pieces(word)
            tokens += [WORD_BOUNDARY + first, *others]
        return tokens

    @staticmethod
    def join(tokens: Iterable[str]) -> str:
        return "".join(tokens).replace(WORD_BOUNDARY, " ").strip()


class Jamo(PieceTokenizer):
    """The letters that Korean syllables are made of: at most 67 for all of modern Hangul.

    Decoding puts them together again (Unicode's NFC form), so no syllable is ever unknown; letters
    with accents are cut likewise, and all other characters are tokens as they are.

    >>> tokenizer = Jamo.fit(["한글", "가나다"])
    >>> len(tokenizer.tokenize("한글")), tokenizer.decode(tokenizer.encode("날 것"[:1]))
    (6, '날')
    """

    kind = "jamo"

    @staticmethod
    def cut(text: str) -> list[str]:
        return list(unicodedata.normalize("NFD", text))

    @staticmethod
    def join(tokens: Iterable[str]) -> str:
        return unicodedata.normalize("NFC", "".join(tokens))


def is_syllable(character: str) -> bool:
    """Whether a character is one of the 11,172 Hangul syllables.

    >>> is_syllable("글"), is_syllable("ㄱ"), is_syllable("g")
    (True, False, False)
    """
    return "가" <= character <= "힣"


def _pieces(word: str) -> list[str]:
    pieces: list[str] = []
    run = ""  # other letters and digits since the last piece
    for character in word:
        if character.isalnum() and not is_syllable(character):
            run += character
            continue
        pieces += [run] if run else []
        pieces.append(character)
        run = ""
    return pieces + ([run] if run else [])
