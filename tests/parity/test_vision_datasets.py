"""Data sets look like torchvision's: texts, samples of folders, the pictures of FakeData."""

from __future__ import annotations

import gzip
import pathlib

import numpy as np
import pytest

pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

import narae  # noqa: E402
import narae.vision.datasets as ours  # noqa: E402
import narae.vision.transforms as transforms  # noqa: E402
from narae.vision.datasets import folder as our_folder  # noqa: E402
from narae.vision.sources import mnist_files  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402


@pytest.fixture(scope="module")
def theirs():
    torchvision_oracle.load("transforms")
    return torchvision_oracle.load("datasets")


@pytest.fixture
def pictures(tmp_path):
    for name in ("b/2.png", "b/10.png", "a/x/1.PNG", "a/1.jpeg", "a/x/y/0.webp", "b/no.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2), (len(name), 7, 9)).save(path, "PNG")
    (tmp_path / "top.png").write_bytes(b"not in a class")
    return tmp_path


def test_folders(pictures, theirs):
    mine, other = ours.ImageFolder(pictures), theirs.ImageFolder(pictures)
    assert mine.samples == other.samples
    assert mine.targets == other.targets
    assert (mine.classes, mine.class_to_idx) == (other.classes, other.class_to_idx)
    assert repr(mine) == repr(other)
    for (image, label), (image_of_theirs, label_of_theirs) in zip(mine, other, strict=False):
        assert np.array_equal(np.asarray(image), np.asarray(image_of_theirs))
        assert label == label_of_theirs
    wanted = lambda path: pathlib.Path(path).stem.isdigit()  # noqa: E731
    reference = theirs.folder.make_dataset(pictures, is_valid_file=wanted)
    assert our_folder.make_dataset(pictures, is_valid_file=wanted) == reference
    assert our_folder.find_classes(pictures) == theirs.folder.find_classes(pictures)
    assert our_folder.IMG_EXTENSIONS == theirs.folder.IMG_EXTENSIONS


def test_fake_pictures(theirs):
    options = {"size": 6, "image_size": (3, 9, 8), "num_classes": 7, "random_offset": 4}
    mine, other = ours.FakeData(**options), theirs.FakeData(**options)
    for index in range(6):
        assert np.array_equal(np.asarray(mine[index][0]), np.asarray(other[index][0]))
        assert mine[index][1] == other[index][1]
    assert repr(mine) == repr(other)


def test_texts_with_transforms(pictures, theirs):
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    options = {"transform": chain, "target_transform": chain}
    text = repr(ours.ImageFolder(pictures, **options))
    assert text == repr(theirs.ImageFolder(pictures, **options))


def test_names_of_classes(theirs):
    assert ours.MNIST.classes == tuple(theirs.MNIST.classes)
    for name in ("FashionMNIST", "KMNIST"):
        assert tuple(getattr(ours, name).classes) == tuple(getattr(theirs, name).classes)
    from narae.vision import emnist

    for split, names in theirs.EMNIST.classes_split_dict.items():
        assert list(emnist.CLASSES[split]) == names


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_checksums_of_cifar(name, theirs):
    mine, other = getattr(ours, name)._set, getattr(theirs, name)
    assert mine.train == dict(other.train_list)
    assert mine.test == dict(other.test_list)
    assert mine.folder == other.base_folder
    file = mine.archive.files["python"]
    assert (file.name, file.checksum) == (other.filename, f"md5:{other.tgz_md5}")
    assert mine.archive.mirrors[0] + file.name == other.url


def test_checksum_of_emnist(theirs):
    from narae.vision import emnist

    (file,) = emnist.EMNIST.files.values()
    assert file.checksum == f"md5:{theirs.EMNIST.md5}"
    assert emnist.EMNIST.mirrors[0] + file.name == theirs.EMNIST.url


def test_mnist(theirs, tmp_path):
    """G19: the same pictures, labels and text from the same files."""
    try:
        files = mnist_files(download=False)
    except FileNotFoundError:
        pytest.skip("MNIST is not here: set NARAE_DATA to its folder, or download it once")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in files.values():
        name = path.name.removesuffix(".gz")
        packed = path.suffix == ".gz"
        (raw / name).write_bytes(
            gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        )
    for train in (True, False):
        mine, other = ours.MNIST(tmp_path, train=train), theirs.MNIST(tmp_path, train=train)
        assert np.array_equal(np.asarray(mine.data), other.data.numpy())
        assert np.array_equal(np.asarray(mine.targets), other.targets.numpy())
        assert repr(mine) == repr(other)
        assert mine.class_to_idx == other.class_to_idx
        assert isinstance(mine.data, narae.Tensor)
