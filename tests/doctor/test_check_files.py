"""Each fault of files, alone in a data set that is right otherwise."""

import numpy as np
import pytest
from PIL import Image

from parsenet.doctor.guess import Hints
from tests.fakes.healthy import image_at, label_at, read, write_healthy, write_label
from tests.fakes.images import gradient, write_exif_turned, write_truncated


def test_nothing_is_found_in_a_healthy_folder(root, look):
    assert list(look(root).findings) == []


def test_image_without_label(root, only):
    label_at(root).unlink()

    finding = only(root, "image-without-label")

    assert finding.severity == "error"
    assert finding.title == "1 image of `train` without a label."
    assert [case.file for case in finding.cases] == [str(image_at(root))]
    assert finding.cases[0].detail == f"expected '{label_at(root)}'"


def test_label_without_image(root, only):
    image_at(root, "val", 2).unlink()

    finding = only(root, "label-without-image")

    assert finding.severity == "warning"
    assert [case.file for case in finding.cases] == [str(label_at(root, "val", 2))]


def test_two_images_of_one_name(root, look):
    Image.open(image_at(root)).transpose(Image.Transpose.ROTATE_180).save(
        image_at(root).with_suffix(".bmp")
    )

    findings = look(root).findings

    assert [finding.code for finding in findings] == ["shared-label"]
    assert findings[0].cases[0].detail == f"has the name of '{image_at(root).with_suffix('.bmp')}'"


def test_split_without_images(root, look):
    for path in (root / "images" / "val").iterdir():
        path.rename(path.with_suffix(".txt"))

    found = {finding.code: finding for finding in look(root, hints=Hints(val="val")).findings}

    assert found["empty-split"].title == "`val` has no images."
    assert set(found) == {"empty-split", "label-without-image"}


def test_empty_image(root, only):
    image_at(root, "train", 1).write_bytes(b"")

    finding = only(root, "unreadable-image")

    assert finding.cases[0].detail == (
        f"'{image_at(root, 'train', 1)}' must be an image, got an empty file. Copy it again."
    )


def test_truncated_image_is_found_by_its_pixels(root, only, look):
    write_truncated(image_at(root), gradient((240, 360)))

    label = np.zeros((240, 360), np.uint8)
    label[:, :100], label[:, 100:200], label[0] = 1, 2, 255
    write_label(root, "train", "train0", label)

    assert only(root, "unreadable-image").cases[0].file == str(image_at(root))
    assert list(look(root, fast=True).findings) == []


def test_file_that_is_no_image(root, only):
    image_at(root).write_bytes(b"<html>404</html>")

    assert "that Pillow does not know" in only(root, "unreadable-image").cases[0].detail


def test_truncated_label(root, only):
    generator = np.random.default_rng(0)
    write_truncated(label_at(root), generator.integers(0, 3, (24, 36), dtype=np.uint8))

    finding = only(root, "unreadable-label")

    assert finding.severity == "error"
    assert finding.cases[0].file == str(label_at(root))


def test_empty_label(root, only):
    label_at(root, "val", 3).write_bytes(b"")

    assert only(root, "unreadable-label").title == "1 label of `val` cannot be read."


def test_label_stored_as_jpeg(root, look):
    path = label_at(root)
    label = read(path)
    path.unlink()
    Image.fromarray(label).save(path, format="JPEG")

    found = [finding.code for finding in look(root).findings]

    assert found == ["lossy-label"]


@pytest.mark.parametrize(
    ("size", "detail"),
    [
        ((12, 18), ": the same shape at 0.5 of the scale"),
        ((36, 24), ": one of them lies on its side"),
        ((23, 36), ""),
    ],
)
def test_label_of_another_size(root, only, size, detail):
    label = np.arange(size[0] * size[1]).reshape(size).astype(np.uint8) % 3
    write_label(root, "train", "train0", label)

    finding = only(root, "size-mismatch")

    assert finding.cases[0].detail == (
        f"image 24 x 36, label {size[0]} x {size[1]} (height x width){detail}"
    )


def test_image_that_exif_turns_away_from_its_label(root, only):
    path = image_at(root).with_suffix(".jpg")
    image_at(root).unlink()
    write_exif_turned(path, gradient((36, 24)), orientation=6)

    finding = only(root, "exif-turned")

    assert finding.severity == "error"
    assert finding.cases[0].detail == (
        "image 36 x 24, label 24 x 36 (height x width); orientation 6"
    )


def test_image_that_exif_turns_as_its_label_is_right(root, look):
    path = image_at(root).with_suffix(".jpg")
    image_at(root).unlink()
    write_exif_turned(path, gradient((24, 36)), orientation=6)

    assert list(look(root).findings) == []


def test_exif_orientation_that_sizes_cannot_settle(root, only):
    path = image_at(root).with_suffix(".jpg")
    image_at(root).unlink()
    write_exif_turned(path, gradient((24, 36)), orientation=3)

    finding = only(root, "exif-unclear")

    assert (finding.severity, finding.cases[0].detail) == ("warning", "orientation 3 (180°)")


def test_image_of_one_colour(root, only):
    Image.new("RGB", (36, 24), (40, 40, 40)).save(image_at(root))

    assert only(root, "constant-image").cases[0].file == str(image_at(root))


def test_transparent_mask_is_told_in_the_words_of_the_loader(root, only):
    mask = np.zeros((24, 36, 4), np.uint8)
    Image.fromarray(mask).save(label_at(root))

    assert only(root, "rgb-label").cases[0].file == str(label_at(root))


def test_many_broken_files_do_not_end_the_reading(root, look):
    for number in range(4):
        image_at(root, "train", number).write_bytes(b"x")
        label_at(root, "val", number).write_bytes(b"")

    counts = {finding.code: len(finding.cases) for finding in look(root).findings}

    assert counts == {"unreadable-image": 4, "unreadable-label": 4}


def test_voc_list_that_names_missing_files(tmp_path, look):
    from tests.fakes.voc import write_voc

    write_voc(tmp_path)
    (tmp_path / "VOC2012/JPEGImages/2007_000001.jpg").unlink()
    (tmp_path / "VOC2012/SegmentationClass/2009_000002.png").unlink()

    found = {finding.code: finding for finding in look(tmp_path).findings}

    assert found["image-without-label"].cases[0].file.endswith("2009_000002.jpg")
    assert found["label-without-image"].cases[0].file.endswith("2007_000001.png")
    assert "1 of 3 files are missing" in found["split-refused"].cases[0].detail


def test_healthy_folder_without_splits(tmp_path, look):
    root = write_healthy(tmp_path, splits=("",))
    for path in (root / "images").glob("*"):
        assert path.is_file()

    assert list(look(root).findings) == []
