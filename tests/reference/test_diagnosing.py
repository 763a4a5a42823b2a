"""What went wrong is said where it went wrong: at the call, with the fix.

Each program here is a mistake that beginners make; the message must name the place and the way out.
"""

import pathlib
import warnings

import pytest

import narae
from narae import nn
from narae.nn import functional as F

LABELS = narae.tensor([0, 1, 2, 3, 0])


def scores():
    return narae.randn(5, 4, requires_grad=True)


def warned(function):
    """The messages of all warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught]


# ----------------------------------------------------------------------- probabilities as scores
def through_view():
    return F.cross_entropy(F.softmax(scores(), 1).view(5, 2, 2).reshape(5, 4), LABELS)


TWICE = {
    "softmax": lambda: F.cross_entropy(F.softmax(scores(), 1), LABELS),
    "softmax through a view": through_view,
    "sigmoid": lambda: F.cross_entropy(narae.sigmoid(scores()), LABELS),
    "softmax for nll": lambda: F.nll_loss(scores().softmax(1), LABELS),
    "sigmoid twice": lambda: F.binary_cross_entropy_with_logits(
        scores().sigmoid(), narae.ones(5, 4)
    ),
    "module": lambda: nn.CrossEntropyLoss()(nn.Softmax(dim=1)(scores()), LABELS),
}


@pytest.mark.parametrize("name", TWICE)
def test_probabilities_given_to_a_loss_of_scores_are_told(name):
    (message,) = warned(TWICE[name])
    assert "is the result of " in message
    assert "Fix: " in message


RIGHT = {
    "scores": lambda: F.cross_entropy(scores(), LABELS),
    "log_softmax is harmless": lambda: F.cross_entropy(F.log_softmax(scores(), 1), LABELS),
    "nll of log_softmax": lambda: F.nll_loss(F.log_softmax(scores(), 1), LABELS),
    "softmax inside": lambda: F.cross_entropy(F.softmax(scores(), 1) @ narae.eye(4), LABELS),
    "bce of sigmoid": lambda: F.binary_cross_entropy(scores().sigmoid(), narae.ones(5, 4)),
    "leaf": lambda: F.cross_entropy(scores().view(5, 4), LABELS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_are_not_warned_of(name):
    assert warned(RIGHT[name]) == []


def test_a_compiled_step_is_told():
    model = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1))

    @narae.compile
    def step(x):
        loss = F.cross_entropy(model(x), LABELS)
        loss.backward()
        return loss

    messages = warned(lambda: step(narae.ones(5, 3)))
    assert any("is the result of softmax" in message for message in messages)


def test_the_warning_points_at_the_line_of_the_user():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        F.cross_entropy(F.softmax(scores(), 1), LABELS)
    assert pathlib.Path(caught[0].filename).name == pathlib.Path(__file__).name


# ----------------------------------------------------------------------------------- broadcasting
@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_loss_that_broadcasts_is_told_with_the_call_that_mends_it(loss):
    prediction, target = narae.randn(4, 1), narae.randn(4)
    (message,) = warned(lambda: loss(prediction, target))
    assert "every element of [4, 4] is compared" in message
    assert "input.squeeze(1)" in message
    assert warned(lambda: loss(prediction.squeeze(1), target)) == []


# ------------------------------------------------------------------------------- shapes of layers
class CNN(nn.Module):
    """Two blocks and a head of the wrong size."""

    def __init__(self, channels=1, features=64 * 7 * 6):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2))
        self.fc = nn.Linear(features, 10)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        return self.fc(out.view(out.size(0), -1))


def told(error):
    return " ".join([str(error), *getattr(error, "__notes__", ())])


def test_the_layer_and_the_number_of_features_are_named():
    with pytest.raises(RuntimeError) as caught:
        CNN()(narae.zeros(2, 1, 28, 28))
    assert "in_features should be 3136" in told(caught.value)
    assert "[in fc (Linear)]" in told(caught.value)
    assert CNN(features=3136)(narae.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_number_of_channels_is_named():
    with pytest.raises(RuntimeError) as caught:
        CNN()(narae.zeros(2, 3, 28, 28))
    assert "in_channels should be 3" in told(caught.value)
    assert "[in layer1.0 (Conv2d)]" in told(caught.value)


def test_a_missing_flatten_is_named():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4 * 26 * 26, 10))
    with pytest.raises(RuntimeError) as caught:
        model(narae.zeros(2, 1, 28, 28))
    assert "x.flatten(1) is (2, 2704)" in told(caught.value)


# ------------------------------------------------------------------------------------- in place
def test_a_value_changed_before_backward_names_both_lines():
    x = narae.randn(3, requires_grad=True)
    y = x.exp()  # recorded here
    y += 1  # written here
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    lines = pathlib.Path(__file__).read_text(encoding="utf8").splitlines()
    recorded = 1 + next(i for i, line in enumerate(lines) if line.endswith("# recorded here"))
    written = 1 + next(i for i, line in enumerate(lines) if line.endswith("# written here"))
    assert f"test_diagnosing.py:{recorded}" in str(caught.value)
    assert f"test_diagnosing.py:{written}" in str(caught.value)


# -------------------------------------------------------------------------------------- loading
def test_samples_of_unequal_shape_are_named_with_their_indices():
    samples = [narae.zeros(3), narae.zeros(3), narae.zeros(4)]
    with pytest.raises(ValueError) as caught:
        list(narae.data.DataLoader(samples, batch_size=3, sampler=[1, 0, 2]))
    message = told(caught.value)
    assert "is (3,), sample 2 is (4,)" in message
    assert "the samples 1, 0, 2" in message
