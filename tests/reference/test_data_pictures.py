"""Data sets of pictures and their transforms."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import narae
import narae.vision.datasets as dsets
import narae.vision.transforms as transforms
from narae.data import DataLoader, Subset
from narae.vision.datasets import LabelledPictures

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (7, 5, 4), dtype=np.uint8), rng.integers(0, 3, 7)


def test_to_tensor_scales_8_bit_values_and_puts_channels_first(pictures):
    grey = pictures[0][0]
    out = transforms.ToTensor()(grey)
    assert tuple(out.shape) == (1, 5, 4)
    assert out.dtype is narae.float32
    assert np.array_equal(np.asarray(out)[0], grey.astype(np.float32) / np.float32(255))
    colour = np.stack([grey, grey // 2, grey // 3], axis=-1)
    out = transforms.ToTensor()(colour)
    assert np.array_equal(np.asarray(out), np.moveaxis(colour, -1, 0) / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "F", "I"])
def test_to_tensor_takes_every_mode_of_pillow(pictures, mode):
    image = Image.fromarray(pictures[0][0]).convert(mode)
    out = transforms.ToTensor()(image)
    assert tuple(out.shape[1:]) == (5, 4)
    assert out.shape[0] == len(image.getbands())
    array = np.asarray(image)
    if mode in ("L", "RGB", "RGBA"):
        array = array / np.float32(255)
    expected = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    assert np.array_equal(np.asarray(out), expected)


def test_to_tensor_leaves_other_dtypes_as_they_are():
    out = transforms.ToTensor()(np.array([[300, 2]], np.int32))
    assert out.dtype is narae.int32
    assert out.tolist() == [[[300, 2]]]


def test_normalize():
    x = narae.rand(3, 4, 5)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = transforms.Normalize(mean, std)(x)
    channels = np.asarray(x, np.float32)
    shaped = [np.float32(numbers).reshape(3, 1, 1) for numbers in (mean, std)]
    assert np.array_equal(np.asarray(out), (channels - shaped[0]) / shaped[1])


@pytest.mark.parametrize(
    ("transform", "picture", "said"),
    [
        (transforms.ToTensor(), [[1]], "PIL Image or ndarray"),
        (transforms.ToTensor(), np.zeros(3), "height, width"),
        (transforms.Normalize((0.5,), (0.5,)), np.zeros((1, 2, 2)), "put ToTensor"),
        (transforms.Normalize((0.5,), (0.5,)), narae.ones(1, 2, 2, dtype=narae.int64), "float"),
        (transforms.Normalize((0.5,), (0.5,)), narae.ones(2, 2), r"\(2, 2\)"),
    ],
)
def test_what_is_no_picture_is_refused(transform, picture, said):
    with pytest.raises((TypeError, ValueError), match=said):
        transform(picture)


def test_parameters_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="must differ from 0"):
        transforms.Normalize((0.5,), (0.0,))
    with pytest.raises(TypeError, match="callable"):
        transforms.Lambda(3)


def test_samples_are_pillow_images_and_labels(pictures):
    dataset = LabelledPictures(*pictures)
    image, label = dataset[3]
    assert image.size == (4, 5)
    assert np.array_equal(np.asarray(image), pictures[0][3])
    assert label == pictures[1][3]
    assert type(label) is int


@pytest.mark.parametrize(
    "transform",
    [
        transforms.ToTensor(),
        transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1,), (0.3,))]),
    ],
)
def test_a_batch_at_once_equals_single_pictures(pictures, transform):
    dataset = LabelledPictures(*pictures, transform=transform)
    together = DataLoader(dataset, batch_size=3)
    singly = DataLoader(dataset, batch_size=3, collate_fn=lambda batch: batch)
    for (x, y), samples in zip(together, singly, strict=True):
        for place, (picture, label) in enumerate(samples):
            assert np.array_equal(np.asarray(x[place]), np.asarray(picture))
            assert y[place].item() == label
        assert y.dtype is narae.int64


def test_transforms_of_single_pictures_are_called_one_by_one(pictures):
    flip = transforms.Lambda(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    dataset = LabelledPictures(
        *pictures,
        transform=transforms.Compose([flip, transforms.ToTensor()]),
        target_transform=lambda label: label + 10,
    )
    (x, y), *_ = DataLoader(Subset(dataset, [4, 2]), batch_size=2)
    assert np.array_equal(np.asarray(x)[0, 0] * 255, pictures[0][4][:, ::-1])
    assert y.tolist() == [pictures[1][4] + 10, pictures[1][2] + 10]


def test_digits():
    """The embedded digits: 1,437 and 360 pictures of 8 x 8, brightness in 0 to 255."""
    train, test = dsets.Digits(train=True), dsets.Digits(train=False)
    assert (len(train), len(test)) == (1437, 360)
    assert train.data.dtype is narae.uint8
    assert (train.data.min().item(), train.data.max().item()) == (0, 255)
    assert test.class_to_idx["7"] == 7
    assert "Number of datapoints: 360" in repr(test)


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Files in MNIST's form, which are given to the class as if they had been found."""
    rng = np.random.default_rng(1)
    files = {}
    for part, count in (("train", 5), ("test", 3)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for kind, array in (("images", images), ("labels", labels)):
            path = tmp_path / f"{part}_{kind}.gz"
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            path.write_bytes(gzip.compress(header + array.tobytes()))
            files[f"{part}_{kind}"] = path
    asked = []

    def find(root, download):
        asked.append((root, download))
        return files

    monkeypatch.setattr(dsets.MNIST, "_find", staticmethod(find))
    return asked


def test_mnist_class(small_mnist):
    """G19: data, targets and classes as in the notes; the network is used only if allowed."""
    mnist = dsets.MNIST(root="MNIST_data/", train=True, transform=transforms.ToTensor())
    assert len(mnist) == 5
    assert tuple(mnist[0][0].shape) == (1, 28, 28)
    assert mnist.classes[3] == "3 - three"
    assert tuple(mnist.data.shape) == (5, 28, 28)
    assert mnist.targets.dtype is narae.int64
    assert len(dsets.MNIST("x", train=False, download=True)) == 3
    assert [download for _, download in small_mnist] == [False, True]
    assert repr(mnist) == (
        "Dataset MNIST\n    Number of datapoints: 5\n    Root location: MNIST_data\n"
        "    Split: Train\n    StandardTransform\nTransform: ToTensor()"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("test_data", "data"),
        ("test_labels", "targets"),
        ("train_data", "data"),
        ("train_labels", "targets"),
    ],
)
def test_old_names_warn(small_mnist, old, new):
    """G24: UserWarning "test_data has been renamed data": emitted, at the user's line."""
    mnist = dsets.MNIST("x", train=False)
    with pytest.warns(UserWarning, match=f"^{old} has been renamed {new}$") as caught:
        value = getattr(mnist, old)
    assert value is getattr(mnist, new)
    assert caught[0].filename == __file__


def test_data_that_is_nowhere_is_missed(tmp_path, monkeypatch):
    monkeypatch.setenv("NARAE_CACHE", str(tmp_path))
    monkeypatch.delenv("NARAE_DATA", raising=False)
    for kind in (dsets.MNIST, dsets.FashionMNIST, dsets.KMNIST):
        with pytest.raises(FileNotFoundError, match=f"{kind.__name__}.*was not found"):
            kind(tmp_path, download=False)
