"""Where in its passes a loader is: enough to go on in another process, small enough for JSON.

The order of samples is not written down. It follows from the generators as they were when the pass
began, so going on means: put them back, draw the order again, and go past what was seen.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors.random import Generator, default_generator

Places = dict[str, str]  # the place of each generator in its stream


@dataclass
class Pass:
    """One pass through the data.

    Attributes:
        seed: of the random numbers inside the data set.
        before: where the generators were when it began.
        epoch: the sampler's, if it counts them.
        batches: how many were given.
        requests: how many answers of workers that took; a stream's end is one too.
        done: whether all were given.
    """

    seed: int
    before: Places
    epoch: int | None = None
    batches: int = 0
    requests: int = 0
    done: bool = field(default=False)


def generators_of(loader: Any) -> dict[str, Generator]:
    """The generators that decide on the order of samples, by where they were found."""
    found: dict[str, Generator] = {"default": default_generator}
    owners = {"loader": loader, "sampler": loader.sampler, "batch_sampler": loader.batch_sampler}
    owners["batch_sampler.sampler"] = getattr(loader.batch_sampler, "sampler", None)
    for name, owner in owners.items():
        generator = getattr(owner, "generator", None)
        if isinstance(generator, Generator) and all(generator is not g for g in found.values()):
            found[name] = generator
    return found


def places_of(generators: dict[str, Generator]) -> Places:
    """Where generators are in their streams, as text."""
    return {
        name: b64encode(generator.engine.get_state().tobytes()).decode("ascii")
        for name, generator in generators.items()
    }


def go_to(generators: dict[str, Generator], places: Places) -> None:
    """Take generators to where others were.

    Raises:
        ConfigError: if they are not the same ones.
    """
    check_same(generators, places)
    for name, place in places.items():
        generators[name].engine.set_state(np.frombuffer(b64decode(place), np.uint8))


def check_same(generators: dict[str, Generator], places: Places) -> None:
    """Refuse places of other generators.

    Raises:
        ConfigError: naming both.
    """
    if generators.keys() != places.keys():
        given = f"the state has the generators {sorted(places)}, the loader {sorted(generators)}"
        rule = "a state belongs to a loader that was made with the same arguments"
        raise ConfigError(explain("DataLoader.load_state_dict", given, rule))


@contextmanager
def as_before(generators: dict[str, Generator], saved: dict[str, Any]) -> Iterator[None]:
    """Inside, generators are as at the beginning of the pass; then the default one goes on."""
    go_to(generators, saved["before"])
    yield
    go_to({"default": default_generator}, {"default": saved["now"]["default"]})
