"""Machine code on the disk: only what is whole, ours and unchanged is ever loaded."""

import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from narae.native.runtime import cache as rooms
from narae.native.runtime.cache import CodeCache, cache_folder

ROOT = Path(__file__).parents[2]
KEY, IMAGE = "ab" * 32, bytes(range(256)) * 8
is_root = hasattr(os, "geteuid") and os.geteuid() == 0
on_posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes as on POSIX")
as_root = pytest.mark.skipif(not is_root, reason="only root may give files away")


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(rooms, "_reported", set())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "native"


def kept(folder):
    """A cache that holds an image, and where."""
    cache = CodeCache(folder)
    cache.write(KEY, IMAGE)
    assert cache.read(KEY) == IMAGE
    return cache, folder / KEY


def test_what_was_written_is_read(folder):
    _, path = kept(folder)
    assert CodeCache(folder).read(KEY) == IMAGE
    assert CodeCache(folder).read("cd" * 32) is None
    assert path.stat().st_size < len(IMAGE) + 100


@on_posix
def test_nobody_else_may_read_or_write(folder):
    old = os.umask(0)
    try:
        _, path = kept(folder)
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", [0, 15, 25, 60, 500, -1])
def test_a_changed_byte(folder, where):
    cache, path = kept(folder)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    assert cache.read(KEY) is None
    cache.write(KEY, IMAGE)
    assert cache.read(KEY) == IMAGE


@pytest.mark.parametrize("size", [0, 10, 40, 500])
def test_a_truncated_file(folder, size):
    cache, path = kept(folder)
    path.write_bytes(path.read_bytes()[:size])
    assert cache.read(KEY) is None


def test_another_kernels_file(folder):
    """A sound file under another kernel's name is not that kernel."""
    cache, path = kept(folder)
    other = "cd" * 32
    (folder / other).write_bytes(path.read_bytes())
    assert cache.read(other) is None


@on_posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write(folder, mode):
    cache, path = kept(folder)
    path.chmod(mode)
    assert cache.read(KEY) is None
    path.chmod(0o644)
    assert cache.read(KEY) == IMAGE


@on_posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write(folder, mode):
    kept(folder)
    folder.chmod(mode)
    with pytest.warns(UserWarning, match="other users may write to it") as seen:
        assert CodeCache(folder).read(KEY) is None
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it was said once
        cache = CodeCache(folder)
        cache.write("cd" * 32, IMAGE)
        assert cache.read("cd" * 32) is None


@as_root
def test_another_owner(folder):
    cache, path = kept(folder)
    os.chown(path, 12345, 12345)
    assert cache.read(KEY) is None
    os.chown(path, 0, 0)
    assert cache.read(KEY) == IMAGE
    os.chown(folder, 12345, 12345)
    with pytest.warns(UserWarning, match="it belongs to another user"):
        assert CodeCache(folder).read(KEY) is None


@on_posix
def test_links_and_pipes(folder, tmp_path):
    cache, path = kept(folder)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert cache.read(KEY) is None
    path.unlink()
    os.mkfifo(path)
    assert cache.read(KEY) is None
    path.unlink()
    path.mkdir()
    assert cache.read(KEY) is None
    with pytest.warns(UserWarning, match="cannot be kept"):
        cache.write(KEY, IMAGE)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    with pytest.warns(UserWarning, match="it is not a folder"):
        CodeCache(linked)


@on_posix
def test_a_read_only_folder(folder):
    """It is read from; that nothing can be added is said once."""
    script = f"""
import os, warnings
from pathlib import Path
from narae.native.runtime.cache import CodeCache
if os.geteuid() == 0:
    os.setgid(12345)
    os.setuid(12345)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for key in ("{"cd" * 32}", "{"ef" * 32}"):
        cache = CodeCache(Path({str(folder)!r}))
        print(cache.read("{KEY}") is not None)
        cache.write(key, b"image")
        print(cache.read(key))
print(len(seen), "Permission denied" in str(seen[0].message))
"""
    kept(folder)
    folder.chmod(0o555)
    (folder / KEY).chmod(0o444)
    for parent in (folder.parent, *folder.parents[:6]):  # pytest's folders are private
        if is_root and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\nNone\nTrue\nNone\n1 True\n", done.stderr


def test_a_file_in_the_way(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert CodeCache(path).read(KEY) is None
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert CodeCache(path / "below").read(KEY) is None


def test_two_processes_at_once(folder):
    """Both write the same keys over and over; a reader sees whole images or none."""
    script = f"""
from pathlib import Path
from narae.native.runtime.cache import CodeCache
cache = CodeCache(Path({str(folder)!r}))
bad = 0
for number in range(300):
    key = format(number % 3, "064x")
    cache.write(key, bytes([number % 3]) * 50_000)
    found = cache.read(key)
    bad += found != bytes([number % 3]) * 50_000
print(bad)
"""
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == [b"0\n"] * 2
    assert sorted(os.listdir(folder)) == [format(number, "064x") for number in range(3)]


def test_the_oldest_files_go(folder):
    cache = CodeCache(folder)
    now = time.time()
    for number in range(10):
        cache.write(format(number, "064x"), bytes(1000))
        os.utime(folder / format(number, "064x"), (0, now - 1000 + number))
    leftover = folder / "x.0123.tmp"
    leftover.write_bytes(b"")
    os.utime(leftover, (0, now - 5000))
    small = CodeCache(folder, limit=8000)
    small.write("ff" * 32, bytes(1000))
    names = sorted(os.listdir(folder))
    assert names == [*(format(number, "064x") for number in range(6, 10)), "ff" * 32]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6000


def test_what_is_used_stays(folder):
    """Reading an old file makes it young."""
    cache, path = kept(folder)
    os.utime(path, (0, time.time() - 5 * 86_400))
    cache.read(KEY)
    assert time.time() - path.stat().st_mtime < 3600


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "native"
    monkeypatch.setenv("NARAE_CACHE", "~/x")
    assert cache_folder() == Path.home() / "x" / "native"
    monkeypatch.delenv("NARAE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "narae" / "native"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "narae" / "native"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "narae" / "native"


def test_no_home(monkeypatch):
    def missing():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NARAE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", missing)
    with pytest.warns(UserWarning, match="the cache folder"):
        assert CodeCache().read(KEY) is None
