"""Data sets of pictures read from files that the tests write in the published formats."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile

import numpy as np
import pytest

import narae
import narae.vision.datasets as dsets
from narae.data import DataLoader
from narae.io.fetch import Download, FileSet
from narae.vision import arrays, cifar, emnist
from narae.vision.datasets.folder import find_classes, make_dataset
from narae.vision.sources import mnist_files
from narae.vision.transforms import ToTensor

Image = pytest.importorskip("PIL.Image")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def empty_world(tmp_path, monkeypatch):
    """No data anywhere, but what a test writes."""
    monkeypatch.delenv("NARAE_DATA", raising=False)
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path / "cache"))


def write_idx(path: pathlib.Path, array: np.ndarray) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


# --- MNIST as arrays ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full_size(tmp_path_factory) -> dict:
    """Four idx files of MNIST's sizes, with random content, and that content."""
    folder = tmp_path_factory.mktemp("full")
    rng = np.random.default_rng(0)
    content, files = {}, {}
    for part, count in (("train", 60_000), ("test", 10_000)):
        content[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        content[f"{part}_labels"] = rng.integers(0, 10, count, dtype=np.uint8)
    for key, array in content.items():
        files[key] = write_idx(folder / key, array)
    return {"files": files, **content}


@pytest.fixture
def same_sizes_as_mnist(full_size, monkeypatch):
    monkeypatch.setattr(arrays, "mnist_files", lambda root, download: full_size["files"])
    return full_size


def test_shapes_of_mnist(same_sizes_as_mnist):
    """E12: MNIST 60,000/10,000, 8-bit grey: shapes (60000,784),(60000,),(10000,784)."""
    (x_train, t_train), (x_test, t_test) = dsets.load_mnist(flatten=True, normalize=False)
    assert x_train.shape == (60000, 784)
    assert t_train.shape == (60000,)
    assert x_test.shape == (10000, 784)
    assert t_test.shape == (10000,)
    assert x_train.dtype == np.uint8


FLAGS = list(itertools.product([True, False], repeat=3))


@pytest.mark.parametrize(("normalize", "flatten", "one_hot_label"), FLAGS)
def test_load_mnist(normalize, flatten, one_hot_label, same_sizes_as_mnist):
    """E13: `load_mnist(normalize, flatten, one_hot_label)`: all 8 combinations."""
    parts = dsets.load_mnist(normalize, flatten, one_hot_label)
    for part, (x, t) in zip(("train", "test"), parts, strict=True):
        pixels = same_sizes_as_mnist[f"{part}_images"]
        labels = same_sizes_as_mnist[f"{part}_labels"]
        count = len(labels)
        assert x.shape == ((count, 784) if flatten else (count, 1, 28, 28))
        want = pixels.reshape(x.shape)[:500]
        if normalize:
            assert x.dtype == np.float32
            assert x.max() == 1.0
            assert np.array_equal(x[:500], want.astype(np.float32) / np.float32(255))
        else:
            assert x.dtype == np.uint8
            assert np.array_equal(x[:500], want)
        assert np.array_equal(t, np.eye(10)[labels] if one_hot_label else labels)


def test_load_mnist_by_default(same_sizes_as_mnist):
    """E13: without arguments: normalized, flat, labels as numbers."""
    (x_train, t_train), _ = dsets.load_mnist()
    assert (x_train.dtype, x_train.shape[1:]) == (np.float32, (784,))
    assert t_train.ndim == 1


def test_one_hot_encoding():
    """E14: one row a label, 1 at the label and 0 elsewhere, which argmax undoes."""
    labels = np.random.default_rng(0).integers(0, 10, 200)
    rows = arrays.one_hot(labels)
    assert np.array_equal(rows, np.eye(10)[labels])
    assert np.array_equal(rows.argmax(axis=1), labels)
    assert np.array_equal(np.asarray(narae.nn.functional.one_hot(narae.tensor(labels), 10)), rows)


PROGRAM = """
import sys, os
sys.path.append(os.pardir)
from dataset.mnist import load_mnist
import narae.vision.arrays as arrays
arrays.mnist_files = lambda root, download: {files!r}
(x_train, t_train), (x_test, t_test) = load_mnist(flatten=True, normalize=False)
print(x_train.shape, t_train.shape, x_test.shape, t_test.shape)
"""


def test_the_import_of_the_book(full_size):
    """C14: module/import forms, `sys.path.append(os.pardir)`: `from dataset.mnist import
    load_mnist` works in a program that runs beside the folder `dataset`."""
    files = {key: str(path) for key, path in full_size["files"].items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(files=files)],
        cwd=ROOT / "examples" / "scratch" / "dataset",
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "(60000, 784) (60000,) (10000, 784) (10000,)\n"


def test_real_mnist(monkeypatch):
    """E12, E13: the first pictures and labels are the published ones."""
    monkeypatch.undo()
    try:
        mnist_files(download=False)
    except FileNotFoundError:
        pytest.skip("MNIST is not here: set NARAE_DATA to its folder, or download it once")
    (x_train, t_train), (x_test, t_test) = dsets.load_mnist(normalize=False)
    assert t_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert t_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert (x_train.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(0.3081, abs=5e-5)


# --- EMNIST ---------------------------------------------------------------------------------


def emnist_arrays(split: str, count: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    classes = emnist.CLASSES[split]
    first = 1 if split == "letters" else 0
    arrays = {}
    for part in ("train", "test"):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count) % (len(classes) - first) + first
        arrays[f"{part}-labels-idx1-ubyte"] = labels.astype(np.uint8)
    return arrays


@pytest.mark.parametrize("split", emnist.SPLITS)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_emnist(split, packed, tmp_path):
    """Pictures stand upright; the labels of letters begin at 1."""
    written = emnist_arrays(split)
    for name, array in written.items():
        write_idx(tmp_path / "EMNIST" / "raw" / f"emnist-{split}-{name}{packed}", array)
    for train in (True, False):
        part = "train" if train else "test"
        dataset = dsets.EMNIST(tmp_path, split, train=train)
        stored = written[f"{part}-images-idx3-ubyte"]
        assert np.array_equal(np.asarray(dataset.data), stored.transpose(0, 2, 1))
        assert dataset.targets.tolist() == written[f"{part}-labels-idx1-ubyte"].tolist()
        raw = dsets.EMNIST(tmp_path, split, train=train, upright=False)
        assert np.array_equal(np.asarray(raw.data), stored)
    counts = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 27, "digits": 10}
    assert len(dataset.classes) == counts.get(split, 10)


def test_names_of_letters(tmp_path):
    assert emnist.CLASSES["letters"][1] == "a"
    assert emnist.CLASSES["byclass"][10] == "A"
    assert "c" not in emnist.CLASSES["balanced"]
    assert "".join(emnist.CLASSES["balanced"][36:]) == "abdefghnqrt"
    with pytest.raises(ValueError, match="split is one of byclass, bymerge"):
        dsets.EMNIST(tmp_path, "capitals")


def test_emnist_out_of_its_archive(tmp_path, monkeypatch):
    """The published archive is checked, and only what is wanted is unpacked from it."""
    archive = tmp_path / "data" / "gzip.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        for split in ("letters", "digits"):
            for name, array in emnist_arrays(split).items():
                path = write_idx(tmp_path / "one.gz", array)
                file.write(path, f"gzip/emnist-{split}-{name}.gz")
        file.writestr("../evil.gz", b"x")
    with pytest.raises(ValueError, match="the published one is md5:58c8d27c"):
        dsets.EMNIST(tmp_path / "data", "letters")
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    own = FileSet("EMNIST", emnist.FOLDERS, {"archive": Download("gzip.zip", f"md5:{md5}")}, ("x",))
    monkeypatch.setattr(emnist, "EMNIST", own)
    dataset = dsets.EMNIST(tmp_path / "data", "letters", train=False)
    assert len(dataset) == 30
    unpacked = tmp_path / "cache" / "data" / "EMNIST" / "raw"
    assert len(list(unpacked.iterdir())) == 2
    assert len(dsets.EMNIST(None, "letters", train=False)) == 30
    with pytest.raises(FileNotFoundError):
        dsets.EMNIST(None, "digits")


# --- CIFAR ----------------------------------------------------------------------------------

SETS = {dsets.CIFAR10: cifar.CIFAR10, dsets.CIFAR100: cifar.CIFAR100}


def small_batch(kind: cifar.CifarSet, count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    """Pixels (items, 3072) with red, then green, then blue, and labels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    return pixels, rng.integers(0, kind.classes, count).tolist()


def upright(pixels: np.ndarray) -> np.ndarray:
    return np.stack([pixels[:, :1024], pixels[:, 1024:2048], pixels[:, 2048:]], -1).reshape(
        -1, 32, 32, 3
    )


def binary_bytes(kind: cifar.CifarSet, pixels: np.ndarray, labels: list[int]) -> bytes:
    return b"".join(
        bytes([9] * (kind.labels - 1) + [label]) + row.tobytes()
        for row, label in zip(pixels, labels, strict=True)
    )


@pytest.mark.parametrize(("face", "folder"), [
    (dsets.CIFAR10, "cifar-10-batches-bin"), (dsets.CIFAR10, "cifar10/cifar-10-batches-bin"),
    (dsets.CIFAR10, "."), (dsets.CIFAR100, "cifar-100-binary"),
])  # fmt: skip
def test_a_part_of_the_binary_form(face, folder, tmp_path):
    """Whatever is in the folder is used, in the order of the names, and a warning says so."""
    kind = SETS[face]
    names = ["data_batch_1_first.bin", "data_batch_2.bin", "test_batch_first.bin"]
    if face is dsets.CIFAR100:
        names = ["train.bin", "train_more.bin", "test.bin"]
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    parts = [small_batch(kind, count, count) for count in (7, 5, 4)]
    for name, (pixels, labels) in zip(names, parts, strict=True):
        (place / name).write_bytes(binary_bytes(kind, pixels, labels))
    with pytest.warns(UserWarning, match=r"holds a subset, 12 of 50,000 training pictures") as told:
        train = face(tmp_path, train=True)
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match=r"holds a subset, 4 of 10,000 test pictures"):
        test = face(tmp_path, train=False)
    assert np.array_equal(train.data, upright(np.concatenate([parts[0][0], parts[1][0]])))
    assert train.targets == parts[0][1] + parts[1][1]
    assert (len(test), test.targets) == (4, parts[2][1])
    image, label = test[3]
    assert np.array_equal(np.asarray(image), upright(parts[2][0])[3])
    assert label == parts[2][1][3]
    assert len(train.classes) == kind.classes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 bytes"),
        (b"x" * 3072, "whole records of 3,073 bytes"),
        (bytes([10]) + bytes(3072), "label 10; labels lie in 0 to 9"),
    ],
)
def test_damaged_binary_files_are_refused(content, said, tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        dsets.CIFAR10(tmp_path)


def python_bytes(kind: cifar.CifarSet, pixels: np.ndarray, labels: list[int]) -> bytes:
    batch = {"data": pixels, kind.key: labels, "filenames": ["a.png"] * len(labels)}
    return pickle.dumps(batch, protocol=2)


@pytest.fixture
def python_form(tmp_path, monkeypatch):
    """Small files in the Python form under the official names, whose checksums are told."""
    written = {}
    for face, kind in SETS.items():
        for part, names in (("train", kind.train), ("test", kind.test)):
            for place, name in enumerate(names):
                pixels, labels = small_batch(kind, 3 + place, place)
                written[face, part, name] = (python_bytes(kind, pixels, labels), pixels, labels)
        changes = {
            part: {
                name: hashlib.md5(content, usedforsecurity=False).hexdigest()
                for (owner, which, name), (content, _, _) in written.items()
                if (owner, which) == (face, part)
            }
            for part in ("train", "test")
        }
        monkeypatch.setattr(face, "_set", cifar.CifarSet(**{**vars(kind), **changes}))
    return written


@pytest.mark.parametrize("face", SETS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_python_form(face, packed, python_form, tmp_path, monkeypatch):
    kind = face._set
    content = {
        name: data for (owner, _, name), (data, _, _) in python_form.items() if owner is face
    }
    root = tmp_path / "root"
    if packed:
        root.mkdir()
        name = kind.archive.files["python"].name
        with tarfile.open(root / name, "w:gz") as file:
            for member, data in content.items():
                info = tarfile.TarInfo(f"{kind.folder}/{member}")
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        md5 = hashlib.md5((root / name).read_bytes(), usedforsecurity=False).hexdigest()
        files = {"python": Download(name, f"md5:{md5}")}
        archive = FileSet(kind.name, kind.archive.folders, files, kind.archive.mirrors)
        monkeypatch.setattr(face, "_set", cifar.CifarSet(**{**vars(kind), "archive": archive}))
    else:
        (root / kind.folder).mkdir(parents=True)
        for name, data in content.items():
            (root / kind.folder / name).write_bytes(data)
    with warnings.catch_warnings(action="error"):
        dataset = face(root, train=True)
    parts = [
        value for (owner, part, _), value in python_form.items() if (owner, part) == (face, "train")
    ]
    assert np.array_equal(dataset.data, upright(np.concatenate([pixels for _, pixels, _ in parts])))
    assert dataset.targets == [label for _, _, labels in parts for label in labels]
    assert len(face(root, train=False)) == 3
    if packed:
        assert len(face(None, train=False)) == 3  # from the cache, where it was unpacked
    else:
        path = root / kind.folder / next(iter(kind.test))
        path.write_bytes(path.read_bytes() + b"!")
        with pytest.raises(ValueError, match="the published one is md5:"):
            face(root, train=False)


class Evil:
    """What a pickle must not be able to do."""

    def __reduce__(self):
        return os.system, ("echo evil",)


def test_a_pickle_can_run_no_code(tmp_path, capfd):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Evil(), "labels": [1]}, protocol=2))
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.system"):
        cifar.read_python(path, cifar.CIFAR10)
    assert "evil" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"labels": [1]}, "no batch of CIFAR10 .'data'"),
        ([1, 2], "no batch"),
        ({"data": np.zeros((2, 3072), np.float32), "labels": [1, 2]}, "of uint8"),
        ({"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]}, r"data is .2, 3071."),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "each picture has one label"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1, -2]}, "the label -2"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": ["a", "b"]}, "one label"),
    ],
)
def test_damaged_python_files_are_refused(batch, said, tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(ValueError, match=said):
        cifar.read_python(path, cifar.CIFAR10)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="no batch"):
        cifar.read_python(path, cifar.CIFAR10)


def test_arrays_pickled_by_old_numpy_are_read(tmp_path):
    """The official files were pickled by Python 2 and NumPy 1, whose module was numpy.core."""
    pixels, labels = small_batch(cifar.CIFAR10, 2, 0)
    content = python_bytes(cifar.CIFAR10, pixels, labels)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != content
    path = tmp_path / "batch"
    path.write_bytes(old)
    assert np.array_equal(cifar.read_python(path, cifar.CIFAR10)[0], upright(pixels))


def test_cifar_that_is_nowhere(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar-10-python.tar.gz was not found") as caught:
        dsets.CIFAR10(tmp_path)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in str(caught.value)
    assert "cifar-10-batches-bin" in caught.value.__notes__[0]


def test_batches_of_cifar(tmp_path):
    pixels, labels = small_batch(cifar.CIFAR10, 6, 0)
    (tmp_path / "data_batch_1.bin").write_bytes(binary_bytes(cifar.CIFAR10, pixels, labels))
    with pytest.warns(UserWarning, match="subset"):
        dataset = dsets.CIFAR10(tmp_path, transform=ToTensor())
    x, y = next(iter(DataLoader(dataset, batch_size=4)))
    assert np.array_equal(np.asarray(x), np.moveaxis(upright(pixels)[:4], -1, 1) / np.float32(255))
    assert y.tolist() == labels[:4]
    dataset.targets = [0] * 6
    assert next(iter(DataLoader(dataset, batch_size=4)))[1].tolist() == [0] * 4


# --- folders --------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    """cat/1.png, cat/more/2.JPG, dog/1.png, dog/notes.txt, README"""
    folder = tmp_path / "pictures"
    for place, name in enumerate(["dog/1.png", "cat/more/2.JPG", "cat/1.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "JPEG" if name.endswith("JPG") else "PNG"
        Image.new("RGB", (4, 3), (60 * place, 10, 20)).save(path, kind)
    (folder / "dog" / "notes.txt").write_text("no picture")
    (folder / "README").write_text("no class")
    return folder


def zipped(folder: pathlib.Path) -> pathlib.Path:
    archive = folder.parent / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*"):
            if path.is_file():
                file.write(path, f"inside/{path.relative_to(folder).as_posix()}")
    return archive


@pytest.mark.parametrize("in_a_zip", [False, True])
def test_image_folder(pictures, in_a_zip):
    root = zipped(pictures) / "inside" if in_a_zip else pictures
    dataset = dsets.ImageFolder(root)
    assert dataset.classes == ["cat", "dog"]
    assert dataset.class_to_idx == {"cat": 0, "dog": 1}
    names = [(pathlib.Path(path).relative_to(root).as_posix(), y) for path, y in dataset.imgs]
    assert names == [("cat/1.png", 0), ("cat/more/2.JPG", 0), ("dog/1.png", 1)]
    assert dataset.targets == [0, 0, 1]
    image, label = dataset[2]
    assert (image.mode, image.size, image.getpixel((0, 0)), label) == (
        "RGB",
        (4, 3),
        (0, 10, 20),
        1,
    )
    assert repr(dataset) == (
        f"Dataset ImageFolder\n    Number of datapoints: 3\n    Root location: {root}"
    )


def test_a_zip_file_is_read_by_workers(pictures):
    dataset = dsets.ImageFolder(zipped(pictures) / "inside", transform=ToTensor())
    (batch, labels), *_ = DataLoader(dataset, batch_size=3, num_workers=2)
    assert tuple(batch.shape) == (3, 3, 3, 4)
    assert labels.tolist() == [0, 0, 1]


def test_files_that_count(pictures):
    texts = dsets.DatasetFolder(
        pictures,
        lambda path: pathlib.Path(path).read_text(),
        extensions=(".txt",),
        allow_empty=True,
        transform=len,
        target_transform=lambda label: -label,
    )
    assert [texts[0]] == [(10, -1)]
    chosen = dsets.ImageFolder(pictures, is_valid_file=lambda path: path.endswith("1.png"))
    assert len(chosen) == 2
    assert make_dataset(pictures, {"dog": 5}, extensions=".png")[0][1] == 5


@pytest.mark.parametrize(
    ("act", "error", "said"),
    [
        (lambda folder: dsets.ImageFolder(folder / "nowhere"), FileNotFoundError, "no folder"),
        (lambda folder: dsets.ImageFolder(folder / "dog"), FileNotFoundError, "any class folder"),
        (lambda folder: dsets.DatasetFolder(folder, str, ".txt"), FileNotFoundError, "classes cat"),
        (lambda folder: dsets.DatasetFolder(folder, str), ValueError, "cannot be None"),
        (
            lambda folder: dsets.DatasetFolder(folder, str, ".x", is_valid_file=bool),
            ValueError,
            "are given",
        ),
        (lambda folder: make_dataset(folder, {}, ".x"), ValueError, "at least one entry"),
    ],
)
def test_folders_that_do_not_fit_are_refused(act, error, said, pictures):
    with pytest.raises(error, match=said):
        act(pictures)


def test_a_damaged_zip_file(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK no zip")
    with pytest.raises(ValueError, match="is damaged"):
        find_classes(path)


# --- noise ----------------------------------------------------------------------------------


def test_fake_data():
    dataset = dsets.FakeData(size=20, image_size=(3, 5, 4), num_classes=4)
    narae.manual_seed(0)
    first = [dataset[index] for index in range(20)]
    stream = narae.rand(1).item()
    narae.manual_seed(0)
    assert narae.rand(1).item() == stream  # the program's own numbers are left alone
    assert first[0][0].size == (4, 5)
    assert {label for _, label in first} == {0, 1, 2, 3}
    again, label = dataset[7]
    assert np.array_equal(np.asarray(again), np.asarray(first[7][0]))
    assert label == first[7][1]
    assert not np.array_equal(np.asarray(first[0][0]), np.asarray(first[1][0]))
    shifted = dsets.FakeData(size=20, image_size=(3, 5, 4), random_offset=1)
    assert np.array_equal(np.asarray(shifted[6][0]), np.asarray(again))
    with pytest.raises(IndexError, match="out of range"):
        dataset[20]


def test_transforms_of_pairs():
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        dsets.VisionDataset(".", transforms=lambda x, y: (x, y), transform=str)
    text = repr(dsets.FakeData(2, transform=ToTensor(), target_transform=str))
    assert text == (
        "Dataset FakeData\n    Number of datapoints: 2\n    StandardTransform\n"
        f"Transform: ToTensor()\nTarget transform: {str!r}"
    )
