"""Batches in order, each asked for before it is needed, from workers of either kind.

Request i goes to worker i mod n, so which worker does what does not depend on timing.
"""

import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from narae.base.errors import explain

from .workers import Request, Worker, WorkerError


class Crew:
    """The workers of a loader; they end with it, or when the program does."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.asked: list[int] = []  # requests without an answer
        self.passes = 0
        self.close = weakref.finalize(self, _close, self.workers)

    def add(self, worker: Worker) -> None:
        """One worker more."""
        self.workers.append(worker)
        self.asked.append(0)

    def begin(self, seed: int) -> int:
        """Begin a pass; whatever an older one still waits for is dropped. Returns its number."""
        for worker, asked in zip(self.workers, self.asked, strict=True):
            if asked:
                worker.stop_early()
        for place, worker in enumerate(self.workers):
            while self.asked[place]:
                worker.receive(None)
                self.asked[place] -= 1
            worker.begin(seed)
        self.passes += 1
        return self.passes


def _close(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close()


class Ahead:
    """Iterate over the batches of one pass.

    Args:
        crew: who fetches.
        seed: of the pass.
        requests: what to fetch, in order.
        first: the worker that the first request goes to.
        ahead: how many batches may be on their way.
        timeout: seconds to wait for one; None waits for ever.
        keep: whether the workers stay when the pass ends.
    """

    def __init__(
        self,
        crew: Crew,
        seed: int,
        requests: Iterator[Request],
        first: int,
        ahead: int,
        timeout: float | None,
        keep: bool,
    ) -> None:
        self._crew, self._requests, self._timeout, self._keep = crew, requests, timeout, keep
        self._number = crew.begin(seed)
        self._turns = deque(range(len(crew.workers)))
        self._turns.rotate(-first)
        self._waiting: deque[tuple[int, bool]] = deque()
        self.answered = 0  # requests so far; a stream's end is an answer too
        for _ in range(ahead):
            self._ask()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self._waiting:
            self._check_newest()
            place, skip = self._waiting.popleft()
            reply = self._receive(place)
            self.answered += 1
            if reply.exhausted and place in self._turns:
                self._turns.remove(place)
            self._ask()
            if reply.error is not None:
                raise reply.error
            if not (reply.exhausted or skip):
                return reply.batch
        if not self._keep:
            self._crew.close()
        raise StopIteration

    def _check_newest(self) -> None:
        if self._number != self._crew.passes:
            given = "a pass goes on after a newer one began"
            rule = "with persistent_workers both have the same workers"
            raise WorkerError(explain("DataLoader", given, rule, "finish one pass first"))

    def _ask(self) -> None:
        if not self._turns:
            return
        for request in self._requests:
            place = self._turns[0]
            self._turns.rotate(-1)
            self._crew.workers[place].send(request)
            self._crew.asked[place] += 1
            self._waiting.append((place, request.skip))
            return

    def _receive(self, place: int) -> Any:
        try:
            reply = self._crew.workers[place].receive(self._timeout)
        except TimeoutError as error:
            self._crew.close()
            given = f"timed out: worker {place} gave no batch within {self._timeout} seconds"
            message = explain("DataLoader", given, "timeout limits the wait", "raise timeout")
            raise WorkerError(message) from error
        except BaseException:  # a dead worker, or Ctrl-C: nothing more can be asked for
            self._crew.close()
            raise
        self._crew.asked[place] -= 1
        return reply
