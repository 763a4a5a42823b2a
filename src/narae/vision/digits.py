"""Handwritten digits of 8 x 8 pixels that come with scikit-learn: real data without a download.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (the 1,797 images of its test part).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import require

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

DIGITS_CLASSES = tuple("0123456789")
_BRIGHTEST = 16  # the files hold counts of 0 to 16 dark pixels in each 4 x 4 block
_EVERY = 5


def load_digits() -> tuple[Images, Labels]:
    """All 1,797 digits, in the order scikit-learn gives them.

    Returns:
        Images (1797, 1, 8, 8), float32 in 0 to 1, and labels (1797,), int64 in 0 to 9.

    Raises:
        MissingExtraError: if scikit-learn is not installed.

    Example:
        >>> images, labels = load_digits()
        >>> images.shape, images.dtype.name, labels[:4].tolist()
        ((1797, 1, 8, 8), 'float32', [0, 1, 2, 3])
    """
    datasets: Any = require("sklearn.datasets", "sklearn", "the digits data set")
    bunch = datasets.load_digits()
    images = bunch.images[:, None].astype(np.float32) / _BRIGHTEST  # (items, 1, 8, 8)
    return images, bunch.target.astype(np.int64)


def split_digits() -> tuple[Images, Labels, Images, Labels]:
    """The digits as a fixed, stratified split: 1,437 to train on and 360 to test on.

    The split needs no random numbers, so it is the same everywhere: sort the images by label,
    keeping their order within a label; every fifth one (positions 0, 5, 10, ...) is for testing.
    Each class then gives a fifth of its images, to within one. Both parts keep the file's order.

    Returns:
        Training images (1437, 1, 8, 8) and labels (1437,), test images (360, 1, 8, 8) and
        labels (360,).

    Raises:
        MissingExtraError: if scikit-learn is not installed.

    Example:
        >>> train_images, train_labels, test_images, test_labels = split_digits()
        >>> len(train_images), len(test_images)
        (1437, 360)
    """
    images, labels = load_digits()
    for_test = np.zeros(len(labels), dtype=bool)
    for_test[np.argsort(labels, kind="stable")[::_EVERY]] = True
    return images[~for_test], labels[~for_test], images[for_test], labels[for_test]
