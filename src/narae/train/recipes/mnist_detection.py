"""Coloured digits of several sizes on a dark canvas, for any detector of the lineage.

task:   find things
data:   digits of MNIST, or those of scikit-learn, placed on 1,000 canvases; 200 to test on
expect: val_ap50 0.86
time:   4 min
"""

from pathlib import Path
from typing import Any, Literal

import narae.nn as nn
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.train.example import Example
from narae.vision.datasets import Cached, MnistDetection, PadBoxes, unpad_boxes
from narae.vision.found_boxes import BoxAnswer, answer_boxes, compare_boxes
from narae.vision.metrics import detection_scores, main_numbers
from narae.vision.models.detection.lineage import DetectorName, small_detector
from narae.vision.models.detection.losses import detector_losses, parts_of, total_loss

# Choosing regions is plain Python, between networks that are compiled by themselves.
SETTINGS = Settings(epochs=15, validate_every=3, monitor="val_ap50", compile=False)
INPUT_SHAPE = (3, 96, 96)
CLASSES = MnistDetection.classes
Source = Literal["auto", "mnist", "digits"]


def data(
    folder: Path | None, batch_size: int = 8, items: int = 1000, source: Source = "auto"
) -> Data:
    train = Cached(MnistDetection(folder, True, items, source=source))
    test = Cached(MnistDetection(folder, False, max(items // 5, 1), source=source))
    loader = DataLoader(train, batch_size, shuffle=True, collate_fn=PadBoxes(4), drop_last=True)
    return Data(loader, DataLoader(test, 8, collate_fn=PadBoxes(4)), CLASSES)


def model(detector: DetectorName = "faster-rcnn", width: int = 16) -> nn.Module:
    return small_detector(detector, 1 + len(CLASSES), width)


def forward(model: Any, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
    return detector_losses(model, batch), batch[2]


def loss(out: dict[str, Tensor], target: Tensor) -> Tensor:
    return total_loss(out)


def metrics(out: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    return parts_of(out)


def optimizer(model: nn.Module, lr: float = 2e-3, weight_decay: float = 1e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def evaluate(model: nn.Module, batches: Any) -> dict[str, float]:
    return main_numbers(detection_scores(model, batches, CLASSES))


def predict(model: nn.Module, source: Path, least: float = 0.3) -> BoxAnswer:
    return answer_boxes(model, source, INPUT_SHAPE[1:], CLASSES, least)


def examples(model: nn.Module, batch: Any) -> list[Example]:
    images, *target = (each[:6] for each in batch)
    shown = compare_boxes(images, unpad_boxes(*target), model(images), CLASSES)
    return [Example("true digits, and below found ones", each.numpy()) for each in shown]
