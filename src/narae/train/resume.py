"""Going on with a training in the same bits: what its state is, and how it is taken back."""

import logging
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from narae.base.errors import ConfigError, DataError, FileFormatError, explain
from narae.tensors.creation import from_numpy
from narae.tensors.random import get_rng_state, set_rng_state

from .averages import Averages
from .callback import Callback
from .environment import differences, environment, restore_threads

if TYPE_CHECKING:
    from .trainer import Trainer

logger = logging.getLogger("narae.train")

FORMAT = 1
_KEYS = frozenset({"format", "about", "environment", "begun", "model", "judged", "optimizer"})
_KEYS |= {"epoch", "updates", "batches", "whole", "validate_every", "averages"}
_KEYS |= {"numbers", "callbacks", "loader", "random"}
# Settings that change no number of a training which goes on.
_HARMLESS = frozenset({"epochs", "keep", "log", "monitor", "patience", "save_steps"})
_HARMLESS |= {"data.workers"}
_STOPS = 70  # the order of callbacks from which on they stop, log and save, and change nothing


def state_of(trainer: "Trainer") -> dict[str, Any]:
    """All that a training is, between two updates.

    Times are not in it, so that two runs of one recipe have the same state.
    """
    return {
        "format": FORMAT,
        "about": trainer.about,
        "environment": environment(),
        "begun": trainer.begun,
        "model": trainer.model.state_dict(),
        "judged": trainer.judged.state_dict(),  # takes no space where it is the model
        "optimizer": trainer.optimizer.state_dict(),
        "epoch": trainer.epoch,
        "updates": trainer.updates,
        "batches": trainer.batches,
        "whole": _whole(trainer),
        "validate_every": trainer.validate_every,
        "averages": trainer.averages.state_dict(),
        "numbers": dict(trainer.numbers),
        "callbacks": [
            [type(each).__name__, each.order, each.state_dict()] for each in trainer.callbacks
        ],
        "loader": trainer.data.state_dict(inside=trainer.batches > 0),
        "random": random_streams(),
    }


def restore(trainer: "Trainer", state: Mapping[str, Any]) -> None:
    """Take a trainer back to a state.

    What was changed on purpose (settings of the optimizer, the length of a schedule, callbacks)
    stays changed, and one warning says that the bits are not those of an undisturbed run.

    Raises:
        DataError: if it is the state of something else; nothing is changed then.
    """
    check_state(state, "the state")
    check_fits(trainer, state)
    reason = _why_again(trainer, state) if state["batches"] else ""
    if not reason:
        trainer.data.load_state_dict(state["loader"])  # the last one that may refuse
    restore_threads(state["environment"])
    changes = _changes(trainer, state)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    _keep_new_options(trainer, state["begun"])
    trainer.epoch, trainer.updates = int(state["epoch"]), int(state["updates"])
    trainer.numbers = {name: float(x) for name, x in state["numbers"].items()}
    trainer.averages = Averages()
    if reason:
        changes.append(f"the epoch that was running begins again, for {reason}")
        trainer.batches = 0
    else:
        trainer.batches = int(state["batches"])
        trainer.averages.load_state_dict(state["averages"])
    for callback, own in _paired(trainer.callbacks, state["callbacks"])[0]:
        callback.load_state_dict(own)
    restore_random_streams(state["random"])
    if changes:
        logger.warning("the run goes on, but not in the same bits: %s", "; ".join(changes))


def _why_again(trainer: "Trainer", state: Mapping[str, Any]) -> str:
    """Why the place in the epoch that was running cannot be found again; empty if it can."""
    if list(state["whole"]) != _whole(trainer):
        return "its batches are others in number or size"
    return "" if "train" in state["loader"] else "its data has no state_dict() to say where it was"


def _whole(trainer: "Trainer") -> list[int]:
    """Batches of an epoch, and samples of a batch; 0 where the loader does not say."""
    train = trainer.data.train
    return [len(train), getattr(train, "batch_size", None) or 0]


# --- does it fit? -----------------------------------------------------------------------------


def check_state(state: Any, name: str) -> None:
    """Refuse what no trainer has saved.

    Args:
        state: what was read.
        name: of the file.

    Raises:
        FileFormatError: if it is something else, or of a newer version.
    """
    form = state.get("format") if isinstance(state, Mapping) else None
    if isinstance(form, int) and form > FORMAT:
        given, rule = f"{name} has the format {form}", f"this version reads up to {FORMAT}"
        raise FileFormatError(explain("resume", given, rule, "install a newer Narae"))
    if form != FORMAT or _KEYS - set(state):
        given, rule = f"{name} holds no state of a training", "a run goes on from one"
        raise FileFormatError(explain("resume", given, rule))


def check_fits(trainer: "Trainer", state: Mapping[str, Any]) -> None:
    """Refuse the state of another run or another model before anything is changed.

    Raises:
        DataError: naming what differs.
    """
    own, other = (about.get("run") for about in (trainer.about, state["about"]))
    if own and other and own != other:
        given, rule = f"the checkpoint is of the run {other}", f"this is the run {own}"
        raise DataError(explain("resume", given, rule))
    fix = "go on with the settings of the run, or start a new one"
    saved, mine = _shapes(state["model"]), _shapes(trainer.model.state_dict())
    odd = next((name for name in saved | mine if saved.get(name) != mine.get(name)), None)
    if odd is not None:
        shapes = [found.get(odd, "not there") for found in (saved, mine)]
        given = f"{odd} is {shapes[0]} in the checkpoint, {shapes[1]} in the model"
        raise DataError(explain("resume", given, "a run goes on with its own model", fix))
    saved_groups = [len(group["params"]) for group in state["optimizer"]["param_groups"]]
    groups = [len(group["params"]) for group in trainer.optimizer.param_groups]
    if saved_groups != groups:
        given = f"the optimizer's groups have {groups} parameters, in the checkpoint {saved_groups}"
        raise DataError(explain("resume", given, "a run goes on with its own optimizer", fix))
    _check_new(_paired(trainer.callbacks, state["callbacks"])[1])


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(getattr(x, "shape", ())) for name, x in state.items()}


def _check_new(added: Sequence[Callback]) -> None:
    """Refuse callbacks that would have had to take part from the beginning.

    Raises:
        ConfigError: naming one whose state holds tensors, such as a mean of all weights so far.
    """
    for callback in added:
        if any(hasattr(x, "shape") for x in _leaves(callback.state_dict())):
            given = f"{type(callback).__name__} was not part of the run so far"
            rule = "what it keeps comes from all updates since the beginning"
            raise ConfigError(explain("resume", given, rule, "start a new run with it"))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


# --- what has changed -------------------------------------------------------------------------


def _changes(trainer: "Trainer", state: Mapping[str, Any]) -> list[str]:
    before, now = (each.get("settings", {}) for each in (state["about"], trainer.about))
    found = [
        f"{name} was {before[name]}, is {now[name]}"
        for name in now
        if name not in _HARMLESS and name in before and before[name] != now[name]
    ]
    before_each, each = state["validate_every"], trainer.validate_every
    if before_each != each:
        found.append(f"validation came every {before_each} epochs, comes every {each}")
    if state["about"].get("sha256") != trainer.about.get("sha256"):
        found.append("the recipe was changed")
    _, added, gone = _paired(trainer.callbacks, state["callbacks"])
    found += [f"{type(each).__name__} is new" for each in added if each.order < _STOPS]
    found += [f"{name} is gone" for name, order in gone if order < _STOPS]
    found += [
        f"{type(callback).__name__} is that of the new settings"
        for callback, own in _paired(trainer.callbacks, state["callbacks"])[0]
        if callback.differs_from(own)
    ]
    return found + differences(state["environment"], environment())


def _paired(
    callbacks: Sequence[Callback], saved: Sequence[Sequence[Any]]
) -> tuple[list[tuple[Callback, dict[str, Any]]], list[Callback], list[tuple[str, int]]]:
    """Each callback with its state; those that have none; names and orders of states left over."""
    rest = list(saved)
    pairs, added = [], []
    for callback in callbacks:
        names = [name for name, *_ in rest]
        if type(callback).__name__ in names:
            pairs.append((callback, rest.pop(names.index(type(callback).__name__))[-1]))
        else:
            added.append(callback)
    return pairs, added, [(name, int(order)) for name, order, _ in rest]


def group_options(optimizer: Any) -> list[dict[str, Any]]:
    """The settings of an optimizer's groups: learning rates and the like."""
    return [
        {
            name: x.clone() if hasattr(x, "clone") else x
            for name, x in group.items()
            if name not in ("params", "param_names")
        }
        for group in optimizer.param_groups
    ]


def _keep_new_options(trainer: "Trainer", begun: Sequence[Mapping[str, Any]]) -> None:
    """What the optimizer was made with this time counts where it was made otherwise before."""
    groups = zip(trainer.optimizer.param_groups, trainer.begun, begun, strict=True)
    for group, now, before in groups:
        for name, value in now.items():
            if name not in before or _plain(before[name]) != _plain(value):
                group[name] = value


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


# --- random streams ---------------------------------------------------------------------------


def random_streams() -> dict[str, Any]:
    """Where the random streams of Narae, NumPy and Python are."""
    # The global stream of NumPy is what data sets of others draw from.
    state: Any = np.random.get_state()  # noqa: NPY002
    _, keys, position, has_gauss, gauss = state
    version, words, following = random.getstate()
    return {
        "narae": get_rng_state(),
        "numpy": [from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, from_numpy(np.array(words, np.int64)), following],
    }


def restore_random_streams(state: Mapping[str, Any]) -> None:
    """Take all streams back to where they were."""
    set_rng_state(state["narae"])
    keys, position, has_gauss, gauss = state["numpy"]
    words = np.asarray(keys).astype(np.uint32)
    legacy = ("MT19937", words, int(position), int(has_gauss), float(gauss))
    np.random.set_state(legacy)  # noqa: NPY002
    version, words, following = state["python"]
    random.setstate((int(version), tuple(int(word) for word in np.asarray(words)), following))
