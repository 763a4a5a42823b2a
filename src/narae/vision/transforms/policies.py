"""Augmentation by ready-made policies: AutoAugment, RandAugment, TrivialAugment, AugMix."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors.creation import linspace

from . import draws
from .containers import Transform
from .functional import colours, converting, filtering, tones, warping
from .functional.images import Fill, InterpolationMode, get_dimensions, interpolation_of, is_tensor
from .policy_tables import POLICIES

_NEAREST = InterpolationMode.NEAREST
_TO_THE_WIDTH = 150.0 / 331.0  # the search was done on pictures of 331 pixels, moved by up to 150
_BINS, _SEVEREST = 10, 10


class AutoAugmentPolicy(Enum):
    """Which data set a policy was searched on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


Levels = Sequence[float] | None
# Name of a change: how strong it is at each level (None: it has no strength), and whether it goes
# both ways.
Space = dict[str, tuple[Levels, bool]]


def _levels(low: float, high: float, count: int) -> list[float]:
    return [float(number) for number in linspace(low, high, count).tolist()]


def _bits(most: int, fewer: int, count: int) -> list[float]:
    """How many bits posterizing keeps at each level."""
    steps = np.arange(count, dtype=np.float32) / np.float32((count - 1) / fewer)
    return [float(most - np.round(step)) for step in steps]


def search_space(
    count: int,
    move: tuple[float, float],
    shear: float = 0.3,
    angle: float = 30.0,
    factor: float = 0.9,
    bits: tuple[int, int] = (8, 4),
) -> Space:
    """The changes that a policy chooses from, from no strength to the greatest.

    Args:
        count: how many levels.
        move: greatest translation in pixels along (x, y).
        shear: greatest shear, as a tangent.
        angle: greatest rotation in degrees.
        factor: greatest change of colour, brightness, contrast and sharpness.
        bits: (bits that posterizing keeps at level 0, how many fewer at the last).
    """
    return {
        "Identity": (None, False),
        "ShearX": (_levels(0.0, shear, count), True),
        "ShearY": (_levels(0.0, shear, count), True),
        "TranslateX": (_levels(0.0, move[0], count), True),
        "TranslateY": (_levels(0.0, move[1], count), True),
        "Rotate": (_levels(0.0, angle, count), True),
        "Brightness": (_levels(0.0, factor, count), True),
        "Color": (_levels(0.0, factor, count), True),
        "Contrast": (_levels(0.0, factor, count), True),
        "Sharpness": (_levels(0.0, factor, count), True),
        "Posterize": (_bits(*bits, count), False),
        "Solarize": (_levels(255.0, 0.0, count), False),
        "AutoContrast": (None, False),
        "Equalize": (None, False),
    }


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "Identity": lambda img: img,
    "AutoContrast": tones.autocontrast,
    "Equalize": tones.equalize,
    "Invert": tones.invert,
}
_BY_STRENGTH: dict[str, Callable[[Any, float], Any]] = {
    "Brightness": lambda img, strength: colours.adjust_brightness(img, 1.0 + strength),
    "Color": lambda img, strength: colours.adjust_saturation(img, 1.0 + strength),
    "Contrast": lambda img, strength: colours.adjust_contrast(img, 1.0 + strength),
    "Sharpness": lambda img, strength: filtering.adjust_sharpness(img, 1.0 + strength),
    "Posterize": lambda img, strength: tones.posterize(img, int(strength)),
    "Solarize": tones.solarize,
}


def change(img: Any, name: str, strength: float, mode: Any, fill: Fill) -> Any:
    """The picture after one change of a search space."""
    if name in _PLAIN:
        return _PLAIN[name](img)
    if name in _BY_STRENGTH:
        return _BY_STRENGTH[name](img, strength)
    if name == "Rotate":
        return warping.rotate(img, strength, mode, fill=fill)
    along_x = name.endswith("X")
    if name.startswith("Translate"):
        moved = (int(strength), 0) if along_x else (0, int(strength))
        return warping.affine(img, 0.0, moved, 1.0, (0.0, 0.0), mode, fill)
    degrees = float(np.degrees(np.arctan(strength)))
    shear = (degrees, 0.0) if along_x else (0.0, degrees)
    return warping.affine(img, 0.0, (0, 0), 1.0, shear, mode, fill, center=(0, 0))


class _Policy(Transform):
    """What the policies share."""

    def __init__(self, interpolation: Any, fill: Fill) -> None:
        super().__init__()
        self.interpolation, self.fill = interpolation_of(interpolation), fill

    def change(self, img: Any, name: str, strength: float) -> Any:
        """The picture after one change."""
        return change(img, name, strength, self.interpolation, self.fill)

    def change_randomly(self, img: Any, space: Space, level: int | Callable[[], int]) -> Any:
        """One random change; the level is given, or drawn if the change has any."""
        name = list(space)[draws.integer(0, len(space))]
        levels, both_ways = space[name]
        strength = 0.0
        if levels is not None:
            strength = levels[level() if callable(level) else level]
        if both_ways and draws.integer(0, 2):
            strength = -strength
        return self.change(img, name, strength)


class AutoAugment(_Policy):
    """One of 25 pairs of changes, each with its probability, as a search found them.

    Args:
        policy: the data set that the search was for.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.

    Source: E. Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data",
    arXiv:1805.09501, 2018, tables 7-9.
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = _NEAREST,
        fill: Fill = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not isinstance(policy, AutoAugmentPolicy):
            given = f"The provided policy {policy!r} is not recognized"
            raise ConfigError(explain("AutoAugment", given, "it is one of AutoAugmentPolicy"))
        self.policy = policy
        self.policies = POLICIES[policy.value]

    def forward(self, img: Any) -> Any:
        _, height, width = get_dimensions(img)
        pair = self.policies[draws.integer(0, len(self.policies))]
        chances = [draws.share() for _ in pair]
        forward = [draws.integer(0, 2) for _ in pair]
        space = search_space(_BINS, (_TO_THE_WIDTH * width, _TO_THE_WIDTH * height))
        for (name, p, level), chance, ahead in zip(pair, chances, forward, strict=True):
            if chance > p:
                continue
            levels, both_ways = space.get(name, (None, False))
            strength = levels[level] if levels is not None and level is not None else 0.0
            img = self.change(img, name, -strength if both_ways and not ahead else strength)
        return img

    def extra_repr(self) -> str:
        return f"policy={self.policy}, fill={self.fill}"


class RandAugment(_Policy):
    """Some random changes, all of one strength.

    Args:
        num_ops: how many changes, one after the other.
        magnitude: their strength: a level from 0 to num_magnitude_bins - 1.
        num_magnitude_bins: how many levels there are.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.

    Source: E. Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
    search space", arXiv:1909.13719, 2019.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = _NEAREST,
        fill: Fill = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            given = f"magnitude is {magnitude}"
            rule = f"there are the levels 0 to {num_magnitude_bins - 1} (num_magnitude_bins - 1)"
            raise ConfigError(explain("RandAugment", given, rule))
        self.num_ops, self.magnitude = num_ops, magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        _, height, width = get_dimensions(img)
        move = (_TO_THE_WIDTH * width, _TO_THE_WIDTH * height)
        space = search_space(self.num_magnitude_bins, move)
        for _ in range(self.num_ops):
            img = self.change_randomly(img, space, self.magnitude)
        return img

    def extra_repr(self) -> str:
        return (
            f"num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill}"
        )


class TrivialAugmentWide(_Policy):
    """One random change of random strength; nothing to tune.

    Args:
        num_magnitude_bins: how many levels of strength there are.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.

    Source: S. Müller, F. Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
    Augmentation", arXiv:2103.10158, 2021.
    """

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = _NEAREST, fill: Fill = None
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        count = self.num_magnitude_bins
        space = search_space(count, (32.0, 32.0), 0.99, 135.0, 0.99, (8, 6))
        return self.change_randomly(img, space, lambda: draws.integer(0, count))

    def extra_repr(self) -> str:
        return (
            f"num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill}"
        )


class AugMix(_Policy):
    """The picture mixed with some chains of changes of it, by random shares.

    Args:
        severity: the strongest level, 1 to 10.
        mixture_width: how many chains.
        chain_depth: how long each is; 1 to 3 at random if it is not positive.
        alpha: of the Dirichlet and Beta distributions of the shares.
        all_ops: also change brightness, colour, contrast and sharpness.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.

    Source: D. Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and
    Uncertainty", arXiv:1912.02781, 2019.
    """

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Fill = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= _SEVEREST:
            rule = f"The severity must be between [1, {_SEVEREST}]"
            raise ConfigError(explain("AugMix", f"severity is {severity}", rule))
        self.severity, self.mixture_width = severity, mixture_width
        self.chain_depth, self.alpha, self.all_ops = chain_depth, alpha, all_ops

    def forward(self, img: Any) -> Any:
        as_tensor = is_tensor(img, "AugMix")
        picture = img if as_tensor else converting.pil_to_tensor(img)
        space = self._space(picture)
        own, changed = draws.dirichlet([self.alpha] * 2)
        shares = changed * draws.dirichlet([self.alpha] * self.mixture_width)
        mix = float(own) * picture
        for share in shares:
            mix = mix + float(share) * self._chain(picture, space)
        mix = mix.to(picture.dtype)
        return mix if as_tensor else converting.to_pil_image(mix)

    def _chain(self, picture: Any, space: Space) -> Any:
        depth = self.chain_depth if self.chain_depth > 0 else draws.integer(1, 4)
        for _ in range(depth):
            level = draws.integer(0, self.severity)
            picture = self.change_randomly(picture, space, level)
        return picture

    def _space(self, picture: Any) -> Space:
        _, height, width = get_dimensions(picture)
        space = search_space(_SEVEREST, (width / 3.0, height / 3.0), bits=(4, 4))
        left_out = {"Identity"}
        if not self.all_ops:
            left_out |= {"Brightness", "Color", "Contrast", "Sharpness"}
        return {name: levels for name, levels in space.items() if name not in left_out}

    def extra_repr(self) -> str:
        return (
            f"severity={self.severity}, mixture_width={self.mixture_width}, "
            f"chain_depth={self.chain_depth}, alpha={self.alpha}, all_ops={self.all_ops}, "
            f"interpolation={self.interpolation}, fill={self.fill}"
        )
