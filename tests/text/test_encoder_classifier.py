"""The Transformer's encoder as a classifier: padding, ids that are out of range, learning."""

import numpy as np
import pytest

import narae
from narae import nn, optim
from narae.base.errors import BoundsError, ShapeError
from narae.text import pad
from narae.text.models.encoder_classifier import EncoderClassifier

TEXTS = [[4, 5, 6, 7], [8, 9], [3]]


def classifier(**options):
    narae.manual_seed(0)
    return EncoderClassifier(11, 3, 16, 2, 2, 32, length=8, **options).eval()


@pytest.mark.parametrize("pad_id", [0, 2])
def test_each_text_of_a_padded_batch_has_the_scores_that_it_has_alone(pad_id):
    model = classifier(pad_id=pad_id)
    with narae.no_grad():
        together = model(pad(TEXTS, pad_id, length=8)).numpy()
        for scores, text in zip(together, TEXTS, strict=True):
            np.testing.assert_allclose(scores, model(narae.tensor([text])).numpy()[0], atol=1e-5)


def test_a_row_of_padding_alone_disturbs_no_other():
    model = classifier()
    tokens = narae.tensor([[4, 5], [0, 0]])
    scores = model(tokens)
    assert np.isfinite(scores.detach().numpy()).all()
    scores.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in model.parameters())
    with narae.no_grad():
        alone = model(tokens[:1]).numpy()
    np.testing.assert_allclose(scores.detach().numpy()[:1], alone, atol=1e-6)


def test_it_learns_what_stands_anywhere_in_a_text():
    """Whether the token 3 is in the text; the class is not that of any one position."""
    random = np.random.default_rng(0)
    texts = [random.integers(4, 11, random.integers(2, 9)).tolist() for _ in range(64)]
    for text in texts[::2]:
        text[random.integers(len(text))] = 3
    ids, labels = pad(texts, length=8), narae.tensor([1, 0] * 32)
    model = classifier(dropout=0.0)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    def step(ids, labels):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(ids), labels)
        loss.backward()
        optimizer.step()
        return loss

    run = narae.compile(step)
    first, *_, last = (run(ids, labels).item() for _ in range(30))
    assert first > 0.6 and last < 0.1


def test_tokens_that_are_refused():
    model = classifier()
    for shape in ((3,), (2, 0), (1, 2, 3)):
        with pytest.raises(ShapeError, match="a batch of one"):
            model(narae.zeros(*shape, dtype=narae.int64))
    with pytest.raises(BoundsError, match="9 tokens"):
        model(narae.ones(1, 9, dtype=narae.int64))
    with pytest.raises(BoundsError, match="11 rows"):
        model(narae.tensor([[11]]))
