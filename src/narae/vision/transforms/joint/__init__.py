"""Transforms of a picture together with its boxes and masks.

A sample is `(image, target)`. The image is a Pillow image or a tensor (channels, height, width).
The target is a dict: "boxes" (n, 4), corners x1, y1, x2, y2 in pixels; "labels" (n,); "masks"
(n, height, width); "mask" (height, width); whatever else belongs to each box ("difficult",
"iscrowd", "area"). A target that is no dict is itself a mask of classes, as a Pillow image or a
tensor (height, width). Masks are moved as the image is, without mixing values.

    flip, size = joint.RandomHorizontalFlip(), joint.Resize((240, 320))
    train = joint.Compose([flip, size, joint.ToTensor()])
    image, target = train(image, target)

`targets` says what happens to boxes and masks, `containers` makes one transform of many, and there
is a file for each family: `flips`, `sizes`, `crops`, `images` (what changes the image alone).
"""

from .containers import Compose, RandomApply
from .crops import RandomCrop, RandomResizedCrop
from .flips import RandomHorizontalFlip, RandomVerticalFlip
from .images import ColorJitter, Normalize, OnImage, ToTensor
from .sizes import Pad, Resize
from .targets import JointTransform

__all__ = [
    "ColorJitter",
    "Compose",
    "JointTransform",
    "Normalize",
    "OnImage",
    "Pad",
    "RandomApply",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Resize",
    "ToTensor",
]
