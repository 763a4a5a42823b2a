"""What a worker process does, from its start to its end."""

import os
import pickle
import queue
import signal
import threading
import traceback
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from narae.tensors.modes import modes

from .fetch import Fetcher, answer
from .shared import Sender
from .workers import Initialize, Reply, WorkerError, WorkerInfo, set_worker_info


class Setup(NamedTuple):
    """What a worker process begins with.

    Attributes:
        connection: its end of the pipe.
        inherited: the other end, if it came along by a fork.
        prefix: of the names of its blocks of shared memory.
        info: who it is.
        fetcher: what it fetches with.
        initialize: called once with its number before anything else; may be None.
    """

    connection: Any
    inherited: Any
    prefix: str
    info: WorkerInfo
    fetcher: Fetcher
    initialize: Initialize | None


class _Inbox:
    """Messages, read as soon as they come: so the program that writes them never has to wait."""

    def __init__(self, connection: Any, sender: Sender) -> None:
        self._connection, self._sender = connection, sender
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.skipping = False
        threading.Thread(target=self._read, daemon=True).start()

    def get(self) -> Any:
        """The next message; None at the end."""
        return self._messages.get()

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):  # the program is gone
                self._sender.remove()
                os._exit(1)
            if message == ("skip",):
                self.skipping = True
            else:
                self._messages.put(message)
            if message is None:
                return


def main(setup: Setup) -> None:
    """Answer messages until the end."""
    _start_anew(setup)
    info, fetcher, initialize = setup.info, setup.fetcher, setup.initialize
    sender = Sender(setup.prefix)
    inbox = _Inbox(setup.connection, sender)
    for kind, *rest in iter(inbox.get, None):
        if kind == "begin":
            inbox.skipping = False
            seed = rest[0]
            info = WorkerInfo(info.id, info.num_workers, seed + info.id, info.dataset)
            set_worker_info(info)
            fetcher.begin(seed, "process", info.id)
            continue
        request, slot = rest
        if inbox.skipping:
            message: Any = ("skipped", None)
        else:
            reply, initialize = answer(fetcher, request, info, initialize)
            message = _packed(reply, sender, slot)
        with suppress(BrokenPipeError):
            setup.connection.send(message)
    sender.close()


def _start_anew(setup: Setup) -> None:
    """Leave behind what a fork brought along from the middle of a program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends workers
    if setup.inherited is not None:
        setup.inherited.close()
    # Another thread may have held the lock of the old one when this process was forked.
    np.random.set_bit_generator(np.random.MT19937())  # type: ignore[attr-defined]
    modes.grad, modes.inference, modes.anomaly, modes.trace = True, False, False, None


def _packed(reply: Reply, sender: Sender, slot: int) -> tuple[str, Any]:
    error = reply.error
    if error is None and not reply.exhausted:
        try:
            return "batch", sender.pack(reply.batch, slot)
        except Exception as failure:
            failure.add_note("while the batch was sent from a worker process")
            error = failure
    return ("exhausted", None) if error is None else ("error", _portable(error))


def _portable(error: BaseException) -> tuple[BaseException, str]:
    """An error that can be pickled, and the text of its traceback."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a class of errors does there
        lost = error
        error = WorkerError(f"{type(lost).__name__}: {lost}")
        for note in getattr(lost, "__notes__", ()):
            error.add_note(note)
    error.__cause__ = error.__context__ = None
    return error, text
