"""The focal loss, in which examples that are already right count little."""

import narae.nn.functional as F
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor, sigmoid

from .boxes import reduced


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """`-alpha_t (1 - p_t)^gamma log(p_t)`, p_t being the probability of what is true.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.

    Args:
        inputs: logits of any shape.
        targets: the same shape, 0 or 1.
        alpha: the weight of positive examples, 0 to 1; -1 for none.
        gamma: how fast examples that are right lose their weight; 0: cross entropy.
        reduction: "none", "mean" or "sum".

    Raises:
        ConfigError: alpha outside its range.

    >>> import narae
    >>> sigmoid_focal_loss(narae.tensor([0.0, 4.0]), narae.tensor([1.0, 1.0]))
    tensor([4.3322e-02, 1.4679e-06])
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        given = f"alpha is {alpha}"
        raise ConfigError(explain("sigmoid_focal_loss", given, "it is in 0 to 1, or -1 for none"))
    p = sigmoid(inputs)
    entropy = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_true = p * targets + (1 - p) * (1 - targets)
    loss = entropy * (1 - p_true) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return reduced(loss, reduction, "sigmoid_focal_loss")
