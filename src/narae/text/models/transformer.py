"""The Transformer of "Attention is all you need", from tokens to tokens, with a cached step."""

from typing import Any

from narae.nn import Dropout, Embedding, Transformer
from narae.nn.cached_attention import KeysValues
from narae.nn.functional import linear
from narae.nn.init import normal_
from narae.nn.positions import SinusoidalPositions, check_length
from narae.tensors import Tensor, zeros
from narae.tensors.activations import relu

from .tokenized import TokenizedModule

State = tuple[Tensor, ...]


class TranslationTransformer(TokenizedModule):
    """An encoder reads the source; a decoder writes the target, token by token.

    Args:
        vocabulary: how many tokens there are, of both languages together
        width: features
        layers: layers of the encoder, and as many of the decoder
        heads: heads of each attention
        feed_forward: features between the two linear layers of a layer
        length: the longest sequence
        dropout: the probability to drop
        norm_first: norms before each block, which needs less care when training
        activation: "relu", "gelu" or a function
        pad_id: the token that fills up sources

    One matrix embeds both languages' tokens and makes the logits.

    Source: Vaswani et al., Attention is all you need (2017), sections 3.1 to 3.5.

    >>> import narae
    >>> model = TranslationTransformer(20, width=8, layers=1, heads=2, feed_forward=16)
    >>> model(narae.tensor([[4, 5, 0]]), narae.tensor([[1, 6]])).shape
    narae.Size([1, 2, 20])
    """

    translates = True

    def __init__(
        self,
        vocabulary: int,
        width: int = 512,
        layers: int = 6,
        heads: int = 8,
        feed_forward: int = 2048,
        length: int = 256,
        dropout: float = 0.1,
        norm_first: bool = False,
        activation: Any = relu,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        self.length, self.width, self.heads, self.pad_id = length, width, heads, pad_id
        sizes = (width, heads, layers, layers, feed_forward, dropout, activation)
        self.transformer = Transformer(*sizes, batch_first=True, norm_first=norm_first)
        self.embedding = Embedding(vocabulary, width, padding_idx=pad_id)
        normal_(self.embedding.weight, std=width**-0.5)  # forward multiplies by √width
        self.embedding._fill_padding_idx_with_zero()
        self.positions = SinusoidalPositions(length, width)
        self.dropout = Dropout(dropout)
        hidden = Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", hidden, persistent=False)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The logits of each next target token.

        Args:
            source: (batch, source time), int64, filled up with `pad_id`
            target: (batch, target time), int64, from bos on; what fills it up comes after the text

        Returns:
            (batch, target time, vocabulary)

        Raises:
            BoundsError: if there are more tokens than positions.
        """
        padding, time = source.eq(self.pad_id), target.shape[1]  # padding: (batch, source time)
        out = self.transformer(
            self._embedded(source),
            self._embedded(target),
            tgt_mask=self.mask[:time, :time],
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )  # (batch, target time, width)
        return self._logits(out)

    def _embedded(self, tokens: Tensor) -> Tensor:
        check_length("TranslationTransformer", tokens.shape[1], self.length)
        return self.dropout(self.positions(self._scaled(tokens)))

    def _scaled(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) * self.width**0.5

    def _logits(self, x: Tensor) -> Tensor:
        return linear(x, self.embedding.weight)

    # --- token by token -------------------------------------------------------------------------

    def start(self, source: Tensor) -> State:
        """The state before the first target token, which is bos.

        Returns:
            the position (batch,); where the source may be looked at (batch, source time); for each
            decoder layer keys and values of the target (batch, heads, length, head_dim), and of
            the source
        """
        padding, batch = source.eq(self.pad_id), source.shape[0]
        memory = self.transformer.encoder(self._embedded(source), src_key_padding_mask=padding)
        sizes = (batch, self.heads, self.length, self.width // self.heads)
        empty = zeros(*sizes, dtype=memory.dtype)
        state = [zeros(batch, dtype=source.dtype), padding.logical_not()]
        for layer in self.transformer.decoder.layers:
            state += [empty, empty, *layer.memory_keys_values(memory)]
        return tuple(state)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token (batch,); the logits of the next one (batch, vocabulary), and the state.

        The position must be below `length`; generation sees to it.
        """
        position, seen, *caches = state
        new = [position + 1, seen]
        x = self._scaled(tokens).unsqueeze(1)  # (batch, 1, width)
        x = self.dropout(self.positions.at(x, position))
        decoder = self.transformer.decoder
        for number, layer in enumerate(decoder.layers):
            own, memory = _pairs(caches[4 * number : 4 * number + 4])
            x, own = layer.step(x, own, position, memory, seen)
            new += [*own, *memory]
        return self._logits(decoder.norm(x).squeeze(1)), tuple(new)


def _pairs(four: list[Tensor]) -> tuple[KeysValues, KeysValues]:
    return KeysValues(*four[:2]), KeysValues(*four[2:])
