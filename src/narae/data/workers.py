"""Threads that fetch batches ahead, while the order of the batches stays.

Batch i is fetched by worker i mod n, so which worker does what does not depend on timing. NumPy
releases the interpreter's lock in its heavy functions, so threads do run side by side there.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from narae.base.errors import DataError, explain

from .fetch import Exhausted, Fetcher


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


class Worker:
    """One thread with its own fetcher.

    Args:
        info: who it is.
        fetcher: what it fetches with.
        initialize: called once with its number before anything else; may be None.
    """

    def __init__(
        self, info: WorkerInfo, fetcher: Fetcher, initialize: Callable[[int], Any] | None
    ) -> None:
        self.info, self._fetcher, self._initialize = info, fetcher, initialize
        self._thread = ThreadPoolExecutor(1, f"narae-data-{info.id}")

    def submit(self, request: Any) -> "Future[Any]":
        """Begin to fetch; the result is waited for later."""
        return self._thread.submit(self._fetch, request)

    def stop(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, request: Any) -> Any:
        try:
            if _current.info is None:
                _current.info = self.info
                if self._initialize is not None:
                    self._initialize(self.info.id)
            return self._fetcher.fetch(request)
        except Exhausted:
            raise
        except Exception as error:
            error.add_note(f"in worker {self.info.id} of a DataLoader")
            raise


class AheadOfTime:
    """Batches in order, each fetched before it is asked for.

    Args:
        workers: who fetches.
        requests: what to fetch, in order.
        ahead: how many batches may be on their way.
        timeout: seconds to wait for one; None waits for ever.
    """

    def __init__(
        self, workers: list[Worker], requests: Iterator[Any], ahead: int, timeout: float | None
    ) -> None:
        self._workers, self._requests, self._timeout = workers, requests, timeout
        self._active = deque(workers)
        self._waiting: deque[tuple[Worker, Future[Any]]] = deque()
        for _ in range(ahead):
            self._begin_one()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self._waiting:
            worker, future = self._waiting.popleft()
            try:
                batch = self._result(future)
            except Exhausted:
                if worker in self._active:
                    self._active.remove(worker)
                self._begin_one()
                continue
            self._begin_one()
            return batch
        self.close()
        raise StopIteration

    def _begin_one(self) -> None:
        if not self._active:
            return
        for request in self._requests:
            worker = self._active[0]
            self._active.rotate(-1)
            self._waiting.append((worker, worker.submit(request)))
            return

    def _result(self, future: "Future[Any]") -> Any:
        try:
            return future.result(self._timeout)
        except FutureTimeoutError as error:
            if future.done():
                raise  # the data set itself ran into a time-out
            self.close()
            given = f"a worker gave no batch within {self._timeout} seconds"
            message = explain("DataLoader", given, "timeout limits the wait", "raise timeout")
            raise DataError(message) from error

    def close(self) -> None:
        """Let the threads end."""
        self._waiting.clear()
        for worker in self._workers:
            worker.stop()

    def __del__(self) -> None:
        if hasattr(self, "_waiting"):
            self.close()


def fetch_ahead(loader: Any, fetchers: list[Fetcher], seed: int) -> AheadOfTime:
    """Start one worker for each fetcher; worker k has the seed `seed + k`."""
    count = len(fetchers)
    workers = [
        Worker(
            WorkerInfo(place, count, seed + place, loader.dataset), fetcher, loader.worker_init_fn
        )
        for place, fetcher in enumerate(fetchers)
    ]
    ahead = count * loader.prefetch_factor
    return AheadOfTime(workers, fetchers[0].requests(), ahead, loader.timeout or None)
