"""Faster R-CNN on a small backbone: regions are learned too, from the same feature map.

Source: S. Ren, K. He, R. Girshick, J. Sun, "Faster R-CNN: Towards Real-Time Object Detection with
Region Proposal Networks", NIPS 2015. Both parts are trained at once ("approximate joint training").
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

import narae.nn.functional as F
from narae import nn
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat, stack
from narae.vision.ops import (
    AnchorGenerator,
    BalancedPositiveNegativeSampler,
    BoxCoder,
    Matcher,
    RoIPool,
    box_iou,
    clip_boxes_to_image,
    nms,
)

from .regions import Losses, RegionDetector
from .targets import as_padded, real_targets

_SMALLEST = 2.0  # pixels: the sides of proposals that are worth a look


class ProposalHead(nn.Module):
    """For each anchor: is an object there, and how does its box differ?

    Args:
        channels: of the feature map.
        anchors: at each place.

    Source: Ren et al. 2015, figure 3.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, anchors, 1)
        self.codes = nn.Conv2d(channels, 4 * anchors, 1)
        self.anchors = anchors

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv(features))
        scores = self.objectness(x).permute(0, 2, 3, 1).flatten(1)  # (batch, all anchors)
        codes = self.codes(x).permute(0, 2, 3, 1)  # (batch, rows, columns, 4 anchors)
        return scores, codes.reshape(len(codes), -1, 4)  # (batch, all anchors, 4)


class SmallFasterRCNN(RegionDetector):
    """One pass an image; a small network on the feature map says where objects may be.

    Args:
        backbone: the convolutions.
        num_classes: with the background, which is label 0.
        sizes: of the anchors, in pixels.
        ratios: of their height and width.
        most: regions of each image, by how sure it is that an object is there.
        before: how many of them are looked at before those that overlap are left out.
        overlap: of two regions with a larger IoU the less sure one is left out.
        bins: along each side of a region.
        pool: pools regions from the map; `RoIPool` with `bins` unless given.
        options: further ones of `RegionDetector`.

    >>> import narae
    >>> from narae.vision.models.detection import SmallBackbone
    >>> model = SmallFasterRCNN(SmallBackbone((4, 4), (0, 0)), 3, sizes=(8,), most=6)
    >>> targets = [{"boxes": narae.tensor([[2.0, 2.0, 12.0, 14.0]]), "labels": narae.tensor([1])}]
    >>> sorted(model(narae.zeros(1, 3, 32, 32), targets))
    ['box', 'class', 'proposal_box', 'proposal_object']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        sizes: Sequence[float] = (16, 24, 36),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        most: int = 64,
        before: int = 300,
        overlap: float = 0.7,
        bins: int = 7,
        pool: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, backbone.out_channels * bins**2, num_classes, **options)
        self.anchors = AnchorGenerator((tuple(sizes),), (tuple(ratios),))
        (each,) = self.anchors.num_anchors_per_location()
        self.proposals = ProposalHead(backbone.out_channels, each)
        self.most, self.before, self.overlap = most, before, overlap
        self.pool = RoIPool(bins, 1 / backbone.stride) if pool is None else pool
        self.proposal_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self.proposal_matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        self.proposal_sampler = BalancedPositiveNegativeSampler(128, 0.5)

    def look(self, images: Tensor) -> Tensor:
        return self.programs(self.backbone, images)  # (batch, channels, rows, columns)

    def describe(self, seen: Tensor, regions: Sequence[Tensor]) -> Tensor:
        return self.pool(seen, list(regions)).flatten(1)  # (regions, channels * bins * bins)

    def propose(self, images: Tensor, features: Tensor) -> list[Tensor]:
        scores, codes = self.programs(self.proposals, features)
        return self.best_regions(images, features, scores.detach(), codes.detach())

    def anchors_of(self, images: Tensor, features: Tensor) -> Tensor:
        """All anchors (rows * columns * anchors of a place, 4)."""
        return self.anchors.of_sizes(images.shape[-2:], [features.shape[-2:]])

    def best_regions(
        self, images: Tensor, features: Tensor, scores: Tensor, codes: Tensor
    ) -> list[Tensor]:
        """The regions of each image in which an object is most likely, `most` of them."""
        size = (images.shape[-2], images.shape[-1])
        anchors = self.anchors_of(images, features)
        found = []
        for own_scores, own_codes in zip(scores, codes, strict=True):
            count = min(self.before, len(own_scores))
            sure, places = own_scores.topk(count)
            boxes = self.proposal_coder.decode_single(own_codes[places], anchors[places])
            boxes = clip_boxes_to_image(boxes, size)
            sides = np.asarray(boxes[:, 2:] - boxes[:, :2])
            wide = (sides >= _SMALLEST).all(axis=1)
            boxes, sure = boxes[wide], sure[wide]
            stay = nms(boxes, sure, self.overlap)[: self.most]
            found.append(_filled(boxes[stay], self.most, size))
        return found

    # --- training ---------------------------------------------------------------------------------

    def losses(self, images: Tensor, targets: Any) -> Losses:
        """Those of the regions' judge, and two of the network that proposes regions."""
        boxes, labels = as_padded(targets, images, self.classes)
        features = self.look(images)
        scores, codes = self.programs(self.proposals, features)
        with no_grad():
            regions = self.best_regions(images, features, scores.detach(), codes.detach())
        own = self.judge_losses(features, regions, real_targets(boxes, labels))
        anchors = self.anchors_of(images, features)
        wanted = [self._of_anchors(anchors, found) for found, _ in real_targets(boxes, labels)]
        return {**own, **proposal_losses(scores, codes, *map(stack, zip(*wanted, strict=True)))}

    def _of_anchors(self, anchors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each anchor 1 if it is drawn; 1 if an object is there; corrections to learn."""
        kinds = from_numpy(np.zeros(len(anchors), np.float32))
        codes = from_numpy(np.zeros((len(anchors), 4), np.float32))
        if len(boxes):
            matches = self.proposal_matcher(box_iou(boxes, anchors))
            left_out = matches.eq(Matcher.BETWEEN_THRESHOLDS)
            kinds = (matches >= 0).float() - left_out.float()  # 1, 0, or -1
            codes = self.proposal_coder.encode_single(boxes[matches.clamp(min=0)], anchors)
        positive, negative = self.proposal_sampler([kinds])
        return (positive[0] + negative[0]).float(), kinds.clamp(min=0), codes


def _filled(boxes: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    """Boxes with the whole image repeated until there are `count`."""
    missing = count - len(boxes)
    if not missing:
        return boxes
    whole = np.tile(np.array([0, 0, size[1], size[0]], np.float32), (missing, 1))
    return cat([boxes, from_numpy(whole)])


def proposal_losses(
    scores: Tensor, codes: Tensor, drawn: Tensor, there: Tensor, wanted: Tensor
) -> Losses:
    """The two parts of the loss of the network that proposes regions.

    Args:
        scores: (batch, anchors), the logit of an object.
        codes: corrections (batch, anchors, 4).
        drawn: (batch, anchors), 1 where the step looks.
        there: (batch, anchors), 1 where an object is.
        wanted: corrections to learn (batch, anchors, 4).

    Source: Ren et al. 2015, equation 1.
    """
    count = drawn.sum().clamp(min=1)
    each = F.binary_cross_entropy_with_logits(scores, there, reduction="none")
    own = (drawn * there)[..., None]
    far = F.smooth_l1_loss(codes * own, wanted * own, reduction="sum", beta=1 / 9)
    return {"proposal_object": (each * drawn).sum() / count, "proposal_box": far / count}
