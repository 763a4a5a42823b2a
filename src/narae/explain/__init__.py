"""Looking at what was trained: reports, heat maps, feature maps, receptive fields, attention.

narae.explain.grad_cam(model, image).save("why.png")
"""

from .attention_maps import AttentionMaps, attention_maps
from .feature_maps import FeatureMaps, feature_maps
from .grad_cam import HeatMap, grad_cam
from .position_map import PositionMap, position_map
from .receptive_field import FieldRow, chain_fields, receptive_field

__all__ = [
    "AttentionMaps",
    "FeatureMaps",
    "FieldRow",
    "HeatMap",
    "PositionMap",
    "attention_maps",
    "chain_fields",
    "feature_maps",
    "grad_cam",
    "position_map",
    "receptive_field",
]
