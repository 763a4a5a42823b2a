"""A worker that is a thread: nothing is copied, and no main guard is needed."""

import queue
import threading
from typing import Any

from .fetch import Fetcher, answer
from .workers import Initialize, Reply, Request, WorkerInfo, set_worker_info

_INTERRUPTIBLE = 1.0  # seconds; not every system lets Ctrl-C through a wait without end


class ThreadWorker:
    """One thread with its own fetcher. It is a daemon: a program that ends does not wait for it.

    Args:
        info: who it is.
        fetcher: what it fetches with.
        initialize: called once with its number before anything else; may be None.
    """

    def __init__(self, info: WorkerInfo, fetcher: Fetcher, initialize: Initialize | None) -> None:
        self.info = info
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._skipping = threading.Event()
        arguments = (info, fetcher, initialize, self._inbox, self._outbox, self._skipping)
        name = f"narae-data-{info.id}"
        threading.Thread(target=_work, args=arguments, name=name, daemon=True).start()

    def begin(self, seed: int) -> None:
        self._skipping.clear()
        self._inbox.put(seed)

    def send(self, request: Request) -> None:
        self._inbox.put(request)

    def receive(self, timeout: float | None) -> Reply:
        waited = 0.0
        while True:
            step = _INTERRUPTIBLE if timeout is None else min(_INTERRUPTIBLE, timeout - waited)
            try:
                return self._outbox.get(timeout=max(step, 0.0))
            except queue.Empty:
                waited += step
                if timeout is not None and waited >= timeout:
                    raise TimeoutError from None

    def stop_early(self) -> None:
        self._skipping.set()

    def close(self) -> None:
        self._skipping.set()
        self._inbox.put(None)


def _work(
    info: WorkerInfo,
    fetcher: Fetcher,
    initialize: Initialize | None,
    inbox: "queue.SimpleQueue[Any]",
    outbox: "queue.SimpleQueue[Reply]",
    skipping: threading.Event,
) -> None:
    """What the thread does until it is told None: seeds begin passes, requests are answered."""
    while True:
        message = inbox.get()
        if message is None:
            return
        if not isinstance(message, Request):
            info = WorkerInfo(info.id, info.num_workers, message + info.id, info.dataset)
            set_worker_info(info)
            fetcher.begin(message, "thread", info.id)
        elif skipping.is_set():
            outbox.put(Reply())
        else:
            reply, initialize = answer(fetcher, message, info, initialize)
            outbox.put(reply)
