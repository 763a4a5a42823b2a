"""Samples of losses."""

import math
from typing import Any

import numpy as np

from .samples import add_sample, array, index

_X, _Z = array(4, 3), array(4, 3, low=-1.3, high=2.4)
_SHARE, _GOAL = array(4, 3, low=0.1, high=0.9), array(4, 3, low=0.05, high=0.95)
_WEIGHT = array(3, low=0.4, high=1.6)
_SIGN = np.where(index(4, 3, below=2) > 0, 1.0, -1.0)
_FAR = _Z[::-1] * 1.3

for _reduction in ("none", "sum", "mean"):
    add_sample("mse_loss", _X, _Z, reduction=_reduction)
    add_sample("l1_loss", _X, _Z, reduction=_reduction)
    add_sample("smooth_l1_loss", _X, _Z, reduction=_reduction, beta=0.8)
    add_sample("huber_loss", _X, _Z, reduction=_reduction, delta=0.8)
    for _weight in (None, _WEIGHT):
        add_sample("binary_cross_entropy", _SHARE, _GOAL, _weight, reduction=_reduction, fixed=(2,))
        for _pos_weight in (None, _WEIGHT[::-1].copy()):
            add_sample(
                "binary_cross_entropy_with_logits",
                _X,
                _GOAL,
                _weight,
                _pos_weight,
                reduction=_reduction,
                fixed=(2, 3),
            )
        add_sample(
            "multilabel_soft_margin_loss", _X, _GOAL, _weight, reduction=_reduction, fixed=(2,)
        )
    add_sample("kl_div", _X, _GOAL, log_target=False, reduction=_reduction)
    add_sample("kl_div", _X, _Z, log_target=True, reduction=_reduction)
    add_sample("soft_margin_loss", _X, _SIGN, reduction=_reduction)
    for _log_input in (True, False):
        add_sample(
            "poisson_nll_loss",
            _GOAL,
            array(4, 3, low=0.3, high=4),
            log_input=_log_input,
            full=True,
            eps=1e-8,
            reduction=_reduction,
        )
    add_sample(
        "gaussian_nll_loss",
        _X,
        _Z,
        array(4, 1, low=0.3, high=1.5),
        full=True,
        eps=1e-6,
        reduction=_reduction,
    )
    add_sample("hinge_embedding_loss", _X, _SIGN, margin=1.0, reduction=_reduction, fixed=(1,))
    add_sample("margin_ranking_loss", _X, _Z, _SIGN, margin=0.2, reduction=_reduction)
    add_sample(
        "cosine_embedding_loss", _X, _Z, _SIGN[:, 0].copy(), margin=0.1, reduction=_reduction,
        fixed=(2,),
    )  # fmt: skip
    for _p, _swap in ((2.0, False), (2.0, True), (1.0, False), (3.0, False)):
        add_sample(
            "triplet_margin_loss",
            _X,
            _Z,
            _FAR,
            margin=1.0,
            p=_p,
            eps=1e-6,
            swap=_swap,
            reduction=_reduction,
        )
    add_sample(
        "triplet_hinge", array(4), array(4, low=-1, high=3), margin=1.0, reduction=_reduction
    )
    for _weight in (None, _WEIGHT):
        for _power in (1, 2):
            add_sample(
                "multi_margin_loss",
                _X,
                index(4, below=3),
                _weight,
                p=_power,
                margin=1.0,
                reduction=_reduction,
                fixed=(2,),
            )
    add_sample(
        "multilabel_margin_loss",
        _X,
        np.array([[0, -1, 1], [2, 1, -1], [1, 0, 2], [-1, 0, 1]]),
        reduction=_reduction,
    )
for _p in (1.0, 2.0, 3.0, math.inf):
    add_sample("pairwise_distance", _X, _Z, p=_p, eps=1e-6)

# --- classes --------------------------------------------------------------------------------

_LABELS, _PIXELS = np.array([0, 2, -100, 1]), index(2, 2, 2, below=3)
for _reduction in ("none", "sum", "mean"):
    for _weight in (None, _WEIGHT):
        _options: dict[str, Any] = {"reduction": _reduction, "ignore_index": -100}
        add_sample("nll_loss", _X, _LABELS, _weight, fixed=(2,), **_options)
        add_sample(
            "nll_loss_grad",
            array(4, low=0.2, high=1) if _reduction == "none" else array(low=0.2, high=1),
            _X,
            _LABELS,
            _weight,
            fixed=(3,),
            **_options,
        )
        add_sample("nll_loss_2d", array(2, 3, 2, 2), _PIXELS, _weight, fixed=(2,), **_options)
        for _smoothing in (0.0, 0.1):
            _options["label_smoothing"] = _smoothing
            add_sample("cross_entropy", _X, _LABELS, _weight, fixed=(2,), **_options)
            add_sample(
                "cross_entropy_2d", array(2, 3, 2, 2), _PIXELS, _weight, fixed=(2,), **_options
            )
            add_sample(
                "cross_entropy_grad",
                array(4, low=0.2, high=1) if _reduction == "none" else array(low=0.2, high=1),
                _LABELS,
                _weight,
                _X - 2.5,
                fixed=(2,),
                **_options,
            )
            add_sample(
                "cross_entropy_soft",
                _X,
                _GOAL,
                _weight,
                reduction=_reduction,
                label_smoothing=_smoothing,
            )
add_sample(
    "cross_entropy", array(3), np.array(1), None, reduction="mean", ignore_index=-100,
    label_smoothing=0.0,
)  # fmt: skip
