"""Samples of attention: masks of every kind, dropout, shared heads, hidden rows, nothing at all."""

from typing import Any

import numpy as np

from .samples import add_sample, array, index, turned

_PLAIN: dict[str, Any] = {"scale": 0.5, "causal": False, "keep_scale": 1.0}
_CAUSAL: dict[str, Any] = {"scale": 0.7, "causal": True, "keep_scale": 1.0}
_DROPPED: dict[str, Any] = {"scale": 0.5, "causal": False, "keep_scale": 2.0}
_Q, _K, _V = array(2, 3, 4), array(2, 5, 4), array(2, 5, 2)
_KEEP = index(2, 3, 5, below=2) > 0
_OPEN = index(3, 5, below=3) > 0
_OPEN[1] = False  # the second query may look at nothing

add_sample("attention", _Q, _K, _V, None, None, **_PLAIN)
add_sample("attention", _Q, turned(_K), _V, array(3, 5), None, **_PLAIN)
add_sample("attention", _Q, _K, _V, _OPEN, None, **_PLAIN)
add_sample("attention", _Q, _K, _V, None, None, **_CAUSAL)
add_sample("attention", _Q, _K, _V, array(2, 1, 5), _KEEP, **_DROPPED)
add_sample("attention", array(3, 4), _K, _V[:1], None, None, **_CAUSAL)
add_sample("attention", _Q, np.zeros((2, 0, 4)), np.zeros((2, 0, 2)), None, None, **_PLAIN)

_WEIGHTS = array(2, 3, 5, low=0.1, high=0.3)
for _keep, _scale in ((None, 1.0), (_KEEP, 2.0)):
    add_sample(
        "attention_grad",
        array(2, 3, 2),
        _Q,
        _K,
        _V,
        _WEIGHTS,
        _keep,
        scale=0.5,
        keep_scale=_scale,
    )
