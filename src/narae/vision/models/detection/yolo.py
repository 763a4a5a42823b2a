"""YOLO v1: one network looks once, and each cell of a grid says what is in it.

Source: J. Redmon, S. Divvala, R. Girshick, A. Farhadi, "You Only Look Once: Unified, Real-Time
Object Detection", CVPR 2016. The paper's last layers are fully connected; here they are
convolutions, so that the grid grows with the image, which may be of any height and width.
"""

from typing import Any

import narae.nn.functional as F
from narae import nn
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import arange
from narae.tensors.joining import stack

from .images import as_batch
from .programs import Programs
from .results import Limits, detections
from .small_backbone import SmallBackbone, conv_norm_relu
from .targets import as_padded

Losses = dict[str, Tensor]

_PER_BOX = 5  # x, y, root of width, root of height, confidence


class YOLOv1(nn.Module):
    """A grid of cells; each says B boxes with a confidence, and one class.

    The cell in which the middle of an object lies is responsible for it. Of its boxes, x and y are
    within the cell (0 to 1); width and height are said by their square roots, in units of the
    image; the confidence is the IoU that is to be expected with the object, 0 where there is none.

    Args:
        backbone: makes the feature map, a cell a step.
        num_classes: with the background, which is label 0, as in all detectors here.
        boxes: B, boxes of each cell.
        hidden: channels between the features and what is said of a cell.
        coord, noobj: λ_coord and λ_noobj of the loss.
        limits: which boxes are worth saying.
        compiled: run the network as a compiled program when it answers.

    In training mode `model(images, targets)` gives the parts of the loss, in eval mode
    `model(images)` a list of dicts "boxes", "labels", "scores", as torchvision's detectors do.

    >>> import narae
    >>> model = YOLOv1(SmallBackbone((8, 8), (0, 0)), num_classes=3)
    >>> boxes, labels = narae.tensor([[[4.0, 4.0, 20.0, 20.0]]]), narae.tensor([[1]])
    >>> sorted(model(narae.zeros(1, 3, 32, 32), (boxes, labels)))
    ['class', 'no_object', 'object', 'place', 'size']
    """

    def __init__(
        self,
        backbone: SmallBackbone,
        num_classes: int,
        boxes: int = 2,
        hidden: int = 64,
        coord: float = 5.0,
        noobj: float = 0.5,
        limits: Limits | None = None,
        compiled: bool = True,
    ) -> None:
        super().__init__()
        self.backbone, self.boxes, self.classes = backbone, boxes, num_classes - 1
        self.coord, self.noobj = coord, noobj
        self.limits = limits or Limits()
        self.head = nn.Sequential(
            conv_norm_relu(backbone.out_channels, hidden),
            nn.Conv2d(hidden, boxes * _PER_BOX + self.classes, 1),
        )
        self.programs = Programs(compiled)

    def forward(self, images: Any, targets: Any = None) -> Any:
        images = as_batch(images)
        if self.training:
            return self.losses(images, targets)
        return self.answers(images)

    def losses(self, images: Tensor, targets: Any) -> Losses:
        """The parts of equation 3, each a mean over the images."""
        boxes, labels = as_padded(targets, images, self.classes + 1)
        height, width = images.shape[-2:]
        out = self.cells(images)
        return yolo_loss(out, boxes, labels, (height, width), self.boxes, self.coord, self.noobj)

    def cells(self, images: Tensor) -> Tensor:
        """What the network says of each cell: (batch, 5 B + classes, rows, columns)."""
        return self.programs(self.head, self.programs(self.backbone, images))

    def answers(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Boxes of each image, the most certain first."""
        height, width = images.shape[-2:]
        with no_grad():
            out = self.cells(images)
            boxes, confidence, classes = decode(out, (height, width), self.boxes)
            # Below 0 is as good as 0: else two such numbers would make a score.
            confidence = confidence.clamp(min=0)
            scores = confidence[..., None] * classes[:, :, None]  # (batch, cells, B, classes)
        batch, kinds = len(images), self.classes
        flat = boxes.reshape(batch, -1, 1, 4).expand(-1, -1, kinds, -1)
        scores = scores.reshape(batch, -1, kinds)
        return [detections(flat[k], scores[k], (height, width), self.limits) for k in range(batch)]


def split_cells(out: Tensor, boxes: int) -> tuple[Tensor, Tensor, Tensor]:
    """What each cell says: places (batch, cells, B, 4), confidences and class probabilities."""
    batch = len(out)
    cells = out.flatten(2).transpose(1, 2)  # (batch, cells, 5 B + classes)
    said = cells[:, :, : boxes * _PER_BOX].reshape(batch, -1, boxes, _PER_BOX)
    return said[..., :4], said[..., 4], cells[:, :, boxes * _PER_BOX :]


def decode(out: Tensor, size: tuple[int, int], boxes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in pixels, confidences and class probabilities.

    Args:
        out: (batch, 5 B + classes, rows, columns).
        size: height and width of the images.
        boxes: B.

    Returns:
        (batch, cells, B, 4), (batch, cells, B), (batch, cells, classes).
    """
    rows, columns = out.shape[-2:]
    places, confidence, classes = split_cells(out, boxes)
    return corners_of(places, (rows, columns), size), confidence, classes


def corners_of(places: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Corners in pixels of boxes that each cell says (batch, cells, B, 4)."""
    (rows, columns), (height, width) = grid, size
    cell = arange(rows * columns)
    left = (cell % columns).float()[None, :, None]  # (1, cells, 1)
    top = (cell // columns).float()[None, :, None]
    x = (left + places[..., 0]) * (width / columns)
    y = (top + places[..., 1]) * (height / rows)
    half_w, half_h = places[..., 2] ** 2 * (width / 2), places[..., 3] ** 2 * (height / 2)
    return stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=-1)


def yolo_loss(
    out: Tensor,
    boxes: Tensor,
    labels: Tensor,
    size: tuple[int, int],
    per_cell: int = 2,
    coord: float = 5.0,
    noobj: float = 0.5,
) -> Losses:
    """Equation 3 of the paper, in its five parts, each summed over cells and a mean over images.

    Where two objects have their middle in one cell, the first one counts. The confidence to learn
    is the IoU of the box that is responsible: the one of its cell with the largest IoU.

    Args:
        out: (batch, 5 B + classes, rows, columns), what the network says.
        boxes: (batch, most, 4), corners of the objects in pixels.
        labels: (batch, most), from 1 on; 0 where there is no object.
        size: height and width of the images.
        per_cell: B.
        coord, noobj: λ_coord and λ_noobj.

    Source: Redmon et al. 2016, equation 3.
    """
    rows, columns = out.shape[-2:]
    places, confidence, classes = split_cells(out, per_cell)
    there, wanted, label = cell_targets(boxes, labels, (rows, columns), size)
    with no_grad():
        said = corners_of(places.detach(), (rows, columns), size)
        overlap = paired_iou(said, _corners_in(wanted, (rows, columns), size))
        responsible = F.one_hot(overlap.argmax(-1), per_cell).float() * there[..., None]
    error = (places - wanted[:, :, None]) ** 2 * responsible[..., None]  # (batch, cells, B, 4)
    count = len(out)
    right = (confidence - overlap) ** 2
    kinds = F.one_hot(label, classes.shape[-1]).float()  # (batch, cells, classes)
    return {
        "place": coord * error[..., :2].sum() / count,
        "size": coord * error[..., 2:].sum() / count,
        "object": (right * responsible).sum() / count,
        "no_object": noobj * (confidence**2 * (1 - responsible)).sum() / count,
        "class": ((classes - kinds) ** 2 * there[..., None]).sum() / count,
    }


def cell_targets(
    boxes: Tensor, labels: Tensor, grid: tuple[int, int], size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """What each cell is responsible for.

    Returns:
        1 where a cell has an object (batch, cells); its x and y in the cell and the roots of its
        width and height (batch, cells, 4); its class from 0 on (batch, cells).
    """
    (rows, columns), (height, width) = grid, size
    x = (boxes[..., 0] + boxes[..., 2]) * (columns / (2 * width))  # (batch, most), in cells
    y = (boxes[..., 1] + boxes[..., 3]) * (rows / (2 * height))
    column, row = x.floor().clamp(0, columns - 1), y.floor().clamp(0, rows - 1)
    w = ((boxes[..., 2] - boxes[..., 0]) / width).clamp(min=0).sqrt()
    h = ((boxes[..., 3] - boxes[..., 1]) / height).clamp(min=0).sqrt()
    said = stack([x - column, y - row, w, h], dim=-1)  # (batch, most, 4)
    own = (row * columns + column).long()
    inside = (own[:, :, None] == arange(rows * columns)) & (labels > 0)[:, :, None]
    mine = inside.float()  # (batch, most, cells)
    first = mine.argmax(1)  # (batch, cells)
    wanted = said.gather(1, first[..., None].expand(-1, -1, 4))
    label = (labels - 1).clamp(min=0).gather(1, first)
    return mine.amax(1), wanted, label


def _corners_in(wanted: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    return corners_of(wanted[:, :, None], grid, size)  # (batch, cells, 1, 4)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """The IoU of boxes with those in the same place of another tensor (..., 4)."""
    low, high = a[..., :2].maximum(b[..., :2]), a[..., 2:].minimum(b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b))
    return both / (area_a + area_b - both).clamp(min=1e-9)
