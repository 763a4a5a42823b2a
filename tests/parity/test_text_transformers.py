"""Models of text beside `transformers`: their weights, their generation."""

import importlib.util
import json

import numpy as np
import pytest

from tests.parity import torchvision_oracle

torch = pytest.importorskip("torch")
if importlib.util.find_spec("torchvision") is not None:
    torchvision_oracle.load("transforms")  # `transformers` imports it where it is installed
transformers = pytest.importorskip("transformers")

import narae  # noqa: E402
from narae.base.errors import (  # noqa: E402
    ConfigError,
    DataError,
    FileFormatError,
    MissingDataError,
)
from narae.io import load, save  # noqa: E402
from narae.text.generation.beam_search import beam_search  # noqa: E402
from narae.text.generation.generate import generate  # noqa: E402
from narae.text.generation.sampling import Sampling  # noqa: E402
from narae.text.generation.stepping import Stepper  # noqa: E402
from narae.text.tokenizers import Subwords  # noqa: E402
from narae.text.weights.hugging_face import load_bert, load_gpt2  # noqa: E402

TOKENS = np.random.default_rng(0).integers(3, 40, (3, 9))
PADDING = np.arange(9) >= np.array([9, 6, 4])[:, None]

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "vocab_size": 40}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "vocab_size": 40,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 40}
DISTIL |= {"max_position_embeddings": 24}


def saved(kind, config, folder, seed=0):
    """A small model with random weights of a wide spread, and its folder."""
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(getattr(transformers, config[0])(**config[1])).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(folder)
    return model


def gpt2(folder, seed=0):
    ends = {"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 2}
    return saved("GPT2LMHeadModel", ("GPT2Config", GPT2 | ends), folder, seed)


# --- weights --------------------------------------------------------------------------------


def test_gpt2_gives_the_same_logits(tmp_path):
    theirs, ours = gpt2(tmp_path), load_gpt2(tmp_path)
    with torch.no_grad(), narae.no_grad():
        wanted = theirs(torch.from_numpy(TOKENS)).logits.numpy()
        found = ours(narae.from_numpy(TOKENS)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert wanted.std() > 0.1  # what is compared is not all but nothing


@pytest.mark.parametrize(
    ("kind", "head", "config"),
    [
        ("BertModel", None, ("BertConfig", BERT)),
        ("BertForMaskedLM", "mlm", ("BertConfig", BERT)),
        ("BertForSequenceClassification", "classifier", ("BertConfig", {**BERT, "num_labels": 5})),
        ("DistilBertModel", None, ("DistilBertConfig", DISTIL)),
        ("DistilBertForMaskedLM", "mlm", ("DistilBertConfig", DISTIL)),
        (
            "DistilBertForSequenceClassification",
            "classifier",
            ("DistilBertConfig", {**DISTIL, "num_labels": 5}),
        ),
    ],
)
def test_bert_gives_the_same_logits(kind, head, config, tmp_path):
    theirs, ours = saved(kind, config, tmp_path), load_bert(tmp_path, head)
    mask = torch.from_numpy((~PADDING).astype(np.int64))
    with torch.no_grad(), narae.no_grad():
        out = theirs(torch.from_numpy(TOKENS), attention_mask=mask)
        wanted = (out[0]).numpy()
        found = ours(narae.from_numpy(TOKENS), narae.from_numpy(PADDING)).numpy()
    if wanted.ndim == 3:  # what is computed at padding is nobody's
        found, wanted = found[~PADDING], wanted[~PADDING]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert wanted.std() > 0.1


def test_segments_and_the_pooler_are_berts(tmp_path):
    theirs, ours = saved("BertModel", ("BertConfig", BERT), tmp_path), load_bert(tmp_path)
    segments = (np.arange(9) > 4).astype(np.int64) * np.ones((3, 1), dtype=np.int64)
    with torch.no_grad(), narae.no_grad():
        tokens = torch.from_numpy(TOKENS)
        wanted = theirs(tokens, token_type_ids=torch.from_numpy(segments)).pooler_output.numpy()
        features = ours(narae.from_numpy(TOKENS), segments=narae.from_numpy(segments))
        found = ours.summary(features).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_encoder_alone_of_a_model_with_a_head(tmp_path):
    theirs = saved("BertForMaskedLM", ("BertConfig", BERT), tmp_path)
    with torch.no_grad(), narae.no_grad():
        wanted = theirs.bert(torch.from_numpy(TOKENS))[0].numpy()
        found = load_bert(tmp_path, head="none")(narae.from_numpy(TOKENS)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


# --- bad folders ----------------------------------------------------------------------------


def test_a_model_of_another_kind(tmp_path):
    gpt2(tmp_path)
    with pytest.raises(ConfigError, match="'gpt2'"):
        load_bert(tmp_path)


def test_a_head_that_is_not_there(tmp_path):
    saved("BertModel", ("BertConfig", BERT), tmp_path)
    with pytest.raises(ConfigError, match="the weights hold 'none'"):
        load_bert(tmp_path, head="mlm")
    with pytest.raises(ConfigError, match="num_classes=N for a new classifier"):
        load_bert(tmp_path, head="classifier")
    with pytest.raises(ConfigError, match="none, mlm, classifier"):
        load_bert(tmp_path, head="tagger")
    with pytest.raises(ConfigError, match="num_classes is 3"):
        load_bert(tmp_path, head="none", num_classes=3)


def test_a_folder_without_weights(tmp_path):
    gpt2(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingDataError, match="no weights"):
        load_gpt2(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(MissingDataError, match="openai-community/gpt2"):
        load_gpt2(tmp_path)


def test_a_config_without_a_size(tmp_path):
    gpt2(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["n_embd"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(FileFormatError, match="no 'n_embd'"):
        load_gpt2(tmp_path)


def test_tensors_that_are_missing_too_many_or_of_another_size(tmp_path):
    gpt2(tmp_path)
    file = tmp_path / "model.safetensors"
    whole = dict(load(file))
    name = next(name for name in whole if name.endswith("h.1.mlp.c_fc.bias"))
    matrix = name.replace("bias", "weight")
    changes = {
        "it lacks layers.1.linear1.bias": {key: x for key, x in whole.items() if key != name},
        "no rule knows extra": {**whole, "extra": whole[name]},
        r"layers.1.linear1.bias is \(3,\), in the model \(128,\)": {**whole, name: narae.zeros(3)},
        r"layers.1.linear1.weight is \(9,\), in the model": {**whole, matrix: narae.zeros(9)},
    }
    for said, state in changes.items():
        save(state, file)
        with pytest.raises(DataError, match=said):
            load_gpt2(tmp_path)


def test_parts_of_a_joined_tensor_with_other_columns(tmp_path):
    saved("BertModel", ("BertConfig", BERT), tmp_path)
    file = tmp_path / "model.safetensors"
    whole = dict(load(file))
    name = next(name for name in whole if name.endswith("layer.0.attention.self.key.weight"))
    save({**whole, name: narae.zeros(32, 31)}, file)
    with pytest.raises(FileFormatError, match=r"key.weight is \(32, 31\)"):
        load_bert(tmp_path)


# --- other files, other heads ---------------------------------------------------------------


def logits_of(model):
    with narae.no_grad():
        return model(narae.from_numpy(TOKENS)).numpy()


def test_several_files_and_files_of_pytorch(tmp_path):
    theirs = gpt2(tmp_path / "one")
    wanted = logits_of(load_gpt2(tmp_path / "one"))
    theirs.save_pretrained(tmp_path / "several", max_shard_size="40KB")
    assert len(list((tmp_path / "several").glob("*.safetensors"))) > 1
    np.testing.assert_array_equal(logits_of(load_gpt2(tmp_path / "several")), wanted)
    theirs.config.save_pretrained(tmp_path / "old")
    torch.save(theirs.state_dict(), tmp_path / "old" / "pytorch_model.bin")
    np.testing.assert_array_equal(logits_of(load_gpt2(tmp_path / "old")), wanted)


def test_names_of_layer_norms_in_old_files(tmp_path):
    """`google-bert/bert-base-uncased` calls them gamma and beta."""
    saved("BertModel", ("BertConfig", BERT), tmp_path)
    wanted, file = logits_of(load_bert(tmp_path)), tmp_path / "model.safetensors"
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    state = {}
    for name, x in dict(load(file)).items():
        for today, once in old.items():
            name = name.replace(today, once)
        state[name] = x
    assert sum(name.endswith("gamma") for name in state) == 5
    save(state, file)
    np.testing.assert_array_equal(logits_of(load_bert(tmp_path)), wanted)


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_the_head_has_the_activation_of_the_encoder(activation, tmp_path):
    config = ("BertConfig", {**BERT, "hidden_act": activation})
    theirs, ours = saved("BertForMaskedLM", config, tmp_path), load_bert(tmp_path)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(TOKENS)).logits.numpy()
    np.testing.assert_allclose(logits_of(ours), wanted, atol=1e-4)


def test_a_classifier_of_other_classes(tmp_path):
    config = ("BertConfig", {**BERT, "num_labels": 5})
    saved("BertForSequenceClassification", config, tmp_path)
    said = r"head.weight is \(5, 32\), in the model \(3, 32\).*num_classes=5 if these"
    with pytest.raises(DataError, match=said):
        load_bert(tmp_path, num_classes=3)
    model = load_bert(tmp_path, num_classes=3, ignore_mismatched=True)
    assert logits_of(model).shape == (3, 3)
    kept, whole = model.bert.embedding.weight, load_bert(tmp_path).bert.embedding.weight
    np.testing.assert_array_equal(kept.detach().numpy(), whole.detach().numpy())


def test_a_new_classifier_on_weights_of_another_head(tmp_path):
    saved("BertForMaskedLM", ("BertConfig", BERT), tmp_path)
    model = load_bert(tmp_path, num_classes=4)
    assert logits_of(model).shape == (3, 4)
    same = load_bert(tmp_path, head="none")
    with narae.no_grad():
        wanted = same(narae.from_numpy(TOKENS)).numpy()
        np.testing.assert_array_equal(model.bert(narae.from_numpy(TOKENS)).numpy(), wanted)


def test_a_head_whose_matrix_is_not_the_embedding(tmp_path):
    config = ("BertConfig", {**BERT, "tie_word_embeddings": False})
    saved("BertForMaskedLM", config, tmp_path)
    with pytest.raises(ConfigError, match="tie_word_embeddings"):
        load_bert(tmp_path)
    assert logits_of(load_bert(tmp_path, head="none")).shape == (3, 9, 32)


# --- repositories ---------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder of huggingface-hub with one repository, "some/gpt", and no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository, commit = tmp_path / "hub/models--some--gpt", "0123456789abcdef" * 2 + "01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(commit)
    folder = repository / "snapshots" / commit
    gpt2(folder)
    return folder


def test_a_repository(hub, caplog):
    tokenizer = Subwords.train("a b ab ba " * 9, 280)
    model = load_gpt2("some/gpt")
    np.testing.assert_array_equal(logits_of(model), logits_of(load_gpt2(hub)))
    assert "without its tokenizer" in caplog.text
    assert model.tokenizer is None
    tokenizer.inner.save(str(hub / "tokenizer.json"))
    ids = tokenizer.encode("ab ba")
    assert load_gpt2("some/gpt@main").tokenizer.encode("ab ba") == ids
    with pytest.raises(MissingDataError, match="hf download other/gpt"):
        load_gpt2("other/gpt")


def test_an_old_repository_without_a_network(hub):
    """What was asked for when there was a network is remembered as not there."""
    wanted = logits_of(load_gpt2(hub))
    torch.save({n: torch.from_numpy(x.numpy().copy()) for n, x in load(hub).items()}, hub / "x")
    (hub / "x").rename(hub / "pytorch_model.bin")
    (hub / "model.safetensors").unlink()
    gone = hub.parents[1] / ".no_exist" / hub.name
    gone.mkdir(parents=True)
    for name in ("model.safetensors", "model.safetensors.index.json"):
        (gone / name).touch()
    np.testing.assert_array_equal(logits_of(load_gpt2("some/gpt")), wanted)


# --- generation -----------------------------------------------------------------------------


def test_greedy_generation_is_theirs(tmp_path):
    theirs, ours = gpt2(tmp_path), load_gpt2(tmp_path)
    prompts = TOKENS[:, :4]
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    wanted = theirs.generate(torch.from_numpy(prompts), **options)[:, 4:].tolist()
    assert generate(ours, prompts.tolist(), 12) == wanted


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beam_search_is_theirs(penalty, seed, tmp_path):
    """J9: "greedy/beam decode"; against `transformers`' generate."""
    theirs, ours = gpt2(tmp_path, seed), load_gpt2(tmp_path)
    prompts, beams = TOKENS[:, :3], 4
    out = theirs.generate(
        torch.from_numpy(prompts),
        attention_mask=torch.ones(prompts.shape, dtype=torch.int64),
        max_new_tokens=8,
        num_beams=beams,
        num_return_sequences=beams,
        length_penalty=penalty,
        early_stopping="never",
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    texts = out.sequences[:, 3:].reshape(3, beams, -1).tolist()
    scores = out.sequences_scores.reshape(3, beams).numpy()
    stepper = Stepper(ours)
    state = stepper.start(narae.from_numpy(prompts[:, :-1].copy()))
    found = beam_search(stepper, state, prompts[:, -1], 2, 8, beams, penalty)
    for row in range(3):
        wanted = [text[: text.index(2)] if 2 in text else text for text in texts[row]]
        assert [each.tokens for each in found[row]] == wanted
        np.testing.assert_allclose([each.score for each in found[row]], scores[row], rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_what_may_be_drawn_is_theirs(seed):
    """Temperature, top-k and top-p, beside the logits processors of `transformers`."""
    logits = np.random.default_rng(seed).normal(0, 2, (4, 30))
    wanted = torch.from_numpy(logits)
    for warper in (
        transformers.TemperatureLogitsWarper(0.8),
        transformers.TopKLogitsWarper(12),
        transformers.TopPLogitsWarper(0.7),
    ):
        wanted = warper(None, wanted)
    found = Sampling(0.8, top_k=12, top_p=0.7).probabilities(logits)
    np.testing.assert_allclose(found, wanted.softmax(-1).numpy(), rtol=1e-6)
