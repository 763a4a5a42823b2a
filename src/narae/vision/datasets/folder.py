"""Folders of pictures, one subfolder a class; the folder may lie in a .zip file."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, MissingDataError, explain, require
from narae.vision.places import Place, place_of

from .pictures import Folder, Transform, VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
Samples = list[tuple[str, int]]


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether a name ends with one of the extensions, in upper or lower case."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Whether a name is one of a picture.

    >>> is_image_file("cat.JPG"), is_image_file("cat.txt")
    (True, False)
    """
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def pil_loader(path: Folder) -> Any:
    """A picture file as a Pillow image of red, green and blue."""
    image = require("PIL.Image", "data", "reading pictures")
    with place_of(path).open() as file:
        return image.open(file).convert("RGB")


default_loader = pil_loader


def find_classes(directory: Folder) -> tuple[list[str], dict[str, int]]:
    """The names of the subfolders in order, and the label of each.

    Raises:
        MissingDataError: if there are none.
    """
    place = place_of(directory)
    if not place.is_folder():
        given = f"there is no folder {directory}"
        raise MissingDataError(explain("find_classes", given, "it holds one folder a class"))
    classes = sorted(place.folders())
    if not classes:
        given = f"Couldn't find any class folder in {directory}"
        fix = "name the folder above those of the classes"
        raise MissingDataError(explain("find_classes", given, "each class is a folder in it", fix))
    return classes, {name: label for label, name in enumerate(classes)}


def make_dataset(
    directory: Folder,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> Samples:
    """(path, label) of each file below the folders of the classes, in the order of the names.

    Args:
        directory: the folder above those of the classes.
        class_to_idx: a label for each folder; by default their numbers in order.
        extensions: endings of names that count; or
        is_valid_file: says of a path whether it counts.
        allow_empty: whether a class may have no file.

    Raises:
        ConfigError: unless exactly one of `extensions` and `is_valid_file` is given.
        MissingDataError: if a class has no file.
    """
    if (extensions is None) == (is_valid_file is None):
        given = "extensions and is_valid_file are " + ("None" if extensions is None else "given")
        rule = "Both extensions and is_valid_file cannot be None or not None at the same time"
        raise ConfigError(explain("make_dataset", given, rule))
    labels = find_classes(directory)[1] if class_to_idx is None else class_to_idx
    if not labels:
        rule = "'class_to_index' must have at least one entry to collect any samples."
        raise ConfigError(explain("make_dataset", "it is empty", rule))
    wanted = is_valid_file or _with_endings(extensions or ())
    place, samples = place_of(directory), []
    for name in sorted(labels):
        samples += [(path, labels[name]) for path in _files(place, name) if wanted(path)]
    empty = sorted(set(labels) - {name for name in labels if labels[name] in dict_of(samples)})
    if empty and not allow_empty:
        given = f"Found no valid file for the classes {', '.join(empty)}"
        rule = f"Supported extensions are: {extensions}" if extensions else "each class has some"
        raise MissingDataError(explain("make_dataset", given, rule, "allow_empty=True"))
    return samples


def dict_of(samples: Samples) -> set[int]:
    """The labels that samples have."""
    return {label for _, label in samples}


def _files(place: Place, name: str) -> Iterable[str]:
    return place.files_below(name) if name in place.folders() else ()


def _with_endings(extensions: str | tuple[str, ...]) -> Callable[[str], bool]:
    return lambda path: has_file_allowed_extension(path, extensions)


class DatasetFolder(VisionDataset):
    """Files in folders: root/class/…/name; sample i is (transform(loader(path)), label).

    Args:
        root: the folder above those of the classes; a .zip file, or a folder in one
            ("pictures.zip/train"), works as well.
        loader: makes a sample of a path.
        extensions: endings of names that count; or
        is_valid_file: says of a path whether it counts.
        transform: applied to each sample.
        target_transform: applied to each label.
        allow_empty: whether a class may have no file.

    Attributes:
        classes: names of the folders in order.
        class_to_idx: the label of each.
        samples: (path, label) of each file.
        targets: the labels.

    Raises:
        ConfigError: unless exactly one of `extensions` and `is_valid_file` is given.
        MissingDataError: if there are no folders, or a class has no file.
    """

    def __init__(
        self,
        root: Folder,
        loader: Callable[[str], Any],
        extensions: str | tuple[str, ...] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = Path(root).expanduser()
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(folder)
        self.samples = self.make_dataset(
            folder, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.targets = [label for _, label in self.samples]

    @staticmethod
    def make_dataset(
        directory: Folder,
        class_to_idx: dict[str, int],
        extensions: str | tuple[str, ...] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> Samples:
        """The samples; may be replaced in a subclass."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: Folder) -> tuple[list[str], dict[str, int]]:
        """The classes; may be replaced in a subclass, to use some folders only."""
        return find_classes(directory)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            return sample, self.target_transform(target)
        return sample, target


class ImageFolder(DatasetFolder):
    """Pictures in folders: root/cat/1.png, root/dog/x/2.jpg; see `DatasetFolder`."""

    def __init__(
        self,
        root: Folder,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(
            root, loader, extensions, transform, target_transform, is_valid_file, allow_empty
        )

    @property
    def imgs(self) -> Samples:
        """The same as `samples`."""
        return self.samples
