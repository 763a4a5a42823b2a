"""idx files: round trips, MNIST itself, and every way a file can be broken."""

import gzip
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from narae.base.errors import DataError, FileFormatError, MissingDataError
from narae.vision.idx import read_idx, read_idx_pair

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    """The writer of the test: LeCun's description, independent of the reader."""
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(">HBB", 0, code, array.ndim)
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def read_bytes(content: bytes) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample-idx"
        path.write_bytes(content)
        return read_idx(path)


def any_array() -> st.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=6)
    dtypes = st.sampled_from(sorted(CODES)).map(np.dtype)
    return arrays.arrays(dtype=dtypes, shape=shapes)


@given(any_array(), st.booleans())
@settings(deadline=None)
def test_round_trip(array, packed):
    content = idx_bytes(array)
    out = read_bytes(gzip.compress(content, mtime=0) if packed else content)
    assert out.dtype == array.dtype and out.dtype.isnative
    assert out.shape == array.shape and out.flags.writeable
    np.testing.assert_array_equal(out, array)


@given(any_array(), st.booleans(), st.data())
@settings(deadline=None, max_examples=300)
def test_a_mutated_file_is_read_or_refused_and_never_crashes(array, packed, data):
    content = idx_bytes(array)
    content = bytearray(gzip.compress(content, mtime=0) if packed else content)
    place = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    if kind == "flip":
        content[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del content[place:]
    elif kind == "insert":
        content[place:place] = noise
    else:
        content += noise
    try:
        out = read_bytes(bytes(content))
    except FileFormatError as error:
        assert "sample-idx" in str(error) and "Fix:" in str(error)
    else:
        assert out.nbytes <= 1100 * len(content)


@given(st.binary(max_size=64))
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_refused_unless_they_are_an_idx_file(content):
    try:
        out = read_bytes(content)
    except FileFormatError:
        return
    assert idx_bytes(out) == content


def header(code: int, *sizes: int) -> bytes:
    return struct.pack(">HBB", 0, code, len(sizes)) + struct.pack(f">{len(sizes)}I", *sizes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\0\0\x08", "begins with the bytes 00 00 08"),
        (b"\x89PNG\r\n", "begins with the bytes 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\0", "begins with the bytes 00 00 0a 01"),
        (b"\0\0\x08\0", "0 dimensions"),
        (header(8, *[1] * 65) + b"x", "65 dimensions"),
        (header(8, 2, 3)[:-1], "ends inside its header"),
        (header(8, 2, 3) + b"12345", "5 bytes follow"),
        (header(8, 2, 3) + b"1234567", "more bytes follow"),
        (header(8, 2**32 - 1, 2**32 - 1), "more than the file can hold"),
        (header(0x0E, *[2**32 - 1] * 64), "more than the file can hold"),
        (header(8, 1000, 900) + b"12", "more than the file can hold"),
        (header(8, 0, *[2**32 - 1] * 3), "more than the file can hold"),
        (gzip.compress(header(8, 4) + b"1234", mtime=0)[:-3], "gzip data is damaged"),
        (gzip.compress(header(8, 4) + b"1234", mtime=0) + b"rubbish", "gzip data is damaged"),
        (gzip.compress(header(8, 5) + b"1234", mtime=0), "4 bytes follow"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\x1f\x8b", "gzip data is damaged"),
        (b"\x1f\x8b" + bytes(30), "gzip data is damaged"),
    ],
)
def test_broken_files_are_refused_with_the_reason(content, words):
    with pytest.raises(FileFormatError) as caught:
        read_bytes(content)
    message = str(caught.value)
    assert words in message and "sample-idx" in message and "Fix: " in message


def test_a_wrong_gzip_checksum_is_noticed():
    content = bytearray(gzip.compress(header(8, 4) + b"1234", mtime=0))
    content[-8] ^= 1  # the stored CRC-32
    with pytest.raises(FileFormatError, match="CRC check failed"):
        read_bytes(bytes(content))


@pytest.mark.parametrize("packed", [False, True])
def test_a_lying_header_costs_no_memory(packed):
    content = header(8, 1000, 1000, 900)  # promises 900 MB
    if packed:
        content = gzip.compress(content + bytes(3_000_000), compresslevel=1, mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError):
            read_bytes(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_a_gzip_bomb_is_not_unpacked():
    content = gzip.compress(header(8, 4) + bytes(200_000_000), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="more bytes follow"):
            read_bytes(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(MissingDataError, match="no file"):
        read_idx(tmp_path / "none.gz")
    with pytest.raises(FileFormatError, match="is a folder"):
        read_idx(tmp_path)


class TestPair:
    """Image and label files must fit each other."""

    def write(self, folder: Path, images: np.ndarray, labels: np.ndarray) -> tuple[Path, Path]:
        (folder / "images").write_bytes(idx_bytes(images))
        (folder / "labels").write_bytes(idx_bytes(labels))
        return folder / "images", folder / "labels"

    def test_a_fitting_pair(self, tmp_path):
        images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
        labels = np.array([9, 0], np.uint8)
        out_images, out_labels = read_idx_pair(*self.write(tmp_path, images, labels))
        np.testing.assert_array_equal(out_images, images)
        np.testing.assert_array_equal(out_labels, labels)

    @pytest.mark.parametrize(
        ("images", "labels", "words"),
        [
            (np.zeros((2, 3, 3), "u1"), np.zeros(3, "u1"), "2 images, .* 3 labels"),
            (np.zeros((2, 3, 3), "u1"), np.array([1, 10], "u1"), "holds the label 10"),
            (np.zeros(2, "u1"), np.zeros((2, 3, 3), "u1"), "not swapped"),
            (np.zeros((2, 3, 3), "f4"), np.zeros(2, "u1"), "of float32"),
            (np.zeros((2, 3, 3), "u1"), np.zeros(2, "i4"), "of int32"),
        ],
    )
    def test_a_pair_that_does_not_fit(self, tmp_path, images, labels, words):
        with pytest.raises(DataError, match=words):
            read_idx_pair(*self.write(tmp_path, images, labels))


@pytest.mark.skipif("NARAE_DATA" not in os.environ, reason="NARAE_DATA names no MNIST folder")
def test_e12_mnist_has_60000_and_10000_images_of_8_bit_grey():
    """E12: shapes, and the published number of each digit (LeCun et al.)."""
    from narae.vision.sources import mnist_files

    files = mnist_files(download=False)
    published = {
        "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    }
    for split, counts in published.items():
        images, labels = read_idx_pair(files[f"{split}_images"], files[f"{split}_labels"])
        assert images.shape == (sum(counts), 28, 28) and images.dtype == np.uint8
        assert np.bincount(labels).tolist() == counts
        assert images.min() == 0 and images.max() == 255
        if split == "train":
            assert round(images.mean() / 255, 4) == 0.1307  # the mean every tutorial normalises by
