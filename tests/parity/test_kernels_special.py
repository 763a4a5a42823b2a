"""Special functions against PyTorch: values on a grid, poles, infinities and NaN."""

import numpy as np
import pytest

from narae.reference import special

torch = pytest.importorskip("torch")

GRID = np.concatenate([np.linspace(-6, 6, 481), [1e-30, 40.0, -40.0, 1e5, np.inf, np.nan]])
POSITIVE = np.concatenate([np.linspace(0.01, 30, 400), [1e-20, 1e10, 0.0, np.inf, np.nan]])
FINITE = GRID[np.isfinite(GRID)]  # PyTorch's i0 and i1 say NaN at infinity, where ours grow
UNIT = np.concatenate([np.linspace(0, 1, 301), [1e-12, 1 - 1e-12, 1.5, -0.5, np.nan]])

ROWS = [
    ("erf", torch.special.erf, GRID),
    ("erfc", torch.special.erfc, GRID),
    ("erfinv", torch.special.erfinv, 2 * UNIT - 1),
    ("ndtr", torch.special.ndtr, np.clip(GRID, -6, 6)),
    ("ndtri", torch.special.ndtri, UNIT),
    ("log_ndtr", torch.special.log_ndtr, GRID),
    ("lgamma", torch.special.gammaln, POSITIVE),
    ("lgamma", torch.special.gammaln, GRID),
    ("digamma", torch.special.digamma, POSITIVE),
    ("digamma", torch.special.digamma, np.linspace(-6, 6, 25)),
    ("trigamma", lambda x: torch.special.polygamma(1, x), POSITIVE),
    ("i0", torch.special.i0, FINITE),
    ("i0e", torch.special.i0e, GRID),
    ("i1", torch.special.i1, FINITE),
    ("i1e", torch.special.i1e, GRID),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "theirs", "x"), ROWS)
def test_equals_pytorch(name, theirs, x, dtype):
    """As close as the less precise of the two allows."""
    x = x.astype(dtype)
    got, right = getattr(special, name)(x), theirs(torch.from_numpy(x)).numpy()
    assert got.dtype == dtype
    loose = 1e-5 if dtype == np.float32 else 1e-12
    if name == "trigamma":
        loose = max(loose, 1e-9)  # PyTorch's own error: it ends its series early
    np.testing.assert_allclose(got, right, rtol=loose, atol=loose * 1e-2)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
def test_polygamma(order):
    """Derivatives of digamma."""
    x = np.linspace(0.1, 20, 100)
    right = torch.special.polygamma(order, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(special.polygamma(order, x), right, rtol=1e-9)
