"""Weights that were made elsewhere: what of them fits a model, and words for what does not.

Other programs put `module.` and the like before every name. This is taken off; then names and
shapes must be those of the model.
"""

import difflib
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from narae.base.errors import DataError, explain
from narae.tensors import Tensor

from .module import Module
from .state import Loading

logger = logging.getLogger("narae.nn")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # DataParallel, torch.compile, Lightning
_SHOWN = 6  # names that a message lists


@dataclass(frozen=True)
class Mismatch:
    """A tensor whose shape is another one in the file.

    Attributes:
        key: its name.
        found: its shape in the file.
        wanted: its shape in the model.
    """

    key: str
    found: tuple[int, ...]
    wanted: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.key} is {self.found}, in the model {self.wanted}"


@dataclass(frozen=True)
class LoadedWeights:
    """What came of loading weights.

    Attributes:
        source: where they came from.
        loaded: how many tensors were loaded.
        mismatched: those left out, because their shapes are others.
        missing: names that only the model has.
        unexpected: names that only the file has.
    """

    source: str
    loaded: int
    mismatched: list[Mismatch]
    missing: list[str]
    unexpected: list[str]

    def __str__(self) -> str:
        words = [f"{self.source}: {self.loaded} tensors loaded"]
        words += [f"left out: {each}" for each in self.mismatched]
        words += [f"not in it: {_listed(self.missing)}"] if self.missing else []
        words += [f"not in the model: {_listed(self.unexpected)}"] if self.unexpected else []
        return "\n  ".join(words)


def load_state(
    model: Module,
    state: Mapping[str, Any],
    source: str = "the state dict",
    ignore_mismatched: bool = False,
    strict: bool = True,
) -> LoadedWeights:
    """Give a model tensors by name; all of them, or none if something does not fit.

    Args:
        model: what to load into.
        state: the tensors.
        source: where they came from, for messages.
        ignore_mismatched: leave out tensors of other shapes, such as those of a head for other
            classes; they keep the numbers that they have, and a warning says so.
        strict: both sides must have the same names.

    Raises:
        DataError: naming every tensor that does not fit, and names that look alike.

    >>> import narae
    >>> model, other = narae.nn.Linear(2, 3), narae.nn.Linear(2, 3)
    >>> print(load_state(model, {f"module.{k}": x for k, x in other.state_dict().items()}))
    the state dict: 2 tensors loaded
    >>> bool((model.weight == other.weight).all())
    True
    """
    loading = Loading(_without_prefixes(state, model), strict=False, assign=False)
    loading.visit(model)  # names of older versions are renamed in loading.state
    wanted = model.state_dict()
    mismatched = list(_mismatches(loading.state, wanted))
    report = LoadedWeights(
        source,
        sum(key in loading.state for key in wanted) - len(mismatched),
        mismatched,
        sorted(set(loading.missing)),
        sorted(set(loading.unexpected)),
    )
    _check(report, ignore_mismatched, strict)
    for mismatch in mismatched:
        del loading.state[mismatch.key]
    model.load_state_dict(loading.state, strict=False)
    if mismatched or report.missing or report.unexpected:
        logger.warning("%s", report)
    return report


def _without_prefixes(state: Mapping[str, Any], model: Module) -> Mapping[str, Any]:
    """The same state without what other programs put before every name."""
    own = tuple(model.state_dict())
    for prefix in _PREFIXES:
        every = all(key.startswith(prefix) for key in state)
        if every and not any(key.startswith(prefix) for key in own):
            state = _cut(state, len(prefix))
    return state


def _cut(state: Mapping[str, Any], length: int) -> OrderedDict:
    found = OrderedDict((key[length:], value) for key, value in state.items())
    versions = getattr(state, "_metadata", None)
    if versions is not None:
        found._metadata = {key[length:]: value for key, value in versions.items()}  # type: ignore[attr-defined]
    return found


# ---------------------------------------------------------------------------------------- what fits
def _mismatches(state: Mapping[str, Tensor], wanted: Mapping[str, Any]) -> Iterable[Mismatch]:
    for key, target in wanted.items():
        if key in state and isinstance(target, Tensor):
            found, own = tuple(state[key].shape), tuple(target.shape)
            if found != own and not (own == () and found == (1,)):  # files of PyTorch 0.3
                yield Mismatch(key, found, own)


def _check(report: LoadedWeights, ignore_mismatched: bool, strict: bool) -> None:
    """Raise one error for all that does not fit."""
    wrong: list[str] = []
    if strict and report.missing:
        wrong.append(f"it lacks {_listed(report.missing)}")
    if strict and report.unexpected:
        wrong.append(f"only it has {_listed(report.unexpected)}")
    shapes = [] if ignore_mismatched else list(map(str, report.mismatched))
    wrong += shapes[:_SHOWN]
    if len(shapes) > _SHOWN:
        wrong.append(f"and {len(shapes) - _SHOWN} more shapes")
    if wrong:
        rule = "names and shapes are those of the model; nothing was loaded"
        given = f"{report.source}: {'; '.join(wrong)}"
        names = strict and (report.missing or report.unexpected)
        fix = _names_fix(report) if names else _shapes_fix(report.mismatched)
        raise DataError(explain("load_weights", given, rule, fix))


def _names_fix(report: LoadedWeights) -> str:
    """Which names look alike, or what all of them begin with."""
    pairs = []
    for key in report.missing if len(report.missing) <= _SHOWN else ():
        close = difflib.get_close_matches(key, report.unexpected, n=1)
        pairs += [f"{close[0]} may be {key}"] if close else []
    prefix = _prefix_of_all(report)
    if prefix:
        return f"remove the prefix {prefix!r} from the keys"
    if pairs:
        return f"{'; '.join(pairs)}; rename them in the state dict"
    return "build the model that the weights are of, or strict=False to load what both have"


def _prefix_of_all(report: LoadedWeights) -> str:
    """What the file has before the name of everything that the model misses."""
    first = report.missing[0] if report.missing else ""
    for key in report.unexpected if first else ():
        prefix = key.removesuffix(f".{first}")
        if prefix != key and {f"{prefix}.{k}" for k in report.missing} <= set(report.unexpected):
            return f"{prefix}."
    return ""


def _shapes_fix(mismatched: list[Mismatch]) -> str:
    """How to build the other model, if it is a matter of classes; and how to load the rest."""
    rest = "ignore_mismatched=True (--ignore-mismatched) loads the rest"
    classes = {each.found[:1] for each in mismatched}
    if len(classes) == 1 and all(each.found[1:] == each.wanted[1:] for each in mismatched):
        return f"num_classes={classes.pop()[0]} if these are the classes; {rest}"
    return f"build the model with the sizes of the weights; {rest}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
