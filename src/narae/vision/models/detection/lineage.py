"""The five detectors of the lineage with the same small convolutions, to be compared."""

from typing import Any, Literal

from narae.base.errors import ConfigError, explain

from .fast_rcnn import FastRCNN
from .rcnn import RCNN
from .results import Limits
from .selective_search import SelectiveSearch
from .small_backbone import SmallBackbone
from .small_faster_rcnn import SmallFasterRCNN
from .sppnet import SPPNet
from .yolo import YOLOv1

DetectorName = Literal["rcnn", "sppnet", "fast-rcnn", "faster-rcnn", "yolo"]
LINEAGE: tuple[DetectorName, ...] = ("rcnn", "sppnet", "fast-rcnn", "faster-rcnn", "yolo")

_REGIONS = 64


def small_detector(
    name: DetectorName,
    num_classes: int,
    width: int = 16,
    proposer: Any = None,
    fine_tune: bool = True,
) -> Any:
    """A detector for images of about a hundred pixels; a place of its feature map is 8 x 8 of them.

    Args:
        name: which one.
        num_classes: with the background, which is label 0.
        width: channels of the first convolution; 4 times as many at the end.
        proposer: where the first three look; by default a `SelectiveSearch` that remembers what
            it found, as it is the same in each epoch.
        fine_tune: whether the convolutions of SPPNet learn; those of its paper do not.

    Raises:
        ConfigError: for another name.

    >>> small_detector("yolo", 3, width=4).classes
    2
    """
    if name not in LINEAGE:
        given, rule = f"the detector {name!r}", f"it is one of {', '.join(LINEAGE)}"
        raise ConfigError(explain("small_detector", given, rule))
    backbone = SmallBackbone((width, 2 * width, 4 * width), blocks=(0, 1, 1))
    limits = Limits(score=0.02)
    if name == "yolo":
        return YOLOv1(backbone, num_classes, hidden=4 * width, limits=limits)
    if name == "faster-rcnn":
        return SmallFasterRCNN(backbone, num_classes, most=_REGIONS, limits=limits)
    search = proposer or SelectiveSearch(most=_REGIONS, remember=True)
    if name == "rcnn":
        return RCNN(backbone, num_classes, search, limits=limits)
    if name == "sppnet":
        return SPPNet(backbone, num_classes, search, fine_tune=fine_tune, limits=limits)
    return FastRCNN(backbone, num_classes, search, limits=limits)
