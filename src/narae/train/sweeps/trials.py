"""Running the trials of a sweep: processes side by side, each one `narae train`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..progress import format_metric, format_seconds
from ..runs.folder import RunFolder
from ..runs.table import RunRow, words_of
from .space import setting_words
from .sweep import Sweep
from .table import ranked

_PAUSE = 0.1  # seconds between two looks at the processes
_LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Trials:
    """The trials of a sweep at work.

    Args:
        sweep: what to try.
        jobs: how many processes there are at a time.
        threads: for each.
        tell: called with a line for each trial that has ended.

    Attributes:
        stopping: whether the user has asked to stop.
    """

    def __init__(self, sweep: Sweep, jobs: int, threads: int, tell: Callable[[str], None]) -> None:
        self.sweep, self.jobs, self.threads, self.tell = sweep, jobs, threads, tell
        self.stopping = False
        self._waiting = deque(range(len(sweep.points)))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._elsewhere: set[int] = set()  # of a sweep that was killed; they go on

    def run(self) -> bool:
        """Run all that is not over; False if the user stopped it."""
        with self._signals():
            while not self.stopping or self._processes:
                self._collect()
                self._fill()
                if not self._busy():
                    break
                time.sleep(_PAUSE)
        return not self.stopping

    def _busy(self) -> bool:
        return bool(self._processes or self._elsewhere or (self._waiting and not self.stopping))

    # --- starting ---------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start what there is room for."""
        while not self.stopping and len(self._processes) + len(self._elsewhere) < self.jobs:
            if not self._waiting and len(self.sweep.points) < self.sweep.count:
                self.sweep.ask()
                self._waiting.append(len(self.sweep.points) - 1)
            if not self._waiting:
                return
            self._start(self._waiting.popleft())

    def _start(self, number: int) -> None:
        row = self.sweep.row(number)
        if row is not None and row.status in ("finished", "failed", "damaged"):
            return
        if row is not None and row.status == "running":
            self._elsewhere.add(number)
            return
        with self._log(number).open("ab") as log:
            self._processes[number] = subprocess.Popen(
                self._command(number, row),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C reaches the sweep, which passes it on
            )

    def _command(self, number: int, row: RunRow | None) -> list[str]:
        folder = self.sweep.folder(number)
        command = [sys.executable, "-m", "narae", "train"]
        if row is not None:
            command += ["--resume", str(folder)]
        else:
            settings = setting_words(self.sweep.settings(number))
            command += [self.sweep.request.recipe, "--out", str(folder)]
            command += ["--set", *settings] if settings else []
        if self.sweep.request.data_dir:
            command += ["--data-dir", self.sweep.request.data_dir]
        return [*command, "--threads", str(self.threads), "--quiet"]

    def _environment(self) -> dict[str, str]:
        """The user's, but no library takes more threads than a trial has."""
        found = dict(os.environ)
        for name in _LIBRARIES:
            if found.get(name, "0").isdigit() and int(found.get(name, "0")) > self.threads:
                found[name] = str(self.threads)
        return found

    # --- ending -----------------------------------------------------------------------------

    def _collect(self) -> None:
        """See who has ended."""
        for number, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[number]
                self._report(number, process.returncode)
        for number in list(self._elsewhere):
            if RunFolder(self.sweep.folder(number)).status != "running":
                self._elsewhere.discard(number)
                self._waiting.appendleft(number)

    def _report(self, number: int, code: int) -> None:
        row = self.sweep.row(number)
        name, words = self.sweep.folder(number).name, words_of(self.sweep.points[number])
        rows = (self.sweep.row(each) for each in range(len(self.sweep.points)))
        over = [x for x in rows if x is not None and x.status in ("finished", "failed")]
        if row is not None and row.status == "finished" and row.best is not None:
            value = format_metric(row.best.name, row.best.value)
            outcome = f"{row.best.name} {value}, {format_seconds(row.seconds)}"
        elif self.stopping:
            outcome = "stopped"
        else:
            outcome = f"failed: {self.reason(number, code)}"
        best = ranked(over)[:1]
        leader = f", best so far {best[0].path.name}" if best and best[0].best else ""
        self.tell(f"{name}  {words} · {outcome} · {len(over)} of {self.sweep.count} over{leader}")

    def reason(self, number: int, code: int) -> str:
        """Why a trial failed, in one line."""
        row = self.sweep.row(number)
        if row is not None and row.note:
            return row.note
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        lines = self._log(number).read_text("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), f"exit code {code}")

    def _log(self, number: int) -> Any:
        """What a trial says goes beside its folder."""
        return self.sweep.path / f"{self.sweep.folder(number).name}.log"

    # --- Ctrl-C -----------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._on_signal) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            for process in self._processes.values():  # an error here leaves none behind
                process.kill()

    def _on_signal(self, number: int, frame: Any) -> None:
        """The first: let each trial save and stop. The second: end them at once."""
        again, self.stopping = self.stopping, True
        for process in self._processes.values():
            if again:
                process.kill()
            else:
                process.send_signal(signal.SIGINT)
        if again:
            raise KeyboardInterrupt
        words = "stopping: each trial saves first; Ctrl-C once more ends them at once"
        os.write(2, f"{words}\n".encode())
