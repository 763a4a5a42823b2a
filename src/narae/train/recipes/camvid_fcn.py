"""CamVid, drives through Cambridge, 11 classes of pixels: FCN-8s on a narrow residual network.

task:   classify pixels
data:   CamVid, 367 frames to learn from, 101 to validate on, 233 to test, 240 x 180 (`--data-dir`)
expect: mean_iou 0.50 on the test frames
time:   28 min
"""

from pathlib import Path
from typing import Any

import narae.nn as nn
from narae.data import DataLoader
from narae.optim import AdamW, Optimizer
from narae.optim.lr_scheduler import LRScheduler, OneCycleLR
from narae.tensors import Tensor
from narae.tensors.creation import tensor
from narae.train import Data, Settings
from narae.train.example import Example
from narae.vision.datasets import CAMVID_CLASSES, Cached, CamVid
from narae.vision.metrics import segmentation_scores
from narae.vision.models.segmentation import fcn8s
from narae.vision.overlays import PixelAnswer, answer_pixels, class_colours, compare_classes
from narae.vision.transforms import joint

SETTINGS = Settings(epochs=80, validate_every=10, monitor="val_mean_iou")
INPUT_SHAPE = (3, 180, 240)
CLASSES = UNLABELLED = len(CAMVID_CLASSES)
# One over the fourth root of each class's share of the training pixels, 1 for cars.
WEIGHTS = (0.8, 0.7, 1.6, 0.7, 1.1, 0.9, 1.5, 1.5, 1.0, 1.7, 2.1)


def data(folder: Path | None, batch_size: int = 4) -> Data:
    size, part = joint.Resize(INPUT_SHAPE[1:]), joint.RandomResizedCrop((160, 224), (0.3, 1.0))
    changed: list[Any] = [part, joint.RandomHorizontalFlip(), joint.ColorJitter(0.3, 0.3, 0.3)]
    train = Cached(CamVid(folder, "train", size), joint.Compose([*changed, joint.ToTensor()]))
    val, test = (Cached(CamVid(folder, name, size), joint.ToTensor()) for name in ("val", "test"))
    loader = DataLoader(train, batch_size, shuffle=True, drop_last=True)
    validation = DataLoader(val, 16)
    return Data(loader, DataLoader(test, 16), CAMVID_CLASSES, validation=validation)


def model() -> nn.Module:
    alike = nn.InstanceNorm2d(3)  # frames are alike, by day and at dusk
    return nn.Sequential(alike, fcn8s(num_classes=CLASSES))


def loss(out: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(out, target, tensor(WEIGHTS), ignore_index=UNLABELLED)


def optimizer(model: nn.Module, lr: float = 3e-3, weight_decay: float = 1e-2) -> Optimizer:
    return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)


def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=steps)


def evaluate(model: nn.Module, batches: Any) -> dict[str, float]:
    return segmentation_scores(model, batches, CLASSES, UNLABELLED).result()


def predict(model: nn.Module, source: Path) -> PixelAnswer:
    return answer_pixels(model, source, INPUT_SHAPE[1:], CAMVID_CLASSES)


def examples(model: nn.Module, batch: Any) -> list[Example]:
    images, masks = (each[:6] for each in batch)
    shown = compare_classes(images, masks, model(images).argmax(dim=1), class_colours(CLASSES))
    return [Example("frame, true and predicted classes", each.numpy()) for each in shown]
