"""Which batch size is fast enough: samples a second and memory of one after the other.

Each size is tried in a process of its own, so that running out of memory is an answer.
"""

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, DataError, NaraeError, explain

from .building import build
from .data import items_of
from .find_lr import without_schedule
from .recipe import Recipe, load_recipe
from .runs.folder import plain
from .summary import size_text

_ENOUGH = 0.95  # of the best speed
_FEWEST_UPDATES = 3
_LONGEST = 3600
_MEMORY, _ERROR = 3, 4  # exit codes of a trial


@dataclass(frozen=True)
class Trial:
    """One batch size.

    Attributes:
        batch_size: samples at once.
        samples: a second; 0 if it could not be tried.
        memory: the most that the process had at once, in bytes; 0 if that is not known.
        problem: why it could not be tried; empty if it could.
    """

    batch_size: int
    samples: float = 0.0
    memory: int = 0
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.batch_size:>10,}  {self.problem}"
        memory = size_text(self.memory) if self.memory else ""
        return f"{self.batch_size:>10,}  {self.samples:>11,.0f}  {memory:>9}"


HEAD = "batch size    samples/s     memory"


def find_batch_size(
    recipe: Recipe,
    data_dir: Path | None = None,
    smallest: int = 8,
    largest: int = 4096,
    seconds: float = 2.0,
    memory: int = 0,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Double the batch size until memory, data or speed ends.

    It ends after two doublings that bring nothing, too. `best_of` picks from the result. What
    is fast is not always what learns best: with another batch size belongs another learning rate.

    Args:
        recipe: with its settings, one of which is `batch_size`.
        data_dir: a folder to look for data in first.
        smallest, largest: batch sizes to begin and to end with.
        seconds: to measure each for.
        memory: bytes that a process may have; 0: what the machine has.
        tell: called with each trial.

    Raises:
        ConfigError: if the recipe has no setting `batch_size`, or a number makes no sense.
        DataError: if the smallest size does not work.
    """
    _check(smallest, largest, seconds)
    recipe.find_setting("batch_size")
    trials: list[Trial] = []
    for size in _doublings(smallest, largest):
        trial = _try_apart(recipe, data_dir, size, seconds, memory)
        trials.append(trial)
        tell(trial)
        if trial.problem or _is_flat(trials):
            break
    if trials[0].problem:
        rule = "the smallest batch size has to work"
        fix = "begin lower (--smallest)"
        raise DataError(explain("find batch-size", trials[0].problem, rule, fix))
    return trials


def _check(smallest: int, largest: int, seconds: float) -> None:
    if not 1 <= smallest <= largest:
        given = f"sizes go from {smallest} to {largest}"
        rule, fix = "they grow, from 1 or more", "--smallest 8 --largest 4096"
        raise ConfigError(explain("find batch-size", given, rule, fix))
    if not 0 < seconds < _LONGEST:
        rule = f"each size is measured for more than 0 and less than {_LONGEST:,} seconds"
        raise ConfigError(explain("find batch-size", f"seconds is {seconds}", rule, "--seconds 2"))


def best_of(trials: list[Trial]) -> Trial:
    """The smallest batch size whose speed is within 5 % of the best.

    >>> best_of([Trial(8, 100.0), Trial(16, 190.0), Trial(32, 195.0)]).batch_size
    16
    """
    top = max(trial.samples for trial in trials)
    return next(trial for trial in trials if trial.samples >= _ENOUGH * top)


def _doublings(smallest: int, largest: int) -> Iterator[int]:
    size = smallest
    while size <= largest:
        yield size
        size *= 2


def _is_flat(trials: list[Trial]) -> bool:
    """Whether the last two doublings were slower than what was there before."""
    if len(trials) < 4:
        return False
    top = max(trial.samples for trial in trials[:-2])
    return all(trial.samples < _ENOUGH * top for trial in trials[-2:])


# ---------------------------------------------------------------------- in a process of its own
def _try_apart(
    recipe: Recipe, data_dir: Path | None, size: int, seconds: float, memory: int
) -> Trial:
    asked = {
        "recipe": recipe.name if recipe.comes_along else str(recipe.path.resolve()),
        "settings": {**plain(recipe.all_settings()), "batch_size": size},
        "data_dir": None if data_dir is None else str(data_dir),
        "size": size,
        "seconds": seconds,
        "memory": memory,
    }
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = f"from {__name__} import answer; answer()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=place,
        check=False,
    )
    # A killed process is what a machine without memory leaves.
    if done.returncode in (_MEMORY, -9):
        return Trial(size, problem="more memory than there is")
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return Trial(**json.loads(lines[-1]))
    words = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return Trial(size, problem=re.sub(r"^\[.*?\] ", "", words))


def answer() -> None:
    """The main program of a trial: what to try comes in, what came of it goes out, as JSON."""
    asked = json.loads(sys.stdin.read())
    _limit_memory(asked["memory"])
    try:
        trial = _measured(asked)
    except MemoryError:
        sys.exit(_MEMORY)
    except NaraeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_ERROR)
    except OSError as error:  # of memory that is mapped, such as that for machine code
        if error.errno != errno.ENOMEM:
            raise
        sys.exit(_MEMORY)
    sys.stdout.write(f"\n{json.dumps(asdict(trial))}\n")


def _measured(asked: dict[str, Any]) -> Trial:
    recipe = load_recipe(asked["recipe"]).changed(asked["settings"])
    folder = None if asked["data_dir"] is None else Path(asked["data_dir"])
    size = asked["size"]
    with contextlib.closing(build(without_schedule(recipe), folder)) as trainer:
        trainer.tell("on_fit_start")
        trainer.model.train()
        updates = _whole_batches(trainer, size)
        for _ in range(2):  # compile
            next(updates)
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < asked["seconds"] or count < _FEWEST_UPDATES:
            next(updates)
            count += 1
        spent = time.perf_counter() - begin
    return Trial(size, count * size / spent, _peak_memory())


def _whole_batches(trainer: Any, size: int) -> Iterator[None]:
    """Update without end, with batches of the asked size."""
    while True:
        found = 0
        for batch in trainer.data.train:
            if items_of(batch) == size:
                trainer.train_step(True, *batch)["loss"].item()
                found += 1
                yield
        if not found:
            given = f"no batch holds {size} samples"
            raise DataError(explain("find batch-size", given, "the training data has no more"))


def _limit_memory(most: int) -> None:
    """Let this process, not another one, end where memory does."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if most:
        with contextlib.suppress(ImportError):
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
