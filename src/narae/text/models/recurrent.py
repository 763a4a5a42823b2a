"""A recurrent net that predicts the next token: its state goes on from batch to batch."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import ConfigError, ShapeError, explain
from narae.nn import GRU, LSTM, RNN, Embedding, Linear, Module, ModuleList
from narae.nn.functional import dropout, linear
from narae.nn.init import uniform_
from narae.tensors import Tensor, arange, no_grad, ones, stack, where, zeros

from .tokenized import TokenizedModule

State = tuple[Tensor, ...]
LAYERS: dict[str, Callable[..., Module]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
_BOUND = 0.1


class RecurrentLM(TokenizedModule):
    """Recurrent layers over the embeddings of tokens; the logits of the next token at each step.

    Args:
        vocabulary: how many tokens there are, characters or pieces of words
        width: features of the embedding and of each layer's state
        layers: how many layers
        kind: "rnn", "lstm" or "gru"
        dropout: the probability to drop an input of a layer or of the logits; one mask holds for
            all steps of a sequence (variational dropout; products with the state drop nothing)
        rows: how many texts go on from batch to batch; 0 if none does
        tied: whether the embedding is also the matrix of the logits

    The state carried from batch to batch is a buffer that each forward pass with `start` writes.
    It holds no graph, so gradients end at the batch's first step: backpropagation through time,
    truncated. Training and evaluation have a state each, and the one of training is saved.

    Raises:
        ConfigError: if there is no such kind of layer, no layer, or a number is out of range.

    Source: Mikolov et al., Recurrent neural network based language model (2010); Gal and
    Ghahramani, A theoretically grounded application of dropout in recurrent neural networks
    (2016), section 4; weights tied: Press and Wolf (2017).

    >>> import narae
    >>> model = RecurrentLM(10, width=8, layers=1)
    >>> model(narae.tensor([[1, 2, 3]])).shape
    narae.Size([1, 3, 10])
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 256,
        layers: int = 2,
        kind: str = "lstm",
        dropout: float = 0.2,
        rows: int = 0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        make = layer_of("RecurrentLM", kind)
        _check_options(layers, dropout, rows)
        self.kind, self.dropout, self.rows = kind, dropout, rows
        self.embedding = Embedding(vocabulary, width)
        self.layers = ModuleList(make(width, width, batch_first=True) for _ in range(layers))
        self.head = Linear(width, vocabulary)
        if tied:
            self.head.weight = self.embedding.weight
        uniform_(self.embedding.weight, -_BOUND, _BOUND)
        for place in range(layers * self._parts):
            for mode, saved in (("training", True), ("evaluation", False)):
                empty = zeros(rows, width)  # (rows, width)
                self.register_buffer(f"{mode}_state_{place}", empty, persistent=saved and rows > 0)

    @property
    def _parts(self) -> int:
        """Tensors of a layer's state: h, and c of an LSTM."""
        return 2 if self.kind == "lstm" else 1

    def forward(self, tokens: Tensor, start: Tensor | None = None) -> Tensor:
        """The logits of each next token.

        Args:
            tokens: (batch, time), int64
            start: (batch,), 1 where a text begins and 0 where it goes on from the last batch;
                without it every row begins, and nothing is carried

        Returns:
            (batch, time, vocabulary)

        Raises:
            ShapeError: if tokens or start have other dimensions, or texts go on and there are not
                `rows` of them.
        """
        _check_batch(tokens, start)
        if start is None:
            return self._run(tokens, self._empty(tokens.shape[0]))[0]
        carried = self._carried(tokens.shape[0])
        begins = start.bool().unsqueeze(1)  # (batch, 1)
        # Not a product with 0: a state that was NaN once would stay so.
        logits, state = self._run(tokens, tuple(h.masked_fill(begins, 0.0) for h in carried))
        with no_grad():
            for old, new in zip(carried, state, strict=True):
                old.copy_(new.detach())
        return logits

    def _carried(self, batch: int) -> State:
        if batch != self.rows:
            given = f"the batch has {batch} rows, the model carries the state of {self.rows}"
            fix = f"RecurrentLM(..., rows={batch}), or leave `start` out"
            raise ShapeError(explain("RecurrentLM", given, "rows go on from batch to batch", fix))
        mode = "training" if self.training else "evaluation"
        count = len(self.layers) * self._parts
        return tuple(getattr(self, f"{mode}_state_{place}") for place in range(count))

    def _empty(self, batch: int) -> State:
        width = self.embedding.weight.shape[1]
        kind = {"dtype": self.embedding.weight.dtype}
        count = len(self.layers) * self._parts
        return tuple(zeros(batch, width, **kind) for _ in range(count))

    def _run(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (batch, time, vocabulary) and the last state, each (batch, width)."""
        x, new = self._dropped(self.embedding(tokens)), []  # (batch, time, width)
        for place, layer in enumerate(self.layers):
            own = state[place * self._parts : (place + 1) * self._parts]
            x, last = layer(x, as_hx(own))
            x = self._dropped(x)
            new += as_parts(last)
        return linear(x, self.head.weight, self.head.bias), tuple(new)

    def _dropped(self, x: Tensor) -> Tensor:
        """(batch, time, width), with one mask for all steps of a row."""
        if not self.training or self.dropout == 0:
            return x
        mask = dropout(ones(x.shape[0], 1, x.shape[2], dtype=x.dtype), self.dropout)
        return x * mask

    # --- token by token -------------------------------------------------------------------------

    def start(self, prompt: Tensor, lengths: Tensor | None = None) -> State:
        """The state after a prompt.

        Args:
            prompt: (batch, time), int64; it may be empty
            lengths: (batch,), how many tokens of each row are no padding; all if left out

        Returns:
            h of each layer, and c of an LSTM, (batch, width) each
        """
        state = self._empty(prompt.shape[0])
        if prompt.shape[1] == 0:
            return state
        if lengths is None:
            return self._run(prompt, state)[1]
        places = arange(prompt.shape[1])
        read = stack([places < length for length in lengths], 0)  # (batch, time)
        for time in range(prompt.shape[1]):
            now = read[:, time].unsqueeze(1)  # (batch, 1)
            new = self.step(prompt[:, time], state)[1]
            state = tuple(where(now, h, old) for h, old in zip(new, state, strict=True))
        return state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token (batch,); the logits of the next (batch, vocabulary), and the state."""
        logits, state = self._run(tokens.unsqueeze(1), state)  # (batch, 1, vocabulary)
        return logits.squeeze(1), state


def _check_options(layers: int, dropout: float, rows: int) -> None:
    wrong = {
        f"layers is {layers}": layers < 1,
        f"dropout is {dropout}": not 0 <= dropout <= 1,
        f"rows is {rows}": rows < 0,
    }
    for given in (text for text, is_wrong in wrong.items() if is_wrong):
        rule = "there is at least one layer, dropout is from 0 to 1, and rows are not negative"
        raise ConfigError(explain("RecurrentLM", given, rule))


def _check_batch(tokens: Tensor, start: Tensor | None) -> None:
    if tokens.ndim != 2:
        given, rule = f"tokens are {tuple(tokens.shape)}", "they are (batch, time)"
        fix = "a single text is a batch of one"
        raise ShapeError(explain("RecurrentLM", given, rule, fix))
    if start is not None and tuple(start.shape) != (tokens.shape[0],):
        given = f"start is {tuple(start.shape)} for {tokens.shape[0]} rows"
        raise ShapeError(explain("RecurrentLM", given, "each row has one: (batch,)"))


def layer_of(where: str, kind: str) -> Callable[..., Module]:
    """The class of a kind of recurrent layer.

    Raises:
        ConfigError: if there is none.

    >>> layer_of("example", "gru").__name__
    'GRU'
    """
    if kind not in LAYERS:
        given, rule = f"kind is {kind!r}", f"it is one of {', '.join(LAYERS)}"
        raise ConfigError(explain(where, given, rule))
    return LAYERS[kind]


def as_hx(parts: State) -> Any:
    """The state of one layer as its module takes it: (1, batch, width) each."""
    whole = tuple(part.unsqueeze(0) for part in parts)
    return whole if len(whole) == 2 else whole[0]


def as_parts(state: Any) -> list[Tensor]:
    """What `as_hx` was made of: (batch, width) each."""
    parts = state if isinstance(state, tuple) else (state,)
    return [part.squeeze(0) for part in parts]
