"""Compiling many modules at once: LLVM's lock allows one at a time in a process, so more processes.

The processes run `code_compile.py` by itself. That needs neither a fork, nor that a user's script
guard its main program. Each is fed by a thread; this process compiles too, and whatever a process
fails to deliver.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from . import code_compile
from .machine import available_cores

# Measured on a Zen 4 of 2.6 GHz: a kilobyte of text becomes code in 0.6 to 1 ms, and a process
# takes 0.15 s to start.
_SECONDS_PER_BYTE = 0.8e-6
_WORTH_IT = 0.4  # seconds of compiling that a further process is started for
_PATIENCE = 60.0  # seconds that a process may take for a module

Queue = deque[tuple[str, str]]
Process = subprocess.Popen[bytes]


def compile_all(texts: Mapping[str, str], features: str) -> dict[str, bytes]:
    """The object images of modules, by key.

    Raises:
        RuntimeError: if LLVM does not understand a text.
    """
    queue: Queue = deque(sorted(texts.items(), key=lambda item: -len(item[1])))
    images: dict[str, bytes] = {}
    helpers = [_Helper(each, queue, images, features) for each in _processes(texts)]
    try:
        _compile_here(queue, images, features)
        for helper in helpers:
            helper.finish(_PATIENCE)
        _compile_here(queue, images, features)  # what the others gave back
    finally:
        for helper in helpers:
            helper.finish(0.0)
    return images


def _compile_here(queue: Queue, images: dict[str, bytes], features: str) -> None:
    while queue:
        try:
            key, text = queue.popleft()
        except IndexError:  # a thread was faster
            return
        images[key] = code_compile.compile_text(text, features)


class _Helper:
    """A process, and the thread that lets it compile what is in the queue."""

    def __init__(
        self, process: Process, queue: Queue, images: dict[str, bytes], features: str
    ) -> None:
        self._process, self._queue, self._images = process, queue, images
        self._thread = threading.Thread(target=self._feed, args=(features,), daemon=True)
        self._thread.start()

    def _feed(self, features: str) -> None:
        with contextlib.suppress(OSError):
            code_compile.send(_input(self._process), _settings(features))
            while self._queue and self._compile_one():
                pass

    def _compile_one(self) -> bool:
        """Whether it went well; if not, the text is in the queue again."""
        try:
            key, text = self._queue.popleft()
        except IndexError:
            return False
        try:
            code_compile.send(_input(self._process), text.encode())
            answer = code_compile.receive(_output(self._process))
        except (OSError, EOFError, ValueError):
            answer = b""
        if answer[:1] == b"1":
            self._images[key] = answer[1:]
            return True
        self._queue.append((key, text))
        return False

    def finish(self, seconds: float) -> None:
        """Wait for the module that is being compiled, for so long, and end the process."""
        self._thread.join(seconds)
        self._process.kill()
        self._thread.join()
        self._process.wait()
        for stream in (_input(self._process), _output(self._process)):
            with contextlib.suppress(OSError):  # what was not sent to a dead process
                stream.close()


def _input(process: Process) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _output(process: Process) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


# --- starting -------------------------------------------------------------------------------


def _processes(texts: Mapping[str, str]) -> list[Process]:
    seconds = sum(map(len, texts.values())) * _SECONDS_PER_BYTE
    wanted = min(available_cores(), len(texts), int(seconds / _WORTH_IT) + 1) - 1
    command = _command() if seconds > _WORTH_IT else None
    processes: list[Process] = []
    # Too many processes, or no permission: do with those that are there.
    with contextlib.suppress(OSError):
        while command and len(processes) < wanted:
            processes.append(_start(command))
    return processes


def _command() -> list[str] | None:
    """How to run `code_compile.py`; None inside a program that only embeds Python."""
    program, script = sys.executable or "", Path(code_compile.__file__ or "")
    if not Path(program).name.lower().startswith("python") or not script.is_file():
        return None
    # -I: the folder of the script, whose files share names with Python's own, is not searched.
    return [program, "-I", "-S", str(script)]


def _start(command: list[str]) -> Process:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _settings(features: str) -> bytes:
    """What the process must know: where llvmlite is, and for what it compiles."""
    import llvmlite

    folder = os.path.dirname(os.path.dirname(os.path.abspath(llvmlite.__file__)))
    return json.dumps({"path": [folder], "features": features}).encode()
