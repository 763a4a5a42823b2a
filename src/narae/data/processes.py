"""A worker that is a process: samples are fetched beside the program, whatever they cost."""

import os
import pickle
import signal
from contextlib import suppress
from multiprocessing import connection as connections
from secrets import token_hex
from typing import Any

from narae.base.errors import ConfigError, explain

from .fetch import Fetcher
from .process_main import Setup, main
from .shared import Receiver
from .workers import Initialize, Reply, Request, WorkerError, WorkerInfo

_PATIENCE = 2.0  # seconds that a process gets to end by itself


class WorkerTraceback(Exception):
    """Where an error was raised in the worker; the cause of the error that the program sees."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class ProcessWorker:
    """One process with its own fetcher.

    Args:
        info: who it is.
        fetcher: what it fetches with.
        initialize: called once with its number before anything else; may be None.
        context: how a process is started.

    Raises:
        ConfigError: if what it needs cannot be pickled, and the way of starting wants that.
    """

    def __init__(
        self, info: WorkerInfo, fetcher: Fetcher, initialize: Initialize | None, context: Any
    ) -> None:
        self.info = info
        prefix = f"narae_{token_hex(4)}_{info.id}"
        self._receiver, self._owner = Receiver(prefix), os.getpid()
        self._slots = 0
        self._free: list[int] = []
        self._asked: list[int] = []  # slots of the requests that have no answer yet
        self._connection, theirs = context.Pipe()
        inherited = self._connection if context.get_start_method() == "fork" else None
        setup = Setup(theirs, inherited, prefix, info, fetcher, initialize)
        name = f"narae-data-{info.id}"
        self._process = context.Process(target=main, args=(setup,), name=name, daemon=True)
        _start(self._process, context.get_start_method())
        theirs.close()

    def begin(self, seed: int) -> None:
        self._tell(("begin", seed))

    def send(self, request: Request) -> None:
        if not self._free:
            self._free.append(self._slots)
            self._slots += 1
        slot = self._free.pop()
        self._asked.append(slot)
        self._tell(("fetch", request, slot))

    def stop_early(self) -> None:
        self._tell(("skip",))

    def _tell(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._death() from error

    def receive(self, timeout: float | None) -> Reply:
        ready = connections.wait([self._connection, self._process.sentinel], timeout)
        if not ready:
            raise TimeoutError
        if not self._connection.poll():
            raise self._death()
        try:
            kind, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        slot = self._asked.pop(0)
        self._free.append(slot)
        if kind == "batch":
            return Reply(self._receiver.unpack(value, slot))
        if kind == "error":
            raised, text = value
            raised.__cause__ = WorkerTraceback(text)
            return Reply(error=raised)
        return Reply(exhausted=kind == "exhausted")

    def _death(self) -> WorkerError:
        self._process.join(_PATIENCE)
        code, pid = self._process.exitcode, self._process.pid
        if code is not None and code < 0:
            how = f"was killed by {_signal_name(-code)}"
        else:
            how = f"ended with exit code {code}"
        given = f"worker {self.info.id} (process {pid}) {how}"
        return WorkerError(explain("DataLoader", given, "it cannot fetch any more", _fix(code)))

    def close(self) -> None:
        if self._owner != os.getpid():
            return  # a copy of the loader in a process that was forked meanwhile
        if self._asked:
            self._process.terminate()
        with suppress(OSError):
            self._connection.send(None)
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()
        self._receiver.close(self._slots)
        self._slots, self._free, self._asked = 0, [], []


def _start(process: Any, method: str) -> None:
    if os.name == "posix":  # one list of shared memory for all, so that nobody tidies too early
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        given = f"a worker cannot be started by {method!r}: {error}"
        rule = "what it works with (data set, collate_fn, worker_init_fn) is pickled for it"
        fix = "define that at the top of a module, or use multiprocessing_context='fork' or threads"
        raise ConfigError(explain("DataLoader", given, rule, fix)) from error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _fix(code: int | None) -> str:
    if code == -9:  # the signal of a system that runs out of memory
        return "SIGKILL often means that memory ran out: use fewer workers or a smaller batch_size"
    if code == 1:
        return (
            "see its own message above; started by 'spawn' or 'forkserver' it imports the main "
            "program again, so what starts the loader belongs under if __name__ == '__main__':"
        )
    return "num_workers=0 fetches in this process, where a debugger sees what happens"
