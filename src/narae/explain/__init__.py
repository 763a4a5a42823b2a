"""Looking at what was trained: reports, heat maps, feature maps, receptive fields.

narae.explain.grad_cam(model, image).save("why.png")
"""

from .feature_maps import FeatureMaps, feature_maps
from .grad_cam import HeatMap, grad_cam
from .receptive_field import FieldRow, chain_fields, receptive_field

__all__ = [
    "FeatureMaps",
    "FieldRow",
    "HeatMap",
    "chain_fields",
    "feature_maps",
    "grad_cam",
    "receptive_field",
]
