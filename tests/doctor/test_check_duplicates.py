"""Images that are there twice, as they are or changed."""

import shutil

import numpy as np
from PIL import Image

from tests.fakes.healthy import image_at, label_at, read, write_label


def smooth(seed, size=(120, 180)):
    """Draw blobs, so that scaling and JPEG leave the image much as it is."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC)


def write_smooth(root):
    """Replace the images of training by smooth ones, labels of their size."""
    for number in range(4):
        smooth(number).save(image_at(root, "train", number))
        label = np.arange(120 * 180).reshape(120, 180) % 3
        label[0, :3] = 255
        write_label(root, "train", f"train{number}", label.astype(np.uint8))
    return root


def replace_val(root, image):
    """Make an image the first of validation, with a label of its size."""
    image.save(image_at(root, "val"))
    label = np.arange(image.height * image.width).reshape(image.height, image.width) % 3
    label[0, :3] = 255
    write_label(root, "val", "val0", label.astype(np.uint8))


def test_image_in_both_splits_is_a_leak(root, only):
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))

    finding = only(root, "leak")

    assert finding.severity == "error"
    assert finding.title == "1 image of `val` in `train` too, byte for byte."
    assert finding.cases[0].detail == f"like '{image_at(root, 'train', 2)}'"


def test_leak_is_found_without_looking_at_pixels(root, only):
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))

    assert only(root, "leak", fast=True).cases[0].file == str(image_at(root, "val", 1))


def test_scaled_copy_is_a_similar_leak(root, only):
    write_smooth(root)
    replace_val(root, smooth(1).resize((90, 60), Image.Resampling.BILINEAR))

    finding = only(root, "similar-leak")

    assert finding.severity == "warning"
    assert finding.cases[0].detail == f"like '{image_at(root, 'train', 1)}'"


def test_mirrored_copy_is_a_similar_leak(root, only):
    write_smooth(root)
    replace_val(root, smooth(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    assert only(root, "similar-leak").cases[0].detail == (
        f"like '{image_at(root, 'train', 3)}', mirrored"
    )


def test_copy_within_a_split(root, only):
    shutil.copy(image_at(root, "train", 0), image_at(root, "train", 3))
    shutil.copy(label_at(root, "train", 0), label_at(root, "train", 3))

    finding = only(root, "duplicate")

    assert finding.severity == "warning"
    assert [case.file for case in finding.cases] == [str(image_at(root, "train", 3))]


def test_copies_with_different_labels(root, look):
    shutil.copy(image_at(root, "train", 0), image_at(root, "train", 3))

    codes = [finding.code for finding in look(root).findings]

    assert codes == ["duplicate", "conflicting-labels"]


def test_similar_images_of_one_split_are_a_note(root, only):
    write_smooth(root)
    noisy = np.asarray(smooth(0)).astype(int) + np.random.default_rng(0).integers(
        -6, 7, (120, 180, 3)
    )
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(image_at(root, "train", 3))

    assert only(root, "similar").severity == "note"


def test_images_of_one_colour_are_not_similar(root, look):
    for number, grey in enumerate((10, 60, 110)):
        Image.new("RGB", (36, 24), (grey, grey, grey)).save(image_at(root, "train", number))

    assert [finding.code for finding in look(root).findings] == ["constant-image"]


def test_broken_copies_are_told_of_once(root, look):
    for number in (0, 1):
        image_at(root, "train", number).write_bytes(b"broken")

    assert [finding.code for finding in look(root).findings] == ["unreadable-image"]


def test_same_split_twice_is_a_warning(root, look):
    finding = look(root, overrides=["--data.val_split", "train"]).findings[0]

    assert finding.code == "same-split"
    assert finding.title == "Training and validation both use `train`."


def test_label_copies_are_no_duplicates(root, look):
    write_label(root, "train", "train1", read(label_at(root)))

    assert list(look(root).findings) == []
