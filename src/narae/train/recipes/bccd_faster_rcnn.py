"""BCCD, blood cells under the microscope: Faster R-CNN on a small network, trained from nothing.

task:   find things
data:   BCCD, 292 images to learn from and 72 to test on, 3 classes (`--data-dir`)
expect: val_ap50 0.82
time:   30 min
"""

import narae.nn as nn
from narae.train import Settings
from narae.train.recipes.bccd_yolo import (
    INPUT_SHAPE,
    data,
    evaluate,
    examples,
    forward,
    loss,
    metrics,
    optimizer,
    predict,
    schedule,
)
from narae.vision.datasets import BCCD
from narae.vision.models.detection import Limits, Sampling, SmallBackbone, SmallFasterRCNN
from narae.vision.ops import RoIAlign

__all__ = ["INPUT_SHAPE", "SETTINGS", "data", "evaluate", "examples", "forward", "loss"]
__all__ += ["metrics", "model", "optimizer", "predict", "schedule"]

# Choosing regions is plain Python, between networks that are compiled by themselves.
SETTINGS = Settings(epochs=40, validate_every=5, ema=0.99, monitor="val_ap50", compile=False)


def model(width: int = 16, hidden: int = 256) -> nn.Module:
    backbone = SmallBackbone([width, 2 * width, 4 * width, 8 * width], blocks=(0, 0, 1, 2))
    return SmallFasterRCNN(
        backbone,
        1 + len(BCCD.classes),  # with the background
        sizes=(20, 50, 100),  # platelets, red cells, white cells
        ratios=(1.0,),
        pool=RoIAlign(7, 1 / backbone.stride, sampling_ratio=2, aligned=True),
        hidden=hidden,
        sampling=Sampling(regions=64, positive=0.5),
        limits=Limits(score=0.02),
    )
