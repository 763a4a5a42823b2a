"""What thread workers and process workers have in common."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from narae.base.errors import NaraeError

Initialize = Callable[[int], Any]


class WorkerError(NaraeError, RuntimeError):
    """A worker of a loader died, or gave nothing in time."""


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker runs the calling code.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: its own seed, different for each worker and each pass.
        dataset: what it reads from.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Current(threading.local):
    info: WorkerInfo | None = None


_current = _Current()


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a DataLoader runs this code; None outside of one."""
    return _current.info


def set_worker_info(info: WorkerInfo) -> None:
    """Say which worker this thread is."""
    _current.info = info


class Request(NamedTuple):
    """What to fetch.

    Attributes:
        number: its place among the requests of the pass.
        indices: of the samples; None from a stream.
        repeats: how often each of them came before in the pass; None if none did.
        skip: go past it, and give nothing.
    """

    number: int
    indices: Any
    repeats: list[int] | None = None
    skip: bool = False


class Reply(NamedTuple):
    """What became of a request: exactly one of a batch, an error, or the end of the stream."""

    batch: Any = None
    error: BaseException | None = None
    exhausted: bool = False


class Worker(Protocol):
    """Answers requests in their order."""

    def begin(self, seed: int) -> None:
        """A new pass; `seed` is the same for all workers."""
        ...

    def send(self, request: Request) -> None:
        """Ask for a batch."""
        ...

    def receive(self, timeout: float | None) -> Reply:
        """The answer to the oldest request that has none yet.

        Raises:
            TimeoutError: if it does not come in time.
            WorkerError: if the worker is no more.
        """
        ...

    def stop_early(self) -> None:
        """Answer what was asked so far without fetching it."""
        ...

    def close(self) -> None:
        """End."""
        ...
