"""The region proposal network: is there an object at an anchor, and where exactly is its box?

Ren et al. 2015, "Faster R-CNN", section 3.1.
"""

from collections.abc import Mapping, Sequence

import narae.nn.functional as F
from narae.base.errors import DataError, explain
from narae.nn import Conv2d, Module, ReLU, Sequential, init
from narae.tensors import Tensor, cat, full, sigmoid, where, zeros
from narae.vision.ops.anchors import AnchorGenerator
from narae.vision.ops.box_coder import BoxCoder
from narae.vision.ops.boxes import box_iou, clip_boxes_to_image, remove_small_boxes
from narae.vision.ops.matching import BalancedPositiveNegativeSampler, Matcher
from narae.vision.ops.nms import batched_nms

from .image_list import ImageList


class RPNHead(Module):
    """Convolutions shared by all maps, then a logit and four box codes for each anchor.

    Args:
        in_channels: of each map.
        num_anchors: at each place.
        conv_depth: 3 x 3 convolutions in front.

    >>> import narae
    >>> head = RPNHead(8, 3)
    >>> logits, codes = head([narae.rand(1, 8, 4, 4)])
    >>> tuple(logits[0].shape), tuple(codes[0].shape)
    ((1, 3, 4, 4), (1, 12, 4, 4))
    """

    _version = 2  # before, the convolution stood in no Sequential

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        blocks = [
            Sequential(Conv2d(in_channels, in_channels, 3, padding=1), ReLU())
            for _ in range(conv_depth)
        ]
        self.conv = Sequential(*blocks)
        self.cls_logits = Conv2d(in_channels, num_anchors, 1)
        self.bbox_pred = Conv2d(in_channels, num_anchors * 4, 1)
        for layer in self.modules():
            if isinstance(layer, Conv2d) and layer.bias is not None:
                init.normal_(layer.weight, std=0.01)
                init.zeros_(layer.bias)

    def _prepare_loading(
        self, state_dict: dict[str, Tensor], prefix: str, metadata: dict[str, int]
    ) -> None:
        if metadata.get("version", 1) >= 2:
            return
        for name in ("weight", "bias"):
            if f"{prefix}conv.{name}" in state_dict:
                state_dict[f"{prefix}conv.0.0.{name}"] = state_dict.pop(f"{prefix}conv.{name}")

    def forward(self, x: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """For each map (batch, channels, height, width) logits and codes in its size."""
        hidden = [self.conv(one) for one in x]
        return [self.cls_logits(t) for t in hidden], [self.bbox_pred(t) for t in hidden]


def flat_predictions(x: Sequence[Tensor], numbers: int) -> Tensor:
    """Predictions of all maps in the order of the anchors.

    Args:
        x: (batch, anchors * numbers, height, width) for each map.
        numbers: how many there are for one anchor.

    Returns: (batch, anchors of all maps, numbers).
    """
    flat = []
    for one in x:
        batch, _, height, width = one.shape
        each = one.view(batch, -1, numbers, height, width).permute(0, 3, 4, 1, 2)
        flat.append(each.reshape(batch, -1, numbers))  # (batch, height * width * anchors, numbers)
    return cat(flat, dim=1)


class RegionProposalNetwork(Module):
    """Proposes boxes that may hold an object, whatever its class.

    Args:
        anchor_generator: makes the anchors.
        head: gives logits and box codes for them, as `RPNHead` does.
        fg_iou_thresh: an anchor that overlaps an object this much is one of it.
        bg_iou_thresh: an anchor that overlaps all objects less than this is background.
        batch_size_per_image: anchors of an image that a step of training looks at.
        positive_fraction: the largest share of anchors with an object among them.
        pre_nms_top_n: the best of each map that go into suppression, "training" and "testing".
        post_nms_top_n: the best that come out of it.
        nms_thresh: a proposal that overlaps a better one more than this is dropped.
        score_thresh: a proposal of a smaller probability is dropped.
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: Mapping[str, int],
        post_nms_top_n: Mapping[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, True)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self._pre_nms_top_n, self._post_nms_top_n = dict(pre_nms_top_n), dict(post_nms_top_n)
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def _phase(self) -> str:
        return "training" if self.training else "testing"

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        targets: Sequence[Mapping[str, Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals, and in training the two losses.

        Args:
            images: what the features were computed from.
            features: maps (batch, channels, height, width) by name.
            targets: for each image "boxes" (n, 4).

        Returns: (n, 4) an image; "loss_objectness" and "loss_rpn_box_reg" in training.

        Raises:
            DataError: training without targets.
        """
        return self.from_predictions(images, features, self.head(list(features.values())), targets)

    def from_predictions(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        predictions: tuple[list[Tensor], list[Tensor]],
        targets: Sequence[Mapping[str, Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The same from what the head said of the features."""
        logits = flat_predictions(predictions[0], 1)[..., 0]  # (batch, anchors)
        codes = flat_predictions(predictions[1], 4)  # (batch, anchors, 4)
        anchors = self.anchor_generator(images, list(features.values()))
        counts = [x[0].numel() for x in predictions[0]]
        proposals = self.box_coder.decode(codes.detach().flatten(0, 1), anchors)
        proposals = proposals.view(len(anchors), -1, 4)  # (batch, anchors, 4)
        boxes, _ = self.filter_proposals(proposals, logits, images.image_sizes, counts)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise DataError(explain("rpn", "no targets", "training needs the true boxes"))
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        objectness, box_reg = self.compute_loss(logits, codes, labels, wanted)
        return boxes, {"loss_objectness": objectness, "loss_rpn_box_reg": box_reg}

    # --- proposals ------------------------------------------------------------------------------

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: Sequence[tuple[int, int]],
        num_anchors_per_level: Sequence[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The best proposals of each image.

        Args:
            proposals: (batch, anchors, 4).
            objectness: logits (batch, anchors).
            image_shapes: (height, width) of each image.
            num_anchors_per_level: anchors of each map.

        Returns: boxes (n, 4) and probabilities (n,), the best first, of each image.
        """
        objectness = objectness.detach()
        best = self._best_of_each_level(objectness, num_anchors_per_level)  # (batch, candidates)
        numbers = enumerate(num_anchors_per_level)
        levels = cat([full((count,), level) for level, count in numbers])  # (anchors,)
        boxes, scores = [], []
        for image, size in enumerate(image_shapes):
            place = best[image]  # (candidates,)
            one = self._best_of_image(
                proposals[image, place], sigmoid(objectness[image, place]), levels[place], size
            )
            boxes.append(one[0])
            scores.append(one[1])
        return boxes, scores

    def _best_of_each_level(self, objectness: Tensor, counts: Sequence[int]) -> Tensor:
        found, start = [], 0
        for level in objectness.split(list(counts), 1):
            most = min(self._pre_nms_top_n[self._phase()], level.shape[1])
            found.append(level.topk(most, dim=1)[1] + start)
            start += level.shape[1]
        return cat(found, dim=1)

    def _best_of_image(
        self, boxes: Tensor, scores: Tensor, levels: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        boxes = clip_boxes_to_image(boxes, size)
        keep = remove_small_boxes(boxes, self.min_size)
        boxes, scores, levels = boxes[keep], scores[keep], levels[keep]
        keep = where(scores >= self.score_thresh)[0]
        boxes, scores, levels = boxes[keep], scores[keep], levels[keep]
        keep = batched_nms(boxes, scores, levels, self.nms_thresh)
        keep = keep[: self._post_nms_top_n[self._phase()]]
        return boxes[keep], scores[keep]

    # --- training -------------------------------------------------------------------------------

    def assign_targets_to_anchors(
        self, anchors: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each anchor of each image 1 (object), 0 (background) or -1 (neither), and a box."""
        labels, matched = [], []
        for of_image, target in zip(anchors, targets, strict=True):
            boxes = target["boxes"]
            if len(boxes) == 0:  # all background
                labels.append(zeros(len(of_image)))
                matched.append(of_image)
                continue
            found = self.proposal_matcher(box_iou(boxes, of_image))  # (anchors,)
            label = (found >= 0).float()
            between = found.eq(self.proposal_matcher.BETWEEN_THRESHOLDS)
            labels.append(where(between, -1.0, label))
            matched.append(boxes[found.clamp(min=0)])
        return labels, matched

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: Sequence[Tensor],
        regression_targets: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Binary cross entropy, and smooth L1 of the boxes, over anchors drawn at random.

        Args:
            objectness: logits (batch, anchors).
            pred_bbox_deltas: codes (batch, anchors, 4).
            labels: (anchors,) an image.
            regression_targets: (anchors, 4) an image.
        """
        drawn = self.fg_bg_sampler(labels)
        positive, negative = (where(cat(masks))[0] for masks in drawn)
        both = cat((positive, negative))  # (drawn of all images,)
        logits, codes = objectness.flatten(), pred_bbox_deltas.flatten(0, 1)
        wanted = cat(tuple(regression_targets))[positive]
        box_loss = F.smooth_l1_loss(codes[positive], wanted, beta=1 / 9, reduction="sum")
        loss = F.binary_cross_entropy_with_logits(logits[both], cat(tuple(labels))[both])
        return loss, box_loss / both.numel()
