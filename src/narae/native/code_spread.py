"""Compiling many modules at once: LLVM's lock allows one at a time in a process, so more processes.

The processes run `code_compile.py` by itself. That needs neither a fork, nor that a user's script
guard its main program. Each is fed by a thread; this process compiles too, and whatever a process
fails to deliver.
"""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from . import code_compile
from .machine import available_cores

# Measured on a 2.6 GHz Zen 4: kilobytes of text become code in about 1.2 ms each, and a process
# takes 0.2 s to start.
_SECONDS_PER_BYTE = 1.2e-6
_WORTH_IT = 0.5  # seconds
_PATIENCE = 60.0  # seconds that a process may take for a module

Queue = deque[tuple[str, str]]


def compile_all(texts: Mapping[str, str], features: str) -> dict[str, bytes]:
    """The object images of modules, by key.

    Raises:
        RuntimeError: if LLVM does not understand a text.
    """
    queue: Queue = deque(sorted(texts.items(), key=lambda item: -len(item[1])))
    images: dict[str, bytes] = {}
    helpers = _helpers(texts, features)
    try:
        threads = [_start_feeding(helper, queue, images) for helper in helpers]
        _compile_here(queue, images, features)
        for helper, thread in zip(helpers, threads, strict=True):
            thread.join(_PATIENCE)
            helper.kill()  # it has nothing left to do, or hangs
            thread.join()
        _compile_here(queue, images, features)  # what the others gave back
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()
    return images


def _compile_here(queue: Queue, images: dict[str, bytes], features: str) -> None:
    while queue:
        try:
            key, text = queue.popleft()
        except IndexError:  # a thread was faster
            return
        images[key] = code_compile.compile_text(text, features)


def _helpers(texts: Mapping[str, str], features: str) -> "list[subprocess.Popen[bytes]]":
    seconds = sum(map(len, texts.values())) * _SECONDS_PER_BYTE
    wanted = min(available_cores(), len(texts), int(seconds / _WORTH_IT) + 1) - 1
    command = _command()
    helpers: list[subprocess.Popen[bytes]] = []
    if seconds < _WORTH_IT or command is None:
        return helpers
    try:
        for _ in range(wanted):
            helpers.append(_start(command, features))
    except OSError:  # too many processes, no permission: do with those that are there
        pass
    return helpers


def _command() -> list[str] | None:
    """How to run `code_compile.py`; None inside a program that only embeds Python."""
    program, script = sys.executable or "", Path(code_compile.__file__ or "")
    if not Path(program).name.lower().startswith("python") or not script.is_file():
        return None
    # -I: the folder of the script, whose files share names with Python's own, is not searched.
    return [program, "-I", "-S", str(script)]


def _start(command: list[str], features: str) -> "subprocess.Popen[bytes]":
    import llvmlite

    helper = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    path = os.path.dirname(os.path.dirname(os.path.abspath(llvmlite.__file__)))
    settings = json.dumps({"path": [path], "features": features})
    assert helper.stdin is not None
    code_compile.send(helper.stdin, settings.encode())
    return helper


def _start_feeding(
    helper: "subprocess.Popen[bytes]", queue: Queue, images: dict[str, bytes]
) -> threading.Thread:
    thread = threading.Thread(target=_feed, args=(helper, queue, images), daemon=True)
    thread.start()
    return thread


def _feed(helper: "subprocess.Popen[bytes]", queue: Queue, images: dict[str, bytes]) -> None:
    """Let a process compile what is in the queue; if it fails, give the rest back."""
    assert helper.stdin is not None and helper.stdout is not None
    with helper.stdin, helper.stdout:
        while queue:
            try:
                key, text = queue.popleft()
            except IndexError:
                return
            try:
                code_compile.send(helper.stdin, text.encode())
                answer = code_compile.receive(helper.stdout)
            except (OSError, EOFError, ValueError):
                answer = b""
            if answer[:1] != b"1":
                queue.append((key, text))
                return
            images[key] = answer[1:]
