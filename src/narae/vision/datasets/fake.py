"""Pictures of noise, for trying programs out."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import BoundsError, explain
from narae.tensors.random import Generator, randint, randn
from narae.vision.transforms.functional import to_pil_image

from .pictures import Transform, VisionDataset


class FakeData(VisionDataset):
    """Random pictures with random labels; sample i is the same each time.

    Args:
        size: how many.
        image_size: (channels, height, width).
        num_classes: labels are 0 to num_classes - 1.
        transform: applied to each picture.
        target_transform: applied to each label.
        random_offset: added to the index, which is the seed of a sample.

    >>> dataset = FakeData(size=4, image_size=(3, 8, 8), num_classes=3)
    >>> image, label = dataset[2]
    >>> image.size, dataset[2][1] == label
    ((8, 8), True)
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(None, transform=transform, target_transform=target_transform)
        self.size, self.image_size, self.num_classes = size, tuple(image_size), num_classes
        self.random_offset = random_offset

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            rule = f"{len(self)} samples have the indices 0 to {len(self) - 1}"
            raise BoundsError(explain("FakeData", f"{index}: index out of range", rule))
        generator = Generator().manual_seed(index + self.random_offset)
        picture: Any = to_pil_image(randn(*self.image_size, generator=generator))
        target: Any = int(randint(0, self.num_classes, (1,), generator=generator).item())
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target
