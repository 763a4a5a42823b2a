"""GPT-2, BERT and DistilBERT from the folders that Hugging Face's `transformers` writes.

Such a folder holds config.json, model.safetensors (or pytorch_model.bin), and often
tokenizer.json, which becomes the model's tokenizer.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain
from narae.io import load
from narae.tensors import Tensor
from narae.tensors.activations import gelu
from narae.text.models.bert import BERT, BERTClassifier, MaskedLanguageModel
from narae.text.models.gpt import GPT
from narae.text.models.tokenized import TokenizedModule
from narae.text.tokenizers import Subwords
from narae.text.vocabulary import read_json

from .renaming import Rule, renamed, transposed

Config = Mapping[str, Any]
State = Mapping[str, Tensor]
Model = TypeVar("Model", bound=TokenizedModule)
_FILES = ("model.safetensors", "pytorch_model.bin")
_TANH_GELU = partial(gelu, approximate="tanh")
_ACTIVATIONS: dict[str, Any] = {"gelu": "gelu", "relu": "relu", "gelu_new": _TANH_GELU}
_ACTIVATIONS["gelu_pytorch_tanh"] = _TANH_GELU


def load_gpt2(folder: str | os.PathLike[str]) -> GPT:
    """A GPT-2 with its weights, in evaluation mode.

    Raises:
        ConfigError: for a model of another kind, or a variant that is not known here.
        FileFormatError: if a file is damaged or a tensor does not fit.
        MissingDataError: if a file is not there.
    """
    config, state = _read(folder, "gpt2")
    _refuse_variants(config, {"scale_attn_weights": True, "add_cross_attention": False})
    _refuse_variants(config, {"tie_word_embeddings": True})
    model = GPT(
        config["vocab_size"],
        config["n_embd"],
        config["n_layer"],
        config["n_head"],
        config["n_positions"],
        config.get("resid_pdrop", 0.1),
        feed_forward=config.get("n_inner"),
        activation=_activation(config.get("activation_function", "gelu_new")),
        eps=config.get("layer_norm_epsilon", 1e-5),
    )
    ignored = ("h.{}.attn.bias", "h.{}.attn.masked_bias", "lm_head.weight")
    return _filled(model, renamed(_without("transformer.", state), GPT2_RULES, ignored), folder)


def load_bert(
    folder: str | os.PathLike[str], head: str | None = None
) -> BERT | MaskedLanguageModel | BERTClassifier:
    """A BERT or DistilBERT with its weights, in evaluation mode.

    Args:
        folder: with config.json and the weights.
        head: "mlm" for the logits of hidden tokens, "classifier", or "none" for the encoder alone;
            what the folder holds if it is left out.

    Raises:
        ConfigError: for a model of another kind, a variant that is not known, or another head.
        FileFormatError: if a file is damaged or a tensor does not fit.
        MissingDataError: if a file is not there.
    """
    config, state = _read(folder, "bert", "distilbert")
    layout = _LAYOUTS[config["model_type"]]
    state = _without(f"{config['model_type']}.", state)
    has_pooler = any(name.startswith("pooler.") for name in state)
    bert = layout.bert(config, has_pooler)
    there = layout.head(state)
    wanted = there if head is None else head
    if wanted not in ("none", there):
        given = f"head is {head!r}, the folder holds {there!r}"
        raise ConfigError(explain("load_bert", given, 'a head that is there, or "none"'))
    found = renamed(state, layout.rules(), layout.ignored)
    if wanted == "none":
        own = {name[5:]: x for name, x in found.items() if name.startswith("bert.")}
        return _filled(bert, own, folder)
    if wanted == "mlm":
        return _filled(MaskedLanguageModel(bert), found, folder)
    classes = int(found["head.bias"].shape[0])
    return _filled(BERTClassifier(bert, classes), found, folder)


# --- names ----------------------------------------------------------------------------------


def _both(theirs: str, ours: str, form: Callable[[Tensor], Tensor] | None = None) -> list[Rule]:
    """The rules of a weight and its bias."""
    forms = {} if form is None else {"form": form}
    weight = Rule(f"{theirs}.weight", f"{ours}.weight", **forms)
    return [weight, Rule(f"{theirs}.bias", f"{ours}.bias")]


GPT2_RULES = [
    Rule("wte.weight", "embedding.weight"),
    Rule("wpe.weight", "positions.embedding.weight"),
    *_both("h.{}.ln_1", "layers.{}.norm1"),
    Rule("h.{}.attn.c_attn.weight", "layers.{}.self_attn.in_proj_weight", transposed),
    Rule("h.{}.attn.c_attn.bias", "layers.{}.self_attn.in_proj_bias"),
    *_both("h.{}.attn.c_proj", "layers.{}.self_attn.out_proj", transposed),
    *_both("h.{}.ln_2", "layers.{}.norm2"),
    *_both("h.{}.mlp.c_fc", "layers.{}.linear1", transposed),
    *_both("h.{}.mlp.c_proj", "layers.{}.linear2", transposed),
    *_both("ln_f", "norm"),
]


class _Layout(ABC):
    """The names of one kind of model, and its sizes in config.json."""

    layer: str
    parts: Mapping[str, str]
    ignored: Sequence[str]
    heads: Mapping[str, str]

    def rules(self) -> list[Rule]:
        found = [rule for theirs, ours in self.parts.items() for rule in _both(theirs, ours)]
        for end in ("weight", "bias"):
            three = [f"{self.layer}.{name}.{end}" for name in self._queries_keys_values()]
            found.append(Rule(three, f"bert.encoder.layers.{{}}.self_attn.in_proj_{end}"))
        return found + self._embeddings()

    @abstractmethod
    def _queries_keys_values(self) -> Sequence[str]:
        """The three projections of a layer."""

    def _embeddings(self) -> list[Rule]:
        tables = {"word_": "embedding", "position_": "positions", "token_type_": "segments"}
        return [
            Rule(f"embeddings.{theirs}embeddings.weight", f"bert.{ours}.weight")
            for theirs, ours in tables.items()
        ]

    def head(self, state: State) -> str:
        """Which head the tensors are of."""
        found = [
            name for start, name in self.heads.items() if any(x.startswith(start) for x in state)
        ]
        return found[0] if found else "none"

    @abstractmethod
    def bert(self, config: Config, pooled: bool) -> BERT:
        """An encoder of the sizes in config.json."""


class _Bert(_Layout):
    layer = "encoder.layer.{}"
    parts = {
        "embeddings.LayerNorm": "bert.norm",
        "encoder.layer.{}.attention.output.dense": "bert.encoder.layers.{}.self_attn.out_proj",
        "encoder.layer.{}.attention.output.LayerNorm": "bert.encoder.layers.{}.norm1",
        "encoder.layer.{}.intermediate.dense": "bert.encoder.layers.{}.linear1",
        "encoder.layer.{}.output.dense": "bert.encoder.layers.{}.linear2",
        "encoder.layer.{}.output.LayerNorm": "bert.encoder.layers.{}.norm2",
        "pooler.dense": "bert.pooler",
        "cls.predictions.transform.dense": "transform",
        "cls.predictions.transform.LayerNorm": "norm",
        "classifier": "head",
    }
    ignored = (
        "embeddings.position_ids",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        "cls.seq_relationship.weight",
        "cls.seq_relationship.bias",
    )
    heads = {"cls.predictions.": "mlm", "classifier.": "classifier"}

    def _queries_keys_values(self) -> Sequence[str]:
        return [f"attention.self.{name}" for name in ("query", "key", "value")]

    def _embeddings(self) -> list[Rule]:
        return [*super()._embeddings(), Rule("cls.predictions.bias", "bias")]

    def bert(self, config: Config, pooled: bool) -> BERT:
        _refuse_variants(config, {"is_decoder": False, "position_embedding_type": "absolute"})
        return BERT(
            config["vocab_size"],
            config["hidden_size"],
            config["num_hidden_layers"],
            config["num_attention_heads"],
            config["intermediate_size"],
            config["max_position_embeddings"],
            config.get("type_vocab_size", 2),
            pooled,
            config.get("hidden_dropout_prob", 0.1),
            config.get("pad_token_id") or 0,
            _activation(config.get("hidden_act", "gelu")),
            config.get("layer_norm_eps", 1e-12),
        )


class _DistilBert(_Layout):
    layer = "transformer.layer.{}"
    parts = {
        "embeddings.LayerNorm": "bert.norm",
        "transformer.layer.{}.attention.out_lin": "bert.encoder.layers.{}.self_attn.out_proj",
        "transformer.layer.{}.sa_layer_norm": "bert.encoder.layers.{}.norm1",
        "transformer.layer.{}.ffn.lin1": "bert.encoder.layers.{}.linear1",
        "transformer.layer.{}.ffn.lin2": "bert.encoder.layers.{}.linear2",
        "transformer.layer.{}.output_layer_norm": "bert.encoder.layers.{}.norm2",
        "vocab_transform": "transform",
        "vocab_layer_norm": "norm",
        "pre_classifier": "hidden",
        "classifier": "head",
    }
    ignored = ("embeddings.position_ids", "vocab_projector.weight")
    heads = {"vocab_transform.": "mlm", "classifier.": "classifier"}

    def _queries_keys_values(self) -> Sequence[str]:
        return [f"attention.{name}_lin" for name in "qkv"]

    def _embeddings(self) -> list[Rule]:
        return [*super()._embeddings(), Rule("vocab_projector.bias", "bias")]

    def bert(self, config: Config, pooled: bool) -> BERT:
        return BERT(
            config["vocab_size"],
            config["dim"],
            config["n_layers"],
            config["n_heads"],
            config["hidden_dim"],
            config["max_position_embeddings"],
            segments=0,
            pooled=False,
            dropout=config.get("dropout", 0.1),
            pad_id=config.get("pad_token_id") or 0,
            activation=_activation(config.get("activation", "gelu")),
        )


_LAYOUTS: dict[str, _Layout] = {"bert": _Bert(), "distilbert": _DistilBert()}


# --- files ----------------------------------------------------------------------------------


def _read(folder: str | os.PathLike[str], *kinds: str) -> tuple[Config, dict[str, Tensor]]:
    config = read_json(Path(folder) / "config.json")
    if config.get("model_type") not in kinds:
        given = f"{folder} holds a model of the kind {config.get('model_type')!r}"
        raise ConfigError(explain("weights", given, f"it is {' or '.join(kinds)}"))
    files = [Path(folder) / name for name in _FILES]
    there = next((file for file in files if file.is_file()), None)
    if there is None:
        given, rule = f"{folder} has no weights", f"they are in {' or '.join(_FILES)}"
        fix = "weights in several files (…-00001-of-…) are not read"
        raise MissingDataError(explain("weights", given, rule, fix))
    return config, dict(load(there))


def _without(prefix: str, state: State) -> dict[str, Tensor]:
    """Names without the part before the model's own, which heads put there."""
    return {name.removeprefix(prefix): x for name, x in state.items()}


def _activation(name: str) -> Any:
    if name not in _ACTIVATIONS:
        given, rule = f"the activation is {name!r}", f"known are {', '.join(_ACTIVATIONS)}"
        raise ConfigError(explain("weights", given, rule))
    return _ACTIVATIONS[name]


def _refuse_variants(config: Config, usual: Config) -> None:
    for name, value in usual.items():
        if config.get(name, value) != value:
            given, rule = f"{name} is {config[name]!r} in config.json", f"known is {value!r}"
            raise ConfigError(explain("weights", given, rule))


def _filled(model: Model, state: State, folder: str | os.PathLike[str]) -> Model:
    """The model with a state, and with the folder's tokenizer where there is one."""
    no_tokenizer: dict[str, Any] = {
        name: {} for name in model.state_dict() if name.endswith("_extra_state")
    }
    try:
        model.load_state_dict({**no_tokenizer, **state})
    except RuntimeError as error:
        raise FileFormatError(explain("weights", str(error), "each tensor fits")) from error
    tokenizer = Path(folder) / "tokenizer.json"
    if tokenizer.is_file():
        model.tokenizer = Subwords.from_file(tokenizer)
    return model.eval()
