"""Special functions under the names of `torch.special`; `narae.special` is their address."""

from typing import Any

from narae import primitives as p

from .activations import log_softmax, softmax
from .arithmetic import xlogy
from .operands import deliver
from .pointwise import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expit,
    expm1,
    lgamma,
    log1p,
    logit,
    round,
    sinc,
)
from .pointwise import polygamma as _polygamma
from .reductions import logsumexp
from .special_functions import Function, i0, igamma, igammac, mvlgamma, of_one, of_two
from .tensor import Tensor

# --- other names -----------------------------------------------------------------------------

gammaln, psi = lgamma, digamma
gammainc, gammaincc = igamma, igammac


def multigammaln(a: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension p: see `narae.mvlgamma`."""
    return mvlgamma(a, p, out=out)


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma.

    Raises:
        RuntimeError: for a negative n.

    >>> import narae
    >>> narae.special.polygamma(1, narae.tensor([1.0]))
    tensor([1.6449])
    """
    return deliver(_polygamma(n, input), out, "polygamma")


# --- error functions and the normal distribution ---------------------------------------------

erfcx = of_one(
    p.erfcx,
    "erfcx",
    """Scaled complement of the error function, exp(x^2) erfc(x).

    Source: NIST Digital Library of Mathematical Functions, section 7.2.

    >>> import narae
    >>> narae.special.erfcx(narae.tensor([0.0, 1.0, 100.0]))
    tensor([1.0000, 0.4276, 0.0056])
    """,
)
ndtr = of_one(
    p.ndtr,
    "ndtr",
    """Probability that a standard normal falls below x: erfc(-x / sqrt(2)) / 2.

    >>> import narae
    >>> narae.special.ndtr(narae.tensor([-1.96, 0.0, 1.96]))
    tensor([0.0250, 0.5000, 0.9750])
    """,
)
log_ndtr = of_one(
    p.log_ndtr,
    "log_ndtr",
    """log(ndtr(x)), precise where ndtr(x) is tiny.

    >>> import narae
    >>> narae.special.log_ndtr(narae.tensor([-10.0, 0.0]))
    tensor([-53.2313,  -0.6931])
    """,
)
ndtri = of_one(
    p.ndtri,
    "ndtri",
    """Inverse of `ndtr`: the number below which a standard normal falls with probability x.

    >>> import narae
    >>> narae.special.ndtri(narae.tensor([0.025, 0.5, 0.975]))
    tensor([-1.9600,  0.0000,  1.9600])
    """,
)
entr = of_one(
    p.entr,
    "entr",
    """Entropy of each element: -x log(x); 0 at 0, -inf below.

    >>> import narae
    >>> narae.special.entr(narae.tensor([-1.0, 0.0, 0.5]))
    tensor([  -inf, 0.0000, 0.3466])
    """,
)
xlog1py = of_two(
    p.xlog1py,
    "xlog1py",
    """input * log(1 + other); 0 where input is 0, NaN where other is.

    >>> import narae
    >>> narae.special.xlog1py(narae.tensor([0.0, 2.0]), narae.tensor([-1.0, 1.0]))
    tensor([0.0000, 1.3863])
    """,
)
zeta = of_two(
    p.zeta,
    "zeta",
    """Hurwitz's zeta function, the sum over k >= 0 of 1 / (k + other) ** input.

    Gradients flow to `other` alone.

    Source: NIST Digital Library of Mathematical Functions, section 25.11.

    >>> import narae
    >>> narae.special.zeta(narae.tensor([2.0, 4.0]), 1)
    tensor([1.6449, 1.0823])
    """,
)

# --- Bessel and Airy functions ---------------------------------------------------------------

i0e = of_one(p.i0e, "i0e", "exp(-|x|) times the modified Bessel function i0.")
i1 = of_one(p.i1, "i1", "Modified Bessel function of the first kind, order one.")
i1e = of_one(p.i1e, "i1e", "exp(-|x|) times the modified Bessel function i1.")


def _constant(operation: Any, name: str, text: str) -> Function:
    """Without a gradient, as in PyTorch."""
    return of_one(operation, name, text + " No gradient flows through it.", differentiable=False)


airy_ai = _constant(p.airy_ai, "airy_ai", "Airy's function Ai.")
bessel_j0 = _constant(p.bessel_j0, "bessel_j0", "Bessel function of the first kind, order zero.")
bessel_j1 = _constant(p.bessel_j1, "bessel_j1", "Bessel function of the first kind, order one.")
bessel_y0 = _constant(p.bessel_y0, "bessel_y0", "Bessel function of the second kind, order zero.")
bessel_y1 = _constant(p.bessel_y1, "bessel_y1", "Bessel function of the second kind, order one.")
modified_bessel_i0 = _constant(
    p.i0, "modified_bessel_i0", "Modified Bessel function of the first kind, order zero."
)
modified_bessel_i1 = _constant(
    p.i1, "modified_bessel_i1", "Modified Bessel function of the first kind, order one."
)
modified_bessel_k0 = _constant(
    p.bessel_k0, "modified_bessel_k0", "Modified Bessel function of the second kind, order zero."
)
modified_bessel_k1 = _constant(
    p.bessel_k1, "modified_bessel_k1", "Modified Bessel function of the second kind, order one."
)
scaled_modified_bessel_k0 = _constant(
    p.scaled_bessel_k0, "scaled_modified_bessel_k0", "exp(x) times `modified_bessel_k0`."
)
scaled_modified_bessel_k1 = _constant(
    p.scaled_bessel_k1, "scaled_modified_bessel_k1", "exp(x) times `modified_bessel_k1`."
)
spherical_bessel_j0 = _constant(
    p.spherical_bessel_j0, "spherical_bessel_j0", "Spherical Bessel function: sin(x) / x; 1 at 0."
)

# --- orthogonal polynomials ------------------------------------------------------------------


def _polynomial(name: str, whose: str) -> Function:
    family = name.replace("_polynomial", "")
    text = f"""{whose} polynomial of degree `other` at `input`.

    The degree is cut to a whole number; below 0 the value is 0. No gradient flows through it.

    Args:
        input: where to evaluate, a tensor or a number.
        other: the degrees, a tensor or a number.
        out: a tensor to write the result into.

    Source: NIST Digital Library of Mathematical Functions, chapter 18.
    """
    return of_two(p.orthogonal_polynomial, name, text, family=family)


chebyshev_polynomial_t = _polynomial("chebyshev_polynomial_t", "Chebyshev's (first kind)")
chebyshev_polynomial_u = _polynomial("chebyshev_polynomial_u", "Chebyshev's (second kind)")
chebyshev_polynomial_v = _polynomial("chebyshev_polynomial_v", "Chebyshev's (third kind)")
chebyshev_polynomial_w = _polynomial("chebyshev_polynomial_w", "Chebyshev's (fourth kind)")
shifted_chebyshev_polynomial_t = _polynomial(
    "shifted_chebyshev_polynomial_t", "Chebyshev's (first kind, at 2 x - 1)"
)
shifted_chebyshev_polynomial_u = _polynomial(
    "shifted_chebyshev_polynomial_u", "Chebyshev's (second kind, at 2 x - 1)"
)
shifted_chebyshev_polynomial_v = _polynomial(
    "shifted_chebyshev_polynomial_v", "Chebyshev's (third kind, at 2 x - 1)"
)
shifted_chebyshev_polynomial_w = _polynomial(
    "shifted_chebyshev_polynomial_w", "Chebyshev's (fourth kind, at 2 x - 1)"
)
hermite_polynomial_h = _polynomial("hermite_polynomial_h", "The physicists' Hermite")
hermite_polynomial_he = _polynomial("hermite_polynomial_he", "The probabilists' Hermite")
laguerre_polynomial_l = _polynomial("laguerre_polynomial_l", "Laguerre's")
legendre_polynomial_p = _polynomial("legendre_polynomial_p", "Legendre's")

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t",
    "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma",
    "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
    "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax",
    "logit", "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0",
    "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py",
    "xlogy", "zeta",
]  # fmt: skip
