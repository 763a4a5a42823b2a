"""Transforms of image, boxes and masks together: properties that hold for any sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae.errors import ConfigError, DataError, ShapeError
from narae.vision.transforms import joint

Image = pytest.importorskip("PIL.Image")


@st.composite
def samples(draw, most: int = 4):
    """An image whose channels are its rows and columns, boxes of whole pixels, their masks."""
    height, width = draw(st.integers(6, 24)), draw(st.integers(6, 24))
    rows, columns = np.indices((height, width)).astype(np.float32)
    image = narae.from_numpy(np.stack([rows / height, columns / width]))
    boxes = []
    for _ in range(draw(st.integers(0, most))):
        x1, y1 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
        x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
        boxes.append([x1, y1, x2, y2])
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    target = {
        "boxes": narae.from_numpy(np.asarray(boxes, np.float32).reshape(-1, 4)),
        "labels": narae.from_numpy(np.arange(1, len(boxes) + 1)),
        "masks": narae.from_numpy(masks),
        "image_id": 3,
    }
    return image, target


def same(one, other) -> None:
    """Both samples are equal."""
    (image, target), (other_image, other_target) = one, other
    np.testing.assert_array_equal(image, other_image)
    assert set(target) == set(other_target)
    for name in target:
        np.testing.assert_allclose(target[name], other_target[name], atol=1e-5)


@pytest.mark.parametrize("flip", [joint.RandomHorizontalFlip, joint.RandomVerticalFlip])
@given(samples())
@settings(deadline=None, max_examples=15)
def test_a_flip_twice_is_none(flip, sample):
    twice = joint.Compose([flip(p=1.0), flip(p=1.0)])
    same(twice(*sample), sample)
    same(flip(p=0.0)(*sample), sample)


def box_of_mask(mask) -> list[int]:
    rows, columns = np.nonzero(np.asarray(mask))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


MOVES = [
    joint.RandomHorizontalFlip(p=1.0),
    joint.RandomVerticalFlip(p=1.0),
    joint.Pad((1, 2, 3, 4)),
    joint.RandomCrop((5, 4)),
    joint.RandomCrop(30, pad_if_needed=True),
    joint.Compose([joint.Pad(2), joint.RandomHorizontalFlip(1.0), joint.RandomCrop((6, 6))]),
]


@pytest.mark.parametrize("move", MOVES, ids=repr)
@given(sample=samples(), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=8)
def test_a_box_is_where_its_mask_is(move, sample, seed):
    """A mask is moved pixel by pixel, so its outline says where the box must be."""
    narae.manual_seed(seed)
    image, target = move(*sample)
    height, width = image.shape[-2:]
    assert target["masks"].shape[1:] == (height, width)
    assert len(target["boxes"]) == len(target["labels"]) == len(target["masks"])
    for box, mask in zip(target["boxes"].tolist(), target["masks"], strict=True):
        assert box == box_of_mask(mask)
    gone = set(sample[1]["labels"].tolist()) - set(target["labels"].tolist())
    assert len(gone) + len(target["labels"]) == len(sample[1]["labels"])
    assert target["image_id"] == 3


@given(sample=samples(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_boxes_stay_inside_and_keep_an_area(sample, seed):
    """I13: whatever is cut or stretched, boxes lie inside of the image."""
    narae.manual_seed(seed)
    image, target = joint.RandomResizedCrop((16, 20), (0.1, 1.0), least_visible=0.3)(*sample)
    assert image.shape == (2, 16, 20)
    boxes = np.asarray(target["boxes"])
    assert (boxes >= 0).all()
    assert (boxes <= [20, 16, 20, 16]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@given(samples(), st.integers(3, 40), st.integers(3, 40))
@settings(deadline=None, max_examples=15)
def test_resizing_moves_boxes_by_the_same_shares(sample, height, width):
    image, target = joint.Resize((height, width))(*sample)
    before, after = sample[0].shape[-2:], image.shape[-2:]
    assert tuple(after) == (height, width)
    shares = np.asarray(sample[1]["boxes"]) / ([before[1], before[0]] * 2)
    np.testing.assert_allclose(
        np.asarray(target["boxes"]) / ([width, height] * 2), shares, rtol=1e-5, atol=1e-5
    )
    assert set(np.unique(target["masks"])) <= {0, 1}


def test_what_belongs_to_a_box_goes_with_it():
    boxes = narae.tensor([[0.0, 0, 4, 4], [6.0, 6, 10, 10]])
    target = {
        "boxes": boxes,
        "labels": narae.tensor([1, 2]),
        "difficult": narae.tensor([True, False]),
        "area": narae.tensor([8.0, 12.0]),
    }
    crop = joint.RandomCrop(8)
    crop.draw = lambda image: (4, 4, 8, 8)
    _, found = crop(narae.zeros(3, 12, 12), target)
    assert found["labels"].tolist() == [2]
    assert found["difficult"].tolist() == [False]
    assert found["area"].tolist() == [12.0]
    crop.draw = lambda image: (8, 8, 4, 4)  # a quarter of the second box stays
    _, found = crop(narae.zeros(3, 12, 12), target)
    assert found["area"].tolist() == [3.0]
    crop.least_visible = 0.5
    assert len(crop(narae.zeros(3, 12, 12), target)[1]["boxes"]) == 0


def test_a_target_may_be_a_mask_alone():
    mask = Image.fromarray(np.array([[1, 2, 3]], np.uint8))
    image, turned = joint.RandomHorizontalFlip(p=1.0)(Image.new("RGB", (3, 1)), mask)
    assert np.asarray(turned).tolist() == [[3, 2, 1]]
    image, classes = joint.ToTensor()(image, turned)
    assert classes.tolist() == [[3, 2, 1]]
    _, padded = joint.Pad(1, mask_fill=255)(image, classes)
    assert padded.tolist()[0] == [255] * 5
    assert padded.tolist()[1] == [255, 3, 2, 1, 255]


def test_pillow_images_and_tensors_are_moved_alike():
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    pillow, tensor = Image.fromarray(values), narae.from_numpy(values.transpose(2, 0, 1).copy())
    for move in (joint.RandomHorizontalFlip(1.0), joint.Pad((1, 2)), joint.RandomCrop((9, 7))):
        one, _ = move(pillow, {})
        other, _ = move(tensor, {})
        np.testing.assert_array_equal(np.asarray(one).transpose(2, 0, 1), other)


def test_colour_leaves_boxes_alone():
    target = {"boxes": narae.tensor([[1.0, 1, 3, 3]])}
    narae.manual_seed(0)
    image, found = joint.ColorJitter(0.9)(narae.full((3, 4, 4), 0.5), target)
    assert found is target
    assert float(image[0, 0, 0]) != 0.5


def test_entries_that_are_not_one_a_box_are_refused():
    boxes, labels = narae.tensor([[0.0, 0, 2, 2], [1.0, 1, 3, 3]]), narae.tensor([1])
    with pytest.raises(ShapeError, match="labels has 1 entries, there are 2 boxes"):
        joint.RandomHorizontalFlip(1.0)(narae.zeros(3, 4, 4), {"boxes": boxes, "labels": labels})


def test_bad_samples_are_refused_in_words():
    flip = joint.RandomHorizontalFlip(p=1.0)
    image = narae.zeros(3, 8, 8)
    with pytest.raises(ShapeError, match=r"boxes are \(3,\); boxes are \(n, 4\)"):
        flip(image, {"boxes": narae.zeros(3)})
    with pytest.raises(DataError, match=r"box 0 is .* finite"):
        flip(image, {"boxes": narae.tensor([[0.0, 0, float("nan"), 4]])})
    with pytest.raises(ShapeError, match=r"mask is \(4, 4\), the image is \(8, 8\)"):
        flip(image, narae.zeros(4, 4))
    with pytest.raises(ConfigError, match="probability"):
        joint.RandomHorizontalFlip(p=2)
    with pytest.raises(ConfigError, match="least_visible is 3"):
        joint.RandomCrop(4, least_visible=3)
    with pytest.raises(ShapeError, match="larger than input image"):
        joint.RandomCrop(20)(image, {})
