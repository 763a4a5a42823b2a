"""Subword tokenizers (BPE, WordPiece, Unigram): a thin face over Hugging Face's `tokenizers`.

Sources: R. Sennrich, B. Haddow, A. Birch, "Neural Machine Translation of Rare Words with Subword
Units", ACL 2016 (BPE); M. Schuster, K. Nakajima, "Japanese and Korean Voice Search", ICASSP 2012
(WordPiece); T. Kudo, "Subword Regularization", ACL 2018 (Unigram).
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from narae.base.errors import (
    BoundsError,
    ConfigError,
    DataError,
    FileFormatError,
    explain,
    require,
)
from narae.io import atomic_write
from narae.io.texts import read_text
from narae.text.ids import as_ids
from narae.text.vocabulary import SPECIALS, Specials

from .base import Tokenizer

_MOST = 1 << 32  # ids are 32-bit numbers there
# What published tokenizers call their special tokens; the first that is there is taken.
_USUAL = {
    "pad": ("<pad>", "[PAD]"),
    "bos": ("<bos>", "<s>", "[CLS]", "<|endoftext|>"),
    "eos": ("<eos>", "</s>", "[SEP]", "<|endoftext|>"),
    "unk": ("<unk>", "[UNK]"),
}


class Subwords(Tokenizer):
    """Frequent words as one token, rare ones in parts.

    Args:
        inner: a `tokenizers.Tokenizer`; its cutting off and padding are turned off, as many
            published files have them on.
        specials: what its special tokens are called; found by the usual names unless given.

    Attributes:
        inner: that tokenizer, with all it can do beyond this face.

    Raises:
        ConfigError: if it has no token of such a name.

    Example:
        >>> tokenizer = Subwords.train(["low lower lowest", "new newer"] * 9, vocab_size=280)
        >>> tokenizer.decode(tokenizer.encode("newest"))
        'newest'
    """

    def __init__(self, inner: Any, specials: Specials | None = None) -> None:
        inner.no_truncation()
        inner.no_padding()
        self.inner = inner
        self.specials = _usual_specials(inner) if specials is None else specials
        for token in self.specials.tokens:
            if inner.token_to_id(token) is None:
                given = f"it has no token {token!r}"
                fix = "name those that it has: Specials(pad=…, bos=…, eos=…, unk=…)"
                rule = "special tokens are tokens of the vocabulary"
                raise ConfigError(explain("Subwords", given, rule, fix))
        self.pad_id, self.bos_id = self._id(self.specials.pad), self._id(self.specials.bos)
        self.eos_id, self.unk_id = self._id(self.specials.eos), self._id(self.specials.unk)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        model: str = "bpe",
        min_freq: int = 2,
        specials: Specials = SPECIALS,
        lower: bool = False,
    ) -> "Subwords":
        """Learn the subwords of some texts.

        Args:
            texts: such as the lines of a file; or one text.
            vocab_size: how many tokens there are at most, special tokens and single characters
                or bytes included.
            model: "bpe" (of bytes, so that no text is unknown and decoding is exact),
                "wordpiece" (BERT's) or "unigram" (SentencePiece's).
            min_freq: how often a pair must come to become a token ("bpe" and "wordpiece").
            specials: special tokens; they get the first ids.
            lower: whether texts are made lower-case.

        Raises:
            ConfigError: if there is no such model, or the size is too small for it and the texts.
            DataError: if there is no text.
            MissingExtraError: if `tokenizers` is not installed.
        """
        if model not in _MODELS:
            given, rule = f"model is {model!r}", f"it is one of {', '.join(_MODELS)}"
            raise ConfigError(explain("Subwords", given, rule))
        texts = [texts] if isinstance(texts, str) else texts
        lines = [text for text in texts if text.strip()]
        if not lines:
            raise DataError(explain("Subwords", "there is no text", "subwords are learnt of one"))
        library = _library()
        inner, trainer = _MODELS[model](library, specials, vocab_size, min_freq)
        steps = [library.normalizers.NFC()] + [library.normalizers.Lowercase()] * lower
        inner.normalizer = library.normalizers.Sequence(steps)
        _learn(inner, trainer, lines, vocab_size)
        return cls(inner, specials)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], specials: Specials | None = None
    ) -> "Subwords":
        """Read a Hugging Face tokenizer.json.

        Args:
            path: the file.
            specials: what its special tokens are called, if they have unusual names.

        Raises:
            FileFormatError: if it is no such file.
            MissingDataError: if there is no file.
        """
        return cls._parsed(read_text(path, what="Subwords"), str(path), specials)

    @classmethod
    def from_state_dict(cls, state_dict: dict[str, Any]) -> "Subwords":
        """The tokenizer that `state_dict` described."""
        try:
            specials = Specials(**state_dict["specials"])
            model = json.dumps(state_dict["model"])
        except (KeyError, TypeError) as error:
            given = f"the state is none of a subword tokenizer ({error!r})"
            rule = "it holds specials and model"
            raise FileFormatError(explain("Subwords", given, rule)) from error
        return cls._parsed(model, "the state", specials)

    @classmethod
    def _parsed(cls, text: str, source: str, specials: Specials | None) -> "Subwords":
        library = _library()
        try:
            inner = library.Tokenizer.from_str(text)
        except Exception as error:  # `tokenizers` raises no narrower class
            given = f"{source} is no tokenizer ({error})"
            rule = "it is a tokenizer.json of the library tokenizers"
            raise FileFormatError(explain("Subwords", given, rule)) from error
        return cls(inner, specials)

    def tokenize(self, text: str) -> list[str]:
        return list(self.inner.encode(text, add_special_tokens=False).tokens)

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        ids = list(self.inner.encode(text, add_special_tokens=False).ids)
        return self._with_ends(ids, bos, eos)

    def encode_all(
        self, texts: Iterable[str], bos: bool = False, eos: bool = False
    ) -> list[list[int]]:
        encoded = self.inner.encode_batch(self._several(texts), add_special_tokens=False)
        return [self._with_ends(list(one.ids), bos, eos) for one in encoded]

    def decode(self, ids: Any, skip_specials: bool = True) -> str:
        numbers = as_ids("Subwords", ids).tolist()
        wrong = [number for number in set(numbers) if not self._is_id(number)]
        if wrong:
            rule = f"there are {len(self)} from 0 on"
            raise BoundsError(explain("Subwords", f"there is no id {min(wrong)}", rule))
        return str(self.inner.decode(numbers, skip_special_tokens=skip_specials))

    def __len__(self) -> int:
        return int(self.inner.get_vocab_size())

    def __repr__(self) -> str:
        kind = type(self.inner.model).__name__
        return f"Subwords({len(self)} tokens, {kind})"

    def state_dict(self) -> dict[str, Any]:
        return {
            "tokenizer": "subwords",
            "specials": asdict(self.specials),
            "model": json.loads(self.inner.to_str()),
        }

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write a tokenizer.json that Hugging Face's libraries read."""
        with atomic_write(Path(path), "w", encoding="utf-8") as file:
            file.write(self.inner.to_str(pretty=True))

    def _is_id(self, number: int) -> bool:
        # Not by the number of tokens: published vocabularies may have gaps.
        return 0 <= number < _MOST and self.inner.id_to_token(number) is not None

    def _id(self, token: str | None) -> int | None:
        return None if not token else int(self.inner.token_to_id(token))


def _learn(inner: Any, trainer: Any, lines: list[str], vocab_size: int) -> None:
    fix = 'a larger one, or "bpe", of which bytes are the smallest tokens'
    try:
        inner.train_from_iterator(lines, trainer)
    except Exception as error:  # `tokenizers` raises no narrower class
        given = f"vocab_size is {vocab_size} ({error})"
        raise ConfigError(
            explain("Subwords", given, "there is room for all characters", fix)
        ) from error
    if inner.get_vocab_size() > vocab_size:
        given, least = f"vocab_size is {vocab_size}", inner.get_vocab_size()
        rule = f"it is at least {least}: all characters of the text are tokens"
        raise ConfigError(explain("Subwords", given, rule, fix))


def _library() -> Any:
    return require("tokenizers", "text", "a subword tokenizer")


def _usual_specials(inner: Any) -> Specials:
    def first(names: tuple[str, ...]) -> str | None:
        return next((name for name in names if inner.token_to_id(name) is not None), None)

    return Specials(**{kind: first(names) for kind, names in _USUAL.items()})


def _bpe(library: Any, specials: Specials, vocab_size: int, min_freq: int) -> tuple[Any, Any]:
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    _check_size(vocab_size, len(alphabet) + len(specials.tokens), "every byte is a token")
    inner = library.Tokenizer(library.models.BPE())
    inner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_freq,
        special_tokens=list(specials.tokens),
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    return inner, trainer


def _wordpiece(library: Any, specials: Specials, vocab_size: int, min_freq: int) -> tuple[Any, Any]:
    unk = _unk(specials, "wordpiece")
    _check_size(vocab_size, len(specials.tokens) + 1, "a token beside the special ones")
    inner = library.Tokenizer(library.models.WordPiece(unk_token=unk))
    inner.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    inner.decoder = library.decoders.WordPiece()
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_freq,
        special_tokens=list(specials.tokens),
        show_progress=False,
    )
    return inner, trainer


def _unigram(library: Any, specials: Specials, vocab_size: int, min_freq: int) -> tuple[Any, Any]:
    unk = _unk(specials, "unigram")
    _check_size(vocab_size, len(specials.tokens) + 1, "a token beside the special ones")
    inner = library.Tokenizer(library.models.Unigram())
    inner.pre_tokenizer = library.pre_tokenizers.Metaspace()
    inner.decoder = library.decoders.Metaspace()
    trainer = library.trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=list(specials.tokens),
        unk_token=unk,
        show_progress=False,
    )
    return inner, trainer


_MODELS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "bpe": _bpe,
    "wordpiece": _wordpiece,
    "unigram": _unigram,
}


def _unk(specials: Specials, model: str) -> str:
    if specials.unk is None:
        given, rule = f"{model} without an unk token", "it cannot write every text"
        raise ConfigError(explain("Subwords", given, rule, 'Specials(unk="<unk>"), or bpe'))
    return specials.unk


def _check_size(vocab_size: int, least: int, why: str) -> None:
    if vocab_size < least:
        given = f"vocab_size is {vocab_size}"
        raise ConfigError(explain("Subwords", given, f"it is at least {least}: {why}"))
