"""Which object each anchor or proposal is to find, and which of them a training step looks at."""

from collections.abc import Sequence

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors import Tensor, cat, randperm, uint8, where, zeros_like


class Matcher:
    """Gives each prediction the object it overlaps most, if it overlaps enough.

    Args:
        high_threshold: from this quality on a prediction belongs to its best object.
        low_threshold: below it, it is background (-1); between the two, neither (-2).
        allow_low_quality_matches: whether each object also gets those predictions that overlap
            it most, however little, so that no object is without one.

    >>> import narae
    >>> iou = narae.tensor([[0.9, 0.2, 0.55], [0.0, 0.4, 0.1]])  # 2 objects, 3 predictions
    >>> Matcher(0.7, 0.3, allow_low_quality_matches=False)(iou)
    tensor([ 0, -2, -2])
    >>> Matcher(0.7, 0.3, allow_low_quality_matches=True)(iou)
    tensor([ 0,  1, -2])
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(
        self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False
    ) -> None:
        if low_threshold > high_threshold:
            given = f"low_threshold {low_threshold}, high_threshold {high_threshold}"
            raise ConfigError(explain("Matcher", given, "the low one is not above the high one"))
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        """The object of each prediction, or a negative number.

        Args:
            match_quality_matrix: (objects, predictions), such as IoU.

        Returns: (predictions,) int64.

        Raises:
            DataError: there are no objects or no predictions.
        """
        if match_quality_matrix.numel() == 0:
            given = f"the qualities are {tuple(match_quality_matrix.shape)}"
            rule = "there is at least one object and one prediction"
            fix = "an image without objects is all background: do not match it"
            raise DataError(explain("Matcher", given, rule, fix))
        quality, best = match_quality_matrix.max(dim=0)  # (predictions,)
        matches = where(quality < self.high_threshold, self.BETWEEN_THRESHOLDS, best)
        matches = where(quality < self.low_threshold, self.BELOW_LOW_THRESHOLD, matches)
        if self.allow_low_quality_matches:
            most = match_quality_matrix.max(dim=1)[0]  # (objects,)
            wanted = (match_quality_matrix == most[:, None]).any(dim=0)  # (predictions,)
            matches = where(wanted, best, matches)
        return matches


class BalancedPositiveNegativeSampler:
    """Draws at most so many predictions an image, at most a share of them positive.

    Args:
        batch_size_per_image: how many are drawn, where there are enough.
        positive_fraction: the largest share of positive ones.

    >>> import narae
    >>> labels = narae.tensor([1.0, 0.0, 0.0, -1.0, 2.0])
    >>> positive, negative = BalancedPositiveNegativeSampler(2, 0.5)([labels])
    >>> positive[0].sum().item(), negative[0].sum().item()
    (1, 1)
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Draw from Narae's stream of random numbers.

        Args:
            matched_idxs: (n,) an image: 1 and more positive, 0 negative, less is left out.

        Returns: for each image a mask (n,) uint8 of the positive ones drawn; and of the negative.
        """
        positive, negative = [], []
        for matched in matched_idxs:
            places = where(matched >= 1)[0]
            most = int(self.batch_size_per_image * self.positive_fraction)
            drawn = _some_of(places, most)
            positive.append(_mask(matched, drawn))
            places = where(matched.eq(0))[0]
            rest = self.batch_size_per_image - len(drawn)
            negative.append(_mask(matched, _some_of(places, rest)))
        return positive, negative

    def padded(self, matched_idxs: Sequence[Tensor]) -> list[Tensor]:
        """The places drawn in each image, always `batch_size_per_image` of them.

        Where an image has too few, negative ones are repeated (or, without any, positive ones), so
        that what follows can be compiled for one count.

        Args:
            matched_idxs: as for a call.

        Returns: (batch_size_per_image,) int64 an image, positive ones first.

        Raises:
            DataError: an image has neither a positive nor a negative prediction.
        """
        found = []
        for image, (positive, negative) in enumerate(zip(*self(matched_idxs), strict=True)):
            places = cat((where(positive)[0], where(negative)[0]))
            if len(places) == 0:
                given = f"image {image} has no positive and no negative prediction"
                rule = "there is something to draw from"
                raise DataError(explain("BalancedPositiveNegativeSampler", given, rule))
            spare = where(negative)[0] if bool(negative.any()) else places
            while len(places) < self.batch_size_per_image:
                places = cat((places, spare[: self.batch_size_per_image - len(places)]))
            found.append(places)
        return found


def _some_of(places: Tensor, most: int) -> Tensor:
    return places[randperm(len(places))[:most]]


def _mask(like: Tensor, places: Tensor) -> Tensor:
    mask = zeros_like(like, dtype=uint8)
    mask[places] = 1
    return mask
