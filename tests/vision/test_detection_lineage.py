"""R-CNN, SPPNet, Fast R-CNN, Faster R-CNN and YOLO on shared parts: what each computes, counts."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import narae
from narae import nn
from narae.errors import BoundsError, ConfigError, DataError, ShapeError
from narae.optim import AdamW
from narae.vision.datasets import MnistDetection, PadBoxes, unpad_boxes
from narae.vision.found_boxes import answer_boxes, compare_boxes, draw_boxes
from narae.vision.metrics import detection_scores, main_numbers
from narae.vision.models.detection import (
    RCNN,
    CountPasses,
    Limits,
    SelectiveSearch,
    SmallBackbone,
    SmallFasterRCNN,
    SPPNet,
    YOLOv1,
)
from narae.vision.models.detection.lineage import LINEAGE, small_detector
from narae.vision.models.detection.losses import detector_losses, total_loss
from narae.vision.models.detection.programs import Programs
from narae.vision.models.detection.results import detections
from narae.vision.models.detection.selective_search import graph_regions
from narae.vision.ops import RoIPool, box_iou


def digits(count: int, train: bool = True):
    dataset = MnistDetection(items=count, source="digits", train=train)
    return [dataset[k] for k in range(count)]


@pytest.fixture(scope="module")
def batch():
    return PadBoxes(4)(digits(2))


def detector(name: str, seed: int = 0):
    narae.manual_seed(seed)
    search = SelectiveSearch(most=12, remember=True)
    return small_detector(name, 11, width=4, proposer=search)


# --- passes through the convolutions ------------------------------------------------------------

PASSES = {"rcnn": 12, "sppnet": 1, "fast-rcnn": 1, "faster-rcnn": 1, "yolo": 1}


@pytest.mark.parametrize("name", LINEAGE)
def test_passes_of_an_image_are_counted(name, batch):
    """I14, I15: R-CNN sends every region through the convolutions, the others an image once."""
    model = detector(name).eval()
    seen = []
    original = model.backbone.forward
    model.programs.wanted = False  # so that the plain module is what runs

    def forward(x):
        seen.append(len(x))
        return original(x)

    model.backbone.forward = forward
    with CountPasses(model) as counted:
        model(batch[0])
    assert counted.passes == sum(seen) == 2 * PASSES[name]
    model(batch[0])
    assert counted.passes == 2 * PASSES[name]  # no longer counted


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAGE)
def test_compiled_and_eager_answers_agree(name, batch):
    model = detector(name).eval()
    compiled = model(batch[0])
    with CountPasses(model) as counted:
        model(batch[0])
    assert counted.passes == 2 * PASSES[name]
    model.programs.wanted = False
    for one, other in zip(compiled, model(batch[0]), strict=True):
        np.testing.assert_allclose(one["scores"], other["scores"], rtol=1e-3, atol=1e-5)
        assert one["labels"].tolist() == other["labels"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAGE)
def test_every_part_learns(name, batch):
    """I14 to I19: a few steps on two images make the loss small; every weight has a gradient."""
    model = detector(name)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    first = None
    for step in range(20):
        narae.manual_seed(step % 2)
        loss = total_loss(detector_losses(model, batch))
        optimizer.zero_grad()
        loss.backward()
        if first is None:
            first = float(loss)
            for key, weight in model.named_parameters():
                assert weight.grad is not None, key
                assert np.abs(np.asarray(weight.grad)).max() > 0, key
        optimizer.step()
    assert float(loss) < 0.5 * first


def test_targets_come_padded_or_as_a_list(batch):
    images, boxes, labels, _ = batch
    model = detector("yolo")
    one = model(images, (boxes, labels))
    other = model([*images], unpad_boxes(boxes, labels))
    for name in one:
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-5)


def test_copies_of_a_model_have_programs_of_their_own(batch):
    model = detector("yolo").eval()
    model(batch[0])
    other = copy.deepcopy(model)
    assert model.programs._made
    assert not other.programs._made
    with narae.no_grad():
        for weight in other.parameters():
            weight.mul_(0.0)
    assert len(other(batch[0])[0]["scores"]) == 0
    assert isinstance(copy.copy(model.programs), Programs)


# --- regions ------------------------------------------------------------------------------------


def test_regions_of_the_graph_are_connected_and_large_enough():
    image = np.asarray(digits(1)[0][0]).transpose(1, 2, 0)[:48, :48]
    labels = graph_regions(image, 0.5, 12)
    for label in range(labels.max() + 1):
        places = set(zip(*np.nonzero(labels == label), strict=True))
        assert len(places) >= 12
        todo, seen = [next(iter(places))], set()
        while todo:
            row, column = todo.pop()
            if (row, column) in places and (row, column) not in seen:
                seen.add((row, column))
                todo += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        assert seen == places


def test_selective_search_finds_digits_without_learning():
    """I14: nearly all digits are among a few dozen boxes (recall at an IoU of 0.7)."""
    search = SelectiveSearch(most=64)
    found = []
    for image, target in digits(6):
        boxes = search(image)
        assert boxes.shape == (64, 4)
        found += box_iou(target["boxes"], narae.from_numpy(boxes)).max(1)[0].tolist()
    assert np.mean(np.asarray(found) > 0.7) > 0.9


def test_what_was_found_is_remembered():
    image, _ = digits(1)[0]
    search = SelectiveSearch(most=5, remember=True)
    assert search(image) is search(image)
    assert SelectiveSearch(most=5)(image) is not SelectiveSearch(most=5)(image)
    with pytest.raises(ShapeError, match="the image is"):
        search(image[None])


def test_images_of_the_same_bytes_and_another_shape():
    """Black images high and wide: each has boxes of its own."""
    search = SelectiveSearch(most=1, remember=True)
    assert search(narae.zeros(3, 24, 32)).tolist() == [[0, 0, 32, 24]]
    assert search(narae.zeros(3, 32, 24)).tolist() == [[0, 0, 24, 32]]


def test_a_search_on_normalized_pixels():
    """Values below 0 and above 1 are in the first and the last bin of their colours."""
    image = narae.full((3, 24, 32), -2.0)
    image[:, 6:16, 4:20] = 2.0
    boxes = SelectiveSearch(most=4)(image)
    assert box_iou(narae.tensor([[4.0, 6, 20, 16]]), narae.from_numpy(boxes)).max() > 0.7
    with pytest.raises(ConfigError, match="most is 0"):
        SelectiveSearch(most=0)


@pytest.mark.parametrize("crop", [16, 20, 3])
def test_rcnn_of_any_size_of_crop(crop):
    """The head fits what the convolutions make of a crop, also where halving rounds."""
    model = RCNN(SmallBackbone((2, 2, 2), (0, 0, 0)), 3, SelectiveSearch(most=3), crop=crop)
    assert len(model.eval()(narae.zeros(2, 3, 24, 24))) == 2


def test_rcnn_warps_each_region_to_one_size():
    """I14: a region of one colour becomes a crop of that colour, whatever its shape."""
    image = narae.zeros(1, 3, 40, 60)
    image[:, :, 10:20, 5:45] = 1.0
    model = RCNN(SmallBackbone((2, 2), (0, 0)), 3, crop=16, context=0.0, compiled=False).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.describe(image, [narae.tensor([[6.0, 11.0, 44.0, 19.0], [46.0, 22.0, 60.0, 40.0]])])
    assert seen[0].shape == (2, 3, 16, 16)
    np.testing.assert_allclose(seen[0][0], 1.0)
    np.testing.assert_allclose(seen[0][1], 0.0)


def test_convolutions_of_sppnet_stay_as_they_are(batch):
    """I15: only what follows the pyramid learns, as in the paper."""
    model = SPPNet(SmallBackbone((4, 4), (0, 0)), 11, SelectiveSearch(most=8))
    before = {key: np.array(x) for key, x in model.backbone.state_dict().items()}
    optimizer = AdamW(model.parameters(), lr=1e-2)
    total_loss(detector_losses(model.train(), batch)).backward()
    assert all(weight.grad is None for weight in model.backbone.parameters())
    optimizer.step()
    for key, x in model.backbone.state_dict().items():
        np.testing.assert_array_equal(x, before[key])


def test_features_of_all_boxes_come_from_one_map():
    """I15, I16: pooled regions of one pass are those of the map, box by box."""
    model = detector("fast-rcnn").eval()
    images = narae.stack([image for image, _ in digits(2)])
    regions = [narae.tensor([[4.0, 4.0, 60.0, 44.0]]), narae.tensor([[30.0, 8.0, 90.0, 90.0]])]
    with narae.no_grad():
        seen = model.look(images)
        both = model.describe(seen, regions)
        for k in (0, 1):
            alone = RoIPool(7, 1 / 8)(seen[k : k + 1], [regions[k]]).flatten(1)
            np.testing.assert_allclose(both[k : k + 1], alone, rtol=1e-5)


def test_proposals_are_as_many_as_asked_for_and_inside(batch):
    """I17, I18: the same number of regions in each image, best first, none beyond the border."""
    model = SmallFasterRCNN(SmallBackbone((4, 4), (0, 0)), 3, sizes=(16,), most=10).eval()
    with narae.no_grad():
        features = model.look(batch[0])
        scores, codes = model.proposals(features)
        assert scores.shape[1] == len(model.anchors_of(batch[0], features)) == codes.shape[1]
        for boxes in model.propose(batch[0], features):
            assert boxes.shape == (10, 4)
            assert boxes.min() >= 0
            assert boxes.max() <= 96


def test_an_image_without_objects_is_all_background():
    for name in LINEAGE:
        model = detector(name)
        model.programs.wanted = False
        targets = [{"boxes": narae.zeros(0, 4), "labels": narae.zeros(0, dtype=narae.int64)}]
        losses = model(digits(1)[0][0][None], targets)
        assert all(np.isfinite(float(x)) for x in losses.values())
        box = losses["box"] if "box" in losses else losses["place"]
        assert float(box) == 0


# --- answers ------------------------------------------------------------------------------------


def test_of_two_boxes_of_a_class_the_surer_one_stays():
    """I13: nearly the same box is said once a class, and boxes are cut at the border."""
    boxes = narae.tensor([[[0.0, 0, 10, 10]] * 2, [[1.0, 0, 10, 10]] * 2, [[15.0, 5, 40, 9]] * 2])
    scores = narae.tensor([[0.6, 0.0], [0.9, 0.5], [0.7, 0.04]])
    found = detections(boxes, scores, (20, 30), Limits())
    assert found["labels"].tolist() == [1, 1, 2]
    np.testing.assert_allclose(found["scores"], [0.9, 0.7, 0.5])
    assert found["boxes"].tolist()[1] == [15, 5, 30, 9]
    few = detections(boxes, scores, (20, 30), Limits(detections=1))
    assert few["labels"].tolist() == [1]


def test_a_cell_says_what_it_was_told():
    """I19: a network that says exactly the truth is answered by exactly the true boxes."""

    class Said(nn.Module):
        def forward(self, x):
            out = narae.zeros(1, 2 * 5 + 3, 4, 4)
            out[0, :5, 1, 2] = narae.tensor([0.5, 0.25, 0.5, 0.25, 1.0])
            out[0, 10:, 1, 2] = narae.tensor([0.0, 0.9, 0.0])
            return out

    model = YOLOv1(SmallBackbone((2, 2), (0, 0)), 4, compiled=False).eval()
    model.head = Said()
    (answer,) = model(narae.zeros(1, 3, 64, 64))
    assert answer["labels"].tolist() == [2]
    np.testing.assert_allclose(answer["boxes"], [[32, 18, 48, 22]], atol=1e-4)
    np.testing.assert_allclose(answer["scores"], [0.9])


def test_two_negative_numbers_make_no_score():
    """I19: less than no confidence in less than no class is no object."""

    class Said(nn.Module):
        def forward(self, x):
            cell = narae.tensor([0.5, 0.5, 0.5, 0.5, -0.9] * 2 + [-0.9] * 3)
            return cell[None, :, None, None].expand(1, -1, 4, 4)

    model = YOLOv1(SmallBackbone((2, 2), (0, 0)), 4, compiled=False).eval()
    model.head = Said()
    assert len(model(narae.zeros(1, 3, 64, 64))[0]["scores"]) == 0


@pytest.mark.parametrize("name", LINEAGE)
def test_a_label_that_the_model_does_not_know(name, batch):
    """The usual slip: the background was not counted."""
    boxes, labels = narae.tensor([[[4.0, 4, 40, 40]]]), narae.tensor([[11]])
    with pytest.raises(BoundsError, match=r"the label 11, .* num_classes=11;.*num_classes=12"):
        detector(name)(batch[0][:1], (boxes, labels))


def test_bad_input_is_refused_in_words(batch):
    model = detector("yolo")
    image = narae.zeros(3, 96, 96)
    with pytest.raises(ShapeError, match="there is no image"):
        model([], [])
    with pytest.raises(ShapeError, match="a batch has images of one size"):
        model([image, narae.zeros(3, 8, 8)], [])
    with pytest.raises(ShapeError, match=r"they are \(batch, 3, height, width\)"):
        model(image)
    with pytest.raises(DataError, match="there are no targets"):
        model(batch[0])
    with pytest.raises(ShapeError, match="2 images and targets of 1"):
        model(batch[0], (batch[1][:1], batch[2][:1]))
    flat = {"boxes": narae.tensor([[4.0, 4, 4, 9]]), "labels": narae.tensor([1])}
    with pytest.raises(DataError, match=r"box 0 of image 0 is \[4.0, 4.0, 4.0, 9.0\].*positive"):
        model([image], [flat])
    with pytest.raises(DataError, match="image 0 has the label 0"):
        model([image], [{"boxes": narae.tensor([[1.0, 1, 4, 9]]), "labels": narae.tensor([0])}])
    with pytest.raises(ShapeError, match="2 boxes and 1 labels"):
        model([image], [{"boxes": narae.ones(2, 4), "labels": narae.tensor([1])}])
    with pytest.raises(ConfigError, match="the detector 'ssd'"):
        small_detector("ssd", 3)
    with pytest.raises(ConfigError, match="each stage has a number of both"):
        SmallBackbone((4, 4), (0,))


# --- judged and drawn ---------------------------------------------------------------------------


class Knowing:
    """A detector that knows the answers."""

    def __init__(self, samples):
        self.known = {image.numpy().tobytes(): target for image, target in samples}

    def __call__(self, images):
        found = [self.known[image.numpy().tobytes()] for image in images]
        return [{**target, "scores": narae.ones(len(target["labels"]))} for target in found]


def test_who_knows_the_answers_has_all_points():
    """I13: mAP is 1 for the true boxes, and less for boxes that are elsewhere."""
    samples = digits(5)
    batches = [PadBoxes(4)(samples[:3]), PadBoxes(4)(samples[3:])]
    scores = main_numbers(detection_scores(Knowing(samples), batches, MnistDetection.classes))
    assert scores["ap50"] == scores["ap"] == 1.0
    moved = [(image, {**target, "boxes": target["boxes"] + 5.0}) for image, target in samples]
    scores = main_numbers(detection_scores(Knowing(moved), batches, MnistDetection.classes))
    assert scores["ap"] < 0.6


def test_boxes_are_drawn_in_the_colour_of_their_class():
    image = narae.zeros(3, 40, 40)
    found = {
        "boxes": narae.tensor([[2.0, 20, 12, 36], [20.0, 20, 36, 36]]),
        "labels": narae.tensor([1, 2]),
        "scores": narae.tensor([0.9, 0.2]),
    }
    drawn = np.asarray(draw_boxes(image, found, ["cell", "dot"], least=0.5))
    assert drawn[:, 20:37, 2].max() > 0.5
    assert drawn[:, 35:38, 21:36].max() == 0  # the second one is not sure enough
    assert draw_boxes(image, found, ["cell", "dot"], least=0.95) is image
    with pytest.raises(ConfigError, match="the label 2, there are 1 names"):
        draw_boxes(image, found, ["cell"])
    (both,) = compare_boxes(image[None], [found], [found], ["cell", "dot"])
    assert both.shape == (3, 80, 40)


def test_a_picture_file_is_answered_in_its_own_pixels(tmp_path):
    images = pytest.importorskip("PIL.Image")
    images.new("RGB", (80, 40)).save(tmp_path / "cells.png")

    def model(batch):
        assert batch.shape == (1, 3, 20, 20)
        return [
            {
                "boxes": narae.tensor([[1.0, 2, 11, 12], [0.0, 0, 5, 5]]),
                "labels": narae.tensor([2, 1]),
                "scores": narae.tensor([0.75, 0.1]),
            }
        ]

    said = answer_boxes(model, tmp_path / "cells.png", (20, 20), ["a", "b"], folder=tmp_path)
    assert said.found == [("b", 0.75, [4.0, 4.0, 44.0, 24.0])]
    assert str(said).startswith("1 × b\n  drawn to ")
    assert said.as_dict()["found"][0]["class"] == "b"
    with images.open(tmp_path / "cells-boxes.png") as drawn:
        assert drawn.size == (80, 40)
        assert np.asarray(drawn)[10, 4].max() > 100
