"""Who looks at whom: the weights of every attention of a model, as arrays, pictures and a page.

    narae.explain.attention_maps(model, tokens).save("map.png", words)

Source: the pictures follow Vig, A multiscale visualization of attention in the Transformer (2019).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, ShapeError, explain
from narae.io import atomic_write
from narae.nn import Module, MultiheadAttention
from narae.tensors import no_grad

from .heat_figure import Heat, draw_heat
from .watching import in_evaluation

Array = npt.NDArray[Any]
_DIGITS = 4
_ARGUMENTS = (
    "query",
    "key",
    "value",
    "key_padding_mask",
    "need_weights",
    "attn_mask",
    "average_attn_weights",
    "is_causal",
)


@dataclass(frozen=True)
class AttentionMaps:
    """The weights of each attention for one batch.

    Attributes:
        weights: by the module's path, (batch, heads, queries, keys); each row sums to 1.
    """

    weights: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        """The weights of one attention.

        Raises:
            ConfigError: naming those that there are, if it is none of them.
        """
        if name not in self.weights:
            given, rule = f"there is no attention {name!r}", f"there are {', '.join(self.weights)}"
            raise ConfigError(explain("attention_maps", given, rule))
        return self.weights[name]

    def page(self, queries: Sequence[str], keys: Sequence[str] | None = None, item: int = 0) -> str:
        """A page of HTML without any other file: point at a token to see what it looks at.

        Args:
            queries: the tokens that look: of the decoder, if there are two texts.
            keys: the tokens of the source; those of `queries` if there is one text.
            item: which row of the batch.

        Raises:
            BoundsError: if there is no such row.
            ShapeError: if a map fits neither text.
        """
        texts = _Texts(list(queries), list(queries if keys is None else keys))
        maps = [self._entry(name, texts, item) for name in self.weights]
        data = {"queries": texts.queries, "keys": texts.keys, "maps": maps}
        text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # ends no <script>
        template = resources.files(__package__).joinpath("attention_maps.html").read_text("utf-8")
        return template.replace("{{data}}", text)

    def write(
        self,
        path: str | os.PathLike[str],
        queries: Sequence[str],
        keys: Sequence[str] | None = None,
        item: int = 0,
    ) -> None:
        """Write the `page` to a file, as a whole or not at all."""
        page = self.page(queries, keys, item)
        with atomic_write(path, "w", encoding="utf-8") as file:
            file.write(page)

    def save(
        self,
        path: str | os.PathLike[str],
        queries: Sequence[str],
        keys: Sequence[str] | None = None,
        item: int = 0,
        layer: str | None = None,
    ) -> None:
        """Draw the heads of one attention side by side: a row for each token that looks.

        Args:
            path: a PNG, PDF or SVG file to write.
            queries, keys, item: as of `page`.
            layer: the attention's path; the last one if it is left out.

        Raises:
            BoundsError: if there is no such row.
            ConfigError: if there is no such attention.
            MissingExtraError: if matplotlib is not installed.
            ShapeError: if the map fits neither text.
        """
        name = list(self.weights)[-1] if layer is None else layer
        texts = _Texts(list(queries), list(queries if keys is None else keys))
        heads = self._heads(name, item)  # (heads, queries, keys)
        rows, columns = (texts.of(side) for side in texts.sides(name, heads.shape[1:]))
        maps = {f"head {number}": head for number, head in enumerate(heads, 1)}
        draw_heat(
            path, Heat(maps, name, "looked at", "looks", rows, columns, (0.0, float(heads.max())))
        )

    def _heads(self, name: str, item: int) -> Array:
        """(heads, queries, keys) of one row of the batch."""
        weights = self[name]
        if not -len(weights) <= item < len(weights):
            given, rule = f"item is {item}", f"the batch has {len(weights)} rows"
            raise BoundsError(explain("attention_maps", given, rule))
        return weights[item]

    def _entry(self, name: str, texts: "_Texts", item: int) -> dict[str, Any]:
        heads = self._heads(name, item)
        queries, keys = texts.sides(name, heads.shape[1:])
        numbers = heads.round(_DIGITS).tolist()
        return {"name": name, "from": queries, "to": keys, "heads": numbers}


@dataclass(frozen=True)
class _Texts:
    """The tokens that look, and those of the source."""

    queries: list[str]
    keys: list[str]

    def of(self, side: str) -> list[str]:
        return self.queries if side == "queries" else self.keys

    def sides(self, name: str, sizes: tuple[int, ...]) -> tuple[str, str]:
        """Which text the queries and the keys of a map are of.

        Raises:
            ShapeError: if it fits neither.
        """
        found = [
            next((side for side in order if len(self.of(side)) == size), "")
            for size, order in zip(sizes, _orders(name), strict=True)
        ]
        if "" in found:
            given = f"{name} is a map of {sizes[0]} x {sizes[1]} tokens"
            rule = f"there are {len(self.queries)} and {len(self.keys)} texts' tokens"
            raise ShapeError(explain("attention_maps", given, rule, "name each token, padding too"))
        return found[0], found[1]


def _orders(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Which text's tokens are tried first for queries and keys."""
    source, target = ("keys", "queries"), ("queries", "keys")
    if "multihead_attn" in name:  # a decoder's look at the encoder's result
        return target, source
    return (source, source) if "encoder" in name.split(".") else (target, target)


def attention_maps(model: Module, *inputs: Any, **options: Any) -> AttentionMaps:
    """The weights of every `MultiheadAttention` in a model, for some inputs.

    The model runs once, without dropout and gradients, and is left as it was. Of an attention that
    it uses several times, the last map is kept.

    Args:
        model: with attention in it
        *inputs, **options: what it is called with

    Raises:
        ConfigError: if there is no attention in it, or it did not look.

    >>> import narae
    >>> layer = narae.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> maps = attention_maps(narae.nn.TransformerEncoder(layer, 1), narae.rand(3, 5, 8))
    >>> maps["layers.0.self_attn"].shape
    (3, 2, 5, 5)
    """
    found: dict[str, Array] = {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, MultiheadAttention):
            handles.append(module.register_forward_pre_hook(_ask, with_kwargs=True))
            handles.append(module.register_forward_hook(_keeper(found, name)))
    try:
        with no_grad(), in_evaluation(model):
            model(*inputs, **options)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        said = "no attention was used" if handles else "there is no attention"
        given = f"{said} in {type(model).__name__}"
        raise ConfigError(explain("attention_maps", given, "MultiheadAttention is looked for"))
    return AttentionMaps(found)


def _ask(module: Any, args: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The same call, but for the weights of each head."""
    given = {**dict(zip(_ARGUMENTS, args, strict=False)), **options}
    return (), {**given, "need_weights": True, "average_attn_weights": False}


def _keeper(found: dict[str, Array], name: str) -> Any:
    def keep(module: Any, args: Any, out: Any) -> None:
        weights = np.array(out[1].numpy())  # (batch, heads, queries, keys), or without batch
        found[name] = weights if weights.ndim == 4 else weights[None]

    return keep
