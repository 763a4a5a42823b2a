"""Models that know how their text becomes numbers, so that a saved one can be given text."""

from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import Module
from narae.text.tokenizers import Tokenizer, tokenizer_from_state_dict


class TokenizedModule(Module):
    """A module whose state holds a tokenizer.

    Attributes:
        tokenizer: text to ids and back; None where the model was made without one.
        translates: whether `start` reads a source, for a text that begins with bos; otherwise it
            reads a prompt, with which the text goes on.

    >>> from narae.text import Characters
    >>> model, other = TokenizedModule(), TokenizedModule()
    >>> model.tokenizer = Characters.fit("abc")
    >>> other.load_state_dict(model.state_dict())
    <All keys matched successfully>
    >>> other.tokenizer
    Characters(7 tokens)
    """

    translates = False

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer: Tokenizer | None = None

    def get_extra_state(self) -> dict[str, Any]:
        """The tokenizer's state."""
        return {"tokenizer": None if self.tokenizer is None else self.tokenizer.state_dict()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the tokenizer back; a state without one leaves it as it is."""
        found = state.get("tokenizer")
        if found is not None:
            self.tokenizer = tokenizer_from_state_dict(found)

    def needed_tokenizer(self) -> Tokenizer:
        """The tokenizer.

        Raises:
            ConfigError: if there is none.
        """
        if self.tokenizer is None:
            given, rule = "the model has no tokenizer", "text becomes numbers by one"
            fix = "model.tokenizer = ...; a recipe's Data(..., tokenizer=...) does so"
            raise ConfigError(explain(type(self).__name__, given, rule, fix))
        return self.tokenizer
