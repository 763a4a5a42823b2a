"""Picture files of a data set; one that cannot be read is named."""

from typing import Any

from narae.base.errors import FileFormatError, MissingDataError, explain, require
from narae.vision.places import place_of

from .pictures import Folder


def read_picture(path: Folder, what: str, mode: str | None = "RGB") -> Any:
    """A picture file, also one in a .zip file, as a Pillow image; read to its end.

    Args:
        path: the file.
        what: the data set that asks, for messages.
        mode: of the image, such as "RGB"; None leaves it as it is in the file.

    Raises:
        FileFormatError: if the file is truncated, damaged or no picture.
        MissingDataError: if there is no such file.
    """
    images: Any = require("PIL.Image", "data", "reading pictures")
    try:
        with place_of(path).open() as file:
            image = images.open(file)
            image.load()
    except FileNotFoundError as error:
        given, rule = f"there is no file {path}", "a picture was expected there"
        raise MissingDataError(explain(what, given, rule)) from error
    except (OSError, ValueError, SyntaxError, images.DecompressionBombError) as error:
        given = f"{path} cannot be read ({error})"
        rule = "a picture is a PNG, JPEG or another file that Pillow reads"
        raise FileFormatError(explain(what, given, rule, "fetch it again")) from error
    return image if mode is None or image.mode == mode else image.convert(mode)
