"""What every tokenizer does."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.io import atomic_write


class Tokenizer(ABC):
    """Text to token ids and back.

    Attributes:
        pad_id, bos_id, eos_id, unk_id: ids of the special tokens, None where there is none.
    """

    pad_id: int | None
    bos_id: int | None
    eos_id: int | None
    unk_id: int | None

    @abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, as text."""

    @abstractmethod
    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        """The ids of a text's tokens.

        Args:
            text: any.
            bos: whether the id that begins a sequence comes first.
            eos: whether the id that ends a sequence comes last.

        Raises:
            ConfigError: if there is no such special token.
            DataError: if a token is unknown and there is no `unk`.
        """

    def encode_all(
        self, texts: Iterable[str], bos: bool = False, eos: bool = False
    ) -> list[list[int]]:
        """The ids of each text's tokens, as `encode` gives them.

        Raises:
            DataError: if `texts` is one text, whose characters would be taken for texts.
        """
        return [self.encode(text, bos, eos) for text in self._several(texts)]

    @abstractmethod
    def decode(self, ids: Any, skip_specials: bool = True) -> str:
        """The text of ids (time,), numbers or a tensor; without special tokens unless asked for."""

    @abstractmethod
    def __len__(self) -> int:
        """How many ids there are."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON file or a model's extra state."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, as a whole or not at all; `load_tokenizer` reads it."""
        with atomic_write(path, "w", encoding="utf-8") as file:
            json.dump(self.state_dict(), file, ensure_ascii=False, indent=1)

    def _several(self, texts: Iterable[str]) -> list[str]:
        if isinstance(texts, str):
            given, fix = "texts is one text", "encode(text), or [text]"
            raise DataError(explain(type(self).__name__, given, "they are a list of texts", fix))
        return list(texts)

    def _with_ends(self, ids: list[int], bos: bool, eos: bool) -> list[int]:
        first = [self._needed("bos", self.bos_id)] if bos else []
        last = [self._needed("eos", self.eos_id)] if eos else []
        return first + ids + last

    def _needed(self, name: str, number: int | None) -> int:
        if number is None:
            given = f"{name}=True, but there is no {name} token"
            fix = f"make the tokenizer with Specials({name}=…)"
            kind = type(self).__name__
            raise ConfigError(explain(kind, given, "only a token can be added", fix))
        return number
