"""How good a model of pictures is."""

from .average_precision import average_precision, precision_and_recall
from .detection import DetectionScores
from .detector import detection_scores, main_numbers
from .segmentation import SegmentationScores, segmentation_scores

__all__ = [
    "DetectionScores",
    "SegmentationScores",
    "average_precision",
    "detection_scores",
    "main_numbers",
    "precision_and_recall",
    "segmentation_scores",
]
