"""GPT-2, BERT and DistilBERT from what Hugging Face's `transformers` writes.

    model = load_gpt2("openai-community/gpt2")

A folder, or a repository on huggingface.co, holds config.json, the weights (model.safetensors,
pytorch_model.bin, or several files and their index), and often tokenizer.json, which becomes the
model's tokenizer.
"""

import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from narae.base.errors import ConfigError, FileFormatError, MissingDataError, explain
from narae.io.hub import fetch_file, fetch_weights, is_repository
from narae.io.weights import EXTRA_STATE, read_weights
from narae.nn.weights import load_state
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
Source = str | os.PathLike[str]
Model = TypeVar("Model", bound=TokenizedModule)
logger = logging.getLogger("narae.text")
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of layer norms, in files of 2018
_TANH_GELU = partial(gelu, approximate="tanh")
_ACTIVATIONS: dict[str, Any] = {"gelu": "gelu", "relu": "relu", "gelu_new": _TANH_GELU}
_ACTIVATIONS["gelu_pytorch_tanh"] = _TANH_GELU


def load_gpt2(source: Source) -> GPT:
    """A GPT-2 with its weights, in evaluation mode.

    Args:
        source: a folder, or a Hugging Face repository such as "openai-community/gpt2".

    Raises:
        ConfigError: for a model of another kind, or a variant that is not known here.
        DataError: naming every tensor that does not fit, with its shape.
        FileFormatError: if a file is damaged, or holds tensors of another model.
        MissingDataError: if a file is not there.
        MissingExtraError: if a repository is named, and huggingface-hub is not installed.
    """
    folder = _folder(source)
    config, state = _read(folder, "gpt2")
    _refuse_variants(config, _GPT2_USUAL)
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
    found = renamed(_without("transformer.", state), GPT2_RULES, ignored)
    return _filled(model, found, source, folder)


def load_bert(
    source: Source,
    head: str | None = None,
    num_classes: int | None = None,
    ignore_mismatched: bool = False,
) -> BERT | MaskedLanguageModel | BERTClassifier:
    """A BERT or DistilBERT with its weights, in evaluation mode.

    Args:
        source: a folder, or a Hugging Face repository such as "distilbert/distilbert-base-uncased".
        head: "mlm" for the logits of hidden tokens, "classifier", or "none" for the encoder alone;
            what the source holds if it is left out.
        num_classes: of a classifier, as many as the source's if it is left out. With it, a source
            without a classifier gets a new one, to be trained.
        ignore_mismatched: leave out tensors of other shapes, such as those of a head for other
            classes; they keep new numbers, and a warning says so.

    Raises:
        ConfigError: for a model of another kind, a variant that is not known, or another head.
        DataError: naming every tensor that does not fit, with its shape.
        FileFormatError: if a file is damaged, or holds tensors of another model.
        MissingDataError: if a file is not there.
        MissingExtraError: if a repository is named, and huggingface-hub is not installed.
    """
    folder = _folder(source)
    config, state = _read(folder, "bert", "distilbert")
    layout = _LAYOUTS[config["model_type"]]
    state = _without(f"{config['model_type']}.", state)
    there = layout.head(state)
    wanted = _head(head, there, num_classes)
    bert = layout.bert(config, pooled=any(name.startswith("pooler.") for name in state))
    found = renamed(state, layout.rules(), layout.ignored)
    whole: Any = bert
    if wanted == "mlm":
        _refuse_variants(config, {"tie_word_embeddings": True})
        whole = MaskedLanguageModel(bert)
    elif wanted == "classifier":
        classes = num_classes or len(found.get("head.bias", ())) or 1  # 1: what is missing is told
        whole = BERTClassifier(bert, classes)
    if wanted == there != "none":
        return _filled(whole, found, source, folder, ignore_mismatched)
    # The encoder alone has weights; a head above it is new.
    whole.tokenizer = _filled(bert, _within("bert.", found), source, folder).tokenizer
    return whole.eval()


def _head(asked: str | None, there: str, num_classes: int | None) -> str:
    """The head that the model gets, where the weights are of the head `there`.

    Raises:
        ConfigError: if that cannot be.
    """
    kinds = ("none", "mlm", "classifier")
    wanted = "classifier" if asked is None and num_classes is not None else asked or there
    if wanted not in kinds:
        given, rule = f"head is {asked!r}", f"it is one of {', '.join(kinds)}"
        raise ConfigError(explain("load_bert", given, rule))
    if num_classes is not None and (wanted != "classifier" or num_classes < 1):
        given = f"num_classes is {num_classes}, head is {wanted!r}"
        raise ConfigError(explain("load_bert", given, "a classifier has at least one class"))
    if wanted in ("none", there):
        return wanted
    if wanted == "mlm" or num_classes is None:
        given, rule = f"head is {asked!r}, the weights hold {there!r}", "weights have a head or not"
        fix = 'head="none", or num_classes=N for a new classifier'
        raise ConfigError(explain("load_bert", given, rule, fix))
    return wanted


# --- names ----------------------------------------------------------------------------------


def _both(theirs: str, ours: str, form: Callable[[Tensor], Tensor] | None = None) -> list[Rule]:
    """The rules of a weight and its bias."""
    forms = {} if form is None else {"form": form}
    weight = Rule(f"{theirs}.weight", f"{ours}.weight", **forms)
    return [weight, Rule(f"{theirs}.bias", f"{ours}.bias")]


_GPT2_USUAL = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
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


class _Sizes(dict[str, Any]):
    """What config.json says; what it does not say is an error."""

    def __missing__(self, name: str) -> Any:
        given, rule = f"config.json has no {name!r}", "a model is made from its sizes"
        raise FileFormatError(explain("weights", given, rule))


def _folder(source: Source) -> Path:
    """Where a model's files are; those of a repository are fetched.

    Raises:
        MissingDataError: if there is no model.
    """
    if isinstance(source, str) and is_repository(source):
        folder = fetch_weights(source)[0].parent
        try:
            fetch_file(source, "tokenizer.json")
        except MissingDataError as error:  # a model without text is better than none
            logger.warning("%s is loaded without its tokenizer: %s", source, error)
        return folder
    if not (Path(source) / "config.json").is_file():
        given, rule = f"{source} has no config.json", "a folder of a model has one"
        fix = 'name a folder, or a repository with its owner: "openai-community/gpt2"'
        raise MissingDataError(explain("weights", given, rule, fix))
    return Path(source)


def _read(folder: Path, *kinds: str) -> tuple[Config, dict[str, Tensor]]:
    config = _Sizes(read_json(folder / "config.json"))
    if config.get("model_type") not in kinds:
        given = f"{folder} holds a model of the kind {config.get('model_type')!r}"
        raise ConfigError(explain("weights", given, f"it is {' or '.join(kinds)}"))
    return config, dict(read_weights(folder).state)


def _without(prefix: str, state: State) -> dict[str, Tensor]:
    """Names of today, without the part before the model's own, which heads put there."""
    return {_of_today(name.removeprefix(prefix)): x for name, x in state.items()}


def _of_today(name: str) -> str:
    return re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda old: _OLD_NAMES[old[0]], name)


def _within(prefix: str, state: State) -> dict[str, Tensor]:
    """What belongs to a part of the model, by its name there."""
    own = (name for name in state if name.startswith(prefix))
    return {name.removeprefix(prefix): state[name] for name in own}


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


def _filled(
    model: Model, state: State, source: Source, folder: Path, ignore_mismatched: bool = False
) -> Model:
    """The model with a state, and with the folder's tokenizer where there is one."""
    no_tokenizer: dict[str, Any] = {
        name: {} for name in model.state_dict() if name.endswith(EXTRA_STATE)
    }
    load_state(model, {**no_tokenizer, **state}, str(source), ignore_mismatched)
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        model.tokenizer = Subwords.from_file(tokenizer)
    return model.eval()
