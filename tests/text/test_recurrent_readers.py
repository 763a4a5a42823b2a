"""Recurrent classifiers and taggers: padding, lengths, both directions."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.base.errors import BoundsError, ConfigError, ShapeError
from narae.text.models.forget_bias import set_forget_bias
from narae.text.models.recurrent_classifier import RecurrentClassifier
from narae.text.models.recurrent_tagger import RecurrentTagger

KINDS = ["rnn", "lstm", "gru"]


def classifier(kind, **options):
    narae.manual_seed(0)
    return RecurrentClassifier(11, 3, 6, 5, kind=kind, **options).eval()


def tagger(kind, **options):
    narae.manual_seed(0)
    return RecurrentTagger(11, 4, 6, 5, kind=kind, **options).eval()


def padded_batch():
    random = np.random.default_rng(0)
    tokens, lengths = random.integers(1, 11, (3, 7)), np.array([4, 7, 2])
    tokens[np.arange(7) >= lengths[:, None]] = 0
    return narae.from_numpy(tokens), narae.from_numpy(lengths)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_a_text_changes_nothing(kind, bidirectional):
    """Each row of a padded batch has what it has alone, in both directions and layers."""
    tokens, lengths = padded_batch()
    options = {"bidirectional": bidirectional, "layers": 2}
    model, names = classifier(kind, **options), tagger(kind, **options)
    with narae.no_grad():
        classes, tags = model(tokens, lengths).numpy(), names(tokens, lengths).numpy()
        assert classes.shape == (3, 3)
        assert tags.shape == (3, 7, 4)
        for row, length in enumerate(lengths.tolist()):
            alone = tokens[row : row + 1, :length]
            np.testing.assert_allclose(classes[row], model(alone).numpy()[0], atol=1e-6)
            np.testing.assert_allclose(tags[row, :length], names(alone).numpy()[0], atol=1e-6)


def test_a_tag_sees_later_tokens_in_both_directions_only():
    """A net of one direction knows the past alone."""
    tokens, _ = padded_batch()
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 11
    for both in (False, True):
        model = tagger("gru", bidirectional=both)
        with narae.no_grad():
            differ = (model(tokens).numpy() != model(changed).numpy()).any(axis=(0, 2))
        assert differ.tolist() == ([True] * 7 if both else [False] * 5 + [True] * 2)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_no_reason_to_trace_again(bidirectional):
    """Buckets: one program for each padded length, whatever the lengths of its texts."""
    model = classifier("lstm", bidirectional=bidirectional)
    run = narae.compile(model.forward)
    random = np.random.default_rng(0)
    with narae.no_grad():
        for time in (8, 8, 12, 8, 12, 12):
            tokens = narae.from_numpy(random.integers(1, 11, (3, time)))
            lengths = narae.from_numpy(random.integers(1, time + 1, 3))
            found, wanted = run(tokens, lengths), model(tokens, lengths)
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-6)
    assert run.traces == 2


def test_inputs_are_projected_by_one_product():
    """A recurrent layer compiles to one product for the inputs of all steps and one scan."""
    layer = nn.LSTM(6, 5, batch_first=True)
    run = narae.compile(lambda x: layer(x)[0])
    with narae.no_grad():
        run(narae.randn(2, 9, 6))
    lines = str(run.explain().plans[0].program).splitlines()
    assert sum("= scan" in line for line in lines) == 1
    assert sum("= linear" in line for line in lines) == 1


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_forget_bias(kind):
    """B20: without weights a step keeps sigmoid(bias) of the state."""
    layer = kind(2, 3, num_layers=2, bidirectional=True)
    set_forget_bias(layer, 1.5)
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            gate = parameter.detach().numpy()[3:6]
            np.testing.assert_array_equal(gate, 1.5 if "_ih_" in name else 0.0)
    with pytest.raises(ConfigError, match="gate that keeps"):
        set_forget_bias(nn.RNN(2, 3))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("lengths", "error", "rule"),
    [
        ([4, 0, 2], BoundsError, "a length is 0"),
        ([4, 8, 2], BoundsError, "a length is 8; texts are padded to 7"),
        ([4], ShapeError, r"lengths are \(1,\) for 3 texts"),
        ([4, 2, 1, 1], ShapeError, r"lengths are \(4,\) for 3 texts"),
    ],
)
def test_lengths_that_do_not_match(bidirectional, lengths, error, rule):
    """One length for three texts gave the answer to one text, in one direction."""
    tokens, _ = padded_batch()
    for model in (classifier("gru", bidirectional=bidirectional), tagger("gru")):
        with pytest.raises(error, match=rule):
            model(tokens, narae.tensor(lengths))
    with pytest.raises(IndexError if error is BoundsError else ShapeError):
        narae.compile(classifier("gru").forward)(tokens, narae.tensor(lengths))


def test_a_single_text_is_a_batch_of_one():
    with pytest.raises(ShapeError, match="a batch of one"):
        classifier("gru")(narae.tensor([1, 2, 3]))
    with pytest.raises(ConfigError, match="layers is 0"):
        classifier("gru", layers=0)


def test_a_kind_that_there_is_not():
    for model in (classifier, tagger):
        with pytest.raises(ConfigError, match="rnn, lstm, gru"):
            model("cnn")
