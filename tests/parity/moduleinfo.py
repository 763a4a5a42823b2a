"""Modules on the samples that PyTorch tests itself with (`ModuleInfo`).

`check(name)` builds a module on both sides from the same seed, and compares initial weights, keys
and shapes of `state_dict`, the printed form, results in training and evaluation, buffers after
them, gradients of inputs and parameters, and refusals of bad input.
"""

from __future__ import annotations

import copy
import functools
import pathlib
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.testing import Tolerance, difference, to_narae  # noqa: E402
from tests.parity.opinfo import (  # noqa: E402
    Disagreement,
    Failure,
    Report,
    _of_gradients,
    _shown,
    compare,
    cotangents,
    differentiable,
    forgives,
    seed_all,
)
from tests.parity.redirect import (  # noqa: E402
    Absent,
    Unsupported,
    _mapped,
    converted,
    fresh,
    narae_attribute,
)

ELIGIBLE = pathlib.Path(__file__).with_name("eligible_modules.txt")
DTYPES = (torch.float32, torch.float64)


@functools.cache
def database():
    """PyTorch's modules by name, such as "nn.Linear"; without those that wait for an input."""
    from torch.testing._internal.common_modules import module_db

    return {info.name: info for info in module_db if not info.is_lazy}


def eligible_names():
    """The names of all modules compared, from the committed list."""
    return ELIGIBLE.read_text(encoding="utf8").split()


def check(name):
    """Compare a module on its own samples."""
    info, report = database()[name], Report(name)
    try:
        ours = narae_attribute(name)
    except Absent as error:
        report.absent = str(error)
        return report
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for dtype in DTYPES:
            for training in (True, False):
                _check_mode(info, ours, dtype, training, report)
        _check_errors(info, ours, report)
    for failure in list(report.failures):
        if forgives(name, failure):
            report.failures.remove(failure)
            report.forgiven.append(failure)
    return report


def _check_mode(info, ours, dtype, training, report):
    seed_all()
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training
    )
    word = f"{str(dtype).removeprefix('torch.')} {'train' if training else 'eval'}"
    for place, module_input in enumerate(inputs):
        try:
            _compare_module(info, ours, module_input, dtype, training)
        except Unsupported:
            continue
        except Disagreement as error:
            words = f"{error.words} | {_words(module_input.constructor_input)}"
            report.failures.append(Failure(error.kind, word, place, words))
        report.samples += 1


def _words(given):
    args = [repr(arg) for arg in given.args]
    return ", ".join([*args, *(f"{key}={value!r}" for key, value in given.kwargs.items())])[:200]


# -------------------------------------------------------------------------------------- one sample
def _compare_module(info, our_class, module_input, dtype, training):
    """Compare everything; where float32 differs, ask PyTorch in float64 which one is nearer."""
    try:
        _compare_once(info, our_class, module_input, dtype, training, False)
    except Disagreement as error:
        if dtype != torch.float32 or error.kind not in ("value", "grad"):
            raise
        _compare_once(info, our_class, module_input, dtype, training, True)


def _compare_once(info, our_class, module_input, dtype, training, with_truth):
    theirs, mine = _built(info.module_cls, our_class, module_input.constructor_input)
    _compare_faces(theirs, mine)
    theirs.to(dtype).train(training)
    _copy_weights(theirs, mine, dtype)
    mine.train(training)
    forward = module_input.forward_input
    args, kwargs = fresh((forward.args, forward.kwargs))
    memo = {}
    our_args, our_kwargs = converted((args, kwargs), memo)
    wide = _Truth(theirs, args, kwargs) if with_truth else None
    try:
        expected = theirs(*args, **kwargs)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise Unsupported(str(error)) from error
    try:
        actual = mine(*our_args, **our_kwargs)
    except Exception as error:
        raise Disagreement("forward", _shown(error)) from error
    fixed = not (training and _is_random(theirs))
    compare(actual, expected, wide and wide.result, numbers=fixed)
    _compare_states(theirs, mine)
    if fixed:
        pairs = [(a, b) for a, b in memo.values() if b.requires_grad and b.is_floating_point()]
        _compare_gradients(pairs, theirs, mine, expected, actual, wide)


class _Truth:
    """PyTorch's answers in float64."""

    def __init__(self, theirs, args, kwargs):
        module, self.inputs = copy.deepcopy(theirs).double(), {}
        args, kwargs = _mapped((args, kwargs), self._widened, {}, lambda other: other)
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.result = module(*args, **kwargs)

    def _widened(self, x):
        wide = x.detach().double() if x.is_floating_point() else x.detach()
        self.inputs[id(x)] = wide.requires_grad_(x.requires_grad)
        return wide

    def gradients(self, pairs, weights):
        """Of the inputs that stand in the pairs, then of all parameters."""
        inputs = [self.inputs[id(theirs)] for _, theirs in pairs if id(theirs) in self.inputs]
        outputs, weights = differentiable(self.result), [weight.double() for weight in weights]
        wanted = inputs + self.parameters
        return torch.autograd.grad(outputs, wanted, weights, allow_unused=True)


def _built(their_class, our_class, given):
    torch.manual_seed(3)
    theirs = their_class(*given.args, **given.kwargs)
    narae.manual_seed(3)
    try:
        args, kwargs = converted((given.args, given.kwargs))
        return theirs, our_class(*args, **kwargs)
    except Absent as error:
        raise Unsupported(str(error)) from error
    except Exception as error:
        raise Disagreement("constructor", _shown(error)) from error


def _compare_faces(theirs, mine):
    """Keys, shapes and initial numbers of the state, and the printed form."""
    wanted, found = theirs.state_dict(), mine.state_dict()
    if list(found) != list(wanted):
        raise Disagreement("state_dict", f"keys are {list(found)}, expected {list(wanted)}")
    names = [name for name, _ in mine.named_parameters()]
    if names != [name for name, _ in theirs.named_parameters()]:
        raise Disagreement("state_dict", f"parameters are {names}")
    _compare_states(theirs, mine, "init")
    if repr(mine) != repr(theirs):
        raise Disagreement("repr", f"{mine!r}, expected {theirs!r}")


def _compare_states(theirs, mine, kind="state"):
    found = mine.state_dict()
    for key, value in theirs.state_dict().items():
        problem = difference(found[key], value)
        if problem:
            raise Disagreement(kind, f"{key}: {problem}")


def _copy_weights(theirs, mine, dtype):
    mine.to(getattr(narae, str(dtype).removeprefix("torch.")))
    state = {key: to_narae(value) for key, value in theirs.state_dict().items()}
    try:
        mine.load_state_dict(state)
    except Exception as error:
        raise Disagreement("state_dict", _shown(error)) from error


def _is_random(module):
    """Whether training mode draws numbers somewhere inside."""
    return any(
        (isinstance(part, torch.nn.modules.dropout._DropoutNd) and part.p > 0)
        or "FractionalMaxPool" in type(part).__name__
        or (isinstance(getattr(part, "dropout", 0), float) and part.dropout > 0)
        for part in module.modules()
    )


def _compare_gradients(pairs, theirs, mine, expected, actual, wide):
    parameters = zip(mine.parameters(), theirs.parameters(), strict=True)
    pairs = pairs + [(a, b) for a, b in parameters if b.requires_grad]
    wanted, found = differentiable(expected), differentiable(actual)
    if not wanted or not pairs:
        return
    weights = cotangents(wanted)
    their_grads = torch.autograd.grad(wanted, [b for _, b in pairs], weights, allow_unused=True)
    try:
        given = [to_narae(weight) for weight in weights]
        grads = narae.autograd.grad(found, [a for a, _ in pairs], given, allow_unused=True)
    except Exception as error:
        raise Disagreement("grad", f"backward raises {_shown(error)}") from error
    exact = wide.gradients(pairs, weights) if wide else [None] * len(pairs)
    for place, (one, other, truth) in enumerate(zip(grads, their_grads, exact, strict=True)):
        if (one is None) != (other is None):
            raise Disagreement("grad", f"of {place}: {one} where PyTorch has {other}")
        problem = other is not None and difference(one, other, _allowed(theirs, other.dtype), truth)
        if problem:
            raise Disagreement("grad", f"of {place}: {problem}")


def _allowed(module, dtype):
    """float32 rounds in each of the many layers of a Transformer; PyTorch's tests allow 1e-4."""
    tolerance = _of_gradients(dtype)
    if isinstance(module, torch.nn.Transformer) and dtype == torch.float32:
        return Tolerance(4 * tolerance.rtol, 4 * tolerance.atol)
    return tolerance


# ---------------------------------------------------------------------------------------- refusals
def _check_errors(info, ours, report):
    if info.module_error_inputs_func is None:
        return
    for training in (True, False):
        errors = info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=False, training=training
        )
        for place, error_input in enumerate(errors):
            try:
                words = _refusal(info.module_cls, ours, error_input)
            except (Unsupported, Absent):
                continue
            report.samples += 1
            if words:
                report.failures.append(Failure("error", "", place, words))


def _refusal(their_class, our_class, error_input):
    """What is wrong with how bad input is answered; empty when it is refused properly."""
    given = error_input.module_error_input
    expected = _error_of(their_class, given, lambda x: x)
    if expected is None:
        raise Unsupported("PyTorch accepts it")
    error = _error_of(our_class, given, converted)
    if error is None:
        return f"accepts what PyTorch refuses: {_shown(expected)}"
    if isinstance(error, (type(expected), error_input.error_type, RuntimeError)):
        return ""
    return f"raises {_shown(error)}; PyTorch raises {_shown(expected)}"


def _error_of(cls, given, convert):
    """The error of building and calling a module, None when there is none."""
    made, call = given.constructor_input, given.forward_input
    args, kwargs = convert((made.args, made.kwargs))
    inputs = convert((call.args, call.kwargs)) if call is not None else None
    try:
        module = cls(*args, **kwargs)
        if inputs is not None:
            module(*inputs[0], **inputs[1])
    except Exception as error:
        return error
    return None
