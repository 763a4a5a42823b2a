"""The second stage of Fast and Faster R-CNN: what is in each proposal, and where exactly?

Girshick 2015, "Fast R-CNN", section 2.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import narae.nn.functional as F
from narae.base.errors import BoundsError, DataError, DTypeError, explain
from narae.nn import Linear, Module
from narae.tensors import Tensor, arange, cat, int64, where, zeros
from narae.vision.ops.box_coder import BoxCoder
from narae.vision.ops.boxes import box_iou, clip_boxes_to_image, remove_small_boxes
from narae.vision.ops.matching import BalancedPositiveNegativeSampler, Matcher
from narae.vision.ops.nms import batched_nms

Targets = Sequence[Mapping[str, Tensor]]


class TwoMLPHead(Module):
    """Two linear layers with ReLU over all values of a region.

    Args:
        in_channels: values of a region: channels * rows * columns.
        representation_size: values between and after.

    >>> import narae
    >>> tuple(TwoMLPHead(8 * 4, 16)(narae.rand(5, 8, 2, 2)).shape)
    (5, 16)
    """

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = Linear(in_channels, representation_size)
        self.fc7 = Linear(representation_size, representation_size)

    def forward(self, x: Tensor) -> Tensor:
        """Regions (k, channels, rows, columns) to (k, representation_size)."""
        x = F.relu(self.fc6(x.flatten(1)))
        return F.relu(self.fc7(x))


class FastRCNNPredictor(Module):
    """A logit for each class (0 is the background) and four box codes for each.

    Args:
        in_channels: values of a region.
        num_classes: the background included.

    >>> import narae
    >>> scores, codes = FastRCNNPredictor(16, 3)(narae.rand(5, 16))
    >>> tuple(scores.shape), tuple(codes.shape)
    ((5, 3), (5, 12))
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = Linear(in_channels, num_classes)
        self.bbox_pred = Linear(in_channels, num_classes * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values (k, in_channels) to logits (k, classes) and codes (k, 4 * classes)."""
        x = x.flatten(1)
        return self.cls_score(x), self.bbox_pred(x)


def fastrcnn_loss(
    class_logits: Tensor,
    box_regression: Tensor,
    labels: Sequence[Tensor],
    regression_targets: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Cross entropy of the classes, and smooth L1 of the true class's box.

    Fast R-CNN, equation 1, with the mean over all regions for both parts.

    Args:
        class_logits: (k, classes).
        box_regression: codes (k, 4 * classes).
        labels: (n,) an image, 0 for background.
        regression_targets: codes (n, 4) an image.

    Raises:
        BoundsError: a label that is no class.
    """
    label, wanted = cat(tuple(labels)), cat(tuple(regression_targets))
    count, classes = class_logits.shape
    if len(label) and label.max().item() >= classes:
        given = f"there is a label {label.max().item()} and the model has {classes} classes"
        rule = "labels are smaller than num_classes, which counts the background"
        raise BoundsError(explain("detection", given, rule))
    positive = where(label > 0)[0]
    codes = box_regression.reshape(count, -1, 4)[positive, label[positive]]  # (positive, 4)
    box_loss = F.smooth_l1_loss(codes, wanted[positive], beta=1 / 9, reduction="sum")
    return F.cross_entropy(class_logits, label), box_loss / label.numel()


class RoIHeads(Module):
    """Classifies proposals and corrects their boxes.

    Args:
        box_roi_pool: makes regions of one size, as `MultiScaleRoIAlign` does.
        box_head: regions to values.
        box_predictor: values to logits and box codes.
        fg_iou_thresh: a proposal that overlaps an object this much is one of it.
        bg_iou_thresh: a proposal that overlaps all objects less than this is background.
        batch_size_per_image: proposals of an image that a step of training looks at.
        positive_fraction: the largest share of proposals with an object among them.
        bbox_reg_weights: of the box codes; by default (10, 10, 5, 5).
        score_thresh: detections of a smaller probability are dropped.
        nms_thresh: a detection that overlaps a better one of its class more is dropped.
        detections_per_img: at most so many are kept.
    """

    def __init__(
        self,
        box_roi_pool: Module,
        box_head: Module,
        box_predictor: Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: Sequence[float] | None,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
    ) -> None:
        super().__init__()
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self.box_coder = BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: Sequence[tuple[int, int]],
        targets: Targets | None = None,
        run: Callable[..., Any] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections, or in training the two losses.

        Args:
            features: maps (batch, channels, height, width) by name.
            proposals: (n, 4) an image.
            image_shapes: (height, width) of each image.
            targets: for each image "boxes" (n, 4) and "labels" (n,), which are 1 and more.
            run: runs a module on inputs, in place of calling it; such as by its program.

        Returns: "boxes", "labels" and "scores" of each image, the best first; and
            "loss_classifier" and "loss_box_reg".

        Raises:
            DataError: training without targets, or with targets that lack something.
            DTypeError: boxes that are not of floating point, labels that are not int64.
        """
        check_dtypes(targets)
        labels: list[Tensor] = []
        wanted: Sequence[Tensor] = []
        if self.training:
            proposals, _, labels, wanted = self.select_training_samples(proposals, targets)
        regions = self.box_roi_pool(features, proposals, image_shapes)
        logits, codes = self.predict(regions, run or _call)
        if self.training:
            classifier, box_reg = fastrcnn_loss(logits, codes, labels, wanted)
            return [], {"loss_classifier": classifier, "loss_box_reg": box_reg}
        return self.postprocess_detections(logits, codes, proposals, image_shapes), {}

    def predict(self, regions: Tensor, run: Callable[..., Any]) -> tuple[Tensor, Tensor]:
        """Logits and codes of regions (k, …), which run in portions of one size.

        A compiled module is made for one shape; so the last portion is filled with zeros, whose
        results are dropped.
        """
        count = len(regions)
        if run is _call:
            logits, codes = self.box_predictor(self.box_head(regions))
            return logits, codes
        portion = self.fg_bg_sampler.batch_size_per_image
        missing = -count % portion if count else portion
        filled = cat((regions, regions.new_zeros((missing, *regions.shape[1:]))))
        parts = [
            run(self.box_predictor, run(self.box_head, part)) for part in filled.split(portion)
        ]
        logits, codes = (cat(list(both))[:count] for both in zip(*parts, strict=True))
        return logits, codes

    # --- training -------------------------------------------------------------------------------

    def select_training_samples(
        self, proposals: Sequence[Tensor], targets: Targets | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], Sequence[Tensor]]:
        """Proposals (and true boxes) drawn for a step.

        Returns: for each image boxes (n, 4), the places of their objects (n,), labels (n,) and
            box codes (n, 4).
        """
        if targets is None:
            raise DataError(explain("roi_heads", "no targets", "training needs true boxes"))
        for number, target in enumerate(targets):
            missing = {"boxes", "labels"} - set(target)
            if missing:
                given = f"the target of image {number} lacks {', '.join(sorted(missing))}"
                raise DataError(explain("roi_heads", given, "it has boxes and labels"))
        true = [target["boxes"].to(proposals[0].dtype) for target in targets]
        all_boxes = [cat(pair) for pair in zip(proposals, true, strict=True)]
        found = [
            self._assign(boxes, box, target["labels"])
            for boxes, box, target in zip(all_boxes, true, targets, strict=True)
        ]
        drawn = self.fg_bg_sampler([labels for _, labels in found])
        chosen, matched, labels, wanted = [], [], [], []
        for image, (positive, negative) in enumerate(zip(*drawn, strict=True)):
            place = where(positive | negative)[0]  # (n,)
            of_object, label = (x[place] for x in found[image])
            boxes = all_boxes[image][place]  # (n, 4)
            chosen.append(boxes)
            matched.append(of_object)
            labels.append(label)
            wanted.append(true[image][of_object] if len(true[image]) else boxes)
        return chosen, matched, labels, self.box_coder.encode(wanted, chosen)

    def _assign(self, boxes: Tensor, true: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The object of each box, and its label: 0 is background, -1 neither."""
        if len(true) == 0:
            return zeros(len(boxes), dtype=int64), zeros(len(boxes), dtype=int64)
        found = self.proposal_matcher(box_iou(true, boxes))  # (n,)
        label = labels[found.clamp(min=0)]
        label = where(found.eq(self.proposal_matcher.BELOW_LOW_THRESHOLD), 0, label)
        label = where(found.eq(self.proposal_matcher.BETWEEN_THRESHOLDS), -1, label)
        return found.clamp(min=0), label

    # --- detections -----------------------------------------------------------------------------

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Detections of each image.

        Args:
            class_logits: (k, classes).
            box_regression: codes (k, 4 * classes).
            proposals: (n, 4) an image.
            image_shapes: (height, width) of each image.
        """
        counts = [len(boxes) for boxes in proposals]
        classes = class_logits.shape[1]
        boxes = self.box_coder.decode(box_regression, proposals).reshape(-1, classes, 4)
        scores = F.softmax(class_logits, -1)  # (k, classes)
        images = zip(boxes.split(counts), scores.split(counts), image_shapes, strict=True)
        return [self._detections(*image) for image in images]

    def _detections(
        self, boxes: Tensor, scores: Tensor, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Boxes (n, classes, 4) and probabilities (n, classes) of one image to detections."""
        boxes = clip_boxes_to_image(boxes, size)[:, 1:].reshape(-1, 4)  # (n * (classes - 1), 4)
        labels = arange(1, scores.shape[1]).expand(len(scores), -1).reshape(-1)
        scores = scores[:, 1:].reshape(-1)
        keep = where(scores > self.score_thresh)[0]
        boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        keep = remove_small_boxes(boxes, 1e-2)
        boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        keep = batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[keep], "labels": labels[keep], "scores": scores[keep]}


def _call(module: Module, *inputs: Any) -> Any:
    return module(*inputs)


def check_dtypes(targets: Targets | None) -> None:
    """Refuse boxes that are not of floating point and labels that are not int64.

    Raises:
        DTypeError: naming the image.
    """
    for number, target in enumerate(targets or ()):
        boxes, labels = target.get("boxes"), target.get("labels")
        if boxes is not None and not boxes.dtype.is_floating_point:
            given = f"the target boxes of image {number} are {boxes.dtype}"
            raise DTypeError(explain("detection", given, "they are of float type", "boxes.float()"))
        if labels is not None and labels.dtype is not int64:
            given = f"the target labels of image {number} are {labels.dtype}"
            raise DTypeError(explain("detection", given, "they are int64", "labels.long()"))
