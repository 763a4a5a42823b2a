"""A decoder-only Transformer that predicts the next token, and its step with a cache."""

from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import Dropout, Embedding, LayerNorm, ModuleList, Transformer
from narae.nn import TransformerEncoderLayer as Layer
from narae.nn.cached_attention import KeysValues, RotaryAttention
from narae.nn.functional import linear
from narae.nn.init import normal_
from narae.nn.multihead_functional import additive_mask
from narae.nn.positions import LearnedPositions, SinusoidalPositions, check_length
from narae.tensors import Tensor, full

from .tokenized import TokenizedModule

State = tuple[Tensor, ...]
_ADDED = {"learned": LearnedPositions, "sinusoidal": SinusoidalPositions}
_KINDS = (*_ADDED, "rotary")
_STD = 0.02


class GPT(TokenizedModule):
    """Layers of causal self-attention; the logits of the next token at every position.

    Args:
        vocabulary: how many tokens there are
        width: features
        layers: how many layers
        heads: heads of each layer's attention
        length: positions: the longest sequence
        dropout: the probability to drop
        positions: "learned", "sinusoidal" or "rotary"
        feed_forward: features between the two linear layers of a layer; 4 * width if None
        activation: between them: "gelu", "relu" or a function
        eps: keeps the denominators of layer norms from 0

    The embedding of the tokens is also the matrix of the logits.

    Source: Radford et al., Language models are unsupervised multitask learners (2019); weights
    tied: Press and Wolf (2017).

    >>> import narae
    >>> model = GPT(10, width=8, layers=1, heads=2, length=16)
    >>> model(narae.tensor([[1, 2, 3]])).shape
    narae.Size([1, 3, 10])
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 4,
        length: int = 128,
        dropout: float = 0.1,
        positions: str = "learned",
        feed_forward: int | None = None,
        activation: Any = "gelu",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if positions not in _KINDS:
            given, rule = f"positions is {positions!r}", f"it is one of {', '.join(_KINDS)}"
            raise ConfigError(explain("GPT", given, rule))
        self.length, self.heads = length, heads
        self.embedding = Embedding(vocabulary, width)
        added = _ADDED.get(positions)
        self.positions = None if added is None else added(length, width)
        self.dropout = Dropout(dropout)
        size = 4 * width if feed_forward is None else feed_forward
        options = {"batch_first": True, "norm_first": True}
        self.layers = ModuleList(
            Layer(width, heads, size, dropout, activation, eps, **options) for _ in range(layers)
        )
        for layer in self.layers if positions == "rotary" else ():
            layer.self_attn = RotaryAttention(width, heads, length, dropout)
        self.norm = LayerNorm(width, eps=eps)
        hidden = Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", hidden, persistent=False)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Normal with deviation 0.02; what is added to the shortcut, by 1 / √(2 layers) less."""
        ends = ("out_proj.weight", "linear2.weight")
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                less = (2 * len(self.layers)) ** -0.5 if name.endswith(ends) else 1.0
                normal_(parameter, std=_STD * less)

    def forward(self, tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """The logits of each next token.

        Args:
            tokens: (batch, time), int64
            padding_mask: (batch, time), True where a token is padding, which comes after the text

        Returns:
            (batch, time, vocabulary)

        Raises:
            BoundsError: if there are more tokens than positions.
        """
        x = self._embedded(tokens)  # (batch, time, width)
        time = tokens.shape[1]
        padding_mask = additive_mask(padding_mask, "padding_mask", x.dtype)
        options = {"src_mask": self.mask[:time, :time], "is_causal": True}
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding_mask, **options)
        return self._logits(x)

    def _embedded(self, tokens: Tensor) -> Tensor:
        check_length("GPT", tokens.shape[1], self.length)
        x = self.embedding(tokens)  # (batch, time, width)
        return self.dropout(x if self.positions is None else self.positions(x))

    def _logits(self, x: Tensor) -> Tensor:
        return linear(self.norm(x), self.embedding.weight)

    # --- token by token -------------------------------------------------------------------------

    def start(self, prompt: Tensor, lengths: Tensor | None = None) -> State:
        """The state after a prompt.

        Args:
            prompt: (batch, time), int64; it may be empty
            lengths: (batch,), how many tokens of each row are no padding; all if left out

        Returns:
            the position (batch,), then the keys and values of each layer, (batch, heads, length,
            head_dim)

        Raises:
            BoundsError: if there are more tokens than positions.
        """
        batch, time = prompt.shape
        x = self._embedded(prompt)
        # What padding left in a cache stands behind the position, and is overwritten.
        state = [full((batch,), time, dtype=prompt.dtype) if lengths is None else lengths]
        for layer in self.layers:
            state += layer.keys_values(x).padded(self.length)
            x = layer(x, src_mask=self.mask[:time, :time], is_causal=True)
        return tuple(state)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token (batch,); the logits of the next one (batch, vocabulary), and the state.

        The position must be below `length`; generation sees to it.
        """
        position, new = state[0], [state[0] + 1]
        x = self.embedding(tokens).unsqueeze(1)  # (batch, 1, width)
        x = self.dropout(x if self.positions is None else self.positions.at(x, position))
        for number, layer in enumerate(self.layers):
            cache = KeysValues(*state[1 + 2 * number : 3 + 2 * number])
            x, cache = layer.step(x, cache, position)
            new += cache
        return self._logits(x.squeeze(1)), tuple(new)
