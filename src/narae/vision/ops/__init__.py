"""Operations on boxes and regions, under torchvision's names.

import narae.vision.ops as ops
"""

from .anchors import AnchorGenerator
from .box_coder import BoxCoder
from .boxes import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou,
    generalized_box_iou_loss,
    remove_small_boxes,
)
from .feature_pyramid import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelMaxPool
from .focal_loss import sigmoid_focal_loss
from .frozen_batch_norm import FrozenBatchNorm2d
from .matching import BalancedPositiveNegativeSampler, Matcher
from .nms import batched_nms, nms
from .poolers import MultiScaleRoIAlign
from .roi_align import RoIAlign, roi_align
from .roi_pool import RoIPool, roi_pool
from .spatial_pyramid import SpatialPyramidPool

__all__ = [
    "AnchorGenerator",
    "BalancedPositiveNegativeSampler",
    "BoxCoder",
    "ExtraFPNBlock",
    "FeaturePyramidNetwork",
    "FrozenBatchNorm2d",
    "LastLevelMaxPool",
    "Matcher",
    "MultiScaleRoIAlign",
    "RoIAlign",
    "RoIPool",
    "SpatialPyramidPool",
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "nms",
    "remove_small_boxes",
    "roi_align",
    "roi_pool",
    "sigmoid_focal_loss",
]
