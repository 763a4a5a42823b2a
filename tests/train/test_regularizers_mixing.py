"""Mixup and CutMix: how much is mixed, what with what, and what becomes of the loss."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn.functional as F
from narae.errors import ConfigError, DataError, ShapeError
from narae.tensors.beta import beta
from narae.train import Step
from narae.train.callbacks import CutMix, Mixup, MixupOrCutMix
from tests.train.regularizer_runs import make_trainer

SHAPES = [(0.2, 0.2), (1.0, 1.0), (0.5, 1.0), (1e-3, 1e-3), (0.4, 3.0), (2.0, 5.0), (30.0, 2.0)]


def draws(a, b, count=4000):
    narae.manual_seed(0)
    return np.array([beta(a, b, dtype=narae.float64).item() for _ in range(count)])


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_beta_has_the_moments_of_its_distribution(a, b):
    """H20: mean and variance of λ ~ Beta(a, b) to four standard errors, and its whole shape."""
    found = draws(a, b)
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(found.mean() - mean) < 4 * np.sqrt(variance / len(found))
    squares = (found - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(len(found)) + 1e-4
    stats = pytest.importorskip("scipy.stats")
    if a > 0.01:  # below, most draws round to 0 and 1
        assert stats.kstest(found, stats.beta(a, b).cdf).pvalue > 1e-3


def test_beta_like_numpys():
    """Quantiles equal those of NumPy's own draws."""
    theirs = np.random.default_rng(1).beta(0.3, 0.3, 20000)
    at = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(
        np.quantile(draws(0.3, 0.3, 8000), at), np.quantile(theirs, at), atol=0.03
    )


def test_beta_in_a_step_is_drawn_anew_for_each_call():
    """A compiled step gets another number each time: the ones that an eager step gets."""

    def step():
        return beta(0.5, 0.5) * 1

    narae.manual_seed(3)
    eager = [step().item() for _ in range(20)]
    compiled = narae.compile(step)
    narae.manual_seed(3)
    assert [compiled().item() for _ in range(20)] == eager
    assert len(set(eager)) == 20 and compiled.traces == 1


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, -1), (float("nan"), 1), (1, float("inf"))])
def test_beta_of_what_is_not_positive(a, b):
    with pytest.raises(ConfigError, match=r"\[beta\].*positive"):
        beta(a, b)


def stepped(callback, x, y, loss=F.cross_entropy, seed=1):
    """What a callback makes of a batch, for a model that gives back the sums of its input."""
    narae.manual_seed(seed)
    step = Step(None, loss, (x, y))
    callback.on_batch(step)
    step.out, step.target = step.batch[0].reshape(len(x), -1)[:, :3] * 1, y
    step.loss = step.plain_loss = loss(step.out, y)
    callback.on_loss(step)
    return step


def pictures(batch=5, channels=2, height=6, width=7):
    """Pictures whose pixels tell which of the batch they are of, and labels."""
    x = narae.arange(batch).float().reshape(-1, 1, 1, 1) + narae.zeros(
        batch, channels, height, width
    )
    return x, narae.arange(batch) % 3


@pytest.mark.parametrize("callback", [Mixup(0.4), CutMix(1.0), MixupOrCutMix(0.4, 1.0)])
@pytest.mark.parametrize("seed", range(6))
def test_inputs_and_losses_are_mixed_in_the_same_share(callback, seed):
    """H20: with λ = share, the input is λ x + (1 - λ) x[order] in the mean over pixels, and the
    loss λ L(y) + (1 - λ) L(y[order]); the loss that is shown is L(y)."""
    x, y = pictures()
    step = stepped(callback, x, y, seed=seed)
    order, share = step.notes["mixing"]
    assert sorted(order.tolist()) == list(range(5)) and 0 <= share.item() <= 1
    expected = share.item() * np.arange(5) + (1 - share.item()) * np.array(order.tolist())
    np.testing.assert_allclose(np.asarray(step.batch[0]).mean(axis=(1, 2, 3)), expected, rtol=1e-5)
    own, other = F.cross_entropy(step.out, y), F.cross_entropy(step.out, y[order])
    expected = share.item() * own.item() + (1 - share.item()) * other.item()
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.plain_loss.item() == own.item()


def test_the_mixed_loss_is_the_cross_entropy_of_mixed_labels():
    """H20: Zhang 2017, eq. 1: the same as PyTorch's loss of λ one_hot(y) + (1 - λ) one_hot(y')."""
    torch = pytest.importorskip("torch")
    x, y = pictures()
    step = stepped(Mixup(1.0), x, y)
    order, share = step.notes["mixing"]
    labels = torch.nn.functional.one_hot(torch.tensor(y.tolist()), 3).float()
    mixed = share.item() * labels + (1 - share.item()) * labels[order.tolist()]
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(np.array(step.out)), mixed)
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_shares_of_mixup_are_of_the_larger_part():
    """H20: share = max(λ, 1 - λ) with λ ~ Beta(α, α): its mean by NumPy's draws of λ."""
    x = narae.zeros(1, 1)
    narae.manual_seed(0)
    mine = np.array([Mixup(0.4).mix(x, x)[1].item() for _ in range(1500)])
    theirs = np.random.default_rng(0).beta(0.4, 0.4, 20000)
    theirs = np.maximum(theirs, 1 - theirs)
    assert mine.min() >= 0.5
    assert abs(mine.mean() - theirs.mean()) < 4 * theirs.std() / np.sqrt(len(mine))


def test_mixup_of_a_regression():
    """With a squared error each output is pulled to both targets, by their shares."""
    x, _ = pictures()
    step = stepped(Mixup(1.0), x, narae.randn(5, 3), loss=F.mse_loss)
    order, share = step.notes["mixing"]
    two = F.mse_loss(step.out, step.target[order]).item()
    expected = share.item() * step.plain_loss.item() + (1 - share.item()) * two
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)


def test_cutmix_cuts_one_box():
    """Yun 2019: all that comes from the other picture is one box; the share is what remains."""
    shares = []
    for seed in range(200):
        x, y = pictures(height=9, width=12)
        step = stepped(CutMix(1.0), x, y, seed=seed)
        order, share = step.notes["mixing"]
        row = next((i for i in range(5) if order[i].item() != i), None)
        if row is None:
            continue
        changed = np.asarray(step.batch[0])[row, 0] == order[row].item()
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        assert np.array_equal(changed, rows[:, None] & columns)
        assert np.all(np.abs(np.diff(rows.astype(int))).sum() <= 2)
        assert share.item() == pytest.approx(1 - changed.mean(), abs=1e-6)
        shares.append(share.item())
    assert min(shares) < 0.3 and max(shares) > 0.9


def test_cutmix_draws_boxes_as_the_paper_does():
    """The mean share equals that of the algorithm in Yun 2019, written with NumPy."""
    height, width, count = 16, 20, 4000
    numbers = np.random.default_rng(0)
    side = np.sqrt(1 - numbers.beta(1.0, 1.0, count))
    sizes = (width * side).astype(int), (height * side).astype(int)
    middles = numbers.integers(width, size=count), numbers.integers(height, size=count)
    spans = [
        np.clip(middle + size // 2, 0, full) - np.clip(middle - size // 2, 0, full)
        for middle, size, full in zip(middles, sizes, (width, height), strict=True)
    ]
    theirs = 1 - spans[0] * spans[1] / (width * height)

    narae.manual_seed(0)
    cut, x = CutMix(1.0), narae.zeros(1, 1, height, width)
    mine = np.array([cut.mix(x, x)[1].item() for _ in range(1500)])
    assert abs(mine.mean() - theirs.mean()) < 4 * theirs.std() / np.sqrt(len(mine))
    np.testing.assert_allclose(
        np.quantile(mine, [0.25, 0.5, 0.75]), np.quantile(theirs, [0.25, 0.5, 0.75]), atol=0.05
    )


def test_either_is_drawn_for_each_batch():
    """H20: about half of the batches are mixed by straight lines, the others by boxes."""
    lines = 0
    for seed in range(60):
        x, y = pictures()
        mixed = np.asarray(stepped(MixupOrCutMix(1.0, 1.0), x, y, seed=seed).batch[0])
        lines += bool((mixed % 1 != 0).any())
    assert 15 < lines < 45


@pytest.mark.parametrize("made", [Mixup, CutMix])
@pytest.mark.parametrize("alpha", [0, -1, float("inf"), float("nan")])
def test_alpha_is_positive(made, alpha):
    with pytest.raises(ConfigError, match=r"alpha is .* positive"):
        made(alpha)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((narae.zeros(3, 2),), r"a batch is \(float32 \(3, 2\)\)"),
        ((narae.zeros(3, 2), narae.zeros(3, 2), narae.zeros(3)), r"takes \(x, target\)"),
        ((narae.zeros(3, 2).long(), narae.zeros(3).long()), r"int64 \(3, 2\).*floating point"),
        (({"x": narae.zeros(3)}, narae.zeros(3)), r"a batch is \(dict, "),
    ],
)
def test_what_cannot_be_mixed(batch, words):
    """A batch that is no (x, target) of numbers is refused in words, not by a crash."""
    with pytest.raises(DataError, match=rf"\[Mixup\] .*{words}"):
        Mixup(0.2).on_batch(Step(None, F.cross_entropy, batch))


def test_cutmix_needs_pictures():
    with pytest.raises(ShapeError, match=r"x is \(3, 4\).*pictures.*mixup"):
        CutMix(1.0).on_batch(Step(None, None, (narae.zeros(3, 4), narae.zeros(3).long())))


def test_targets_have_a_row_for_each_sample():
    """A target that is a dict, or of another length, cannot be mixed."""
    step = Step(None, F.cross_entropy, (narae.zeros(4, 2), narae.zeros(4).long()))
    Mixup(0.2).on_batch(step)
    for target in ({"boxes": 1}, narae.zeros(7)):
        step.target = target
        with pytest.raises(DataError, match=r"the target is .* for a batch of 4"):
            Mixup(0.2).on_loss(step)


def test_an_error_in_a_compiled_run_names_the_callback():
    """The message is the same where the step is compiled."""
    x = narae.zeros(22, 6).long()
    trainer = make_trainer(lambda model: [Mixup(0.2)], data=(x, narae.zeros(22).long()))
    with pytest.raises(DataError, match=r"\[Mixup\] a batch is \(int64"):
        trainer.fit()


@pytest.mark.parametrize(
    ("one", "two"),
    [(Mixup(0.2), CutMix(1.0)), (Mixup(0.2), Mixup(0.4)), (CutMix(1.0), MixupOrCutMix(0.2, 1.0))],
)
def test_two_ways_of_mixing_are_refused(one, two):
    """The second would mix losses that the first has mixed, by its own order and share only."""
    trainer = make_trainer(lambda model: [one, two], epochs=1)
    with pytest.raises(ConfigError, match=r"too; there is one way.*MixupOrCutMix\(mixup, cutmix\)"):
        trainer.fit()
    assert trainer.updates == 0
