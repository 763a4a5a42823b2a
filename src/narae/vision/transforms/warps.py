"""Transforms that rotate, shear and change the perspective at random."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import ConfigError, DTypeError, explain

from . import draws
from .containers import Transform
from .functional import warping
from .functional.images import Fill, InterpolationMode, get_dimensions, interpolation_of

_NEAREST = InterpolationMode.NEAREST
Points = list[list[int]]


class _Warp(Transform):
    """What the transforms of this file share: interpolation and fill."""

    def __init__(self, interpolation: Any, fill: Fill) -> None:
        super().__init__()
        self.interpolation = interpolation_of(interpolation)
        if fill is not None and not isinstance(fill, int | float | Sequence):
            rule = "Fill should be either a sequence or a number."
            raise DTypeError(explain(type(self).__name__, f"fill is {fill!r}", rule))
        self.fill: Any = 0 if fill is None else fill


class RandomRotation(_Warp):
    """The picture rotated by a random angle.

    Args:
        degrees: (least, greatest), counter-clockwise; one number x means (-x, x).
        interpolation: how values between pixels are found.
        expand: make the result so large that nothing is cut off.
        center: (x, y) of what stays in place; the middle by default.
        fill: what appears outside of the picture: a number, or one a channel.

    >>> RandomRotation(15)
    RandomRotation(degrees=[-15.0, 15.0], interpolation=nearest, expand=False, fill=0)
    """

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = _NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Fill = 0,
    ) -> None:
        super().__init__(interpolation, fill)
        self.degrees = draws.angle_range(degrees, "degrees", "RandomRotation")
        if center is not None:
            draws.check_sequence(center, "center", "RandomRotation")
        self.expand, self.center = expand, center

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """A random angle."""
        return draws.uniform(*degrees)

    def forward(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return warping.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    def extra_repr(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill}"
        )


class RandomAffine(_Warp):
    """The picture rotated, moved, scaled and sheared at random.

    Args:
        degrees: (least, greatest) angle, clockwise; one number x means (-x, x).
        translate: how far to move at most, as shares of (width, height).
        scale: (least, greatest).
        shear: degrees along x (least, greatest), or of x and y (four numbers); one number x
            means (-x, x).
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.
        center: (x, y) of what stays in place; the middle by default.

    >>> RandomAffine(10, translate=(0.1, 0.1))
    RandomAffine(degrees=[-10.0, 10.0], translate=(0.1, 0.1))
    """

    def __init__(
        self,
        degrees: Any,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Any = None,
        interpolation: Any = _NEAREST,
        fill: Fill = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__(interpolation, fill)
        what = "RandomAffine"
        self.degrees = draws.angle_range(degrees, "degrees", what)
        for name, value in (("translate", translate), ("scale", scale), ("center", center)):
            if value is not None:
                draws.check_sequence(value, name, what)
        if translate is not None and not all(0 <= share <= 1 for share in translate):
            rule = "translation values should be between 0 and 1"
            raise ConfigError(explain(what, f"translate is {translate}", rule))
        if scale is not None and min(scale) <= 0:
            rule = "scale values should be positive"
            raise ConfigError(explain(what, f"scale is {scale}", rule))
        self.translate, self.scale, self.center = translate, scale, center
        self.shear = None if shear is None else draws.angle_range(shear, "shear", what, (2, 4))

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """A random angle, translation, scale and shear for a picture of (width, height)."""
        angle = draws.uniform(*degrees)
        moved = [0, 0]
        if translate is not None:
            most = [float(share * size) for share, size in zip(translate, img_size, strict=True)]
            moved = [round(draws.uniform(-limit, limit)) for limit in most]
        scale = 1.0 if scale_ranges is None else draws.uniform(*scale_ranges)
        shear_x = 0.0 if shears is None else draws.uniform(shears[0], shears[1])
        both = shears is not None and len(shears) == 4
        shear_y = draws.uniform(shears[2], shears[3]) if both and shears is not None else 0.0
        return angle, (moved[0], moved[1]), scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        _, height, width = get_dimensions(img)
        chosen = self.get_params(
            self.degrees, self.translate, self.scale, self.shear, (width, height)
        )
        return warping.affine(
            img, *chosen, interpolation=self.interpolation, fill=self.fill, center=self.center
        )

    def extra_repr(self) -> str:
        said = {
            "translate": self.translate,
            "scale": self.scale,
            "shear": self.shear,
            "interpolation": None if self.interpolation is _NEAREST else self.interpolation.value,
            "fill": self.fill or None,
            "center": self.center,
        }
        rest = "".join(f", {name}={value}" for name, value in said.items() if value is not None)
        return f"degrees={self.degrees}{rest}"


class RandomPerspective(_Warp):
    """The picture as seen from another side, with a probability.

    Args:
        distortion_scale: how far the corners move towards the middle at most: 0 to 1.
        p: the probability.
        interpolation: how values between pixels are found.
        fill: what appears outside of the picture: a number, or one a channel.
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Fill = 0,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 0 <= distortion_scale <= 1:
            given = f"distortion_scale is {distortion_scale}"
            raise ConfigError(explain("RandomPerspective", given, "it lies in 0 to 1"))
        self.p = draws.check_probability(p, "RandomPerspective")
        self.distortion_scale = distortion_scale

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[Points, Points]:
        """The four corners, and four random points near them."""
        across = int(distortion_scale * (width // 2)) + 1
        down = int(distortion_scale * (height // 2)) + 1
        ends = [
            [(0, across), (0, down)],
            [(width - across, width), (0, down)],
            [(width - across, width), (height - down, height)],
            [(0, across), (height - down, height)],
        ]
        endpoints = [[draws.integer(*x), draws.integer(*y)] for x, y in ends]
        right, bottom = width - 1, height - 1
        return [[0, 0], [right, 0], [right, bottom], [0, bottom]], endpoints

    def forward(self, img: Any) -> Any:
        _, height, width = get_dimensions(img)
        if draws.share() >= self.p:
            return img
        points = self.get_params(width, height, self.distortion_scale)
        return warping.perspective(img, *points, self.interpolation, self.fill)

    def extra_repr(self) -> str:
        return f"p={self.p}"
