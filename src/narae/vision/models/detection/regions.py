"""What the detectors of the lineage that look at regions share: heads, targets, losses, answers.

R-CNN, SPPNet, Fast R-CNN and Faster R-CNN differ in where regions come from (`propose`) and in how
a region becomes numbers (`describe`); all else is here.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import narae.nn.functional as F
from narae import nn
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat
from narae.vision.ops import BalancedPositiveNegativeSampler, BoxCoder, Matcher, box_iou

from .images import as_batch
from .programs import Programs
from .results import Limits, detections
from .targets import as_padded, real_targets

Losses = dict[str, Tensor]
Proposer = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Sampling:
    """Which regions a step of training looks at.

    Attributes:
        regions: of each image, always so many.
        positive: the largest share of regions with an object.
        overlap: the IoU from which a region has an object.
    """

    regions: int = 32
    positive: float = 0.25
    overlap: float = 0.5


class RegionHead(nn.Module):
    """Two linear layers, then a score for each class and corrections of the box for each class.

    Args:
        features: numbers of a region.
        hidden: width of the layers.
        num_classes: with the background.

    Source: Girshick 2015, "Fast R-CNN", section 2.1.
    """

    def __init__(self, features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.scores = nn.Linear(hidden, num_classes)
        self.codes = nn.Linear(hidden, 4 * num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layers(x)  # (regions, hidden)
        return self.scores(x), self.codes(x)  # (regions, classes), (regions, 4 classes)


class RegionDetector(nn.Module):
    """A detector that judges regions: which class each is of, and where its box should be.

    In training mode `model(images, targets)` gives the parts of the loss, in eval mode
    `model(images)` a list of dicts "boxes", "labels", "scores", as torchvision's detectors do.

    Args:
        backbone: the convolutions.
        features: how many numbers `describe` gives for a region.
        num_classes: with the background, which is label 0.
        hidden: width of the head.
        sampling: which regions a step of training looks at.
        limits: which boxes are worth saying.
        compiled: run backbone and head as compiled programs.
    """

    def __init__(
        self,
        backbone: Any,
        features: int,
        num_classes: int,
        hidden: int = 128,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        compiled: bool = True,
    ) -> None:
        super().__init__()
        self.backbone, self.classes = backbone, num_classes
        self.head = RegionHead(features, hidden, num_classes)
        self.sampling, self.limits = sampling or Sampling(), limits or Limits()
        self.coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        self.matcher = Matcher(self.sampling.overlap, self.sampling.overlap)
        self.sampler = BalancedPositiveNegativeSampler(
            self.sampling.regions, self.sampling.positive
        )
        self.programs = Programs(compiled)

    @abstractmethod
    def propose(self, images: Tensor, features: Tensor) -> list[Tensor]:
        """Regions of each image (n, 4), the same number for all."""

    @abstractmethod
    def look(self, images: Tensor) -> Tensor:
        """What is computed once for each image; the images themselves if that is nothing."""

    @abstractmethod
    def describe(self, seen: Tensor, regions: Sequence[Tensor]) -> Tensor:
        """The numbers of all regions (regions of all images, features)."""

    def forward(self, images: Any, targets: Any = None) -> Any:
        images = as_batch(images)
        return self.losses(images, targets) if self.training else self.answers(images)

    # --- training ---------------------------------------------------------------------------------

    def losses(self, images: Tensor, targets: Any) -> Losses:
        """Cross-entropy of the classes, and smooth L1 of corrections of regions with objects."""
        found = real_targets(*as_padded(targets, images, self.classes))
        seen = self.look(images)
        with no_grad():
            proposals = self.propose(images, seen)
        return self.judge_losses(seen, proposals, found)

    def judge_losses(
        self, seen: Tensor, proposals: Sequence[Tensor], found: Sequence[tuple[Tensor, Tensor]]
    ) -> Losses:
        """The losses of some of the regions, given boxes and labels of each image."""
        with no_grad():
            pairs = zip(proposals, found, strict=True)
            chosen = [self._chosen(regions, *target) for regions, target in pairs]
        regions, labels, codes = zip(*chosen, strict=True)
        scores, said = self.programs(self.head, self.describe(seen, regions))
        return region_losses(scores, said, cat(labels), cat(codes))

    def _chosen(self, regions: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Regions of one image to learn from, their labels, and the corrections to learn."""
        if not len(boxes):
            places = from_numpy(np.resize(np.arange(len(regions)), self.sampling.regions))
            nothing = from_numpy(np.zeros(len(places), np.int64))
            return regions[places], nothing, from_numpy(np.zeros((len(places), 4), np.float32))
        regions = cat([boxes, regions])  # the objects themselves are good examples
        matches = self.matcher(box_iou(boxes, regions))
        own = matches.clamp(min=0)
        kinds = labels[own] * (matches >= 0).long()
        (positive,), (negative,) = self.sampler([kinds])
        places = as_many(positive, negative, self.sampling.regions)
        drawn, of_object = regions[places], boxes[own[places]]
        return drawn, kinds[places], self.coder.encode_single(of_object, drawn)

    # --- answers ----------------------------------------------------------------------------------

    def answers(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Boxes of each image, the most certain first."""
        height, width = images.shape[-2:]
        with no_grad():
            seen = self.look(images)
            regions = self.propose(images, seen)
            scores, codes = self.programs(self.head, self.describe(seen, regions))
            shares = scores.softmax(-1)[:, 1:]
            boxes = self.coder.decode(codes, regions)[:, 1:]  # (regions of all, classes - 1, 4)
        counts = [len(each) for each in regions]
        parts = zip(boxes.split(counts), shares.split(counts), strict=True)
        return [detections(*part, (height, width), self.limits) for part in parts]


def as_many(positive: Tensor, negative: Tensor, count: int) -> Tensor:
    """The places that are marked, `count` of them: where there are too few, they are repeated.

    So what follows is compiled for one count. Those of the background come first to be repeated.

    Args:
        positive, negative: (n,), 1 where a region was drawn.
        count: how many places are wanted.

    >>> import narae
    >>> as_many(narae.tensor([0, 1, 0]), narae.tensor([1, 0, 1]), 5).tolist()
    [1, 0, 2, 0, 2]
    """
    with_object, background = (np.flatnonzero(np.asarray(mask)) for mask in (positive, negative))
    spare = background if len(background) else with_object
    places = np.concatenate([with_object, background])[:count]
    return from_numpy(np.concatenate([places, np.resize(spare, count - len(places))]))


def region_losses(scores: Tensor, said: Tensor, labels: Tensor, codes: Tensor) -> Losses:
    """The two parts of the loss of Fast R-CNN, each a mean over all regions.

    Args:
        scores: (regions, classes).
        said: corrections for each class (regions, 4 classes).
        labels: (regions,), 0 for the background.
        codes: corrections to learn (regions, 4).

    Source: Girshick 2015, equation 1.
    """
    count = len(labels)
    own = said.reshape(count, -1, 4)  # (regions, classes, 4)
    place = labels[:, None, None].expand(-1, 1, 4)
    mine = own.gather(1, place)[:, 0]  # (regions, 4)
    there = (labels > 0).float()[:, None]
    far = F.smooth_l1_loss(mine * there, codes * there, reduction="sum", beta=1 / 9)
    return {"class": F.cross_entropy(scores, labels), "box": far / count}


def proposed(proposer: Proposer, images: Tensor) -> list[Tensor]:
    """What a proposer says of each image."""
    return [from_numpy(np.array(proposer(image), np.float32)) for image in images.detach()]
