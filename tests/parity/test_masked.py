"""`narae.masked`: PyTorch's samples are in test_opinfo.py; here what they leave out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import narae  # noqa: E402
from narae.testing import to_narae  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

REDUCTIONS = ("amax", "amin", "logsumexp", "mean", "norm", "prod", "std", "sum", "var")
RUNNING = ("cumprod", "cumsum", "log_softmax", "softmax", "softmin")
SHAPE = (3, 4)


def both(seed, dtype=torch.float64):
    """An input and a mask of which the first row is False everywhere."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SHAPE, generator=generator, dtype=torch.float64).to(dtype)
    mask = torch.rand(SHAPE, generator=generator) > 0.4
    mask[0] = False
    return x, mask


def close(found, wanted):
    np.testing.assert_allclose(
        found.detach().numpy(), wanted.detach().numpy(), rtol=1e-12, atol=1e-12
    )
    assert str(found.dtype).rpartition(".")[2] == str(wanted.dtype).rpartition(".")[2]


@pytest.mark.parametrize("name", REDUCTIONS)
@given(seed=st.integers(0, 1000), dim=st.sampled_from([None, 0, 1, (0, 1)]), keepdim=st.booleans())
@settings(max_examples=15)
def test_reductions_and_gradients(name, seed, dim, keepdim):
    x, mask = both(seed)
    arguments = {"dim": dim, "keepdim": keepdim}
    theirs = x.clone().requires_grad_()
    mine = to_narae(x).requires_grad_()
    wanted = getattr(torch.masked, name)(theirs, mask=mask, **arguments)
    found = getattr(narae.masked, name)(mine, mask=to_narae(mask), **arguments)
    close(found, wanted)
    finite = torch.isfinite(wanted).double()
    (wanted_grad,) = torch.autograd.grad(wanted, theirs, finite)
    (found_grad,) = narae.autograd.grad(found, mine, to_narae(finite))
    # Where nothing is left, std divides 0 by 0: PyTorch's gradient is NaN there as well.
    close(found_grad, wanted_grad)


@pytest.mark.parametrize("name", RUNNING)
@given(seed=st.integers(0, 1000), dim=st.sampled_from([0, 1, -1]))
@settings(max_examples=10)
def test_results_of_the_inputs_shape(name, seed, dim):
    x, mask = both(seed)
    wanted = getattr(torch.masked, name)(x, dim, mask=mask)
    close(getattr(narae.masked, name)(to_narae(x), dim, mask=to_narae(mask)), wanted)


def test_fully_masked_rows_give_the_identity():
    x, mask = both(0)
    mine, kept = to_narae(x), to_narae(mask)
    for name, identity in (("sum", 0.0), ("prod", 1.0), ("amax", -np.inf), ("amin", np.inf),
                           ("norm", 0.0), ("logsumexp", -np.inf)):  # fmt: skip
        assert getattr(narae.masked, name)(mine, dim=1, mask=kept)[0].item() == identity
    assert np.isnan(narae.masked.mean(mine, 1, mask=kept)[0].item())
    integers = narae.masked.amax(mine.long(), 1, mask=kept)
    assert integers[0].item() == -(2**63)


def test_the_mask_broadcasts_but_has_no_more_dimensions_than_the_input():
    x, _ = both(1)
    row = torch.tensor([True, False, True, True])
    wanted = torch.masked.sum(x, 1, mask=row)
    close(narae.masked.sum(to_narae(x), 1, mask=to_narae(row)), wanted)
    with pytest.raises(IndexError, match="dimensionality"):
        narae.masked.sum(narae.ones(3), mask=narae.ones(2, 3, dtype=narae.bool))
    with pytest.raises(RuntimeError, match="appears multiple times"):
        narae.masked.sum(narae.ones(2, 3), (0, 0))
    with pytest.raises(IndexError):
        narae.masked.sum(narae.ones(2, 3), 2)


def test_means_of_integers_and_medians_of_nothing_are_refused():
    with pytest.raises(ValueError, match="float"):
        narae.masked.mean(narae.ones(3, dtype=narae.int64))
    none = narae.zeros(3, dtype=narae.bool)
    with pytest.raises(ValueError, match="masked out"):
        narae.masked.median(narae.ones(3, dtype=narae.int64), mask=none)
    with pytest.raises(ValueError, match="correction"):
        narae.masked.var(narae.ones(3), unbiased=True, correction=1)
    found = narae.masked.median(narae.tensor([5, 1, 3]), mask=narae.tensor([True, False, True]))
    assert found.item() == 3


def test_masked_reductions_compile():
    x, mask = both(3, torch.float32)

    @narae.compile
    def step(x, mask):
        return narae.masked.softmax(x, 1, mask=mask), narae.masked.var(x, 1, mask=mask)

    mine, kept = to_narae(x), to_narae(mask)
    for found, wanted in zip(step(mine, kept), step.__wrapped__(mine, kept), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())
