"""CamVid, drives through Cambridge, 11 classes of pixels: a narrow U-Net.

task:   classify pixels
data:   CamVid, 367 frames to learn from, 101 to validate on, 233 to test, 240 x 180 (`--data-dir`)
expect: mean_iou 0.48 on the test frames
time:   16 min
"""

import narae.nn as nn
from narae.train import Settings
from narae.train.recipes.camvid_fcn import (
    CLASSES,
    INPUT_SHAPE,
    data,
    evaluate,
    examples,
    loss,
    optimizer,
    predict,
    schedule,
)
from narae.vision.models.segmentation import unet

__all__ = ["INPUT_SHAPE", "SETTINGS", "data", "evaluate", "examples", "loss", "model"]
__all__ += ["optimizer", "predict", "schedule"]

SETTINGS = Settings(epochs=60, validate_every=10, monitor="val_mean_iou")


def model(width: int = 12, dropout: float = 0.1) -> nn.Module:
    widths = [width * 2**place for place in range(5)]  # 1/16 of the size at the deepest place
    net = unet(num_classes=CLASSES, widths=widths, dropout=dropout)
    return nn.Sequential(nn.InstanceNorm2d(3), net)
