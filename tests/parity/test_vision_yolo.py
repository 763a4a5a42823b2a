"""The loss of YOLO v1 and its gradient, against the paper's equation as loops in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.vision.models.detection.yolo import decode, yolo_loss  # noqa: E402

HEIGHT, WIDTH, ROWS, COLUMNS, BOXES, CLASSES = 24, 40, 3, 4, 2, 3
SIZE = (HEIGHT, WIDTH)


def corners(said, row, column):
    """x1, y1, x2, y2 in pixels of what a cell says of one box."""
    x = (column + said[0]) / COLUMNS * WIDTH
    y = (row + said[1]) / ROWS * HEIGHT
    w, h = said[2] ** 2 * WIDTH, said[3] ** 2 * HEIGHT
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap(a, b):
    across = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    down = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    area = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return across * down / max(area - across * down, 1e-9)


def loss_by_loops(out, boxes, labels):
    """Equation 3, cell by cell: (place, size, object, no_object, class)."""
    place = size = there = nothing = kind = torch.zeros(())
    for image in range(len(out)):
        objects: dict = {}
        for box, label in zip(boxes[image].tolist(), labels[image].tolist(), strict=True):
            if label:
                x = (box[0] + box[2]) / 2 / WIDTH * COLUMNS
                y = (box[1] + box[3]) / 2 / HEIGHT * ROWS
                cell = min(int(y), ROWS - 1), min(int(x), COLUMNS - 1)
                objects.setdefault(cell, (box, label, x - cell[1], y - cell[0]))
        for row in range(ROWS):
            for column in range(COLUMNS):
                cell = out[image, :, row, column]
                said = [cell[5 * b : 5 * b + 5] for b in range(BOXES)]
                found = objects.get((row, column))
                responsible = -1
                if found is not None:
                    box, label, x, y = found
                    ious = [overlap(corners(b.detach(), row, column), box) for b in said]
                    responsible = int(np.argmax(ious))
                    own = said[responsible]
                    w, h = (box[2] - box[0]) / WIDTH, (box[3] - box[1]) / HEIGHT
                    place = place + (own[0] - x) ** 2 + (own[1] - y) ** 2
                    size = size + (own[2] - w**0.5) ** 2 + (own[3] - h**0.5) ** 2
                    there = there + (own[4] - ious[responsible]) ** 2
                    for c in range(CLASSES):
                        wanted = float(label == c + 1)
                        kind = kind + (cell[5 * BOXES + c] - wanted) ** 2
                for b in range(BOXES):
                    if b != responsible:
                        nothing = nothing + said[b][4] ** 2
    count = len(out)
    parts = (5 * place, 5 * size, there, 0.5 * nothing, kind)
    return [part / count for part in parts]


def batch(seed: int):
    rng = np.random.default_rng(seed)
    out = rng.normal(0.4, 0.3, (3, 5 * BOXES + CLASSES, ROWS, COLUMNS)).astype(np.float32)
    corner = rng.uniform(0, [WIDTH - 2, HEIGHT - 2], (3, 6, 2))
    sides = rng.uniform(1, 12, (3, 6, 2))
    boxes = np.concatenate([corner, np.minimum(corner + sides, [WIDTH, HEIGHT])], -1)
    labels = rng.integers(0, CLASSES + 1, (3, 6))
    labels[2] = 0  # an image without objects
    return out, boxes.astype(np.float32), labels


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_loss_is_equation_3(seed, compiled):
    """I19: the loss of the paper, its five parts and their gradient."""
    out, boxes, labels = batch(seed)
    theirs = torch.tensor(out, requires_grad=True)
    expected = loss_by_loops(theirs, boxes, labels)
    sum(expected).backward()

    def step(x):
        x.requires_grad_()
        found = yolo_loss(x, narae.from_numpy(boxes), narae.from_numpy(labels), SIZE, BOXES)
        (grad,) = narae.autograd.grad(sum(found.values()), x)
        return list(found.values()), grad

    run = narae.compile(step) if compiled else step
    parts, grad = run(narae.from_numpy(out.copy()))
    np.testing.assert_allclose(
        [float(x) for x in parts], [x.item() for x in expected], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(grad.detach(), theirs.grad, rtol=1e-3, atol=1e-5)


def test_boxes_are_where_their_cells_are():
    """I19: x and y within the cell, width and height by their roots, in units of the image."""
    out, _, _ = batch(4)
    boxes, confidence, classes = decode(narae.from_numpy(out), SIZE, BOXES)
    for row in range(ROWS):
        for column in range(COLUMNS):
            cell = out[1, :, row, column]
            place = row * COLUMNS + column
            for b in range(BOXES):
                expected = corners(cell[5 * b : 5 * b + 5], row, column)
                np.testing.assert_allclose(boxes[1, place, b], expected, rtol=1e-4, atol=1e-4)
                assert float(confidence[1, place, b]) == pytest.approx(cell[5 * b + 4])
            np.testing.assert_allclose(classes[1, place], cell[5 * BOXES :])
