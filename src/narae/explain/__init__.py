"""Looking at what was trained: reports, heat maps, receptive fields, attention,
gates, and how far gradients reach through time.

narae.explain.grad_cam(model, image).save("why.png")
"""

from .attention_maps import AttentionMaps, attention_maps
from .feature_maps import FeatureMaps, feature_maps
from .gate_traces import GateTraces, gate_traces
from .grad_cam import HeatMap, grad_cam
from .gradient_flow import GradientFlow, rnn_gradient_flow
from .position_map import PositionMap, position_map
from .receptive_field import FieldRow, chain_fields, receptive_field
from .unrolled import unrolled

__all__ = [
    "AttentionMaps",
    "FeatureMaps",
    "FieldRow",
    "GateTraces",
    "GradientFlow",
    "HeatMap",
    "PositionMap",
    "attention_maps",
    "chain_fields",
    "feature_maps",
    "gate_traces",
    "grad_cam",
    "position_map",
    "receptive_field",
    "rnn_gradient_flow",
    "unrolled",
]
