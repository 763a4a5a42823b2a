"""atomic_write: the old file or the new one, whole, whatever goes wrong in between."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from narae.base.errors import ConfigError, MissingDataError
from narae.io import atomic
from narae.io.atomic import atomic_write

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file semantics")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    return path


def assert_untouched(target: Path) -> None:
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


def test_bytes_replace_the_old_file_and_leave_nothing_beside(target):
    with atomic_write(target) as file:
        file.write(b"new bytes")
        assert target.read_bytes() == b"old", "the old file must stay until the block has ended"
    assert target.read_bytes() == b"new bytes"
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


def test_text_is_utf8_whatever_the_locale_says(tmp_path):
    with atomic_write(tmp_path / "note.txt", "w") as file:
        file.write("나래")
    assert (tmp_path / "note.txt").read_bytes() == "나래".encode()


def test_the_handle_can_seek_so_that_a_header_can_be_written_last(tmp_path):
    with atomic_write(tmp_path / "weights") as file:
        file.write(b"????body")
        file.seek(0)
        file.write(b"head")
    assert (tmp_path / "weights").read_bytes() == b"headbody"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_exception_in_the_block_keeps_the_old_file(target, error):
    with pytest.raises(error), atomic_write(target) as file:
        file.write(b"half of it")
        raise error
    assert_untouched(target)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_an_exception_in_any_later_step_keeps_the_old_file(target, monkeypatch, step, error):
    def fail(*_args):
        raise error

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(type(error)), atomic_write(target) as file:
        file.write(b"complete but not safe yet")
    assert_untouched(target)


class FullDisk:
    """A file whose disk is full: every write and every flush fails, closing included."""

    def __init__(self, file):
        self.file = file

    def write(self, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self):
        self.file.close()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_old_file(target, monkeypatch):
    open_new = atomic._open_new
    monkeypatch.setattr(atomic, "_open_new", lambda *args: FullDisk(open_new(*args)))
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(target) as file:
        file.write(b"x" * 100)
    assert caught.value.errno == errno.ENOSPC
    assert_untouched(target)


@posix_only
def test_a_real_limit_on_file_size_keeps_the_old_file(target):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"), atomic_write(target) as file:
            file.write(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_untouched(target)


@posix_only
def test_a_killed_process_keeps_the_old_file(target):
    script = (
        "import os, signal, sys\n"
        "from narae.io.atomic import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'x' * 100_000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, str(target)], env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


@posix_only
def test_bytes_are_on_the_disk_before_the_name_and_the_folder_after_it(target, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(atomic.os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle)))
    monkeypatch.setattr(atomic.os, "replace", lambda *two: (steps.append("rename"), replace(*two)))
    with atomic_write(target) as file:
        file.write(b"new")
    assert steps == ["fsync", "rename", "fsync"]


@posix_only
def test_permissions_follow_the_umask_or_the_old_file(target):
    fresh = target.with_name("fresh")
    ordinary = target.with_name("ordinary")
    ordinary.write_bytes(b"")
    with atomic_write(fresh) as file:
        file.write(b"x")
    assert fresh.stat().st_mode == ordinary.stat().st_mode
    target.chmod(0o640)
    with atomic_write(target) as file:
        file.write(b"x")
    assert target.stat().st_mode & 0o777 == 0o640


@posix_only
def test_a_symbolic_link_stays_a_link(target):
    link = target.with_name("latest")
    link.symlink_to(target.name)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_bad_targets_are_refused_by_name(target):
    with pytest.raises(ConfigError, match="mode is 'a'"), atomic_write(target, "a"):
        pass
    with pytest.raises(ConfigError, match="is a folder"), atomic_write(target.parent):
        pass
    missing = target.parent / "no" / "such" / "file"
    with pytest.raises(MissingDataError, match="create the folder first"), atomic_write(missing):
        pass
    assert_untouched(target)
