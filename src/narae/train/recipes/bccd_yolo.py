"""BCCD, blood cells under the microscope: YOLO v1 on a small network, trained from nothing.

task:   find things
data:   BCCD, 292 images to learn from and 72 to test on, 3 classes (`--data-dir`)
expect: val_ap50 0.77
time:   5 min
"""

from pathlib import Path
from typing import Any

import narae.nn as nn
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.train import Data, Settings
from narae.train.example import Example
from narae.vision.datasets import BCCD, Cached, PadBoxes, unpad_boxes
from narae.vision.found_boxes import BoxAnswer, answer_boxes, compare_boxes
from narae.vision.metrics import detection_scores, main_numbers
from narae.vision.models.detection import Limits, SmallBackbone, YOLOv1
from narae.vision.models.detection.losses import detector_losses, parts_of, total_loss
from narae.vision.transforms import joint

SETTINGS = Settings(epochs=60, validate_every=5, ema=0.99, monitor="val_ap50")
INPUT_SHAPE = (3, 240, 320)


def data(folder: Path | None, batch_size: int = 16, workers: int = 0) -> Data:
    size, large = INPUT_SHAPE[1:], joint.Resize((360, 480))
    flips = joint.RandomHorizontalFlip(), joint.RandomVerticalFlip()
    part, light = joint.RandomResizedCrop(size, (0.4, 1.0)), joint.ColorJitter(0.2, 0.2, 0.2)
    changed = joint.Compose([part, *flips, light, joint.ToTensor()])
    plain = joint.Compose([joint.Resize(size), joint.ToTensor()])
    train = Cached(BCCD(folder, "trainval", large), changed)  # each image is decoded once
    test, pad = Cached(BCCD(folder, "test", plain)), PadBoxes(32)
    loader = DataLoader(
        train, batch_size, True, collate_fn=pad, num_workers=workers, drop_last=True
    )
    return Data(loader, DataLoader(test, 24, collate_fn=pad), BCCD.classes)


def model(boxes: int = 2, width: int = 16) -> nn.Module:
    backbone = SmallBackbone([width, 2 * width, 4 * width, 8 * width], blocks=(0, 0, 1, 2))
    classes = 1 + len(BCCD.classes)  # with the background; a cell is 16 x 16 pixels
    return YOLOv1(backbone, classes, boxes, hidden=8 * width, limits=Limits(score=0.02))


def forward(model: Any, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
    return detector_losses(model, batch), batch[2]


def loss(out: dict[str, Tensor], target: Tensor) -> Tensor:
    return total_loss(out)


def metrics(out: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    return parts_of(out)


def optimizer(model: nn.Module, lr: float = 2e-3, weight_decay: float = 2e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    top = optimizer.param_groups[0]["lr"]
    return OneCycleLR(optimizer, max_lr=top, total_steps=steps, pct_start=0.15)


def evaluate(model: nn.Module, batches: Any) -> dict[str, float]:
    return main_numbers(detection_scores(model, batches, BCCD.classes))


def predict(model: nn.Module, source: Path, least: float = 0.2) -> BoxAnswer:
    return answer_boxes(model, source, INPUT_SHAPE[1:], BCCD.classes, least)


def examples(model: nn.Module, batch: Any) -> list[Example]:
    images, *target = (each[:6] for each in batch)
    shown = compare_boxes(images, unpad_boxes(*target), model(images), BCCD.classes)
    return [Example("true boxes, and below found ones", each.numpy()) for each in shown]
