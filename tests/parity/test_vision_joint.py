"""Boxes moved by joint transforms, against torchvision's transforms of boxes (version 2)."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.vision.transforms import joint  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402

HEIGHT, WIDTH = 30, 50


@pytest.fixture(scope="module")
def theirs():
    return torchvision_oracle.load("transforms.v2.functional")


@pytest.fixture(scope="module")
def boxes_of():
    points = torchvision_oracle.load("tv_tensors")

    def make(values):
        return points.BoundingBoxes(
            torch.tensor(values), format="XYXY", canvas_size=(HEIGHT, WIDTH)
        )

    return make


def make_boxes(count: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, [WIDTH - 12, HEIGHT - 12], (count, 2))
    return np.concatenate([corner, corner + rng.uniform(2, 12, (count, 2))], 1).astype(np.float32)


def fixed(transform, drawn):
    """A joint transform that draws what the test says."""
    transform.draw = lambda image: drawn
    return transform


CASES = [
    (joint.RandomHorizontalFlip(1.0), lambda F, x: F.horizontal_flip(x)),
    (joint.RandomVerticalFlip(1.0), lambda F, x: F.vertical_flip(x)),
    (joint.Resize((45, 20)), lambda F, x: F.resize(x, [45, 20])),
    (joint.Resize(12), lambda F, x: F.resize(x, [12])),
    (joint.Pad((1, 2, 3, 4)), lambda F, x: F.pad(x, [1, 2, 3, 4])),
    (fixed(joint.RandomCrop((9, 14)), (7, 8, 9, 14)), lambda F, x: F.crop(x, 7, 8, 9, 14)),
    (
        fixed(joint.RandomResizedCrop((16, 16), least_visible=0.0), (7, 8, 9, 14)),
        lambda F, x: F.resized_crop(x, 7, 8, 9, 14, [16, 16]),
    ),
]


@pytest.mark.parametrize(("ours", "their_way"), CASES)
def test_boxes_are_moved_as_torchvision_moves_them(ours, their_way, theirs, boxes_of):
    """I13: those that keep an area lie where torchvision puts them, cut at the border."""
    boxes = make_boxes()
    target = {"boxes": narae.from_numpy(boxes), "labels": narae.arange(len(boxes))}
    _, found = ours(narae.zeros(3, HEIGHT, WIDTH), target)
    moved = theirs.clamp_bounding_boxes(their_way(theirs, boxes_of(boxes)))
    moved = np.asarray(moved)
    wide = (moved[:, 2:] > moved[:, :2]).all(1)
    assert found["labels"].tolist() == np.flatnonzero(wide).tolist()
    np.testing.assert_allclose(found["boxes"], moved[wide], rtol=1e-5, atol=1e-4)
