"""Damaged files in great number: each is changed in a few places, then read in a child process.

A child reads a hundred of them. It may refuse a file with one of Narae's own errors, or take it.
What it may not do is end in any other way, need more than a few seconds or gigabytes for a file,
start a program, run a text as code, or open a socket. The seed of each mutant is its number.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from narae.base.errors import NaraeError

IN_A_CHILD = 100
SECONDS = 120  # for all files of a child
ROOM = 6 << 30  # bytes of address space
# What none of the readers has a reason for; "import" and "open" are needed by all.
FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "exec")
WORDS = (b"\0", b"-1", b"1e999", b"NaN", b"9" * 40, b"[" * 500, b'{"a":' * 300, b"\xff\xfe", b"=")
WORDS += (b"../../x", "한글".encode("cp949"), "\u2028".encode(), b"\r", b"%(x)s", b"__import__")


def mutant(data: bytes, number: int) -> bytes:
    """The bytes with one to four changes."""
    chance = random.Random(number)
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(_CHANGES)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    place, count = chance.randrange(len(data) + 1), chance.randint(1, 8)
    return data[:place] + chance.randbytes(count) + data[place + count :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:first] if chance.random() < 0.5 else data[:first] + data[last:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(data) + 1)
    piece = data[first : first + chance.randint(1, 64)]
    return data[:first] + piece * chance.randint(2, 5) + data[first:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(WORDS) + data[place:]


def _recode(data: bytes, chance: random.Random) -> bytes:
    return data.decode("latin-1").encode(chance.choice(("utf-16", "utf-8-sig", "utf-32")))


_CHANGES = (_flip, _overwrite, _overwrite, _cut, _repeat, _insert, _insert, _recode)


def check(read: Callable[[Path], object], original: bytes, file: Path, count: int) -> int:
    """Read `count` mutants of a file, each under its own name; how many of them were refused."""
    refused = 0
    for first in range(0, count, IN_A_CHILD):
        numbers = range(first, min(first + IN_A_CHILD, count))
        status, said = in_a_child(lambda numbers=numbers: _read_all(read, original, file, numbers))
        assert status == 0, f"mutants {numbers} of {file.name}: status {status}\n{said}"
        refused += int(said)
    return refused


def _read_all(read: Callable[[Path], object], original: bytes, file: Path, numbers: range) -> str:
    refused = 0
    for number in numbers:
        data = mutant(original, number)
        file.write_bytes(data)
        try:
            read(file)
        except NaraeError as error:
            assert str(error).strip(), f"mutant {number} is refused without a word"
            refused += 1
        except BaseException:
            raise AssertionError(f"mutant {number}:\n{traceback.format_exc()}") from None
        assert file.read_bytes() == data, f"mutant {number} was written to"
    return str(refused)


def in_a_child(
    work: Callable[[], str], room: int = ROOM, seconds: int = SECONDS
) -> tuple[int, str]:
    """What a function says in a process of its own, and how that ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(_guarded(work, writer, room, seconds))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def _guarded(work: Callable[[], str], writer: int, room: int, seconds: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    sys.addaudithook(_refuse)
    try:
        said, code = work(), 0
    except BaseException:
        said, code = traceback.format_exc()[-4000:], 1
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(said.encode("utf-8", "replace"))
    return code


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event not in FORBIDDEN:
        return
    if event == "exec" and getattr(arguments[0], "co_filename", "") != "<string>":
        return  # a module is imported
    raise AssertionError(f"{event} was called with {arguments!r}")
