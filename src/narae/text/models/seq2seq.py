"""A recurrent encoder and decoder with attention: the decoder looks at the source at each step."""

from typing import Any

from narae.base.errors import ConfigError, DataError, ShapeError, explain
from narae.nn import GRU, Dropout, Embedding, GRUCell, Linear, Module
from narae.tensors import Tensor, cat, is_tracing, stack

from .padded_recurrent import PaddedRecurrent
from .tokenized import TokenizedModule

State = tuple[Tensor, ...]
_HIDDEN = float("-inf")


class AdditiveAttention(Module):
    """Bahdanau's scores: v · tanh(W h + U m), the keys U m made once for a source.

    Args:
        width: features of the decoder's state
        memory: features of the encoder's states

    Source: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and
    translate (2015), appendix A.1.2.
    """

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.query, self.keys = Linear(width, width, bias=False), Linear(memory, width)
        self.score = Linear(width, 1, bias=False)

    def forward(self, h: Tensor, keys: Tensor) -> Tensor:
        """Scores (batch, source) of a state (batch, width) and keys (batch, source, width)."""
        return self.score((self.query(h).unsqueeze(1) + keys).tanh()).squeeze(2)


class ProductAttention(Module):
    """Luong's "general" scores: h · W m, the keys W m made once for a source.

    Args:
        width: features of the decoder's state
        memory: features of the encoder's states

    Source: Luong, Pham and Manning, Effective approaches to attention-based neural machine
    translation (2015), equation 8.
    """

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.keys = Linear(memory, width, bias=False)

    def forward(self, h: Tensor, keys: Tensor) -> Tensor:
        """Scores (batch, source) of a state (batch, width) and keys (batch, source, width)."""
        return (keys @ h.unsqueeze(2)).squeeze(2)


ATTENTIONS = {"bahdanau": AdditiveAttention, "luong": ProductAttention}


class Seq2Seq(TokenizedModule):
    """A GRU reads the source in both directions; another writes the target, with attention.

    Args:
        vocabulary: tokens of source and target, which share the embedding
        width: features of the embedding and of the states
        attention: "bahdanau", which looks before a step, with the state before it; or "luong",
            which looks after it, with the new one
        dropout: the probability to drop
        pad_id: the id of padding

    Raises:
        ConfigError: if there is no such attention.

    Source: Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks (2014);
    attention: see `AdditiveAttention` and `ProductAttention`.

    >>> import narae
    >>> model = Seq2Seq(10, width=8)
    >>> logits, weights = model.with_weights(narae.tensor([[5, 6, 2]]), narae.tensor([[1, 7]]))
    >>> logits.shape, weights.shape
    (narae.Size([1, 2, 10]), narae.Size([1, 2, 3]))
    """

    translates = True

    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        attention: str = "bahdanau",
        dropout: float = 0.2,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            given = f"attention is {attention!r}"
            raise ConfigError(explain("Seq2Seq", given, f"it is one of {', '.join(ATTENTIONS)}"))
        self.pad_id, self.looks_first = pad_id, attention == "bahdanau"
        self.embedding, self.dropout = Embedding(vocabulary, width), Dropout(dropout)
        self.encoder = PaddedRecurrent(GRU, width, width, bidirectional=True)
        self.bridge = Linear(2 * width, width)
        self.attention = ATTENTIONS[attention](width, 2 * width)
        self.cell = GRUCell(3 * width if self.looks_first else width, width)
        self.combine = Linear(3 * width, width)
        self.head = Linear(width, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The logits of each next token of the target, whose right tokens are read.

        Args:
            source: (batch, source), int64
            target: (batch, time), int64

        Returns:
            (batch, time, vocabulary)

        Raises:
            ShapeError: if the target is empty, or there is not one for each source.
            DataError: if padding stands before a token of the source.
        """
        return self.with_weights(source, target)[0]

    def with_weights(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`, and the weights of attention (batch, time, source); each row sums to 1."""
        _check_target(source, target)
        state, logits, weights = self.start(source), [], []
        for time in range(target.shape[1]):
            out, look, state = self._step(target[:, time], state)
            logits.append(out)
            weights.append(look)
        return stack(logits, 1), stack(weights, 1)

    def start(self, source: Tensor, *_: Any) -> State:
        """The state after a source (batch, source).

        Returns:
            the decoder's state (batch, width), the encoder's states (batch, source, 2 width), their
            keys (batch, source, width), and True where a token is padding (batch, source)
        """
        padding = source.eq(self.pad_id)  # (batch, source)
        _check_padding(padding)
        x = self.dropout(self.embedding(source))  # (batch, source, width)
        memory, last = self.encoder(x, (~padding).sum(1))  # (batch, source, 2 width)
        return self.bridge(last).tanh(), memory, self.attention.keys(memory), padding

    def _step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The logits (batch, vocabulary), the weights (batch, source), and the state."""
        h, memory, keys, padding = state
        x = self.dropout(self.embedding(tokens))  # (batch, width)
        if self.looks_first:
            seen, weights = self._look(h, memory, keys, padding)
            h = self.cell(cat([x, seen], 1), h)
        else:
            h = self.cell(x, h)
            seen, weights = self._look(h, memory, keys, padding)
        out = self.combine(cat([h, seen], 1)).tanh()  # (batch, width)
        return self.head(self.dropout(out)), weights, (h, memory, keys, padding)

    def _look(self, h: Tensor, memory: Tensor, keys: Tensor, padding: Tensor) -> State:
        """What of the source is seen (batch, 2 width), and the weights (batch, source)."""
        weights = self.attention(h, keys).masked_fill(padding, _HIDDEN).softmax(1)
        seen = (weights.unsqueeze(1) @ memory).squeeze(1)  # (batch, 2 width)
        return seen, weights

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token (batch,); the logits of the next (batch, vocabulary), and the state."""
        logits, _, state = self._step(tokens, state)
        return logits, state


def _check_target(source: Tensor, target: Tensor) -> None:
    if target.ndim != 2 or target.shape[1] == 0 or target.shape[0] != source.shape[0]:
        given = f"source is {tuple(source.shape)}, target is {tuple(target.shape)}"
        rule = "both are (batch, time) of one batch, and a target begins with a token"
        raise ShapeError(explain("Seq2Seq", given, rule))


def _check_padding(padding: Tensor) -> None:
    """The encoder counts the tokens of a row; those behind padding would not be read."""
    if is_tracing():  # a program has no values yet
        return
    if bool((padding[:, :-1] & ~padding[:, 1:]).any().item()):
        rule = "padding stands at the end of a source"
        raise DataError(explain("Seq2Seq", "a token of a source follows padding", rule))
