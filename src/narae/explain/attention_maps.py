"""Who looks at whom: the weights of every attention of a model, as arrays and as a page.

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

from narae.base.errors import ConfigError, ShapeError, explain
from narae.io import atomic_write
from narae.nn import Module, MultiheadAttention
from narae.tensors import no_grad

Array = npt.NDArray[Any]
_DIGITS = 4


@dataclass(frozen=True)
class AttentionMaps:
    """The weights of each attention for one batch.

    Attributes:
        weights: by the module's path, (batch, heads, queries, keys); each row sums to 1.
    """

    weights: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.weights[name]

    def page(self, queries: Sequence[str], keys: Sequence[str] | None = None, item: int = 0) -> str:
        """A page of HTML without any other file: point at a token to see what it looks at.

        Args:
            queries: the tokens that look: of the decoder, if there are two texts.
            keys: the tokens of the source; those of `queries` if there is one text.
            item: which row of the batch.

        Raises:
            ShapeError: if a map fits neither text.
        """
        texts = {"queries": list(queries), "keys": list(queries if keys is None else keys)}
        maps = [self._entry(name, texts, item) for name in self.weights]
        data = json.dumps({**texts, "maps": maps}, ensure_ascii=False).replace("</", "<\\/")
        template = resources.files(__package__).joinpath("attention_maps.html").read_text("utf-8")
        return template.replace("{{data}}", data)

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

    def _entry(self, name: str, texts: Mapping[str, list[str]], item: int) -> dict[str, Any]:
        heads = self.weights[name][item]  # (heads, queries, keys)
        sizes = heads.shape[1:]
        sides = [
            next((side for side in order if len(texts[side]) == size), None)
            for size, order in zip(sizes, _orders(name), strict=True)
        ]
        if None in sides:
            given = f"{name} is a map of {sizes[0]} x {sizes[1]} tokens"
            rule = f"there are {len(texts['queries'])} and {len(texts['keys'])} texts' tokens"
            raise ShapeError(explain("attention_maps", given, rule, "name each token, padding too"))
        return {
            "name": name,
            "from": sides[0],
            "to": sides[1],
            "heads": heads.round(_DIGITS).tolist(),
        }


def _orders(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Which text's tokens are tried first for queries and keys."""
    source, target = ("keys", "queries"), ("queries", "keys")
    if "multihead_attn" in name:  # a decoder's look at the encoder's result
        return target, source
    return (source, source) if "encoder" in name.split(".") else (target, target)


def attention_maps(model: Module, *inputs: Any, **options: Any) -> AttentionMaps:
    """The weights of every `MultiheadAttention` in a model, for some inputs.

    The model runs once, without dropout and gradients, and is left as it was.

    Args:
        model: with attention in it
        *inputs, **options: what it is called with

    Raises:
        ConfigError: if there is no attention in it.

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
    if not handles:
        given = f"there is no attention in {type(model).__name__}"
        raise ConfigError(explain("attention_maps", given, "MultiheadAttention is looked for"))
    was_training = model.training
    try:
        with no_grad():
            model.eval()(*inputs, **options)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return AttentionMaps(found)


def _ask(module: Any, args: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**options, "need_weights": True, "average_attn_weights": False}


def _keeper(found: dict[str, Array], name: str) -> Any:
    def keep(module: Any, args: Any, out: Any) -> None:
        found[name] = np.array(out[1].numpy())  # (batch, heads, queries, keys)

    return keep
