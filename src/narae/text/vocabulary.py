"""Which token has which number."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from narae.base.errors import BoundsError, ConfigError, DataError, FileFormatError, explain
from narae.io import atomic_write
from narae.io.texts import read_text

from .ids import as_ids

_SHOWN = 5


@dataclass(frozen=True)
class Specials:
    """Tokens that stand for no text; they get the first ids, in this order.

    Attributes:
        pad: fills sequences up to one length.
        bos: begins a sequence.
        eos: ends a sequence.
        unk: stands for any token that is not in the vocabulary. None of a kind: there is none.
    """

    pad: str | None = "<pad>"
    bos: str | None = "<bos>"
    eos: str | None = "<eos>"
    unk: str | None = "<unk>"

    @property
    def tokens(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(token for token in (self.pad, self.bos, self.eos, self.unk) if token)


SPECIALS = Specials()
NO_SPECIALS = Specials(None, None, None, None)


class Vocabulary:
    """Tokens and their ids: 0 to len - 1, the special tokens first.

    A token of a text that reads like a special one ("<unk>" in a prepared corpus) counts as it.

    Args:
        tokens: all others, in order, each once.
        specials: which special tokens there are.

    Attributes:
        tokens: all of them; a token's id is its place.
        pad_id, bos_id, eos_id, unk_id: ids of the special tokens, None where there is none.

    Raises:
        DataError: if a token comes twice or is empty.

    Example:
        >>> vocabulary = Vocabulary(["a", "b"])
        >>> vocabulary.encode(["b", "a", "z"])
        [5, 4, 3]
        >>> vocabulary.decode([5, 4, 3])
        ['b', 'a', '<unk>']
        >>> vocabulary.unknown(["b", "a", "z", "z"])
        Counter({'z': 2})
    """

    def __init__(self, tokens: Iterable[str], specials: Specials = SPECIALS) -> None:
        self.specials = specials
        self.tokens = (*specials.tokens, *tokens)
        self._ids = {token: place for place, token in enumerate(self.tokens)}
        self.special_ids = frozenset(self._ids[token] for token in specials.tokens)
        self._check()
        self.pad_id, self.bos_id = self._special(specials.pad), self._special(specials.bos)
        self.eos_id, self.unk_id = self._special(specials.eos), self._special(specials.unk)

    @classmethod
    def of(
        cls,
        tokens: Iterable[str],
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Specials = SPECIALS,
    ) -> "Vocabulary":
        """The vocabulary of a text: its tokens, the most frequent first, equal ones by name.

        Args:
            tokens: of the text, one after another.
            min_freq: how often a token must come to be in it.
            max_size: how many there are at most, special tokens and all.
            specials: which special tokens there are.

        Raises:
            ConfigError: if there is not room for one token.
            DataError: if the text is empty, or rare tokens are left out and there is no `unk`.

        Example:
            >>> Vocabulary.of("to be or not to be".split(), min_freq=2).tokens
            ('<pad>', '<bos>', '<eos>', '<unk>', 'be', 'to')
        """
        counts = Counter(tokens)
        for special in specials.tokens:
            counts.pop(special, None)
        room = len(counts) if max_size is None else max_size - len(specials.tokens)
        _check_limits(counts, min_freq, max_size, room)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [token for token, count in ranked if count >= min_freq][:room]
        if len(kept) < len(counts) and specials.unk is None:
            given = f"{len(counts) - len(kept)} of {len(counts)} tokens are left out"
            rule = "without an unk token all of them must be in the vocabulary"
            raise DataError(explain("Vocabulary", given, rule, 'name one: Specials(unk="<unk>")'))
        return cls(kept, specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.tokens == other.tokens and self.specials == other.specials

    def __hash__(self) -> int:
        return hash((self.tokens, self.specials))

    def __getitem__(self, token: str) -> int:
        return self.encode([token])[0]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, specials={', '.join(self.specials.tokens) or None})"

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The id of each token; that of `unk` for a token that is not in the vocabulary.

        Raises:
            DataError: if there is such a token and no `unk`.
        """
        if self.unk_id is not None:
            unk_id = self.unk_id
            return [self._ids.get(token, unk_id) for token in tokens]
        tokens = list(tokens)
        try:
            return [self._ids[token] for token in tokens]
        except KeyError:
            self._refuse(self.unknown(tokens))

    def decode(self, ids: Iterable[int], skip_specials: bool = False) -> list[str]:
        """The token of each id.

        Args:
            ids: numbers, or a tensor (time,).
            skip_specials: leave pad, bos, eos and unk out.

        Raises:
            BoundsError: if there is no such id.
            DataError: if they are no integers in one row.
        """
        tokens = []
        for number in as_ids("Vocabulary", ids).tolist():
            if not 0 <= number < len(self):
                rule = f"ids are 0 to {len(self) - 1}"
                raise BoundsError(explain("Vocabulary", f"there is no id {number}", rule))
            if not (skip_specials and number in self.special_ids):
                tokens.append(self.tokens[number])
        return tokens

    def unknown(self, tokens: Iterable[str]) -> Counter[str]:
        """How often each token comes that is not in the vocabulary."""
        return Counter(token for token in tokens if token not in self._ids)

    def state_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON file."""
        plain = self.tokens[len(self.specials.tokens) :]
        return {"specials": asdict(self.specials), "tokens": list(plain)}

    @classmethod
    def from_state_dict(cls, state_dict: dict[str, Any]) -> "Vocabulary":
        """The vocabulary that `state_dict` described.

        Raises:
            FileFormatError: if it describes none.
        """
        try:
            specials = Specials(**state_dict["specials"])
            tokens = state_dict["tokens"]
            texts = [*tokens, *(token for token in asdict(specials).values() if token is not None)]
            if isinstance(tokens, list) and all(isinstance(token, str) for token in texts):
                return cls(tokens, specials)
        except (KeyError, TypeError):
            pass
        given = "the state is none of a vocabulary"
        raise FileFormatError(explain("Vocabulary", given, "it holds specials and tokens"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, as a whole or not at all."""
        with atomic_write(path, "w", encoding="utf-8") as file:
            json.dump(self.state_dict(), file, ensure_ascii=False, indent=1)

    @classmethod
    def load(cls, path: str | os.PathLike[str], encoding: str = "utf-8") -> "Vocabulary":
        """Read a file that `save` wrote.

        Raises:
            FileFormatError: if it is no such file.
            MissingDataError: if there is no file.
        """
        return cls.from_state_dict(read_json(path, encoding))

    def _special(self, token: str | None) -> int | None:
        return None if not token else self._ids[token]

    def _check(self) -> None:
        if len(self._ids) != len(self.tokens):
            token, count = Counter(self.tokens).most_common(1)[0]
            given = f"the token {token!r} comes {count} times"
            raise DataError(explain("Vocabulary", given, "each token has one id"))
        if "" in self._ids:
            given = f"token {self._ids['']} is empty"
            raise DataError(explain("Vocabulary", given, "a token has at least one character"))

    def _refuse(self, unknown: Counter[str]) -> NoReturn:
        shown = ", ".join(f"{token!r} ({count})" for token, count in unknown.most_common(_SHOWN))
        more = ", …" if len(unknown) > _SHOWN else ""
        given = f"{unknown.total()} tokens are not in the vocabulary: {shown}{more}"
        rule = "it has no unk token to stand for them"
        fix = 'make it with Specials(unk="<unk>"), or of a text that has these tokens'
        raise DataError(explain("Vocabulary", given, rule, fix))


def read_json(path: str | os.PathLike[str], encoding: str = "utf-8") -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        FileFormatError: if it holds none.
    """
    try:
        found = json.loads(read_text(path, encoding, "read_json"))
    except (json.JSONDecodeError, RecursionError) as error:
        given = f"{path} is damaged ({error})"
        raise FileFormatError(explain("read_json", given, "it is one JSON object")) from error
    if not isinstance(found, dict):
        given = f"{path} holds a {type(found).__name__}"
        raise FileFormatError(explain("read_json", given, "it is one JSON object"))
    return found


def _check_limits(counts: Counter[str], min_freq: int, max_size: int | None, room: int) -> None:
    if not counts:
        raise DataError(explain("Vocabulary", "there are no tokens", "a text has at least one"))
    if min_freq < 1 or room < 1:
        given = f"min_freq is {min_freq}, max_size is {max_size}"
        rule = "both are at least 1, and max_size leaves room beside the special tokens"
        raise ConfigError(explain("Vocabulary", given, rule))
