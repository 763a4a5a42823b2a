"""Special functions, windows and shifts against PyTorch where its own samples do not reach."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
mp = pytest.importorskip("mpmath")

import narae  # noqa: E402
from narae.testing import assert_agrees  # noqa: E402
from tests.parity import opinfo  # noqa: E402

INF, NAN = float("inf"), float("nan")
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 30.0, -30.0, INF, -INF, NAN]


def public(module):
    found = (name for name in dir(module) if not name.startswith("_"))
    return {name for name in found if callable(getattr(module, name)) and name != "Tensor"}


def test_every_name_is_there():
    """All functions of torch.special and torch.signal.windows, and no other."""
    assert set(narae.special.__all__) == public(torch.special)
    assert set(narae.signal.windows.__all__) == public(torch.signal.windows)


ALIASES = ["digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "log1p",
           "logit", "psi", "round", "sinc"]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("name", ALIASES)
def test_other_names_mean_the_same(name, dtype):
    """Functions of one operand that PyTorch's samples know under another name."""
    if name == "round" and not dtype.startswith("float"):
        pytest.skip("torch.special.round takes floating point numbers only")
    x = torch.tensor([[0.3, 0.9, -0.4], [0.1, 0.0, 1.0]]).to(getattr(torch, dtype))
    wanted = getattr(torch.special, name)(x)
    assert_agrees(getattr(narae.special, name)(narae.tensor(x.numpy())), wanted)


def test_functions_with_more_arguments():
    """softmax, log_softmax, logsumexp, xlogy, multigammaln, polygamma, gammainc, gammaincc."""
    x = torch.linspace(1.2, 4, 12).reshape(3, 4)
    mine = narae.tensor(x.numpy())
    for name in ("softmax", "log_softmax"):
        ours, theirs = getattr(narae.special, name), getattr(torch.special, name)
        assert_agrees(ours(mine, 1, dtype=narae.float64), theirs(x, 1, dtype=torch.float64), name)
    for name, arguments in {
        "logsumexp": ((0, 1), True),
        "multigammaln": (2,),
        "logit": (0.1,),
    }.items():
        ours, theirs = getattr(narae.special, name), getattr(torch.special, name)
        assert_agrees(ours(mine, *arguments), theirs(x, *arguments), name)
    assert_agrees(narae.special.polygamma(2, mine), torch.special.polygamma(2, x))
    for name in ("gammainc", "gammaincc", "xlogy", "zeta", "xlog1py"):
        ours, theirs = getattr(narae.special, name), getattr(torch.special, name)
        assert_agrees(ours(mine, mine.flip(0)), theirs(x, x.flip(0)), name)
    for name in ("xlogy", "zeta", "xlog1py", "hermite_polynomial_h", "chebyshev_polynomial_u"):
        ours, theirs = getattr(narae.special, name), getattr(torch.special, name)
        assert_agrees(ours(mine, 3), theirs(x, 3), name)
        assert_agrees(ours(3, mine), theirs(3, x), name)


# Where PyTorch has another value: at infinity Narae's is the limit, and NaN stays NaN.
LIMITS = {
    "airy_ai": (INF,),
    "i0": (INF, -INF),
    "i1": (INF, -INF),
    "modified_bessel_i0": (INF, -INF),
    "modified_bessel_i1": (INF, -INF),
    "log_ndtr": (),
}
OF_ONE = ["airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "entr", "erfcx", "i0",
          "i0e", "i1", "i1e", "log_ndtr", "modified_bessel_i0", "modified_bessel_i1",
          "modified_bessel_k0", "modified_bessel_k1", "ndtr", "ndtri", "scaled_modified_bessel_k0",
          "scaled_modified_bessel_k1", "spherical_bessel_j0"]  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE)
def test_edges_of_functions_of_one(name):
    """Zeros, poles, infinities, NaN."""
    edges = [x for x in EDGES if x not in LIMITS.get(name, ())]
    if name == "airy_ai":
        edges.remove(-30.0)  # its own error there is 1e-13 of a small number
    x = torch.tensor(edges)
    mine = getattr(narae.special, name)(narae.tensor(edges))
    assert_agrees(mine, getattr(torch.special, name)(x), name)


POLYNOMIALS = sorted(name for name in narae.special.__all__ if "_polynomial_" in name)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials_of_every_degree(name):
    """Degrees from below zero to 12 inside and outside [-1, 1], its ends included."""
    x = torch.tensor([-2.0, -1.0, -0.7, 0.0, 0.3, 0.5, 1.0, 1.5], dtype=torch.float64)
    n = torch.arange(-2, 13, dtype=torch.float64)[:, None]
    mine = getattr(narae.special, name)(narae.tensor(x.numpy()), narae.tensor(n.numpy()))
    assert_agrees(mine, getattr(torch.special, name)(x, n), name)


PAIRS = ["gammainc", "gammaincc", "xlog1py", "zeta"]


@pytest.mark.parametrize("name", PAIRS)
def test_edges_of_functions_of_two(name):
    """All pairs of edges but these: PyTorch's incomplete gamma functions of NaN are 0 or 1, and
    its zeta function has infinite poles for a NaN, and NaN for the limit of an infinite operand.
    """
    left_out = {"gammainc": [NAN], "gammaincc": [NAN], "zeta": [INF, NAN]}.get(name, [])
    edges = [x for x in EDGES if not any(x is value for value in left_out)]
    x, y = torch.meshgrid(torch.tensor(edges), torch.tensor(edges), indexing="ij")
    mine = getattr(narae.special, name)(narae.tensor(x.numpy()), narae.tensor(y.numpy()))
    assert_agrees(mine, getattr(torch.special, name)(x, y), name)


WRONG = {
    "airy_ai": (mp.airyai, (-4, -2.1)),
    "bessel_j0": (lambda x: mp.besselj(0, x), (4, 12)),
    "bessel_j1": (lambda x: mp.besselj(1, x), (4, 12)),
    "bessel_y0": (lambda x: mp.bessely(0, x), (4, 12)),
    "bessel_y1": (lambda x: mp.bessely(1, x), (4, 12)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_pytorch_computes_imprecisely_is_right_here(name):
    """Against 30-digit arithmetic Narae is right to 1e-13, and PyTorch is not to 1e-9."""
    truth, ends = WRONG[name]
    x = np.linspace(*ends, 200)
    with mp.workdps(30):
        right = np.array([float(truth(mp.mpf(v))) for v in x.tolist()])
    mine = getattr(narae.special, name)(narae.tensor(x)).numpy()
    theirs = getattr(torch.special, name)(torch.from_numpy(x)).numpy()
    assert np.abs(mine - right).max() < 1e-13
    assert np.abs(theirs - right).max() > 1e-9
    assert opinfo.IMPRECISE.fullmatch("special." + name)


# --- windows and frequencies -----------------------------------------------------------------

TOP_LEVEL = ["bartlett_window", "blackman_window", "hamming_window", "hann_window",
             "kaiser_window"]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", TOP_LEVEL)
def test_windows_at_the_top_level(name, periodic, dtype):
    """Lengths from 0, with PyTorch's defaults and positions of arguments."""
    ours, theirs = getattr(narae, name), getattr(torch, name)
    for length in (0, 1, 2, 7, 40):
        wanted = theirs(length, periodic, dtype=getattr(torch, dtype))
        assert_agrees(ours(length, periodic, dtype=getattr(narae, dtype)), wanted, name)
    assert_agrees(ours(9), theirs(9), name)


def test_parameters_of_windows_at_the_top_level():
    """hamming_window's weights and kaiser_window's beta, by position and by name."""
    assert_agrees(narae.hamming_window(6, True, 0.6, 0.4), torch.hamming_window(6, True, 0.6, 0.4))
    for beta in (0.0, 5.0, 30.0):
        mine = narae.kaiser_window(9, False, beta=beta)
        assert_agrees(mine, torch.kaiser_window(9, False, beta=beta))
    for window in TOP_LEVEL:
        with pytest.raises(RuntimeError) as theirs:
            getattr(torch, window)(-2)
        with pytest.raises(RuntimeError) as ours:
            getattr(narae, window)(-2)
        assert "window_length" in str(theirs.value)
        assert "window_length" in str(ours.value)


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies(name):
    """Sizes, spacings, dtypes, out=."""
    ours, theirs = getattr(narae.fft, name), getattr(torch.fft, name)
    for n in (1, 4, 7):
        assert_agrees(ours(n), theirs(n))
        assert_agrees(ours(n, 0.25, dtype=narae.float64), theirs(n, 0.25, dtype=torch.float64))
        out = narae.empty(0)
        assert ours(n, out=out) is out
        assert_agrees(out, theirs(n))


# --- the parts of numbers --------------------------------------------------------------------


def test_frexp_has_named_results_and_out():
    """Fields, dtypes, out= and the gradient of the mantissa."""
    x = torch.tensor([1.0, -6.5, 0.0, 1e-40, INF], requires_grad=True)
    mine = narae.tensor(x.detach().numpy(), requires_grad=True)
    wanted, found = torch.frexp(x), narae.frexp(mine)
    assert_agrees(found.mantissa, wanted.mantissa.detach())
    assert_agrees(found.exponent, wanted.exponent)
    wanted.mantissa.sum().backward()
    found.mantissa.sum().backward()
    assert_agrees(mine.grad, x.grad)
    out = narae.empty(5), narae.empty(5, dtype=narae.int32)
    narae.frexp(mine.detach(), out=out)
    assert_agrees(out[0], wanted.mantissa.detach())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_divisors_at_the_ends_of_dtypes(dtype):
    """Zeros, signs, the smallest and largest numbers, two dtypes at once, in place."""
    info = torch.iinfo(getattr(torch, dtype))
    values = [0, 1, 6, 4, info.max, info.min, info.min + 1]
    x = torch.tensor(values, dtype=getattr(torch, dtype))
    y = torch.tensor([4, 0, -9, 6, 10, 3, 8])
    mine, other = narae.tensor(x.numpy()), narae.tensor(y.numpy())
    for name in ("gcd", "lcm"):
        few = slice(None) if name == "gcd" else slice(4)  # where no multiple overflows
        one, two = mine[few], x[few]
        assert_agrees(
            getattr(narae, name)(one, one.flip(0)), getattr(torch, name)(two, two.flip(0))
        )
        assert_agrees(getattr(narae, name)(one, other[few]), getattr(torch, name)(two, y[few]))
    positive = narae.tensor(x[:5].numpy())
    assert_agrees(positive.gcd_(narae.tensor(6)), x[:5].clone().gcd_(torch.tensor(6)))
