"""MNIST and the two sets made in its image: their files, checksums and mirrors.

The MD5 sums are those that torchvision publishes (torchvision/datasets/mnist.py); MNIST's SHA-256
sums were taken from files that match them.
"""

import os
from pathlib import Path

from narae.io.fetch import Download, FileSet, find_files

# All three sets have the same file names, shapes and therefore unpacked sizes.
_FILES = {
    "train_images": ("train-images-idx3-ubyte.gz", 16 + 60_000 * 28 * 28),
    "train_labels": ("train-labels-idx1-ubyte.gz", 8 + 60_000),
    "test_images": ("t10k-images-idx3-ubyte.gz", 16 + 10_000 * 28 * 28),
    "test_labels": ("t10k-labels-idx1-ubyte.gz", 8 + 10_000),
}
_MNIST_SHA256 = {
    "train_images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train_labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "test_images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "test_labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_MNIST_UNPACKED_SHA256 = {
    "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_FASHION_MNIST_MD5 = {
    "train_images": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train_labels": "25c81989df183df01b3e8a0aad5dffbe",
    "test_images": "bef4ecab320f06d8554ea6380940ec79",
    "test_labels": "bb300cfdad3c16e7a12a480ee83cd310",
}
_KMNIST_MD5 = {
    "train_images": "bdb82020997e1d708af4cf47b453dcf7",
    "train_labels": "e144d726b3acfaa3e44228e80efcd344",
    "test_images": "5c965bf0a639b31b8f53240b1b52f4d7",
    "test_labels": "7320c461ea6c1c855c0b718fb2a4b134",
}


def _files(
    algorithm: str, packed: dict[str, str], unpacked: dict[str, str] | None = None
) -> dict[str, Download]:
    return {
        key: Download(
            name=name,
            checksum=f"{algorithm}:{packed[key]}",
            unpacked=f"{algorithm}:{unpacked[key]}" if unpacked else "",
            unpacked_size=size,
        )
        for key, (name, size) in _FILES.items()
    }


_MNIST_FILES = _files("sha256", _MNIST_SHA256, _MNIST_UNPACKED_SHA256)
_FASHION_MNIST_FILES = _files("md5", _FASHION_MNIST_MD5)
_KMNIST_FILES = _files("md5", _KMNIST_MD5)

_SAME_NAMES = tuple(
    FileSet(name, (), files, ())
    for name, files in (
        ("MNIST", _MNIST_FILES),
        ("FashionMNIST", _FASHION_MNIST_FILES),
        ("KMNIST", _KMNIST_FILES),
    )
)

MNIST = FileSet(
    name="MNIST",
    folders=("mnist", "MNIST/raw", "MNIST"),
    files=_MNIST_FILES,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    others=_SAME_NAMES,
)
FASHION_MNIST = FileSet(
    name="FashionMNIST",
    folders=("fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
    files=_FASHION_MNIST_FILES,
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    others=_SAME_NAMES,
)
KMNIST = FileSet(
    name="KMNIST",
    folders=("kmnist", "KMNIST/raw", "KMNIST"),
    files=_KMNIST_FILES,
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    others=_SAME_NAMES,
)

MNIST_CLASSES = tuple("0123456789")
FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KMNIST_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def mnist_files(
    root: str | os.PathLike[str] | None = None, download: bool = True
) -> dict[str, Path]:
    """Paths of MNIST's four idx files: 60,000 training and 10,000 test digits, 28 x 28, 8-bit.

    Args:
        root: a folder to look in first; then NARAE_DATA, the cache and the mirrors follow.
        download: whether the network may be used.

    Returns:
        Keys "train_images", "train_labels", "test_images", "test_labels".

    Raises:
        DataError: if a file that was found is not the published one.
        MissingDataError: if a file is nowhere to be found.
    """
    return find_files(MNIST, root, download)


def fashion_mnist_files(
    root: str | os.PathLike[str] | None = None, download: bool = True
) -> dict[str, Path]:
    """Paths of Fashion-MNIST's four idx files, found as `mnist_files` does.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017.
    """
    return find_files(FASHION_MNIST, root, download)


def kmnist_files(
    root: str | os.PathLike[str] | None = None, download: bool = True
) -> dict[str, Path]:
    """Paths of Kuzushiji-MNIST's four idx files, found as `mnist_files` does.

    Source: T. Clanuwat et al., "Deep Learning for Classical Japanese Literature",
    arXiv:1812.01718, 2018.
    """
    return find_files(KMNIST, root, download)
