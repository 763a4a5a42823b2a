"""Faster R-CNN agrees with torchvision's: first weights, losses, gradients, detections.

Where torchvision's compiled operations are missing, its suppression is a loop and its RoI align
the form in Python that it brings along.
"""

from __future__ import annotations

import collections

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.errors import (  # noqa: E402
    BoundsError,
    ConfigError,
    DataError,
    DTypeError,
    ShapeError,
)
from narae.testing import to_narae  # noqa: E402
from narae.vision import ops  # noqa: E402
from narae.vision.models import detection  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402
from tests.parity.test_vision_ops import plain_nms  # noqa: E402


@pytest.fixture
def theirs(monkeypatch):
    """torchvision's detectors, on operations in Python."""
    library = torchvision_oracle.load("models.detection")
    boxes = torchvision_oracle.load("ops.boxes")
    align = torchvision_oracle.load("ops.roi_align")._roi_align.__wrapped__

    def nms(boxes, scores, threshold):
        kept = plain_nms(boxes.tolist(), scores.tolist(), threshold)
        return torch.tensor(kept, dtype=torch.int64)

    def batched_nms(boxes, scores, classes, threshold):
        kept = [torch.zeros(0, dtype=torch.int64)]
        for one in classes.unique():
            own = torch.where(classes == one)[0]
            kept.append(own[nms(boxes[own], scores[own], threshold)])
        kept = torch.cat(kept).sort()[0]
        return kept[scores[kept].sort(descending=True, stable=True)[1]]

    def roi_align(x, rois, output_size, spatial_scale, sampling_ratio):
        return align(x, rois, spatial_scale, *output_size, sampling_ratio, False)

    monkeypatch.setattr(boxes, "batched_nms", batched_nms)
    poolers = torchvision_oracle.load("ops.poolers")
    monkeypatch.setattr(poolers, "roi_align", roi_align)
    return library


class TheirBackbone(torch.nn.Module):
    out_channels = 8

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 5, stride=4, padding=2)
        self.second = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.first(x)
        return collections.OrderedDict([("0", x), ("1", self.second(x))])


class OurBackbone(narae.nn.Module):
    out_channels = 8

    def __init__(self):
        super().__init__()
        self.first = narae.nn.Conv2d(3, 8, 5, stride=4, padding=2)
        self.second = narae.nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.first(x)
        return collections.OrderedDict([("0", x), ("1", self.second(x))])


SETTINGS = {
    "num_classes": 4,
    "min_size": 48,
    "max_size": 80,
    "rpn_batch_size_per_image": 32,
    "rpn_pre_nms_top_n_train": 60,
    "rpn_pre_nms_top_n_test": 50,
    "rpn_post_nms_top_n_train": 40,
    "rpn_post_nms_top_n_test": 30,
    "box_batch_size_per_image": 24,
    "box_score_thresh": 0.2,
    "box_detections_per_img": 20,
}
ANCHORS = (((12,), (24,)), ((0.5, 1.0, 2.0),) * 2)


def our_model(**settings):
    return detection.FasterRCNN(
        OurBackbone(),
        rpn_anchor_generator=ops.AnchorGenerator(*ANCHORS),
        box_roi_pool=ops.MultiScaleRoIAlign(
            ["0", "1"], 3, 2, canonical_scale=24, canonical_level=3
        ),
        **{**SETTINGS, **settings},
    )


def pair(theirs):
    """Two small models from one seed; they look at images of several sizes."""
    torch.manual_seed(7)
    narae.manual_seed(7)
    anchors = torchvision_oracle.load("models.detection.anchor_utils")
    pooler = torchvision_oracle.load("ops.poolers").MultiScaleRoIAlign
    theirs = theirs.FasterRCNN(
        TheirBackbone(),
        rpn_anchor_generator=anchors.AnchorGenerator(*ANCHORS),
        box_roi_pool=pooler(["0", "1"], 3, 2, canonical_scale=24, canonical_level=3),
        **SETTINGS,
    )
    ours = our_model()
    return ours, theirs


def make_images():
    rng = np.random.default_rng(0)
    sizes = ((40, 60), (64, 50), (32, 32))
    return [torch.tensor(rng.random((3, *size)), dtype=torch.float32) for size in sizes]


def make_targets():
    """Two objects, one, and none."""
    boxes = [[[4.0, 5, 22, 30], [30, 8, 55, 35]], [[10.0, 10, 34, 50]], []]
    labels = [[1, 3], [2], []]
    return [
        {
            "boxes": torch.tensor(box).float().reshape(-1, 4),
            "labels": torch.tensor(label, dtype=torch.int64),
        }
        for box, label in zip(boxes, labels, strict=True)
    ]


def as_narae(targets):
    return [{name: to_narae(x) for name, x in target.items()} for target in targets]


def test_losses_and_gradients(theirs):
    """I17: from the same weights and the same random draws, training is torchvision's."""
    ours, theirs = pair(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():  # one seed, the same first weights
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), tensor.numpy(), atol=1e-6)
    torch.manual_seed(1)
    narae.manual_seed(1)
    wanted = theirs(make_images(), make_targets())
    losses = ours([to_narae(x) for x in make_images()], as_narae(make_targets()))
    assert list(losses) == list(wanted)
    for name, loss in wanted.items():
        assert loss.item() > 0, f"{name} shows nothing"
        assert abs(losses[name].item() - loss.item()) < 1e-5 * max(1, abs(loss.item())), name
    sum(wanted.values()).backward()
    sum(losses.values()).backward()
    grads = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), grads[name].grad.numpy(), atol=2e-6, rtol=1e-3, err_msg=name
        )


def test_detections(theirs):
    """I17: torchvision weights load, detections equal."""
    ours, theirs = pair(theirs)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "predictor" in name or "cls_logits" in name:
                parameter.mul_(20)  # so that scores spread
    ours.load_state_dict({k: to_narae(x) for k, x in theirs.state_dict().items()}, strict=True)
    with torch.no_grad(), narae.no_grad():
        wanted = theirs.eval()(make_images())
        found = ours.eval()([to_narae(x) for x in make_images()])
    assert sum(len(x["boxes"]) for x in wanted) > 10
    assert_same_detections(found, wanted)


def assert_same_detections(found, wanted, atol=1e-3):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert list(one) == list(other)
        np.testing.assert_array_equal(one["labels"].numpy(), other["labels"].numpy())
        np.testing.assert_allclose(one["scores"].numpy(), other["scores"].numpy(), atol=1e-5)
        np.testing.assert_allclose(one["boxes"].numpy(), other["boxes"].numpy(), atol=atol)


@pytest.mark.slow
def test_compiled_parts_give_the_same():
    """Backbone and heads as programs; the rows of the heads are padded to one number."""
    narae.manual_seed(7)
    eager = our_model(fixed_size=(64, 48), box_score_thresh=0.1)
    compiled = our_model(fixed_size=(64, 48), box_score_thresh=0.1, compiled=True)
    compiled.load_state_dict(eager.state_dict())
    images, targets = [to_narae(x) for x in make_images()], as_narae(make_targets())
    results = []
    for model in (eager, compiled):
        narae.manual_seed(1)
        losses = model(images, targets)
        sum(losses.values()).backward()
        with narae.no_grad():
            results.append((losses, model.eval()(images)))
    for name, loss in results[0][0].items():
        assert abs(loss.item() - results[1][0][name].item()) < 1e-5, name
    assert sum(len(x["boxes"]) for x in results[0][1]) > 10
    assert_same_detections(results[1][1], results[0][1])
    for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        np.testing.assert_allclose(other.grad.numpy(), one.grad.numpy(), atol=1e-5, rtol=1e-3)


def test_transform(theirs):
    """Normalizing, resizing (with boxes and masks), padding."""
    masks = torch.rand(2, 40, 60) > 0.5
    target = {**make_targets()[0], "masks": masks.byte()}
    settings = (48, 70, [0.4, 0.5, 0.6], [0.2, 0.3, 0.25])
    wanted, moved = theirs.transform.GeneralizedRCNNTransform(*settings)(
        make_images()[:1], [target]
    )
    transform = detection.GeneralizedRCNNTransform(*settings)
    found, ours = transform([to_narae(make_images()[0])], as_narae([target]))
    assert [tuple(size) for size in wanted.image_sizes] == found.image_sizes
    np.testing.assert_allclose(found.tensors.numpy(), wanted.tensors.numpy(), atol=1e-5)
    for name in ("boxes", "masks"):
        np.testing.assert_allclose(ours[0][name].numpy(), moved[0][name].numpy(), atol=1e-4)
    assert tuple(target["boxes"].shape) == (2, 4)


@pytest.mark.slow
def test_resnet50_fpn(theirs):
    """I17: 41,755,286 parameters, torchvision's keys; weights load, detections are equal."""
    few = {"min_size": 128, "rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 60}
    torch.manual_seed(0)
    narae.manual_seed(0)
    wanted = theirs.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, **few)
    ours = detection.fasterrcnn_resnet50_fpn(**few)
    assert list(ours.state_dict()) == list(wanted.state_dict())
    for name, tensor in wanted.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), tensor.numpy(), atol=1e-6)
    frozen = {k: x for k, x in wanted.state_dict().items() if "num_batches" not in k}
    assert len(frozen) == 295
    spread_scores(frozen)
    weights = {k: to_narae(x) for k, x in frozen.items()}
    model = detection.fasterrcnn_resnet50_fpn(weights=weights, norm_eps=1e-5, **few).eval()
    assert sum(p.numel() for p in model.parameters()) == 41_755_286
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 41_755_286 - 9_408 - 212_992  # conv1 and layer1 are frozen
    picture = torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), narae.no_grad():
        want = wanted.eval()([picture])[0]
        found = model([to_narae(picture)])[0]
    assert len(want["boxes"]) >= 10
    assert len(found["boxes"]) == len(want["boxes"])
    assert_same_in_any_order(found, want)


def spread_scores(state) -> None:
    """Change random weights in place so that the model is sure of something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in state.items():
        if "box_predictor" in name or "cls_logits" in name:
            tensor *= 20
        elif "running_mean" in name:
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)


def assert_same_in_any_order(found, wanted):
    """Scores that differ in their last digits only may stand in another order."""
    left = list(range(len(found["boxes"])))
    for box, label, score in zip(wanted["boxes"], wanted["labels"], wanted["scores"], strict=True):
        same = [
            i
            for i in left
            if found["labels"][i].item() == label
            and abs(found["scores"][i].item() - score) < 1e-4
            and np.allclose(found["boxes"][i].numpy(), box.numpy(), atol=1e-2)
        ]
        assert same, f"nobody found {box.tolist()}, {label.item()}, {score.item():.6f}"
        left.remove(same[0])


# --- bad input -----------------------------------------------------------------------------------


def one_target(boxes, labels=(1,), dtype=None):
    target = {"boxes": narae.tensor(boxes), "labels": narae.tensor(labels, dtype=narae.int64)}
    return [target if dtype is None else {**target, "labels": target["labels"].to(dtype)}]


GOOD = [[1.0, 1.0, 20.0, 20.0]]


@pytest.mark.parametrize(
    ("images", "targets", "error", "text"),
    [
        ([], [], DataError, "no images"),
        ([narae.zeros(3, 40, 40)], None, DataError, "targets should not be None"),
        ([narae.zeros(3, 40, 40)], [], ShapeError, "1 images and 0 targets"),
        ([narae.zeros(40, 40)], one_target(GOOD), ShapeError, r"image 0 is \(40, 40\)"),
        ([narae.zeros(3, 0, 40)], one_target(GOOD), ShapeError, r"image 0 is \(3, 0, 40\)"),
        (
            [narae.zeros(3, 40, 40, dtype=narae.uint8)],
            one_target(GOOD),
            DTypeError,
            "Expected input images to be of floating type",
        ),
        (
            [narae.zeros(3, 40, 40)],
            one_target([[5.0, 5, 9, 9], [7.0, 7, 7, 12]], (1, 1)),
            DataError,
            r"box 1 of image 0 .*7.0, 7.0, 7.0, 12.0.*positive height and width",
        ),
        (
            [narae.zeros(3, 40, 40)],
            one_target([[9.0, 9, 5, 12]]),
            DataError,
            "box 0 of image 0",
        ),
        (
            [narae.zeros(3, 40, 40)],
            one_target([[float("nan"), 9, 12, 12]]),
            DataError,
            "box 0 of image 0",
        ),
        ([narae.zeros(3, 40, 40)], one_target([1.0] * 4), ShapeError, r"\[N, 4\]"),
        ([narae.zeros(3, 40, 40)], one_target([[1, 1, 9, 9]]), DTypeError, "boxes of image 0"),
        (
            [narae.zeros(3, 40, 40)],
            one_target(GOOD, dtype=narae.float32),
            DTypeError,
            "labels of image 0",
        ),
        ([narae.zeros(3, 40, 40)], one_target(GOOD, (1, 1)), ShapeError, "1 boxes and 2 labels"),
        ([narae.zeros(3, 40, 40)], one_target(GOOD, (0,)), DataError, "label 0"),
        ([narae.zeros(3, 40, 40)], one_target(GOOD, (4,)), BoundsError, "4 classes"),
        ([narae.zeros(3, 40, 40)], [{"boxes": narae.zeros(0, 4)}], DataError, "lacks labels"),
    ],
)
def test_bad_input(images, targets, error, text):
    """Each message names the image and the box."""
    with pytest.raises(error, match=text):
        our_model()(images, targets)


def test_boxes_that_leave_the_image_are_allowed():
    losses = our_model()([narae.rand(3, 40, 40)], one_target([[-5.0, 10.0, 60.0, 30.0]]))
    assert all(np.isfinite(loss.item()) for loss in losses.values())


def test_an_image_without_objects():
    target = [{"boxes": narae.zeros(0, 4), "labels": narae.zeros(0, dtype=narae.int64)}]
    losses = our_model()([narae.rand(3, 40, 40)], target)
    assert losses["loss_box_reg"].item() == 0
    sum(losses.values()).backward()


def test_a_batch_tensor_is_a_list_of_images():
    model = our_model(box_score_thresh=0.0).eval()
    images = narae.rand(2, 3, 40, 48)
    with narae.no_grad():
        assert_same_detections(model(images), model(list(images)))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: detection.FasterRCNN(narae.nn.Flatten(), 2), "out_channels"),
        (lambda: detection.FasterRCNN(OurBackbone()), "exactly one"),
        (
            lambda: detection.resnet_fpn_backbone(backbone_name="resnet18", trainable_layers=6),
            "0 to 5",
        ),
        (
            lambda: detection.resnet_fpn_backbone(backbone_name="resnet18", returned_layers=[0]),
            "1 to 4",
        ),
        (lambda: detection.resnet_fpn_backbone(backbone_name="lenet5"), "residual|unexpected"),
    ],
)
def test_models_that_make_no_sense(build, text):
    with pytest.raises((ConfigError, TypeError), match=text):
        build()


def test_frozen_layers():
    model = detection.resnet_fpn_backbone(backbone_name="resnet18", trainable_layers=2)
    frozen = {n.split(".")[1] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1", "layer2"}
