"""Drawing and grids agree with torchvision.utils, pixel by pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

import narae  # noqa: E402
from narae.errors import ConfigError, DTypeError, NotSupportedError, ShapeError  # noqa: E402
from narae.vision.utils import (  # noqa: E402
    draw_bounding_boxes,
    draw_segmentation_masks,
    make_grid,
    save_image,
)
from tests.parity import torchvision_oracle  # noqa: E402

RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (3, 40, 60), dtype=np.uint8)
BOXES = np.array([[2.7, 3.2, 20.9, 17.1], [10, 8, 58, 39], [5, 5, 5, 30]], np.float32)


@pytest.fixture(scope="module")
def theirs():
    return torchvision_oracle.load("utils")


def picture(kind: str, channels: int = 3) -> np.ndarray:
    values = PICTURE[:channels]
    return values if kind == "uint8" else (values / 255).astype(kind)


def same(ours, want) -> None:
    assert ours.numpy().dtype == want.numpy().dtype
    assert tuple(ours.shape) == tuple(want.shape)
    # Of 8-bit values as floats, the last digit depends on how they are divided by 255.
    np.testing.assert_allclose(ours.numpy(), want.numpy(), rtol=1.2e-7)


BOX_CALLS = {
    "plain": {},
    "names": {"labels": ["cat", "dog", "x"], "colors": "red"},
    "list": {"colors": ["#FF00FF", (3, 200, 5), "blue", "red"], "width": 3},
    "filled": {"fill": True, "colors": (10, 20, 30), "width": 2},
    "paper": {"labels": ["a", "b", "c"], "fill_labels": True, "colors": "yellow"},
    "ink": {
        "labels": ["a", "bb", "c"],
        "fill_labels": True,
        "label_colors": "white",
        "label_background_colors": ["red", "green", "blue"],
    },
}


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("call", BOX_CALLS)
def test_boxes(theirs, kind, channels, call):
    given = picture(kind, channels)
    want = theirs.draw_bounding_boxes(
        torch.from_numpy(given.copy()), torch.from_numpy(BOXES), **BOX_CALLS[call]
    )
    got = draw_bounding_boxes(narae.from_numpy(given), narae.from_numpy(BOXES), **BOX_CALLS[call])
    same(got, want)
    np.testing.assert_array_equal(given, picture(kind, channels))  # a new picture


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("colors", [None, "red", ["red", (1, 2, 3), "#00ff80"]])
def test_masks(theirs, kind, alpha, colors):
    given = picture(kind)
    masks = np.random.default_rng(1).random((3, 40, 60)) < 0.3  # some overlap
    want = theirs.draw_segmentation_masks(
        torch.from_numpy(given.copy()), torch.from_numpy(masks), alpha, colors
    )
    got = draw_segmentation_masks(narae.from_numpy(given), narae.from_numpy(masks), alpha, colors)
    same(got, want)


GRIDS = {
    "batch": ((7, 3, 5, 6), {}),
    "grey": ((5, 1, 5, 6), {"nrow": 3, "padding": 1, "pad_value": 0.5}),
    "one": ((1, 3, 5, 6), {}),
    "plane": ((5, 6), {}),
    "picture": ((1, 5, 6), {"normalize": True}),
    "scaled": ((4, 2, 5, 6), {"normalize": True}),
    "ranged": ((4, 3, 5, 6), {"normalize": True, "value_range": (-1, 2), "nrow": 2}),
    "each": ((4, 3, 5, 6), {"normalize": True, "scale_each": True}),
}


@pytest.mark.parametrize("name", GRIDS)
def test_grids(theirs, name):
    shape, options = GRIDS[name]
    values = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    want = theirs.make_grid(torch.from_numpy(values.copy()), **options)
    same(make_grid(narae.from_numpy(values), **options), want)
    ours, others = narae.from_numpy(values), torch.from_numpy(values)
    if values.ndim == 4:  # a list of pictures does as well
        same(make_grid(list(ours), **options), theirs.make_grid(list(others), **options))


def test_saved_pictures_hold_the_same_bytes(theirs, tmp_path):
    values = np.random.default_rng(3).uniform(-0.1, 1.1, (3, 3, 8, 9)).astype(np.float32)
    ours, other = io.BytesIO(), io.BytesIO()
    save_image(narae.from_numpy(values), ours, format="PNG", nrow=2)
    theirs.save_image(torch.from_numpy(values), other, format="PNG", nrow=2)
    assert np.array_equal(np.asarray(Image.open(ours)), np.asarray(Image.open(other)))
    save_image(narae.from_numpy(values), tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").size == (3 * 11 + 2, 12)


def test_nothing_to_draw_is_said_and_the_picture_stays():
    image = narae.from_numpy(PICTURE)
    with pytest.warns(UserWarning, match="any box"):
        assert draw_bounding_boxes(image, narae.zeros(0, 4)) is image
    nothing = narae.zeros(0, 40, 60, dtype=narae.bool)
    with pytest.warns(UserWarning, match="any mask"):
        assert draw_segmentation_masks(image, nothing) is image


IMAGE, BOX, MASK = narae.from_numpy(PICTURE), narae.tensor([[1, 1, 5, 5]]), narae.ones(40, 60) > 0
WRONG = {
    "array": (DTypeError, "Tensor expected", lambda: draw_bounding_boxes(PICTURE, BOX)),
    "batch": (ShapeError, "not batches", lambda: draw_bounding_boxes(IMAGE[None], BOX)),
    "int": (DTypeError, "uint8 or float", lambda: draw_bounding_boxes(IMAGE.int(), BOX)),
    "channels": (ShapeError, "grayscale", lambda: draw_bounding_boxes(IMAGE[:2], BOX)),
    "turned": (
        ShapeError,
        r"box 0 is \[5, 1, 1, 5\]",
        lambda: draw_bounding_boxes(IMAGE, narae.tensor([[5, 1, 1, 5]])),
    ),
    "oriented": (
        NotSupportedError,
        "upright",
        lambda: draw_bounding_boxes(IMAGE, narae.zeros(1, 8)),
    ),
    "columns": (ShapeError, "boxes, 4", lambda: draw_bounding_boxes(IMAGE, narae.zeros(1, 5))),
    "names": (ConfigError, "mismatch", lambda: draw_bounding_boxes(IMAGE, BOX, labels=[])),
    "few": (ConfigError, "Number of colors", lambda: draw_bounding_boxes(IMAGE, BOX, colors=[])),
    "colour": (ConfigError, "'no such'", lambda: draw_bounding_boxes(IMAGE, BOX, colors="no such")),
    "pair": (ConfigError, "RGB triplet", lambda: draw_bounding_boxes(IMAGE, BOX, colors=(1, 2))),
    "grey": (ShapeError, "RGB image", lambda: draw_segmentation_masks(IMAGE[:1], MASK)),
    "bool": (DTypeError, "dtype bool", lambda: draw_segmentation_masks(IMAGE, MASK.int())),
    "size": (ShapeError, "same height", lambda: draw_segmentation_masks(IMAGE, MASK[1:])),
    "planes": (ShapeError, "masks must be", lambda: draw_segmentation_masks(IMAGE, MASK[0])),
    "list": (DTypeError, "containing ndarray", lambda: make_grid([PICTURE])),
    "none": (DTypeError, "expected", lambda: make_grid([])),
    "sizes": (ShapeError, "one size", lambda: make_grid([IMAGE, IMAGE[:, 1:]])),
    "range": (ConfigError, "min, max", lambda: make_grid(IMAGE, normalize=True, value_range=1)),
    "five": (ShapeError, "pictures, channels", lambda: make_grid(narae.zeros(1, 1, 1, 1, 1))),
    "ending": (ConfigError, "png", lambda: save_image(IMAGE.float(), "/nowhere/a.unknown")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_refused(name):
    kind, words, call = WRONG[name]
    with pytest.raises(kind, match=words):
        call()
