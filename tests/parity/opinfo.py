"""Operations on the samples that PyTorch tests itself with (`OpInfo`): the shared harness.

`check(name)` runs an operation of PyTorch's database on both frameworks and compares values, dtype,
shape, gradients, method and in-place forms, and refusals of bad input.
"""

from __future__ import annotations

import functools
import itertools
import pathlib
import random
import re
import tomllib
import types
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import Tolerance, difference, to_narae, to_numpy, tolerance_of  # noqa: E402
from tests.parity.redirect import (  # noqa: E402
    Absent,
    Unsupported,
    converted,
    flattened,
    fresh,
    is_tensor,
    leaves,
    narae_attribute,
    same_kind,
    twin,
    without_places,
)

HERE = pathlib.Path(__file__).parent
ELIGIBLE = HERE / "eligible_ops.txt"
DEVIATIONS = HERE / "known_deviations.toml"

# How many samples of each dtype the ordinary run takes, evenly spread over all there are.
LIMITS = {
    torch.float32: 16,
    torch.float64: 16,
    torch.int64: 10,
    torch.bool: 6,
    torch.float16: 8,
    torch.bfloat16: 8,
}
LARGE = {"grid_sampler_3d": 3}  # their samples take many seconds each
ERROR_LIMIT = 30
REACH = 300  # making samples takes time, too

# Their numbers come from another stream than PyTorch's, or are whatever memory holds.
RANDOM = re.compile(
    r"nn\.functional\.(alpha_|feature_alpha_)?dropout\w*|native_dropout\w*|empty\w*|new_empty\w*|"
    r"nn\.functional\.(rrelu|fractional_max_pool\dd)|resize_\w*|(pca|svd)_lowrank|"
    r"bernoulli|multinomial|normal|uniform|rand\w*|cauchy|exponential|geometric|log_normal"
)


@dataclass(frozen=True)
class Failure:
    """One disagreement: what kind it is, on which sample, in words."""

    kind: str
    dtype: str
    sample: int
    words: str

    def __str__(self):
        return f"[{self.kind}] {self.dtype} sample {self.sample}: {self.words}"


@dataclass
class Report:
    """What came of the samples of one operation."""

    name: str
    absent: str = ""
    samples: int = 0
    failures: list[Failure] = field(default_factory=list)
    forgiven: list[Failure] = field(default_factory=list)

    @property
    def disagreeing(self):
        """How many samples have a failure of any kind."""
        return len({(failure.dtype, failure.sample) for failure in self.failures})

    @property
    def agrees(self):
        """Whether at least 99 of 100 samples agree."""
        return self.samples > 0 and self.disagreeing * 100 <= self.samples

    @property
    def agrees_without_excuse(self):
        """Whether it does so even when known deviations count."""
        failures = {(f.dtype, f.sample) for f in (*self.failures, *self.forgiven)}
        return self.samples > 0 and len(failures) * 100 <= self.samples

    def __str__(self):
        shown = "\n  ".join(str(failure) for failure in self.failures[:8])
        return f"{self.name}: {self.disagreeing} of {self.samples} samples disagree\n  {shown}"


# ----------------------------------------------------------------------------------- the database
@functools.cache
def database():
    """PyTorch's operations by full name, such as "div.floor_rounding"."""
    from torch.testing._internal.common_methods_invocations import op_db

    spare_the_search()
    return {full_name(info): info for info in op_db}


@functools.cache
def spare_the_search():
    """Samples as they are, in half the time.

    For each sample PyTorch walks the whole stack to find which of its own test cases is running
    (none is), and seeds the generators of all kinds of devices.
    """
    from torch.testing._internal import common_utils
    from torch.testing._internal.opinfo import core

    common_utils.extract_test_fn = core.extract_test_fn = lambda: None
    common_utils.set_rng_seed = seed_all


def full_name(info):
    return f"{info.name}.{info.variant_test_name}" if info.variant_test_name else info.name


def eligible_names():
    """The operations that are in scope, from the committed list."""
    return ELIGIBLE.read_text(encoding="utf8").split()


@functools.cache
def deviations():
    """What is known to differ, by operation: kinds, dtypes, reason."""
    return tomllib.loads(DEVIATIONS.read_text(encoding="utf8"))


def forgives(name, failure):
    """Whether the list of known deviations names such a failure."""
    entry = deviations().get(name)
    if entry is None:
        return False
    kinds, dtypes = entry.get("kinds", ()), entry.get("dtypes", ())
    return (not kinds or failure.kind in kinds) and (not dtypes or failure.dtype in dtypes)


def spread(items, limit):
    """At most `limit` items, evenly spaced over the first few hundred, with their places."""
    items = list(items if limit is None else itertools.islice(items, REACH))
    if limit is None or len(items) <= limit:
        return list(enumerate(items))
    places = sorted({round(place) for place in np.linspace(0, len(items) - 1, limit)})
    return [(place, items[place]) for place in places]


def seed_all(seed=0):
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # PyTorch's samples draw from the global stream
    random.seed(seed)


def samples_of(info, dtype, limit):
    """Samples of an operation with their places; every third has non-contiguous tensors."""
    seed_all()
    grads = info.supports_autograd and dtype in info.supported_backward_dtypes("cpu")
    try:
        drawn = spread(info.sample_inputs("cpu", dtype, requires_grad=grads), limit)
    except (RuntimeError, ValueError, TypeError):
        return []
    drawn = [(place, _without_dropout(info.name, sample)) for place, sample in drawn]
    return [(place, _loosened(sample) if place % 3 == 2 else sample) for place, sample in drawn]


def _without_dropout(name, sample):
    """Attention that drops nothing: which weights are dropped differs between the frameworks."""
    if name == "nn.functional.scaled_dot_product_attention":
        sample.kwargs["dropout_p"] = 0.0
    elif name == "nn.functional.multi_head_attention_forward":
        place = 9  # of dropout_p, counted without the query
        sample.args = (*sample.args[:place], 0.0, *sample.args[place + 1 :])
    return sample


def _loosened(sample):
    try:
        return sample.noncontiguous()
    except (RuntimeError, ValueError, TypeError):
        return sample


# -------------------------------------------------------------------------------------- one call
@dataclass
class Call:
    """A call on both frameworks: arguments as PyTorch's and as Narae's."""

    args: tuple
    kwargs: dict
    our_args: tuple = ()
    our_kwargs: dict = field(default_factory=dict)
    pairs: list = field(default_factory=list)

    @classmethod
    def of(cls, sample):
        whole = (sample.input, *sample.args)
        args, kwargs = fresh((whole, dict(sample.kwargs)))
        memo = {}
        our_args, our_kwargs = converted((args, without_places(kwargs)), memo)
        pairs = [(ours, theirs) for ours, theirs in memo.values() if theirs.requires_grad]
        return cls(args, kwargs, our_args, our_kwargs, pairs)


class Disagreement(Exception):
    """A difference, of a kind that a report counts."""

    def __init__(self, kind, words):
        super().__init__(words)
        self.kind, self.words = kind, words


def oracle(function, call):
    """PyTorch's result.

    Raises:
        Unsupported: when PyTorch refuses its own sample, or answers with complex numbers.
    """
    try:
        expected = function(*call.args, **call.kwargs)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise Unsupported(str(error)) from error
    for tensor in leaves(expected):
        if tensor.is_complex() or tensor.layout != torch.strided:
            raise Unsupported("a complex or sparse result")
    return expected


def ours(function, call, kind="raises"):
    """Narae's result; an error is a disagreement."""
    try:
        return function(*call.our_args, **call.our_kwargs)
    except Absent:
        raise
    except Exception as error:
        if _is_missing_method(error):
            raise Absent(str(error)) from error
        raise Disagreement(kind, _shown(error)) from error


def _is_missing_method(error):
    match = re.search(r"'(?:Tensor|Parameter)' object has no attribute '(\w+)'", str(error))
    return isinstance(error, AttributeError) and match and not hasattr(narae.Tensor, match[1])


def _shown(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def compare(actual, expected, truth=None, numbers=True, tolerance=None):
    """Compare two results of any structure.

    Raises:
        Disagreement: at the first difference.
    """
    found, wanted = flattened(actual), flattened(expected)
    if len(found) != len(wanted):
        raise Disagreement("shape", f"{len(found)} results, expected {len(wanted)}")
    for name in getattr(expected, "_fields", ()):
        if not hasattr(actual, name):
            raise Disagreement("type", f"the result has no field {name!r}")
    exact = [None] * len(wanted) if truth is None else flattened(truth)
    for one, other, wide in zip(found, wanted, exact, strict=True):
        _compare_leaf(one, other, wide, numbers, tolerance)


def _compare_leaf(one, other, wide, numbers, tolerance):
    if not same_kind(one, other):
        raise Disagreement("type", f"a {type(one).__name__}, expected a {type(other).__name__}")
    if not is_tensor(other) and not isinstance(other, (bool, int, float, np.ndarray)):
        return
    problem = difference(one, other, tolerance, truth=wide)
    if problem and (numbers or "values differ" not in problem):
        kind = next((k for k in ("dtype", "shape") if problem.startswith(k)), "value")
        raise Disagreement(kind, problem)
    if is_tensor(other) and one.requires_grad != other.requires_grad:
        words = f"is {one.requires_grad}, expected {other.requires_grad}"
        raise Disagreement("requires_grad", words)


# ------------------------------------------------------------------------------------- gradients
def differentiable(result):
    return [x for x in flattened(result) if is_tensor(x) and x.requires_grad]


def cotangents(outputs):
    """Fixed random gradients of results, the same on every run."""
    generator = torch.Generator().manual_seed(7)
    return [
        torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)
        for out in outputs
    ]


def gradients_of(call, expected, weights, create_graph=False):
    """PyTorch's gradients of all differentiable inputs; empty where it has none."""
    outputs, inputs = differentiable(expected), [pair[1] for pair in call.pairs]
    options = {"allow_unused": True, "create_graph": create_graph}
    try:
        return torch.autograd.grad(outputs, inputs, weights, **options)
    except (RuntimeError, NotImplementedError):
        return ()


def compare_gradients(call, actual, expected, truth=None, create_graph=False):
    """Compare the gradient of every differentiable input; returns both lists of gradients.

    Raises:
        Disagreement: of kind "grad".
    """
    wanted = differentiable(expected)
    weights = cotangents(wanted)
    theirs = gradients_of(call, expected, weights, create_graph) if wanted and call.pairs else ()
    if not theirs:
        return [], []
    mine = _our_gradients(call, _beside(actual, expected), weights, create_graph)
    exact = truth(weights) if truth else ()
    for place, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        _compare_gradient(place, one, other, exact[place] if exact else None)
    return mine, theirs


def _beside(actual, expected):
    """Narae's results at the places where PyTorch's are differentiable."""
    pairs = zip(flattened(actual), flattened(expected), strict=True)
    return [one for one, other in pairs if is_tensor(other) and other.requires_grad]


def _our_gradients(call, outputs, weights, create_graph):
    """Gradients of Narae; a result that depends on no input adds nothing to them."""
    pairs = zip(outputs, weights, strict=True)
    used = [(out, to_narae(w)) for out, w in pairs if out is not None and out.requires_grad]
    inputs = [pair[0] for pair in call.pairs]
    if not used:
        return [None] * len(inputs)
    outputs, given = zip(*used, strict=True)
    options = {"allow_unused": True, "create_graph": create_graph}
    try:
        return narae.autograd.grad(outputs, inputs, given, **options)
    except Exception as error:
        raise Disagreement("grad", f"backward raises {_shown(error)}") from error


def _compare_gradient(place, one, other, wide):
    if other is None or one is None:
        known = one if other is None else other
        if known is not None and bool((known != 0).any()):
            owner = "Narae" if one is None else "PyTorch"
            raise Disagreement("grad", f"input {place} gets no gradient from {owner}")
        return
    problem = difference(one, other, _of_gradients(other.dtype), wide)
    if problem:
        raise Disagreement("grad", f"of input {place}: {problem}")


def _of_gradients(dtype):
    """In half precision every step of a backward pass rounds: four times the tolerance."""
    tolerance = tolerance_of(dtype)
    factor = 4 if dtype in (torch.float16, torch.bfloat16) else 1
    return Tolerance(factor * tolerance.rtol, factor * tolerance.atol)


def compare_second(call, mine, theirs):
    """Compare gradients of gradients.

    Raises:
        Disagreement: of kind "second".
    """
    wanted = [g for g in theirs if g is not None and g.requires_grad]
    found = [m for m, g in zip(mine, theirs, strict=True) if g is not None and g.requires_grad]
    if not wanted:
        return
    try:
        compare_gradients(call, found, wanted)
    except Disagreement as error:
        raise Disagreement("second", error.words) from error


# -------------------------------------------------------------------------------- one comparison
@dataclass
class Comparison:
    """One form of an operation (function, method, in place) on both frameworks."""

    info: object
    theirs: object
    ours: object
    kind: str = ""

    def run(self, sample, with_truth=False):
        """Compare everything on one sample.

        Args:
            sample: PyTorch's.
            with_truth: also ask PyTorch in float64, and accept what is as near to that.
        """
        call = self._call(sample)
        seed_all()
        narae.manual_seed(0)
        expected = oracle(self.theirs, call)
        actual = ours(self.ours, call, self.kind or "raises")
        wide = _Truth(self, sample) if with_truth else None
        if self.info.name in TIES:
            same = compare_ties(self.info.name, call, actual, expected)
        elif self.info.name in FREE_SIGNS:
            same = compare_free_signs(sample, actual, expected, wide and wide.result)
        else:
            same = True
            allowed = own_tolerance(self.info, sample.input)
            compare(actual, expected, wide and wide.result, self.exact, allowed)
        if self.exact and same:
            self._gradients(sample, call, actual, expected, wide)
        if self.kind == "inplace":
            compare(call.our_args[0], call.args[0], wide and wide.call.args[0])

    @property
    def exact(self):
        """Whether the numbers can be compared."""
        return not RANDOM.fullmatch(self.info.name)

    def _call(self, sample):
        call = Call.of(sample)
        if self.kind == "inplace":
            # A leaf that requires gradients cannot be written to: a copy of it can.
            call.args = (call.args[0].clone(), *call.args[1:])
            call.our_args = (call.our_args[0].clone(), *call.our_args[1:])
        return call

    def _gradients(self, sample, call, actual, expected, wide):
        process = sample.output_process_fn_grad
        theirs = process(expected)
        try:
            mine = actual if theirs is expected else twin(process)(actual)
        except Absent:
            return
        truth = wide.gradients(process) if wide else None
        in_double = all(theirs.dtype == torch.float64 for _, theirs in call.pairs)
        twice = self.info.supports_gradgrad and in_double
        pair = compare_gradients(call, mine, theirs, truth, create_graph=twice)
        if twice:
            compare_second(call, *pair)


class _Truth:
    """PyTorch's answers in float64 to the numbers of a sample of lower precision."""

    def __init__(self, comparison, sample):
        self.call = comparison._call(sample.transform(_widened))
        seed_all()
        self.result = oracle(comparison.theirs, self.call)

    def gradients(self, process):
        def of(weights):
            given = [weight.double() for weight in weights]
            return gradients_of(self.call, process(self.result), given)

        return of


def _widened(x):
    if isinstance(x, torch.Tensor) and x.is_floating_point():
        return x.detach().double().requires_grad_(x.requires_grad)
    if isinstance(x, torch.dtype) and x.is_floating_point:
        return torch.float64
    return x


# PyTorch computes these in float64 with the constants of float32, and its own tests hold them to
# the precision named there. Narae's are right to 1e-13: test_special_functions.py asks mpmath.
IMPRECISE = re.compile(r"special\.(airy_ai|bessel_[jy][01])")


def own_tolerance(info, x):
    """What PyTorch's table allows an imprecise function of its own in float64; None for others."""
    if not IMPRECISE.fullmatch(info.name) or getattr(x, "dtype", None) != torch.float64:
        return None
    (allowed,) = (d.d for d in info.decorators if type(d).__name__ == "precisionOverride")
    return Tolerance(0.0, allowed[torch.float64])


# Singular vectors and eigenvectors are defined up to their sign, and which one comes out is up to
# the LAPACK library: what is compared is what PyTorch's own tests make of them.
FREE_SIGNS = {"linalg.eigh", "linalg.svd", "svd"}


def compare_free_signs(sample, actual, expected, truth):
    """Compare what does not depend on signs, such as absolute values; returns True."""
    process = sample.output_process_fn_grad
    compare(actual, expected, numbers=False)
    compare(twin(process)(actual), process(expected), truth and process(truth))
    return True


# Which of several equal elements these name is not defined: position of `dim` in their arguments.
TIES = {"sort": 1, "argsort": 1, "msort": None, "topk": 2, "kthvalue": 2, "mode": 1, "median": 1}
TIES["nanmedian"] = 1


def compare_ties(name, call, actual, expected):
    """Compare what indices select instead of the indices; returns whether they are the same."""
    found, wanted = flattened(actual), flattened(expected)
    indices = len(wanted) - 1 if wanted[-1].dtype == torch.int64 and len(wanted) > 1 else None
    if name == "argsort":
        indices = 0
    if indices is None:
        compare(actual, expected)
        return not _has_ties(call.args[0])
    compare(actual, expected, numbers=False)
    compare(found[:indices], wanted[:indices])
    mine = torch.from_numpy(np.ascontiguousarray(to_numpy(found[indices])))
    if torch.equal(mine, wanted[indices]):
        return True
    x, dim = call.args[0].detach(), _dim_of(call, TIES[name])
    chosen = [_selected(x, index, dim) for index in (mine, wanted[indices])]
    if not torch.equal(*(torch.nan_to_num(c.double(), nan=1e30) for c in chosen)):
        raise Disagreement("value", "the indices select other numbers")
    return False


def _has_ties(x):
    return torch.unique(x.detach()).numel() < x.numel()


def _dim_of(call, position):
    if "dim" in call.kwargs:
        return call.kwargs["dim"]
    return call.args[position] if len(call.args) > position else -1


def _selected(x, index, dim):
    if x.ndim == 0:
        return x.reshape(1)[index.reshape(-1)]
    keeps = index.ndim == x.ndim
    return torch.take_along_dim(x, index if keeps else index.unsqueeze(dim), dim)


# ---------------------------------------------------------------------------------- all of an op
def check(name, *, every=False, dtypes=tuple(LIMITS)):
    """Compare an operation on its own samples.

    Args:
        name: full name in PyTorch's database.
        every: all samples there are, not a selection.
        dtypes: PyTorch's, of which those the operation supports are taken.
    """
    info, report = database()[name], Report(name)
    try:
        function = twin(info.op, info.name)
    except Absent as error:
        report.absent = str(error)
        return report
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for dtype in dtypes:
            if dtype in info.supported_dtypes("cpu"):
                limit = None if every else min(LIMITS[dtype], LARGE.get(name, LIMITS[dtype]))
                _check_dtype(info, function, dtype, limit, report)
            if report.absent:
                return report
        _check_errors(info, function, report, every)
    _forgive(report)
    return report


def _forgive(report):
    for failure in list(report.failures):
        if forgives(report.name, failure):
            report.failures.remove(failure)
            report.forgiven.append(failure)


def _check_dtype(info, function, dtype, limit, report):
    word = str(dtype).removeprefix("torch.")
    for place, sample in samples_of(info, dtype, limit):
        try:
            for kind, words in _differences(info, function, sample, place):
                report.failures.append(Failure(kind, word, place, words))
        except Unsupported:
            continue
        except Absent as error:
            report.absent = str(error)
            return
        report.samples += 1


def _differences(info, function, sample, place):
    """Every kind of disagreement on one sample, as (kind, words)."""
    yield from _compared(Comparison(info, info.op, function), sample)
    if RANDOM.fullmatch(info.name):
        return
    plans = (
        ("method", info.method_variant, place % 4 == 0),
        ("inplace", info.inplace_variant, place % 3 == 0 and not sample.broadcasts_input),
        ("operator", info.operator_variant, place % 4 == 1),
    )
    for kind, variant, due in plans:
        if variant is None or not due:
            continue
        try:
            yield from _compared(Comparison(info, variant, _named(variant, kind), kind), sample)
        except Unsupported:
            continue
        except Absent as error:
            yield kind, f"there is no {error}"


NUMERIC = ("value", "grad")


def _compared(comparison, sample):
    """The disagreement of one form on one sample, if there is one."""
    if comparison.kind == "inplace" and not isinstance(sample.input, torch.Tensor):
        return
    try:
        try:
            comparison.run(sample)
        except Disagreement as error:
            if error.kind not in NUMERIC or _is_wide(sample):
                raise
            comparison.run(sample, with_truth=True)
    except Disagreement as error:
        words = f"{error.words} | {describe(sample)}"
        if comparison.kind in ("", error.kind):
            yield error.kind, words
        else:
            yield comparison.kind, f"{error.kind}: {words}"


def _is_wide(sample):
    tensors = leaves((sample.input, sample.args, sample.kwargs))
    return not any(t.is_floating_point() and t.dtype != torch.float64 for t in tensors)


def _named(function, kind):
    if kind == "operator":
        return function  # from the standard library: it asks the operands
    if isinstance(function, types.FunctionType | functools.partial):
        return twin(function)  # such as relu with inplace=True
    return narae_attribute(f"Tensor.{function.__name__}")


# ---------------------------------------------------------------------------------------- errors
def _check_errors(info, function, report, every):
    if info.error_inputs_func is None or info.name.startswith("__"):
        return  # slots such as __radd__ have no checks of their own
    seed_all()
    try:
        errors = spread(info.error_inputs("cpu"), None if every else ERROR_LIMIT)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        return
    for place, error_input in errors:
        try:
            words = _refusal(info, function, error_input)
        except (Unsupported, Absent):
            continue
        report.samples += 1
        if words:
            report.failures.append(
                Failure("error", "", place, f"{words} | {describe(error_input.sample_input)}")
            )


def _own_memory(call):
    """Let PyTorch resize `out=` if it wants to: memory that NumPy has seen cannot be."""
    out = call.kwargs.get("out")
    if isinstance(out, torch.Tensor) and all(out is not x for x in leaves(call.args)):
        call.kwargs["out"] = out.clone() if 0 not in out.stride() else out


def _refusal(info, function, error_input):
    """What is wrong with how Narae answers bad input; empty when it refuses properly."""
    call = Call.of(error_input.sample_input)
    _own_memory(call)
    try:
        info.op(*call.args, **call.kwargs)
    except Exception as error:
        expected = type(error)
        told = _shown(error)
    else:
        raise Unsupported("PyTorch accepts it")
    if isinstance(call.kwargs.get("out"), torch.Tensor) and "device" in told:
        raise Unsupported("another device")
    if call.kwargs.get("layout", torch.strided) is not torch.strided:
        raise Unsupported("another layout")  # which has no name in Narae
    allowed = (expected, error_input.error_type, RuntimeError)
    try:
        function(*call.our_args, **call.our_kwargs)
    except allowed:
        return ""
    except Exception as error:
        if _is_missing_method(error):
            raise Absent(str(error)) from error
        if "unexpected keyword argument 'out'" in str(error):
            raise Unsupported("no out=") from error
        return f"raises {_shown(error)}; PyTorch raises {told}"
    return f"accepts what PyTorch refuses: {told}"


# ----------------------------------------------------------------------------------------- words
def describe(sample):
    """A sample in a few words: shapes and dtypes instead of numbers."""
    args = ", ".join(_brief(x) for x in (sample.input, *sample.args))
    kwargs = ", ".join(f"{key}={_brief(value)}" for key, value in sample.kwargs.items())
    return f"({args}{', ' if kwargs else ''}{kwargs})"[:300]


def _brief(x):
    if isinstance(x, torch.Tensor):
        flags = "" if x.is_contiguous() else " strided"
        return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}{flags}"
    if isinstance(x, (list, tuple)):
        return "[" + ", ".join(_brief(item) for item in x) + "]"
    return repr(x)
