"""Where objects may be, found without learning: regions that look alike are grouped step by step.

A plain form of selective search. The image is cut into small regions by a graph of its pixels
(Felzenszwalb and Huttenlocher); then the two neighbours that are most alike become one, again and
again, and every region on the way gives a box. Alike means: like colours, both small, and filling
their common box. The likeness of texture and the many colour spaces of the paper are left out.

Sources: P. Felzenszwalb, D. Huttenlocher, "Efficient Graph-Based Image Segmentation", 2004;
J. Uijlings et al., "Selective Search for Object Recognition", 2013, section 3.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor

Array = npt.NDArray[Any]
Boxes = npt.NDArray[np.float32]

_BINS = 8  # of a colour histogram, each channel
_SMALLEST = 4.0  # pixels: the sides of boxes that are worth a look


class SelectiveSearch:
    """Boxes that may hold an object, the same number for each image.

    Args:
        most: boxes an image; where fewer are found, the whole image is repeated.
        scales: of the first regions: a larger number gives larger ones. Boxes of all are joined.
        min_size: pixels of a region at least.
        remember: keep what was found for an image, for trainings that see it again and again.

    Raises:
        ConfigError: if `most` is below 1.

    >>> import narae
    >>> image = narae.zeros(3, 24, 32)
    >>> image[:, 6:16, 4:20] = 1.0
    >>> SelectiveSearch(most=4)(image).tolist()[:2]  # the image, and the bright part by a pixel
    [[0.0, 0.0, 32.0, 24.0], [5.0, 5.0, 21.0, 17.0]]
    """

    def __init__(
        self,
        most: int = 64,
        scales: Sequence[float] = (0.5,),
        min_size: int = 12,
        remember: bool = False,
    ) -> None:
        if most < 1:
            given = f"most is {most}"
            raise ConfigError(explain("SelectiveSearch", given, "an image has at least one box"))
        self.most, self.scales, self.min_size = most, tuple(scales), min_size
        self._known: dict[Any, Boxes] | None = {} if remember else None

    def __call__(self, image: Tensor) -> Boxes:
        """Boxes (most, 4) of an image (3, height, width): larger ones first.

        Raises:
            ShapeError: for anything else than an image.
        """
        if image.ndim != 3:
            given = f"the image is {tuple(image.shape)}"
            raise ShapeError(explain("SelectiveSearch", given, "it is (channels, height, width)"))
        values = np.asarray(image, np.float32)
        if self._known is None:
            return self._search(values)
        key = values.shape, hashlib.blake2b(values.tobytes()).digest()  # the image itself is large
        if key not in self._known:
            self._known[key] = self._search(values)
        return self._known[key]

    def _search(self, values: Array) -> Boxes:
        pixels = values.transpose(1, 2, 0)  # (height, width, channels)
        height, width = pixels.shape[:2]
        found: dict[tuple[int, ...], None] = {(0, 0, width, height): None}
        for scale in self.scales:
            labels = graph_regions(pixels, scale, self.min_size)
            found.update(dict.fromkeys(grouped_boxes(pixels, labels)))
        boxes = np.asarray(list(found), np.float32)
        sides = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes[(sides >= _SMALLEST).all(axis=1)]
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        boxes = boxes[np.argsort(-area, kind="stable")][: self.most]
        whole = np.array([[0, 0, width, height]], np.float32)
        return np.concatenate([boxes, np.repeat(whole, self.most - len(boxes), axis=0)])


# --- the first regions --------------------------------------------------------------------------


def graph_regions(pixels: Array, scale: float, min_size: int) -> npt.NDArray[np.int64]:
    """Cut an image into regions: neighbours are joined where no border stands between them.

    Edges between neighbouring pixels are taken from the weakest on; two regions become one if the
    edge is no stronger than what each has inside, plus scale / size.

    Args:
        pixels: (height, width, channels), 0 to 1.
        scale: the k of the paper; larger regions for larger ones.
        min_size: smaller regions are joined to a neighbour at the end.

    Returns:
        The number of each pixel's region (height, width), from 0 on.

    >>> pixels = np.zeros((4, 12, 1))
    >>> pixels[:, 6:] = 1.0
    >>> graph_regions(pixels, 0.5, 8)[0].tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    """
    height, width = pixels.shape[:2]
    starts, ends, weights = _edges(_smoothed(pixels))
    order = np.argsort(weights, kind="stable")
    edges = list(
        zip(starts[order].tolist(), ends[order].tolist(), weights[order].tolist(), strict=True)
    )
    parent, size = list(range(height * width)), [1] * (height * width)
    limit = [scale] * (height * width)  # what is inside, plus scale / size
    for start, end, weight in edges:
        a, b = _root(parent, start), _root(parent, end)
        if a != b and weight <= limit[a] and weight <= limit[b]:
            parent[b] = a
            size[a] += size[b]
            limit[a] = weight + scale / size[a]
    for start, end, _ in edges:
        a, b = _root(parent, start), _root(parent, end)
        if a != b and min(size[a], size[b]) < min_size:
            parent[b] = a
            size[a] += size[b]
    roots = [_root(parent, place) for place in range(height * width)]
    return np.unique(roots, return_inverse=True)[1].reshape(height, width).astype(np.int64)


def _root(parent: list[int], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


def _smoothed(pixels: Array) -> Array:
    """A blur of 3 x 3, as the graph is sensitive to single pixels."""
    for axis in (0, 1):
        around = [(1, 1) if k == axis else (0, 0) for k in range(3)]
        wide = np.pad(pixels, around, mode="edge")
        length = pixels.shape[axis]
        parts = [np.take(wide, range(k, k + length), axis=axis) for k in range(3)]
        pixels = (parts[0] + 2 * parts[1] + parts[2]) / 4
    return pixels


def _edges(pixels: Array) -> tuple[Array, Array, Array]:
    """Pairs of neighbours (right and below), and the distance of their colours."""
    height, width = pixels.shape[:2]
    numbers = np.arange(height * width).reshape(height, width)
    across = np.sqrt(((pixels[:, 1:] - pixels[:, :-1]) ** 2).sum(-1))
    down = np.sqrt(((pixels[1:] - pixels[:-1]) ** 2).sum(-1))
    starts = np.concatenate([numbers[:, :-1].ravel(), numbers[:-1].ravel()])
    ends = np.concatenate([numbers[:, 1:].ravel(), numbers[1:].ravel()])
    return starts, ends, np.concatenate([across.ravel(), down.ravel()])


# --- grouping -----------------------------------------------------------------------------------


class _Region:
    """Pixels that belong together: how many, their box, their colours, their neighbours."""

    def __init__(self, size: int, box: tuple[int, ...], colours: Array) -> None:
        self.size, self.box, self.colours = size, box, colours
        self.neighbours: set[int] = set()

    def joined(self, other: "_Region") -> "_Region":
        """Both as one."""
        size = self.size + other.size
        colours = (self.size * self.colours + other.size * other.colours) / size
        return _Region(size, _around(self.box, other.box), colours)


def grouped_boxes(pixels: Array, labels: npt.NDArray[np.int64]) -> list[tuple[int, ...]]:
    """The boxes of all regions, and of those that come of joining the two most alike until one is.

    Args:
        pixels: (height, width, channels), 0 to 1.
        labels: the number of each pixel's region.

    Returns:
        Corners x1, y1, x2, y2.
    """
    regions = _first_regions(pixels, labels)
    total = labels.size
    alike = {
        (a, b): _likeness(regions[a], regions[b], total)
        for a in regions
        for b in regions[a].neighbours
        if a < b
    }
    boxes = [region.box for region in regions.values()]
    number = len(regions)
    while alike:
        a, b = max(alike, key=alike.__getitem__)
        joined = regions[a].joined(regions[b])
        joined.neighbours = (regions[a].neighbours | regions[b].neighbours) - {a, b}
        alike = {pair: x for pair, x in alike.items() if not {a, b} & set(pair)}
        for other in joined.neighbours:
            regions[other].neighbours -= {a, b}
            regions[other].neighbours.add(number)
            alike[other, number] = _likeness(regions[other], joined, total)
        del regions[a], regions[b]
        regions[number] = joined
        boxes.append(joined.box)
        number += 1
    return boxes


def _first_regions(pixels: Array, labels: npt.NDArray[np.int64]) -> dict[int, _Region]:
    count = int(labels.max()) + 1
    bins = (pixels * _BINS).astype(np.int64).clip(0, _BINS - 1)  # (height, width, channels)
    channels = pixels.shape[2]
    places = (labels[..., None] * channels + np.arange(channels)) * _BINS + bins
    histograms = np.bincount(places.ravel(), minlength=count * channels * _BINS)
    sizes = np.bincount(labels.ravel(), minlength=count)
    colours = histograms.reshape(count, -1) / (sizes[:, None] * channels)  # rows sum to 1
    rows, columns = np.indices(labels.shape)
    ends = np.zeros((count, 4), np.int64)
    ends[:, :2] = labels.size
    for place, values in ((0, columns), (1, rows)):
        np.minimum.at(ends[:, place], labels, values)
        np.maximum.at(ends[:, place + 2], labels, values + 1)
    regions = {k: _Region(int(sizes[k]), tuple(ends[k].tolist()), colours[k]) for k in range(count)}
    beside = [(labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])]
    for first, second in beside:
        different = first != second
        pairs = np.stack([first[different], second[different]], axis=1)
        for a, b in np.unique(pairs, axis=0).tolist():
            regions[a].neighbours.add(b)
            regions[b].neighbours.add(a)
    return regions


def _around(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _likeness(a: _Region, b: _Region, total: int) -> float:
    """Common colours + both small + how well both fill their box: 0 to 3."""
    left, top, right, bottom = _around(a.box, b.box)
    colour = float(np.minimum(a.colours, b.colours).sum())
    size = 1 - (a.size + b.size) / total
    fill = 1 - ((right - left) * (bottom - top) - a.size - b.size) / total
    return colour + size + fill
