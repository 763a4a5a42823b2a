"""Detectors: where things are in a picture, and what they are.

torchvision's `fasterrcnn_resnet50_fpn` with what it is made of, and the lineage, small models on
shared parts: `RCNN` looks at each region alone, `SPPNet` and `FastRCNN` once at the image,
`SmallFasterRCNN` learns where to look, `YOLOv1` does without regions.
"""

from .backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from .fast_rcnn import FastRCNN
from .faster_rcnn import FasterRCNN, fasterrcnn_resnet50_fpn
from .generalized_rcnn import GeneralizedRCNN
from .image_list import ImageList
from .passes import CountPasses
from .rcnn import RCNN
from .regions import Sampling
from .results import Limits
from .roi_heads import FastRCNNPredictor, RoIHeads, TwoMLPHead
from .rpn import RegionProposalNetwork, RPNHead
from .selective_search import SelectiveSearch
from .small_backbone import SmallBackbone
from .small_faster_rcnn import SmallFasterRCNN
from .sppnet import SPPNet
from .transform import GeneralizedRCNNTransform
from .yolo import YOLOv1

__all__ = [
    "RCNN",
    "BackboneWithFPN",
    "CountPasses",
    "FastRCNN",
    "FastRCNNPredictor",
    "FasterRCNN",
    "GeneralizedRCNN",
    "GeneralizedRCNNTransform",
    "ImageList",
    "Limits",
    "RPNHead",
    "RegionProposalNetwork",
    "RoIHeads",
    "SPPNet",
    "Sampling",
    "SelectiveSearch",
    "SmallBackbone",
    "SmallFasterRCNN",
    "TwoMLPHead",
    "YOLOv1",
    "fasterrcnn_resnet50_fpn",
    "resnet_fpn_backbone",
]
