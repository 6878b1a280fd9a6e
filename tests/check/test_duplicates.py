"""Images that are there twice, as they are or changed."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from parsenet.check.duplicates import MAX_DISTANCE, nearest_pairs
from tests.fakes.healthy import image_at, label_at, write_label

MIRROR = Image.Transpose.FLIP_LEFT_RIGHT


def smooth(seed, size=(120, 180)):
    """Draw blobs, so that scaling and JPEG leave the image much as it is."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC)


def write(root, split, number, image):
    """Replace an image, and its label by one of its size."""
    image.save(image_at(root, split, number))
    label = np.arange(image.height * image.width).reshape(image.height, image.width) % 3
    label[0, :3] = 255
    write_label(root, split, f"{split}{number}", label.astype(np.uint8))


def write_smooth(root):
    for number in range(4):
        write(root, "train", number, smooth(number))


def jpeg(image):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=30)
    return Image.open(content).convert("RGB")


@pytest.mark.parametrize("fast", [False, True])
def test_image_in_both_splits_is_a_leak(root, only, fast):
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))

    finding = only(root, "leak", fast)

    assert (finding.severity, finding.title) == (
        "error", "1 image of `val` in `train` too, byte for byte."
    )  # fmt: skip
    case, like = finding.cases[0], image_at(root, "train", 2)
    assert (case.file, case.detail) == (str(image_at(root, "val", 1)), f"like '{like}'")


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda image: image.resize((90, 60), Image.Resampling.BILINEAR), ""),
        (lambda image: image.convert("L").convert("RGB"), ""),
        (jpeg, ""),
        (lambda image: image.transpose(MIRROR), ", mirrored"),
    ],
)
def test_changed_copy_is_a_similar_leak(root, only, change, how):
    write_smooth(root)
    write(root, "val", 0, change(smooth(1)))

    finding = only(root, "similar-leak")

    assert finding.severity == "warning"
    assert finding.cases[0].detail == f"like '{image_at(root, 'train', 1)}'{how}"


def test_copies_within_a_split_may_have_different_labels(root, look, only):
    shutil.copy(image_at(root, "train", 0), image_at(root, "train", 3))
    assert [x.code for x in look(root).findings] == ["duplicate", "conflicting-labels"]
    shutil.copy(label_at(root, "train", 0), label_at(root, "train", 3))

    finding = only(root, "duplicate")

    assert finding.severity == "warning"
    assert [case.file for case in finding.cases] == [str(image_at(root, "train", 3))]


def test_similar_images_of_one_split_are_a_note_and_those_of_one_colour_are_not(root, only):
    write_smooth(root)
    jpeg(smooth(0)).save(image_at(root, "train", 3))
    for number in (0, 1):
        Image.new("RGB", (36, 24), (40 * number, 9, 9)).save(image_at(root, "val", number))

    finding = only(root, "similar")

    assert finding.severity == "note"
    assert [case.file for case in finding.cases] == [str(image_at(root, "train", 3))]


def hashes(count, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), (count, 100))


@pytest.mark.parametrize(("flipped", "found"), [(0, 1), (MAX_DISTANCE, 1), (MAX_DISTANCE + 1, 0)])
def test_hashes_are_similar_up_to_the_stated_distance(flipped, found):
    one, other = hashes(1), hashes(1)
    other[0, :flipped] *= -1

    assert len(list(nearest_pairs(one, other))) == found


def test_nearest_is_the_one_that_is_told():
    others = np.concatenate([hashes(3), hashes(1, seed=9)])
    one = others[3:].copy()
    others[1] = one
    others[3, :5] *= -1

    assert list(nearest_pairs(one, others)) == [(0, 1)]
    assert list(nearest_pairs(one, others, np.array([1]))) == []
