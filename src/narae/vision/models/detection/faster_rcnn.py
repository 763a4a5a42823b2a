"""Faster R-CNN, with torchvision's arguments and state-dict keys.

Ren et al. 2015, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks";
on a feature pyramid: Lin et al. 2017.
"""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.nn import BatchNorm2d, Module
from narae.vision.ops.anchors import AnchorGenerator
from narae.vision.ops.frozen_batch_norm import FrozenBatchNorm2d
from narae.vision.ops.poolers import MultiScaleRoIAlign

from ..registry import register_model
from ..resnet import resnet50
from .backbone_utils import resnet_fpn_extractor, trainable_or_all
from .generalized_rcnn import GeneralizedRCNN
from .roi_heads import FastRCNNPredictor, RoIHeads, TwoMLPHead
from .rpn import RegionProposalNetwork, RPNHead
from .transform import GeneralizedRCNNTransform

_COCO_FILE = "fasterrcnn_resnet50_fpn_coco"  # torchvision's, trained with an eps of 0
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN on a backbone of your choice.

    Args:
        backbone: images to one map, or to maps by name; has `out_channels`.
        num_classes: the background included; None with a `box_predictor`.
        min_size, max_size, image_mean, image_std: of `GeneralizedRCNNTransform`, which also takes
            further arguments.
        rpn_anchor_generator, rpn_head: parts of the proposal network.
        rpn_pre_nms_top_n_train, rpn_pre_nms_top_n_test: best anchors of a map before suppression.
        rpn_post_nms_top_n_train, rpn_post_nms_top_n_test: best proposals after it.
        rpn_nms_thresh, rpn_fg_iou_thresh, rpn_bg_iou_thresh, rpn_batch_size_per_image,
            rpn_positive_fraction, rpn_score_thresh: of `RegionProposalNetwork`.
        box_roi_pool, box_head, box_predictor: parts of the second stage.
        box_score_thresh, box_nms_thresh, box_detections_per_img, box_fg_iou_thresh,
            box_bg_iou_thresh, box_batch_size_per_image, box_positive_fraction,
            bbox_reg_weights: of `RoIHeads`.
        compiled: whether backbone and heads run as compiled programs.

    Raises:
        ConfigError: a backbone without `out_channels`, or classes named twice or not at all.

    >>> import narae
    >>> class Backbone(narae.nn.Conv2d):
    ...     out_channels = 8
    >>> anchors = AnchorGenerator(((16,),), ((1.0,),))
    >>> pool = MultiScaleRoIAlign(["0"], 2, 2)
    >>> model = FasterRCNN(
    ...     Backbone(3, 8, 3, stride=4, padding=1), 2, min_size=32,
    ...     rpn_anchor_generator=anchors, box_roi_pool=pool).eval()
    >>> sorted(model([narae.rand(3, 32, 32)])[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone: Module,
        num_classes: int | None = None,
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        rpn_anchor_generator: AnchorGenerator | None = None,
        rpn_head: Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: Any = None,
        box_head: Module | None = None,
        box_predictor: Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: Sequence[float] | None = None,
        *,
        compiled: bool = False,
        **kwargs: Any,
    ) -> None:
        channels = _out_channels(backbone)
        _check_classes(num_classes, box_predictor)
        anchors = rpn_anchor_generator or _default_anchors()
        rpn_head = rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0])
        overlaps = rpn_fg_iou_thresh, rpn_bg_iou_thresh
        drawn = rpn_batch_size_per_image, rpn_positive_fraction
        before = {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test}
        after = {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test}
        rpn = RegionProposalNetwork(
            anchors, rpn_head, *overlaps, *drawn, before, after, rpn_nms_thresh, rpn_score_thresh
        )
        overlaps = box_fg_iou_thresh, box_bg_iou_thresh
        drawn = box_batch_size_per_image, box_positive_fraction
        heads = RoIHeads(
            *_box_parts(channels, num_classes, box_roi_pool, box_head, box_predictor),
            *overlaps,
            *drawn,
            bbox_reg_weights=bbox_reg_weights,
            score_thresh=box_score_thresh,
            nms_thresh=box_nms_thresh,
            detections_per_img=box_detections_per_img,
        )
        mean, std = image_mean or _MEAN, image_std or _STD
        transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        super().__init__(backbone, rpn, heads, transform, compiled)


def _out_channels(backbone: Module) -> int:
    channels = getattr(backbone, "out_channels", None)
    if channels is None:
        given = f"a backbone {type(backbone).__name__} without out_channels"
        rule = "backbone should contain an attribute out_channels: the channels of all its maps"
        raise ConfigError(explain("FasterRCNN", given, rule))
    return int(channels)


def _check_classes(num_classes: int | None, box_predictor: Module | None) -> None:
    if (num_classes is None) == (box_predictor is None):
        kind = None if box_predictor is None else type(box_predictor).__name__
        given = f"num_classes is {num_classes}, box_predictor is {kind}"
        raise ConfigError(explain("FasterRCNN", given, "exactly one of them is given"))


def _box_parts(
    channels: int, num_classes: int | None, pool: Any, head: Module | None, predictor: Module | None
) -> tuple[Any, Module, Module]:
    """What pools the regions, looks at them, and says what they are, where it is not given."""
    pool = pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    rows, columns = pool.output_size
    head = head or TwoMLPHead(channels * rows * columns, 1024)
    return pool, head, predictor or FastRCNNPredictor(1024, num_classes or 0)


def _default_anchors() -> AnchorGenerator:
    """Sizes for five maps of a pyramid, in three shapes each."""
    sizes = tuple([(size,) for size in (32, 64, 128, 256, 512)])
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


@register_model()
def fasterrcnn_resnet50_fpn(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: Any = None,
    trainable_backbone_layers: int | None = None,
    norm_eps: float | None = None,
    ignore_mismatched: bool = False,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on a ResNet-50 with a feature pyramid: 41,755,286 parameters with 91 classes.

    As in torchvision, its batch normalization is frozen (and so are the first two stages) when
    weights are given, and trains like all else when it starts from random numbers.

    Args:
        weights: of the whole model: a path, a state dict, a Hugging Face repository, or None.
        progress: is accepted as torchvision's.
        num_classes: the background included; by default 91, as in COCO.
        weights_backbone: of the ResNet-50, when there are no `weights`.
        trainable_backbone_layers: of a trained backbone, 0 to 5; by default 3.
        norm_eps: of frozen batch normalization; by default 0 for torchvision's file of COCO
            weights, which were trained so, else 1e-5. A state dict does not tell: give 0.0 for it.
        ignore_mismatched: leave out weights that do not fit, such as those of other classes.
        kwargs: of `FasterRCNN`.
    """
    trained = weights is not None or weights_backbone is not None
    layers = trainable_or_all(trained, trainable_backbone_layers)
    if norm_eps is None:
        path = str(weights) if isinstance(weights, str | PathLike) else ""
        norm_eps = 0.0 if _COCO_FILE in path else 1e-5
    norm = partial(FrozenBatchNorm2d, eps=norm_eps) if trained else BatchNorm2d
    of_backbone = weights_backbone if weights is None else None
    backbone = resnet50(weights=of_backbone, norm_layer=norm)
    model = FasterRCNN(
        resnet_fpn_extractor(backbone, layers),
        num_classes=91 if num_classes is None else num_classes,
        **kwargs,
    )
    if weights is not None:
        from ..weights import load_weights

        load_weights(model, weights, ignore_mismatched=ignore_mismatched)
    return model
