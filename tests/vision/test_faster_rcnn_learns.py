"""A small Faster R-CNN learns to find red and blue rectangles, on pictures that it has not seen."""

from __future__ import annotations

import numpy as np

import narae
from narae import nn
from narae.optim import Adam
from narae.vision import ops
from narae.vision.metrics import DetectionScores
from narae.vision.models import detection

HEIGHT, WIDTH = 48, 64
RED, BLUE = 1, 2


def rectangles(seed: int):
    """A grey picture with a red and a blue rectangle, side by side in either order."""
    rng = np.random.default_rng(seed)
    image = 0.5 + rng.normal(0, 0.02, (3, HEIGHT, WIDTH))
    labels, boxes = rng.permutation([RED, BLUE]), []
    for label, left in zip(labels, (2, 34), strict=True):
        width, height = rng.integers(14, 26, 2)
        x, y = left + rng.integers(0, 29 - width), rng.integers(1, HEIGHT - height)
        colour = (1.0, 0.0, 0.0) if label == RED else (0.0, 0.0, 1.0)
        image[:, y : y + height, x : x + width] = np.reshape(colour, (3, 1, 1))
        boxes.append([x, y, x + width, y + height])
    target = {"boxes": narae.tensor(np.array(boxes, np.float32)), "labels": narae.tensor(labels)}
    return narae.tensor(image.astype(np.float32)), target


class Backbone(nn.Sequential):
    out_channels = 32

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU()),
        )


def small_detector():
    return detection.FasterRCNN(
        Backbone(),
        min_size=HEIGHT,
        max_size=WIDTH,
        rpn_anchor_generator=ops.AnchorGenerator(((12, 20, 28),), ((0.6, 1.0, 1.6),)),
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=60,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=40,
        rpn_batch_size_per_image=64,
        box_roi_pool=ops.MultiScaleRoIAlign(["0"], 4, 2),
        box_head=detection.TwoMLPHead(32 * 4 * 4, 64),
        box_predictor=detection.FastRCNNPredictor(64, 3),
        box_batch_size_per_image=32,
    )


def scores_of(model, seeds) -> dict:
    scores = DetectionScores(class_names=["ground", "red", "blue"])
    model.eval()
    with narae.no_grad():
        for seed in seeds:
            image, target = rectangles(seed)
            scores.update(model([image]), [target])
    model.train()
    return scores.result()


def test_it_learns():
    """I17: proposals and classes are learned together; it finds what it has not seen."""
    narae.manual_seed(0)
    model = small_detector()
    optimizer = Adam(model.parameters(), lr=2e-3)
    pictures = [rectangles(seed) for seed in range(16)]
    assert scores_of(model, range(100, 103))["AP50"] < 0.2
    for step in range(80):
        images, targets = zip(*(pictures[(4 * step + i) % 16] for i in range(4)), strict=True)
        loss = sum(model(list(images), list(targets)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    result = scores_of(model, range(100, 112))
    assert result["AP50"] > 0.8
    assert min(each["AP50"] for each in result["classes"].values()) > 0.7
