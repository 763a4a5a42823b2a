"""Points that Optuna suggests: the better a region was so far, the more of it is tried.

Source: Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", 2019; its
sampler is the tree-structured Parzen estimator (Bergstra et al., 2011).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narae.base.errors import require

from .space import Choice, Point, Space

_AT_RANDOM = 8  # trials before the first suggestion


@dataclass(frozen=True)
class Trial:
    """A point that was tried.

    Attributes:
        point: its settings.
        value: what came of it; NaN if nothing did.
        over: whether it has ended.
    """

    point: Point
    value: float
    over: bool


def suggest(
    spaces: Mapping[str, Space], trials: Sequence[Trial], seed: int, small_is_better: bool
) -> Point:
    """One more point to try; the same one for the same trials and seed.

    Args:
        spaces: what may be tried.
        trials: all points so far, those that are still running too.
        seed: of what is drawn.
        small_is_better: whether small values are the good ones.

    Raises:
        MissingExtraError: if Optuna is not installed.
    """
    optuna: Any = require("optuna", "sweep", "a search by Optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=seed * 100_003 + len(trials), n_startup_trials=_AT_RANDOM, constant_liar=True
    )
    study = optuna.create_study(
        direction="minimize" if small_is_better else "maximize", sampler=sampler
    )
    distributions = {key: _distribution(optuna, space) for key, space in spaces.items()}
    for trial in trials:
        study.add_trial(_frozen(optuna, trial, spaces, distributions))
    found = study.ask(distributions).params
    return {key: _value(space, found[key]) for key, space in spaces.items()}


def _distribution(optuna: Any, space: Space) -> Any:
    kinds = optuna.distributions
    if isinstance(space, Choice):  # by their places: values may be lists, which Optuna has not
        return kinds.CategoricalDistribution(range(len(space.values)))
    kind = kinds.IntDistribution if space.whole else kinds.FloatDistribution
    return kind(space.low, space.high, log=space.log)


def _frozen(
    optuna: Any, trial: Trial, spaces: Mapping[str, Space], distributions: Mapping[str, Any]
) -> Any:
    states = optuna.trial.TrialState
    failed = trial.over and not math.isfinite(trial.value)
    state = states.FAIL if failed else states.COMPLETE if trial.over else states.RUNNING
    return optuna.trial.create_trial(
        state=state,
        value=trial.value if state == states.COMPLETE else None,
        params={key: _place(space, trial.point[key]) for key, space in spaces.items()},
        distributions=dict(distributions),
    )


def _place(space: Space, value: Any) -> Any:
    if not isinstance(space, Choice):
        return value
    values = [list(x) if isinstance(x, tuple) else x for x in space.values]
    return values.index(list(value) if isinstance(value, tuple) else value)


def _value(space: Space, found: Any) -> Any:
    return space.values[found] if isinstance(space, Choice) else space.rounded(found)
