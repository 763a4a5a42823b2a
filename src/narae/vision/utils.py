"""Drawing under the names of torchvision.utils."""

from .drawing import draw_bounding_boxes, draw_segmentation_masks
from .grids import make_grid, save_image

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]
