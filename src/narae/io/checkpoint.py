"""Checkpoints: everything a run needs to go on, and a note that people can read beside it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narae.base.errors import DataError, FileFormatError, explain
from narae.tensors.random import get_rng_state, set_rng_state

from .atomic import atomic_write
from .saving import load, save

_SUFFIX = ".safetensors"
_PARTS = ("model", "optimizer", "scheduler", "random", "meta")


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Any,
    optimizer: Any = None,
    meta: Mapping[str, Any] | None = None,
    scheduler: Any = None,
) -> Path:
    """Save a model, its optimizer and scheduler, the random stream, and numbers about the run.

    `path.safetensors` holds all of it; `path.json` repeats `meta`, without its lists, for people.
    Each is written beside the old one and renamed, so an interrupted save leaves the old one.

    Args:
        path: where to, with or without ".safetensors"; the folder must exist.
        model, optimizer, scheduler: what has a `state_dict()`; None leaves it out.
        meta: numbers and texts, such as the epoch and its accuracy, and lists and dicts of these.

    Returns:
        The path of the safetensors file.
    """
    target = _with_suffix(path)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    states = {name: None if part is None else part.state_dict() for name, part in parts.items()}
    note = dict(meta or {})
    save({**states, "random": get_rng_state(), "meta": note}, target)
    with atomic_write(target.with_suffix(".json"), "w") as file:
        json.dump({"checkpoint": target.name, **_without_lists(note)}, file, indent=2)
        file.write("\n")
    return target


def load_checkpoint(
    path: str | os.PathLike[str],
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    restore_random: bool = False,
) -> dict[str, Any]:
    """Load a checkpoint into what is given, after all of it was found to fit.

    Args:
        path: as given to `save_checkpoint`.
        model, optimizer, scheduler: where to load to; None leaves a part out.
        restore_random: go on in the random stream where the checkpoint left it.

    Returns:
        The `meta` it was saved with.

    Raises:
        DataError: if the checkpoint belongs to another model, or lacks a part that is asked for.
        FileFormatError: if the file is damaged, truncated or no checkpoint.
        MissingDataError: if there is no such file.
    """
    target = _with_suffix(path)
    states = load(target)
    if not isinstance(states, dict) or not set(_PARTS) <= set(states):
        given, rule = f"{target}: it is no checkpoint", f"a checkpoint has {', '.join(_PARTS)}"
        fix = "load plain weights with narae.load and model.load_state_dict"
        raise FileFormatError(explain("load_checkpoint", given, rule, fix))
    wanted = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    for name, part in wanted.items():
        if part is not None and states[name] is None:
            given = f"{target} was saved without its {name}"
            raise DataError(explain("load_checkpoint", given, f"the {name} is asked for"))
    if model is not None:
        _check_fits(target, model.state_dict(), states["model"])
    for name in ("optimizer", "scheduler", "model"):  # the optimizer checks its groups first
        if wanted[name] is not None:
            wanted[name].load_state_dict(states[name])
    if restore_random:
        set_rng_state(states["random"])
    return dict(states["meta"])


def _without_lists(note: Mapping[str, Any]) -> dict[str, Any]:
    """What is short enough to read: numbers, texts, and dicts of these."""
    return {
        name: _without_lists(value) if isinstance(value, Mapping) else value
        for name, value in note.items()
        if not isinstance(value, list | tuple)
        and not (isinstance(value, Mapping) and not _without_lists(value))
    }


def _check_fits(target: Path, own: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Refuse the weights of another model before anything is changed."""
    rule = "names and shapes must be those of the model"
    fix = "build the model as it was when the checkpoint was saved"
    odd = sorted(own.keys() ^ saved.keys())
    if odd:
        side = "the checkpoint" if odd[0] in saved else "the model"
        given = f"{target}: only {side} has {odd[0]}"
        raise DataError(explain("load_checkpoint", given, rule, fix))
    for name, value in own.items():
        before, now = getattr(value, "shape", None), getattr(saved[name], "shape", None)
        if before != now:
            given = f"{target}: {name} is {tuple(now or ())}, in the model {tuple(before or ())}"
            raise DataError(explain("load_checkpoint", given, rule, fix))


def _with_suffix(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    return target if target.suffix == _SUFFIX else target.with_name(target.name + _SUFFIX)
