"""Finding data files: order of places, checksums, mirrors and messages (G19)."""

import functools
import gzip
import hashlib
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

from narae.base import errors
from narae.base.errors import DataError, MissingDataError, MissingExtraError
from narae.base.folders import cache_dir
from narae.io.fetch import Download, FileSet, find_files
from narae.vision import sources
from narae.vision.sources import mnist_files

CONTENT = gzip.compress(b"the true content", mtime=0)
UNPACKED = b"the true content"
SHA = hashlib.sha256(CONTENT).hexdigest()
UNPACKED_SHA = hashlib.sha256(UNPACKED).hexdigest()


@pytest.fixture(autouse=True)
def empty_world(tmp_path, monkeypatch):
    """No data anywhere: an empty cache and no environment."""
    monkeypatch.delenv("NARAE_DATA", raising=False)
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_args):
        pass


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        server.folder = folder
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def letters(*mirrors: str, **changes) -> FileSet:
    fields = {
        "name": "Letters",
        "folders": ("letters", "Letters/raw"),
        "files": {"images": Download("a-idx.gz", f"sha256:{SHA}", f"sha256:{UNPACKED_SHA}", 16)},
        "mirrors": mirrors or ("http://127.0.0.1:9/",),
    }
    return FileSet(**{**fields, **changes})


class TestOnDisk:
    @pytest.mark.parametrize("place", ["letters", "Letters/raw", "."])
    @pytest.mark.parametrize("packed", [True, False])
    def test_every_layout_is_found(self, tmp_path, place, packed):
        name, content = ("a-idx.gz", CONTENT) if packed else ("a-idx", UNPACKED)
        path = put(tmp_path / "root" / place / name, content)
        found = find_files(letters(), tmp_path / "root", download=False)["images"]
        assert found.samefile(path)

    def test_order_is_root_then_environment_then_cache(self, tmp_path, monkeypatch):
        in_root = put(tmp_path / "root/letters/a-idx.gz")
        in_environment = put(tmp_path / "environment/letters/a-idx.gz")
        in_cache = put(tmp_path / "cache/data/letters/a-idx.gz")
        monkeypatch.setenv("NARAE_DATA", str(tmp_path / "environment"))
        for expected in (in_root, in_environment, in_cache):
            assert find_files(letters(), tmp_path / "root", False)["images"] == expected
            expected.unlink()
        with pytest.raises(MissingDataError):
            find_files(letters(), tmp_path / "root", download=False)

    @pytest.mark.parametrize("place", ["root/letters", "cache/data/letters"])
    def test_a_wrong_checksum_is_refused_naming_both(self, tmp_path, place):
        """G19: mirrors + checksums + offline cache: what was altered is not used."""
        path = put(tmp_path / place / "a-idx.gz", CONTENT + b"!")
        with pytest.raises(DataError) as caught:
            find_files(letters(), tmp_path / "root", download=False)
        message = str(caught.value)
        wrong = hashlib.sha256(CONTENT + b"!").hexdigest()
        for part in (str(path), wrong, SHA, "Fix: delete the file"):
            assert part in message

    def test_a_file_of_another_set_with_the_same_name_is_passed_over(self, tmp_path):
        other = gzip.compress(b"other", mtime=0)
        md5 = hashlib.md5(other, usedforsecurity=False).hexdigest()
        others = (letters(files={"images": Download("a-idx.gz", f"md5:{md5}")}),)
        put(tmp_path / "root/a-idx.gz", other)
        with pytest.raises(DataError, match="checksum"):
            find_files(letters(), tmp_path / "root", download=False)
        with pytest.raises(MissingDataError):
            find_files(letters(others=others), tmp_path / "root", download=False)

    def test_without_a_checksum_an_unpacked_file_needs_its_folder_and_size(self, tmp_path):
        files = {"images": Download("a-idx.gz", f"sha256:{SHA}", unpacked_size=16)}
        put(tmp_path / "root/a-idx", UNPACKED)
        with pytest.raises(MissingDataError):
            find_files(letters(files=files), tmp_path / "root", download=False)
        path = put(tmp_path / "root/letters/a-idx", UNPACKED)
        assert find_files(letters(files=files), tmp_path / "root", False)["images"] == path
        put(path, UNPACKED[:-1])
        with pytest.raises(DataError, match=r"15 bytes.*16"):
            find_files(letters(files=files), tmp_path / "root", download=False)

    def test_the_message_lists_every_place_and_what_to_do_offline(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NARAE_DATA", str(tmp_path / "shelf"))
        with pytest.raises(MissingDataError) as caught:
            find_files(letters(), tmp_path / "root", download=False)
        message = str(caught.value)
        for part in (
            f"given folder {tmp_path / 'root'} (no such folder)",
            f"NARAE_DATA {tmp_path / 'shelf'}",
            f"cache {tmp_path / 'cache' / 'data'}",
            "put the file at",
            "allow downloading",
            "--data-dir",
        ):
            assert part in message


class TestDownload:
    def test_a_good_file_lands_in_the_cache_and_is_not_asked_for_twice(self, web, tmp_path):
        """G19: mirrors + checksums + offline cache: a second run needs no network."""
        put(web.folder / "a-idx.gz")
        file_set = letters(f"{web.address}/")
        for _ in range(2):
            path = find_files(file_set)["images"]
            assert path == tmp_path / "cache/data/letters/a-idx.gz"
            assert path.read_bytes() == CONTENT
        assert web.asked == ["/a-idx.gz"]
        assert [entry.name for entry in path.parent.iterdir()] == ["a-idx.gz"]

    def test_the_second_mirror_helps_when_the_first_has_no_such_file(self, web):
        """G19: mirrors + checksums + offline cache: one address after the other is tried."""
        put(web.folder / "second/a-idx.gz")
        file_set = letters(f"{web.address}/first/", f"{web.address}/second/")
        assert find_files(file_set)["images"].read_bytes() == CONTENT
        assert web.asked == ["/first/a-idx.gz", "/second/a-idx.gz"]

    def test_the_second_mirror_helps_when_the_first_serves_something_else(self, web):
        put(web.folder / "first/a-idx.gz", b"<html>sign in to the hotel</html>")
        put(web.folder / "second/a-idx.gz")
        file_set = letters(f"{web.address}/first/", f"{web.address}/second/")
        assert find_files(file_set)["images"].read_bytes() == CONTENT

    def test_wrong_files_everywhere_leave_the_cache_empty_and_name_both_sums(self, web, tmp_path):
        wrong = b"not what was published"
        put(web.folder / "a-idx.gz", wrong)
        with pytest.raises(MissingDataError) as caught:
            find_files(letters(f"{web.address}/", f"{web.address}/none/"))
        message = str(caught.value)
        for part in (SHA, hashlib.sha256(wrong).hexdigest(), "404", f"{web.address}/none/a-idx.gz"):
            assert part in message
        assert [entry for entry in (tmp_path / "cache").rglob("*") if entry.is_file()] == []

    def test_a_dead_mirror_is_reported(self):
        with pytest.raises(MissingDataError, match=r"http://127\.0\.0\.1:9/a-idx\.gz"):
            find_files(letters("http://127.0.0.1:9/"))

    def test_nothing_is_asked_for_when_downloading_is_not_allowed(self, web):
        put(web.folder / "a-idx.gz")
        with pytest.raises(MissingDataError):
            find_files(letters(f"{web.address}/"), download=False)
        assert web.asked == []

    @pytest.mark.parametrize("size", [len(CONTENT), 300_000])
    def test_a_bar_counts_the_bytes(self, web, monkeypatch, size):
        rich_progress = pytest.importorskip("rich.progress")
        counts = []
        update = rich_progress.Progress.update

        def spy(self, *args, **changes):
            update(self, *args, **changes)
            counts.append((self.tasks[0].completed, self.tasks[0].total))

        monkeypatch.setattr(rich_progress.Progress, "update", spy)
        content = os.urandom(size)
        put(web.folder / "a-idx.gz", content)
        files = {"images": Download("a-idx.gz", f"sha256:{hashlib.sha256(content).hexdigest()}")}
        find_files(letters(f"{web.address}/", files=files), progress=True)
        assert counts[-1] == (size, size)
        assert max(done for done, _total in counts) == size

    def test_without_pooch_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pooch", None)
        with pytest.raises(MissingExtraError, match=r"narae\[data\]"):
            find_files(letters())
        assert errors.require("json", "data", "this test").__name__ == "json"


class TestCacheDir:
    def test_narae_cache_wins(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_dir() == tmp_path / "cache"

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG is a Linux convention")
    def test_xdg_is_respected_and_a_relative_one_ignored(self, monkeypatch, tmp_path):
        monkeypatch.delenv("NARAE_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_dir() == tmp_path / "xdg/narae"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert cache_dir() == Path.home() / ".cache/narae"


class TestTables:
    def test_the_sets_are_whole_and_differ(self):
        sets = (sources.MNIST, sources.FASHION_MNIST, sources.KMNIST)
        sums = [file.checksum for one in sets for file in one.files.values()]
        assert len(set(sums)) == 12
        for checksum in sums:
            algorithm, _, digits = checksum.partition(":")
            assert len(digits) == 2 * hashlib.new(algorithm).digest_size
        for one in sets:
            assert all(mirror.endswith("/") for mirror in one.mirrors)

    def test_classes(self):
        for classes in (
            sources.MNIST_CLASSES,
            sources.FASHION_MNIST_CLASSES,
            sources.KMNIST_CLASSES,
        ):
            assert len(set(classes)) == 10


SHELF = os.environ.get("NARAE_DATA")


@pytest.mark.skipif(SHELF is None, reason="NARAE_DATA names no MNIST folder")
class TestRealMNIST:
    def test_found_through_the_environment(self, monkeypatch):
        monkeypatch.setenv("NARAE_DATA", SHELF)
        files = mnist_files(download=False)
        assert list(files) == ["train_images", "train_labels", "test_images", "test_labels"]

    def test_md5_is_the_one_torchvision_publishes(self):
        published = "9fb629c4189551a2d022fa330f9573f3"
        path = mnist_files(SHELF, download=False)["test_images"]
        assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == published

    def test_unpacked_as_torchvision_leaves_them(self, tmp_path):
        for path in mnist_files(SHELF, download=False).values():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            put(tmp_path / "MNIST/raw" / path.name.removesuffix(".gz"), content)
        found = mnist_files(tmp_path, download=False)
        assert {path.parent for path in found.values()} == {tmp_path / "MNIST/raw"}

    def test_a_truncated_copy_is_refused(self, tmp_path):
        for path in mnist_files(SHELF, download=False).values():
            shutil.copy(path, tmp_path)
        victim = next(tmp_path.glob("t10k-images*"))
        victim.chmod(0o644)
        victim.write_bytes(victim.read_bytes()[:-1000])
        with pytest.raises(DataError, match="checksum"):
            mnist_files(tmp_path, download=False)

    def test_mnist_in_the_root_is_not_taken_for_fashion_mnist(self, tmp_path):
        for path in mnist_files(SHELF, download=False).values():
            shutil.copy(path, tmp_path)
        with pytest.raises(MissingDataError):
            sources.fashion_mnist_files(tmp_path, download=False)
