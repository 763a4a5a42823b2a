"""Special functions against 40-digit arithmetic, and what their functions accept and refuse."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae.reference import special, special_bessel, special_incomplete, special_zeta
from narae.reference.special_polynomials import HIGH, orthogonal_polynomial

mp = pytest.importorskip("mpmath")
COUNT = 50
INF, NAN = np.inf, np.nan


def truths(function, *operands):
    with mp.workdps(40):
        rows = zip(*(x.tolist() for x in operands), strict=True)
        return np.array([float(function(*(mp.mpf(v) for v in row))) for row in rows])


# --- functions of one number -----------------------------------------------------------------


def scaled(order):
    return lambda x: mp.besselk(order, x) * mp.exp(x)


# function, truth, range, error allowed: relative, and relative to the largest in the range
ROWS = [
    ("erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), (-26, 1.25), 2e-15, 0),
    ("erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), (1.25, 1e4), 1e-15, 0),
    ("bessel_j0", lambda x: mp.besselj(0, x), (-8, 8), 0, 3e-15),
    ("bessel_j0", lambda x: mp.besselj(0, x), (8, 500), 0, 2e-15),
    ("bessel_j1", lambda x: mp.besselj(1, x), (-8, 8), 0, 3e-15),
    ("bessel_j1", lambda x: mp.besselj(1, x), (-1e-8, 1e-8), 1e-15, 0),
    ("bessel_j1", lambda x: mp.besselj(1, x), (-500, -8), 0, 2e-15),
    ("bessel_y0", lambda x: mp.bessely(0, x), (0, 8), 0, 3e-15),
    ("bessel_y0", lambda x: mp.bessely(0, x), (8, 500), 0, 2e-15),
    ("bessel_y1", lambda x: mp.bessely(1, x), (0.1, 8), 0, 3e-15),
    ("bessel_y1", lambda x: mp.bessely(1, x), (0, 0.1), 2e-15, 0),
    ("bessel_y1", lambda x: mp.bessely(1, x), (8, 500), 0, 2e-15),
    ("bessel_k0", lambda x: mp.besselk(0, x), (0, 2), 2e-15, 0),
    ("bessel_k0", lambda x: mp.besselk(0, x), (2, 700), 2e-15, 0),
    ("bessel_k1", lambda x: mp.besselk(1, x), (0, 2), 2e-15, 0),
    ("bessel_k1", lambda x: mp.besselk(1, x), (2, 700), 2e-15, 0),
    ("scaled_bessel_k0", scaled(0), (0, 2), 2e-15, 0),
    ("scaled_bessel_k0", scaled(0), (2, 1e4), 2e-15, 0),
    ("scaled_bessel_k1", scaled(1), (0, 2), 2e-15, 0),
    ("scaled_bessel_k1", scaled(1), (2, 1e4), 2e-15, 0),
    ("airy_ai", mp.airyai, (-60, -6), 0, 5e-14),
    ("airy_ai", mp.airyai, (-6, 2), 0, 1e-15),
    ("airy_ai", mp.airyai, (2, 10), 1e-14, 0),
    ("airy_ai", mp.airyai, (10, 100), 3e-13, 0),
]


def kernel(name):
    return getattr(special_bessel, name, None) or getattr(special, name)


@pytest.mark.parametrize(("name", "truth", "ends", "relative", "absolute"), ROWS)
def test_float64(name, truth, ends, relative, absolute):
    """Within the stated error; the waving functions to that of their largest value."""
    x = np.random.default_rng(0).uniform(*ends, COUNT)
    wanted = truths(truth, x)
    limit = absolute * np.abs(wanted).max()
    np.testing.assert_allclose(kernel(name)(x), wanted, rtol=relative, atol=limit)


@pytest.mark.parametrize(("name", "truth", "ends", "relative", "absolute"), ROWS)
def test_float32_is_rounded_once(name, truth, ends, relative, absolute):
    """The float32 result is the float64 one, rounded."""
    x = np.random.default_rng(0).uniform(*ends, COUNT).astype(np.float32)
    out = kernel(name)(x)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, kernel(name)(x.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("erfcx", [0, INF, -INF, NAN, -30, 1e300], [1, 0, INF, NAN, INF, 5.641895835477563e-301]),
        ("bessel_j0", [0, NAN, INF], [1, NAN, NAN]),
        ("bessel_j1", [0, -0.0, NAN], [0, 0, NAN]),
        ("bessel_y0", [0, -1, NAN], [-INF, NAN, NAN]),
        ("bessel_y1", [0, -1, NAN], [-INF, NAN, NAN]),
        ("bessel_k0", [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
        ("bessel_k1", [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
        ("scaled_bessel_k0", [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
        ("scaled_bessel_k1", [0, -1, INF, NAN], [INF, NAN, 0, NAN]),
        ("airy_ai", [INF, NAN], [0, NAN]),
    ],
)
def test_special_values(name, x, expected):
    """Zeros, poles, infinities and NaN; no warnings."""
    with np.errstate(all="raise"):
        out = kernel(name)(np.array(x, float))
    np.testing.assert_allclose(out, np.array(expected, float), rtol=2e-16)


@pytest.mark.parametrize("place", [8.0, -8.0, 2.0, -6.0])
@pytest.mark.parametrize("name", ["bessel_j0", "bessel_j1", "airy_ai"])
def test_formulas_meet(name, place):
    """Where one formula takes over from another, there is no step."""
    x = np.array([np.nextafter(place, -INF), place, np.nextafter(place, INF)])
    assert np.ptp(kernel(name)(x)) < 3e-15


# --- incomplete gamma, zeta ------------------------------------------------------------------


def lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


# orders and their upper limits
REGIONS = {
    "both below one": lambda r: (r.uniform(0, 1, COUNT), r.uniform(0, 1.2, COUNT)),
    "tiny order": lambda r: (10 ** r.uniform(-8, 0, COUNT), 10 ** r.uniform(-6, 1, COUNT)),
    "around": lambda r: (a := r.uniform(1, 20, COUNT), a * r.uniform(0.2, 3, COUNT)),
    "large": lambda r: (a := r.uniform(10, 300, COUNT), a * r.uniform(0.4, 1.8, COUNT)),
    "temme": lambda r: (a := 10 ** r.uniform(2.1, 6, 40), a + np.sqrt(a) * r.normal(0, 2, 40)),
}


@pytest.mark.parametrize("region", REGIONS)
def test_incomplete_gamma(region):
    """Both functions to 2e-14 of 1, and relatively to 1e-12 where they are not tiny."""
    a, x = REGIONS[region](np.random.default_rng(3))
    for function, truth in (
        (special_incomplete.igamma, lower),
        (special_incomplete.igammac, upper),
    ):
        found, wanted = function(a, x), truths(truth, a, x)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
        seen = wanted > 1e-5
        np.testing.assert_allclose(found[seen], wanted[seen], rtol=1e-12)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
@settings(max_examples=150, deadline=None)
def test_lower_and_upper_make_one(a, x):
    """P + Q = 1, wherever they are defined; both lie between 0 and 1."""
    p, q = (float(f(np.array(a), np.array(x))) for f in (
        special_incomplete.igamma, special_incomplete.igammac,
    ))  # fmt: skip
    if a == 0 and x == 0:
        assert math.isnan(p)
        assert math.isnan(q)
        return
    assert p + q == pytest.approx(1, abs=1e-13)
    assert -1e-15 < p < 1 + 1e-13
    assert -1e-15 < q < 1 + 1e-13


def test_undefined_orders():
    """Negative operands have no value, nor have two infinite ones."""
    a = np.array([-1.0, 1.0, INF, INF, 2.0, 0.0])
    x = np.array([1.0, -1.0, INF, 2.0, INF, 3.0])
    np.testing.assert_array_equal(special_incomplete.igamma(a, x), [NAN, NAN, NAN, 0, 1, 1])
    np.testing.assert_array_equal(special_incomplete.igammac(a, x), [NAN, NAN, NAN, 1, 0, 0])


@pytest.mark.parametrize(
    ("orders", "places"), [((1.001, 4), (0, 3)), ((2, 40), (0.5, 90)), ((100, 300), (0.3, 2))]
)
def test_zeta(orders, places):
    """To 1e-13 relatively: mpmath's own Hurwitz zeta is summed to 60 digits."""
    random = np.random.default_rng(4)
    x, q = random.uniform(*orders, 40), random.uniform(*places, 40)
    with mp.workdps(60):
        wanted = [float(mp.zeta(mp.mpf(s), mp.mpf(a))) for s, a in zip(x, q, strict=True)]
    np.testing.assert_allclose(special_zeta.zeta(x, q), wanted, rtol=1e-13)


def test_zeta_below_zero():
    """For whole x the sum goes on below zero: as many terms more, one by one."""
    q = np.random.default_rng(5).uniform(-20, 0, 50)
    for x in (2.0, 3.0, 6.0):
        terms = [sum(mp.mpf(v + k) ** -int(x) for k in range(25)) for v in q.tolist()]
        rest = [mp.zeta(x, mp.mpf(v + 25)) for v in q.tolist()]
        wanted = [float(a + b) for a, b in zip(terms, rest, strict=True)]
        np.testing.assert_allclose(special_zeta.zeta(x, q), wanted, rtol=1e-10)


def test_zeta_where_it_has_no_value():
    """Poles are infinite; other arguments give NaN."""
    x = np.array([1.0, 0.5, 2.0, 2.5, 2.0, NAN])
    q = np.array([3.0, 1.0, -2.0, -1.5, 0.0, 1.0])
    np.testing.assert_array_equal(special_zeta.zeta(x, q), [INF, NAN, INF, NAN, INF, NAN])


# --- orthogonal polynomials ------------------------------------------------------------------

FAMILIES = {
    "hermite_h": np.polynomial.hermite.hermval,
    "hermite_he": np.polynomial.hermite_e.hermeval,
    "laguerre_l": np.polynomial.laguerre.lagval,
    "legendre_p": np.polynomial.legendre.legval,
    "chebyshev_t": np.polynomial.chebyshev.chebval,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9])
def test_polynomials_equal_numpys(family, degree):
    """The polynomial of each degree is the series with one coefficient."""
    x = np.linspace(-2.5, 2.5, 41)
    wanted = FAMILIES[family](x, [0] * degree + [1])
    found = orthogonal_polynomial(x, np.full(x.shape, float(degree)), family=family)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())


CHEBYSHEV = {
    "chebyshev_t": lambda n, angle: mp.cos(n * angle),
    "chebyshev_u": lambda n, angle: mp.sin((n + 1) * angle) / mp.sin(angle),
    "chebyshev_v": lambda n, angle: mp.cos((n + 0.5) * angle) / mp.cos(angle / 2),
    "chebyshev_w": lambda n, angle: mp.sin((n + 0.5) * angle) / mp.sin(angle / 2),
}


@pytest.mark.parametrize("family", CHEBYSHEV)
@pytest.mark.parametrize("degree", [3, HIGH, HIGH + 1, 200])
@pytest.mark.parametrize("shifted", [False, True])
def test_chebyshev_polynomials(family, degree, shifted):
    """Their definition by angles, below and above the degree at which the formula changes."""
    x = np.random.default_rng(degree).uniform(0 if shifted else -1, 1, 30)

    def truth(x):
        return CHEBYSHEV[family](degree, mp.acos(2 * x - 1 if shifted else x))

    name = "shifted_" + family if shifted else family
    found = orthogonal_polynomial(x, np.full(x.shape, float(degree)), family=name)
    limit = 1e-14 * degree**2
    np.testing.assert_allclose(found, truths(truth, x), rtol=limit, atol=limit)


def test_degrees():
    """Each element has its own degree, cut to a whole number; below zero the value is 0."""
    degree = np.array([-1.0, 0.0, 0.9, 1.0, 2.7, 3.0, NAN, INF, -0.5])
    found = orthogonal_polynomial(np.full(9, 0.5), degree, family="chebyshev_t")
    np.testing.assert_array_equal(found, [0, 1, 1, 0.5, -0.5, -1, 0, 0, 1])
    assert np.isnan(orthogonal_polynomial(np.ones(1), np.array([600.0]), family="hermite_h"))


# --- the functions of tensors ----------------------------------------------------------------


def test_integers_become_floats():
    """In the default dtype; the numbers are those of the floats."""
    whole = narae.tensor([1, 2, 3])
    for name in ("bessel_j0", "i1e", "entr", "ndtr", "erfcx", "airy_ai"):
        function = getattr(narae.special, name)
        out = function(whole)
        assert out.dtype is narae.float32
        assert out.tolist() == function(whole.float()).tolist()
    assert narae.special.zeta(whole + 1, 1).dtype is narae.float32
    assert narae.special.chebyshev_polynomial_t(2.0, whole).tolist() == [2, 7, 26]


def test_half_precision_is_rounded_once():
    """float16 and bfloat16 are computed in float32."""
    for dtype in (narae.float16, narae.bfloat16):
        x = narae.linspace(0.1, 6, 30).to(dtype)
        for name in ("i0e", "log_ndtr", "bessel_y0", "entr"):
            function = getattr(narae.special, name)
            assert function(x).dtype is dtype
            assert function(x).tolist() == function(x.float()).to(dtype).tolist()


@pytest.mark.parametrize("name", ["bessel_j0", "airy_ai", "modified_bessel_i0"])
def test_no_gradient(name):
    """Functions that PyTorch does not differentiate give constants."""
    x = narae.ones(3, requires_grad=True)
    assert not getattr(narae.special, name)(x).requires_grad
    assert not narae.special.legendre_polynomial_p(x, x).requires_grad


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "zeta"])
def test_a_missing_gradient_says_so(name):
    """The first operand has no gradient here; the message names the operation and the way out."""
    x = narae.full((2,), 2.0, requires_grad=True)
    out = getattr(narae.special, name)(x, narae.ones(2))
    assert out.requires_grad
    with pytest.raises(RuntimeError, match=r"derivative for 'x' of \w+ is not implemented.*detach"):
        out.sum().backward()


def test_bad_operands():
    """Words that say what was given and what is wanted."""
    with pytest.raises(TypeError, match="must be Tensor, not float"):
        narae.special.bessel_j0(1.0)
    with pytest.raises(TypeError, match="must be Tensor"):
        narae.special.zeta(1.0, 2.0)
    with pytest.raises(TypeError, match="needs floating point"):
        narae.igamma(narae.tensor([1]), narae.tensor([1]))
    with pytest.raises(TypeError, match="needs integers"):
        narae.lcm(narae.ones(2), narae.ones(2))
    with pytest.raises(TypeError, match="floating-point"):
        narae.frexp(narae.tensor([1]))
    with pytest.raises(TypeError, match="needs floating point"):
        narae.nextafter(narae.tensor([1]), narae.tensor([1]))
    with pytest.raises(RuntimeError, match="p has to be greater"):
        narae.mvlgamma(narae.ones(2), 0)
    with pytest.raises(RuntimeError, match="negative n"):
        narae.special.polygamma(-1, narae.ones(2))
    with pytest.raises(RuntimeError, match=r"shapes are \(2,\) and \(3,\)"):
        narae.special.xlog1py(narae.ones(2), narae.ones(3))


# --- the parts of numbers --------------------------------------------------------------------

INTEGERS = st.lists(st.integers(-(10**9), 10**9), min_size=4, max_size=4)


@given(INTEGERS, INTEGERS)
def test_divisors_and_multiples(first, second):
    """Python's own gcd and lcm."""
    x, y = narae.tensor(first), narae.tensor(second)
    assert narae.gcd(x, y).tolist() == [math.gcd(a, b) for a, b in zip(first, second, strict=True)]
    assert narae.lcm(x, y).tolist() == [math.lcm(a, b) for a, b in zip(first, second, strict=True)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_mantissa_and_exponent(numbers):
    """Exactly: x = mantissa * 2 ** exponent, in fractions."""
    mantissa, exponent = narae.frexp(narae.tensor(numbers, dtype=narae.float64))
    for x, m, e in zip(numbers, mantissa.tolist(), exponent.tolist(), strict=True):
        assert Fraction(m) * Fraction(2) ** e == Fraction(x)
        assert 0.5 <= abs(m) < 1 or x == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_neighbours(dtype):
    """The next number of the same dtype: there and back again, and never equal."""
    x = narae.tensor([1.0, -2.5, 3.0, 60000.0], dtype=getattr(narae, dtype))
    up = narae.nextafter(x, narae.full_like(x, INF))
    assert (up > x).all()
    assert (narae.nextafter(up, x) == x).all()
    bits = {2: np.int16, 4: np.int32, 8: np.int64}[x.element_size()]
    steps = up.numpy().view(bits) - x.numpy().view(bits)
    assert steps.tolist() == [1, -1, 1, 1]


def test_functions_trace():
    """One program with them gives the eager numbers."""

    def function(x, n):
        out = narae.special.zeta(x + 1, x) + narae.igamma(x, x) + narae.mvlgamma(x, 2)
        return out, narae.frexp(x).exponent, narae.lcm(n, n + 1)

    x, n = narae.tensor([1.5, 2.0]), narae.tensor([4, 6])
    compiled = narae.compile(function)
    for one, other in zip(compiled(x, n), function(x, n), strict=True):
        assert one.tolist() == other.tolist()


def examples_of(name):
    finder, function = doctest.DocTestFinder(recurse=False), getattr(narae.special, name)
    return [x for x in finder.find(function, name, module=False, globs={}) if x.examples]


WITH_EXAMPLES = [name for name in sorted(narae.special.__all__) if examples_of(name)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings(name):
    """Those of functions that are made by others run, too; doctest does not find them itself."""
    (example,) = examples_of(name)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_there_are_examples():
    assert {"entr", "zeta"} <= set(WITH_EXAMPLES)
