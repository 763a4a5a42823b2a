"""The frame of two-stage detectors: features, proposals, heads."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from narae.base.errors import DataError, ShapeError, explain
from narae.nn import Module
from narae.tensors import Tensor

from .programs import Programs
from .roi_heads import RoIHeads, check_dtypes
from .rpn import RegionProposalNetwork
from .targets import check_target
from .transform import GeneralizedRCNNTransform


class GeneralizedRCNN(Module):
    """A backbone, a proposal network on its features, and heads on the proposals.

    In training it gives a dictionary of losses, otherwise for each image a dictionary of
    "boxes" (n, 4), "labels" (n,) and "scores" (n,).

    Args:
        backbone: images to maps by name, or to one map.
        rpn: proposes boxes.
        roi_heads: classifies them.
        transform: makes a batch of images, and takes boxes back.
        compiled: whether backbone and heads run as compiled programs, each made for one shape;
            for images of one size.
    """

    def __init__(
        self,
        backbone: Module,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        transform: GeneralizedRCNNTransform,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.programs = Programs(compiled)

    def forward(self, images: Any, targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Losses or detections.

        Args:
            images: (3, height, width) each, or one batch (batch, 3, height, width); 0 to 1.
            targets: for each image "boxes" (n, 4) as corners in pixels, and "labels" (n,) from 1.
                An image without objects has boxes (0, 4). Parts of boxes outside the image are
                allowed, as in torchvision.

        Raises:
            DataError: no images, no targets in training, a box without area, a label below 1.
            ShapeError, DTypeError: an image or a target of another kind.
            BoundsError: a label that is no class of the model.
        """
        if self.training:
            _check_targets(images, targets)
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        batch, moved = self.transform(images, targets)
        features = self.programs(self.backbone, batch.tensors)
        if isinstance(features, Tensor):
            features = OrderedDict([("0", features)])
        said = self.programs(self.rpn.head, list(features.values()))
        proposals, losses = self.rpn.from_predictions(batch, features, said, moved)
        run = self.programs if self.programs.wanted else None
        found, more = self.roi_heads(features, proposals, batch.image_sizes, moved, run)
        if self.training:
            return {**more, **losses}
        return self.transform.postprocess(found, batch.image_sizes, sizes)


def _check_targets(images: Any, targets: Any) -> None:
    """Name the image and the box that training cannot use."""
    if targets is None:
        rule = "targets should not be None when in training mode"
        raise DataError(explain("detection", "no targets", rule, "model(images, targets)"))
    check_dtypes(targets)
    for number, target in enumerate(targets):
        missing = {"boxes", "labels"} - set(target)
        if missing:
            given = f"the target of image {number} lacks {', '.join(sorted(missing))}"
            raise DataError(explain("detection", given, "it has boxes and labels"))
        shape = tuple(target["boxes"].shape)
        if len(shape) != 2 or shape[1] != 4:
            given = f"the boxes of image {number} are {shape}"
            rule = "Expected target boxes to be a tensor of shape [N, 4]"
            raise ShapeError(explain("detection", given, rule, "zeros(0, 4) without objects"))
        check_target(target, number)
