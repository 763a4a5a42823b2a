"""Mixed samples with mixed labels: what all ways of mixing share, and mixup."""

from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors import Tensor
from narae.tensors.beta import beta
from narae.tensors.random import randperm

from ..callback import Callback
from ..checks import positive
from ..step import Step
from ..trainer import Trainer


class Mixing(Callback):
    """Mixes each sample of a batch with another one of it, and the losses likewise.

    The loss is share · loss(out, target) + (1 - share) · loss(out, target of the other), for any
    loss. Loss and metrics that are shown are those of the sample's own target.

    A training has one way of mixing; `MixupOrCutMix` takes turns between two.
    """

    order = 10

    def on_fit_start(self, trainer: Trainer) -> None:
        """Refuse to mix what another one mixes too: only the last would mix its losses rightly.

        Raises:
            ConfigError: naming the other one.
        """
        for other in trainer.callbacks:
            if isinstance(other, Mixing) and other is not self:
                given = f"{type(other).__name__} mixes the batches of this training, too"
                rule, fix = "there is one way of mixing", "MixupOrCutMix(mixup, cutmix) has both"
                raise ConfigError(explain(type(self).__name__, given, rule, fix))

    def mix(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed inputs, and the share of `x` in them (0-d)."""
        given = f"{type(self).__name__} has no method mix"
        raise NotImplementedError(explain("Mixing", given, "a way of mixing says how in it"))

    def on_batch(self, step: Step) -> None:
        """Mix the inputs, and remember how."""
        x = self._inputs(step)
        order = randperm(len(x))  # (batch,)
        mixed, share = self.mix(x, x[order])
        step.batch = (mixed, *step.batch[1:])
        step.notes["mixing"] = order, share

    def on_loss(self, step: Step) -> None:
        """Mix the losses in the same way."""
        order, share = step.notes["mixing"]
        target = step.target
        if not isinstance(target, Tensor) or tuple(target.shape[:1]) != tuple(order.shape):
            given = f"the target is {_described(target)} for a batch of {len(order)}"
            raise DataError(explain(type(self).__name__, given, "each sample has a row of it"))
        others = step.loss_of(step.out, target[order])
        step.loss = share * step.loss + (1 - share) * others

    def _inputs(self, step: Step) -> Tensor:
        batch = step.batch
        if len(batch) == 2 and isinstance(batch[0], Tensor) and batch[0].is_floating_point():
            return batch[0]
        given = f"a batch is ({', '.join(map(_described, batch))})"
        rule = "mixing takes (x, target) with an x of floating point numbers"
        fix = "mix where the inputs are numbers, such as after an embedding, or leave it out"
        raise DataError(explain(type(self).__name__, given, rule, fix))


class Mixup(Mixing):
    """Straight lines between samples: share · x + (1 - share) · other, share ~ Beta(alpha, alpha).

    Zhang, Cissé, Dauphin & Lopez-Paz 2017, "mixup: Beyond Empirical Risk Minimization", eq. 1; one
    share for a batch, as there. Of λ and 1 - λ the larger is the sample's own (as in fastai), which
    changes nothing for the training, since each pair is as probable the other way round; but the
    loss and the accuracy that are shown are then of the label that there is more of.

    Args:
        alpha: 0.1 to 0.4 on ImageNet in the paper, 1 on CIFAR; the larger, the more is mixed.

    Raises:
        ConfigError: if alpha is not positive.

    >>> Mixup(0.2).alpha
    0.2
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = positive("Mixup", "alpha", alpha)

    def mix(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed inputs, and the share of `x` in them."""
        share = beta(self.alpha, self.alpha, dtype=x.dtype)  # ()
        share = share.maximum(1 - share)  # the pairs are as probable the other way round
        return share * x + (1 - share) * other, share


def _described(item: Any) -> str:
    if isinstance(item, Tensor):
        return f"{item.dtype} {tuple(item.shape)}".removeprefix("narae.")
    return type(item).__name__
