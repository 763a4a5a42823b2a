"""Vector functions against NumPy, mpmath and the C library: errors in ulp, special values."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any

import numpy as np
import pytest

llvm = pytest.importorskip("llvmlite.binding")
mpmath = pytest.importorskip("mpmath")

from narae.native.emit import F32, F64, I64, PTR, Function, Type, module_text  # noqa: E402
from narae.native.vecmath import BINARY, FUNCTIONS  # noqa: E402

Array = Any
FORMATS = {"float32": F32, "float64": F64}
EXACT = ["neg", "abs", "sign", "floor", "ceil", "round", "trunc", "sqrt"]
DIVISIONS = ["fmod", "remainder", "floor_divide"]


# --- machine code ---------------------------------------------------------------------------


def loop_over_arrays(name: str, scalar: Type, lanes: int) -> Function:
    """`void over_name(x, (y,) out, n)`, which applies the function to each element."""
    write = FUNCTIONS.get(name) or BINARY[name]
    inputs = ["x"] if name in FUNCTIONS else ["x", "y"]
    arguments = [*((label, PTR) for label in inputs), ("out", PTR), ("n", I64)]
    f = Function(f"over_{name}", arguments)
    *operands, out, n = f.arguments
    with f.loop(0, n, max(1, lanes)) as loop:
        values = [f.load(f.at(x, loop.index, scalar), scalar.of(lanes)) for x in operands]
        f.store(write(f, *values), f.at(out, loop.index, scalar))
    return f


@functools.cache
def compiled(dtype: str, vector: bool) -> Any:
    """Machine code of all functions for one format, for vectors of the host or for scalars."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    bits = 512 if features.get("avx512f") else 256 if features.get("avx2") else 128
    scalar = FORMATS[dtype]
    lanes = bits // scalar.bits if vector else 0
    loops = [loop_over_arrays(name, scalar, lanes) for name in (*FUNCTIONS, *BINARY)]
    module = llvm.parse_assembly(module_text(loops, features.flatten(), bits))
    module.verify()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(features=features.flatten(), opt=1, jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def apply(name: str, *operands: Array, vector: bool = True) -> Array:
    """The function on whole arrays, which are filled up to a multiple of 16 elements."""
    dtype, size = operands[0].dtype, operands[0].size
    whole = -(-size // 16) * 16
    filled = [np.resize(x, whole) for x in operands]
    out = np.empty(whole, dtype)
    address = compiled(dtype.name, vector).get_function_address(f"over_{name}")
    pointers = [ctypes.c_void_p] * (len(operands) + 1)
    kernel = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(address)
    kernel(*(x.ctypes.data for x in filled), out.ctypes.data, whole)
    return out[:size]


# --- oracles and samples --------------------------------------------------------------------

NUMPY: dict[str, Any] = {
    "neg": np.negative,
    "abs": np.absolute,
    "sign": lambda x: np.where(np.isnan(x), 0, np.sign(x)),
    "round": np.rint,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "pow": np.power,
    "atan2": np.arctan2,
}


def numpy_function(name: str) -> Any:
    return NUMPY.get(name) or getattr(np, name)


def mp_function(name: str) -> Any:
    own = {
        "rsqrt": lambda x: 1 / mpmath.sqrt(x),
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "pow": mpmath.power,
    }
    return own.get(name) or getattr(mpmath, name)


def ulps(got: Array, want: Array) -> Array:
    """Errors in units of the last place of the right result, which is given more precisely."""
    rounded = want.astype(got.dtype)
    finite = np.isfinite(rounded)
    error = np.abs(got.astype(want.dtype) - want) / np.spacing(np.abs(rounded)).astype(want.dtype)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(finite, np.where(np.isnan(got), np.inf, error), np.where(same, 0, np.inf))


def mp_ulps(name: str, *operands: Array) -> float:
    """The largest error, measured with 40 digits."""
    got, worst = apply(name, *operands), 0.0
    with mpmath.workdps(40):
        for result, *values in zip(got, *operands, strict=True):
            want = mp_function(name)(*(mpmath.mpf(float(x)) for x in values))
            unit = np.spacing(np.abs(got.dtype.type(float(want))))
            worst = max(
                worst, float(abs(mpmath.mpf(float(result)) - want) / mpmath.mpf(float(unit)))
            )
    return worst


# Bounds of errors in ulp for float32 and float64, and an interval in which results are neither
# trivial nor infinite in both.
BOUNDS: dict[str, tuple[float, float, float, float]] = {
    "sqrt": (0.5, 0.5, 0, 1e6),
    "rsqrt": (1.5, 1.5, 1e-6, 1e6),
    "exp": (1, 1, -80, 80),
    "expm1": (1.6, 1.6, -20, 80),
    "sigmoid": (1.8, 1.8, -40, 40),
    "tanh": (2, 2, -6, 6),
    "sinh": (2.5, 2.5, -80, 80),
    "cosh": (1.5, 1.5, -80, 80),
    "log": (1, 1, 0, 10),
    "log1p": (1.7, 1.7, -1, 10),
    "asinh": (2, 2, -10, 10),
    "acosh": (2.5, 2.5, 1, 10),
    "atanh": (2.5, 2.5, -1, 1),
    "sin": (1.7, 1.7, -100, 100),
    "cos": (1.7, 1.7, -100, 100),
    "tan": (4, 4, -100, 100),
    "asin": (2.5, 2.5, -1, 1),
    "acos": (1.5, 1.5, -1, 1),
    "atan": (1.5, 1.7, -5, 5),
    "erf": (1.8, 1.5, -5, 5),
    "erfc": (4, 3, -4, 10),
    "erfinv": (3, 4, -1, 1),
}
INEXACT = list(BOUNDS)


SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0]
SPECIAL += [1.5, -2.5, 1e30, -1e30, 1e-30, -1e-30, 1e-40, -1e-40, 1e-45, -1e-45, 100.0, -104.5]
SPECIAL += [88.8, 710.0, -745.5, 5e-324, 1.7e308, 3.4e38, 16777217.0, 9007199254740993.0, 1e160]


def special(dtype: str) -> Array:
    with np.errstate(over="ignore"):
        return np.array(SPECIAL).astype(dtype)


def all_singles() -> Array:
    """Every 30011th of all float32 numbers, with infinities, NaN and denormal ones."""
    return np.arange(0, 2**32, 30011, dtype=np.uint32).view(np.float32)


def inside(name: str, dtype: str, count: int) -> Array:
    """Numbers where the function is interesting: evenly, and by orders of magnitude."""
    *_, low, high = BOUNDS[name]
    rng = np.random.default_rng(0)
    least = -1070 if dtype == "float64" else -147
    tiny = 2.0 ** rng.uniform(least, 0, count // 4) * rng.choice([-1, 1], count // 4)
    near_one = 1 + 2.0 ** rng.uniform(-20, -1, count // 4) * rng.choice([-1, 1], count // 4)
    x = np.concatenate([rng.uniform(low, high, count // 2), tiny, near_one]).astype(dtype)
    return x[(x > low) & (x < high)]


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in INEXACT if name != "erfinv"])
def test_float32_against_float64(name: str) -> None:
    x = np.concatenate([all_singles(), inside(name, "float32", 40000)])
    with np.errstate(all="ignore"):
        error = ulps(apply(name, x), numpy_function(name)(x.astype(np.float64)))
    assert error.max() <= BOUNDS[name][0], (error.max(), x[error.argmax()])


@pytest.mark.parametrize("name", INEXACT)
def test_float64_against_mpmath(name: str) -> None:
    count = 60 if name == "erfinv" else 600
    assert mp_ulps(name, inside(name, "float64", count)) <= BOUNDS[name][1]


def test_erfinv_in_float32() -> None:
    assert mp_ulps("erfinv", inside("erfinv", "float32", 200)) <= BOUNDS["erfinv"][0]
    for vector in (True, False):
        edge = apply("erfinv", np.float32([1, -1, 1.1, -2, math.nan]), vector=vector)
        np.testing.assert_array_equal(edge, [math.inf, -math.inf, *[math.nan] * 3])


@pytest.mark.parametrize("scale", [1e5, 1e7, 1e10, 1e30, 1e300])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles(name: str, scale: float) -> None:
    """Numbers that need hundreds of digits of π, in lanes beside small ones."""
    x = np.random.default_rng(1).uniform(-scale, scale, 100)
    x[::7] /= scale
    with mpmath.workdps(400):
        want = np.array([float(mp_function(name)(mpmath.mpf(value))) for value in x])
    assert ulps(apply(name, x), want).max() <= 4
    x = x[np.abs(x) < 1e38].astype(np.float32)
    want = numpy_function(name)(x.astype(np.float64))
    for vector in (True, False):
        assert ulps(apply(name, x, vector=vector), want).max(initial=0) <= 4


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_near_right_angles(name: str) -> None:
    """The numbers next to multiples of π/2, where the most is lost by subtraction."""
    count = np.arange(1, 44500, 7)
    x = (count * (math.pi / 2)).astype(np.float32)
    error = ulps(apply(name, x), numpy_function(name)(x.astype(np.float64)))
    assert error.max() <= BOUNDS[name][0]
    assert mp_ulps(name, (count[::30] * 700).astype(np.float64) * (math.pi / 2)) <= BOUNDS[name][1]


@pytest.mark.parametrize("name", ["pow", "atan2"])
@pytest.mark.parametrize("dtype", FORMATS)
def test_functions_of_two_numbers(name: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([2.0 ** rng.uniform(-130, 120, 5000), rng.uniform(0.9, 1.1, 5000)])
    y = np.concatenate([rng.uniform(-1, 1, 5000), rng.uniform(-700, 700, 5000)])
    x, y = x.astype(dtype), y.astype(dtype)
    bound = 1.0 if name == "pow" else 1.6
    assert mp_ulps(name, x[::25], y[::25]) <= bound
    if dtype == "float32":
        with np.errstate(over="ignore", under="ignore"):
            want = numpy_function(name)(x.astype(np.float64), y.astype(np.float64))
        assert ulps(apply(name, x, y), want).max() <= bound


# --- what must be exact -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FUNCTIONS])
@pytest.mark.parametrize("dtype", FORMATS)
def test_scalars_equal_vectors(name: str, dtype: str) -> None:
    x = np.random.default_rng(3).uniform(-3, 3, 300).astype(dtype)
    with np.errstate(over="ignore"):
        x = np.concatenate([x, special(dtype), special(dtype) * 1000])
    np.testing.assert_array_equal(apply(name, x), apply(name, x, vector=False))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", FORMATS)
def test_exact_functions(name: str, dtype: str) -> None:
    bits = np.random.default_rng(4).integers(0, 2**64, 5000, dtype=np.uint64)
    x = np.concatenate([bits.view(dtype), np.linspace(-5, 5, 41).astype(dtype)])
    with np.errstate(all="ignore"):
        want = numpy_function(name)(x)
    np.testing.assert_array_equal(apply(name, x), want)


@pytest.mark.parametrize("name", DIVISIONS)
@pytest.mark.parametrize("dtype", FORMATS)
def test_divisions(name: str, dtype: str) -> None:
    """Quotients from 0 to beyond 2⁵³, whole ones among them."""
    rng = np.random.default_rng(5)
    y = 2.0 ** rng.uniform(-20, 20, 20000) * rng.choice([-1, 1], 20000)
    x = y * 2.0 ** rng.uniform(-5, 60, 20000) * rng.choice([-1, 1], 20000)
    x[::3] = np.rint(x[::3] / y[::3]) * y[::3]
    x[1::3], y[1::3] = np.rint(x[1::3]), np.rint(y[1::3]) + 0.5
    x, y = x.astype(dtype), y.astype(dtype)
    want = numpy_function(name)(x, y)
    for vector in (True, False):
        np.testing.assert_array_equal(apply(name, x, y, vector=vector), want)


@pytest.mark.parametrize("dtype", FORMATS)
def test_limits_are_reached(dtype: str) -> None:
    x = np.array([20.0, 1000.0, math.inf]).astype(dtype)
    for name, left, right in [("tanh", -1, 1), ("erf", -1, 1), ("erfc", 2, None)]:
        assert (apply(name, -x) == left).all()
        assert right is None or (apply(name, x) == right).all()
    assert (apply("sigmoid", 2 * x) == 1).all()
    assert (apply("expm1", -2 * x) == -1).all()


# --- special values ---------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "erfinv"])
def test_special_values(name: str, dtype: str, vector: bool) -> None:
    x = special(dtype)
    with np.errstate(all="ignore"):
        want = numpy_function(name)(x).astype(dtype)
    check_special(apply(name, x, vector=vector), want, ulp=BOUNDS.get(name, (0, 0))[0] + 1)


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name: str, dtype: str, vector: bool) -> None:
    x, y = (np.repeat(special(dtype), len(SPECIAL)), np.tile(special(dtype), len(SPECIAL)))
    with np.errstate(all="ignore"):
        if name in {"maximum", "minimum"}:  # which of two zeros wins is open
            x, y = x + 0.0, y + 0.0
        want = numpy_function(name)(x, y)
    check_special(apply(name, x, y, vector=vector), want, ulp=2)


def check_special(got: Array, want: Array, ulp: float) -> None:
    """Infinities, NaNs and zeros with their signs are the same, all else is near."""
    sign_matters = ~np.isnan(want) & ((want == 0) | np.isinf(want))
    np.testing.assert_array_equal(np.signbit(got)[sign_matters], np.signbit(want)[sign_matters])
    np.testing.assert_array_equal(got[sign_matters], want[sign_matters])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    rest = ~sign_matters & ~np.isnan(want)
    with np.errstate(all="ignore"):
        assert ulps(got[rest], want[rest].astype(np.longdouble)).max(initial=0) <= ulp
