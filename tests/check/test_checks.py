"""Each fault of files and labels, alone in a data set that is right otherwise."""

import numpy as np
import pytest
from PIL import Image

from tests.fakes.healthy import each_label, image_at, label_at, read, write_label


def without(value, split, numbers=range(4)):
    """Take a class out of labels of a split."""

    def change(root):
        for number in numbers:
            label = read(label_at(root, split, number))
            write_label(root, split, f"{split}{number}", np.where(label == value, 1, label))

    return change


def half_void(root):
    each_label(root, lambda label: np.where(np.arange(24)[:, None] < 14, 255, label))


def almost_void(root):
    label = read(label_at(root))
    label[:22] = 255
    write_label(root, "train", "train0", label)


FAULTS = [
    ("image-without-label", "error", "1 image of `train` without a label.",
        lambda root: label_at(root).unlink()),
    ("label-without-image", "warning", "1 label of `val` without an image.",
        lambda root: image_at(root, "val", 2).unlink()),
    ("all-void", "warning", "1 label of `train` void all over.",
        lambda root: write_label(root, "train", "train1", np.full((24, 36), 255, np.uint8))),
    ("mostly-void", "note", "1 label of `train` more than 90 % void.", almost_void),
    ("high-void", "warning", "58.3 % of the pixels of `train` are void.", half_void),
    ("only-class-0", "error",
        "All 4 labels of `train` show 'background' only: there is nothing to learn.",
        lambda root: each_label(root, np.zeros_like)),
    ("unseen-class", "warning", "1 class of `val` never seen in `train`: road (4 images).",
        without(2, "train")),
    ("unscored-class", "note", "1 class of `train` in no label of `val`: road.",
        without(2, "val")),
    ("rare-class", "note", "1 class in fewer than 10 images of `train`: road (1).",
        lambda root: without(2, "train", range(1, 4))(root)),
    ("absent-class", "note", "1 class in no label: moon.",
        lambda root: (root / "taxonomy.yaml").write_text("names: [background, tree, road, moon]")),
    ("binary-255", "error", "All labels hold 0 and 255 alone (33.2 % of the pixels are 255), "
        "and 255 means void: the object is never learnt.",
        lambda root: each_label(root, lambda label: np.where(label == 1, 255, 0).astype(np.uint8))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "severity", "title", "spoil"), FAULTS, ids=lambda x: str(x)[:20])
def test_fault_is_found(root, look, code, severity, title, spoil):
    spoil(root)

    found = {finding.code: finding for finding in reversed(look(root).findings)}

    assert (found[code].severity, found[code].title) == (severity, title)
    assert set(found) <= {code, "only-class-0", "absent-class"}  # those that follow from others


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


def test_value_beyond_the_classes_is_named_with_its_first_pixel(root, only):
    label = read(label_at(root))
    label[5, 7] = 17
    write_label(root, "train", "train0", label)
    label[5, 8] = label[9, 0] = 17
    write_label(root, "train", "train1", label)

    finding = only(root, "value-out-of-range")

    assert finding.title == (
        "2 labels of `train` with values that are neither a class nor void (255): 17 (2 files)."
    )
    assert [(x.file[-5], x.detail) for x in finding.cases] == [  # the worst first
        ("1", "17 at row 5, column 7 (3 pixels)"),
        ("0", "17 at row 5, column 7 (1 pixel)"),
    ]
    assert finding.fix == (
        "Correct the files, or say in the taxonomy file what the values stand for: a class "
        "(`{name: NAME, from: 17}` in `classes`) or void (`ignore: [17]`)."
    )


def test_blended_values_are_told_apart_from_classes(root, only):
    label = np.arange(24 * 36).reshape(24, 36) % 200
    Image.fromarray(label.astype(np.uint8)).save(label_at(root))

    assert only(root, "value-out-of-range").fix.startswith(
        "So many values come from blending: masks that were resized with interpolation"
    )


CHANGES = {
    "binary-255": (
        lambda label: np.where(label == 1, 255, 0),
        "Say in the taxonomy file what the values stand for: "
        "`classes: [{name: background, from: 0}, {name: tree, from: 255}]`.",
    ),
    "shifted-labels": (
        lambda label: np.where(label == 255, 255, label + 1),
        "Classes are counted from 1: set `reduce_zero_label: true` in the taxonomy file.",
    ),
    "value-out-of-range": (
        lambda label: np.where(label == 255, 0, label * 100),
        "All values are multiples of 100, as if stretched for viewing: say so in the taxonomy "
        "file, `classes: [{name: background, from: 0}, {name: tree, from: 100}, "
        "{name: road, from: 200}]`.",
    ),
}


@pytest.mark.parametrize("code", CHANGES)
def test_suggested_taxonomy_is_understood_and_mends_the_labels(root, look, code):
    change, fix = CHANGES[code]
    each_label(root, lambda label: change(label).astype(np.uint8))

    found = {finding.code: finding for finding in look(root).findings}

    assert found[code].fix == fix
    written = next(part for part in fix.split("`")[1::2] if ": " in part)
    if code == "shifted-labels":
        assert found["value-out-of-range"].fix.endswith(" See also `shifted-labels`.")
        written = f"names: [background, tree, road]\n{written}"
    (root / "taxonomy.yaml").write_text(written)
    assert look(root).count("error") == 0


def test_labels_with_background_and_names_without(root, look):
    (root / "taxonomy.yaml").write_text("names: [tree, road]\n")

    shifted = next(x for x in look(root).findings if x.code == "shifted-labels")

    assert shifted.title == (
        "Labels hold 0..2 for 2 names, whose indices are 0..1; 33.2 % of the pixels are 2, "
        "33.2 % are 0."
    )
    assert shifted.fix == (
        "If 0 is background that shall not count, set `reduce_zero_label: true` in the taxonomy "
        "file (0 becomes void, the others move down by one); if it shall be a class, put "
        "`background` before the other names; if 2 is void, set `ignore: [2]`."
    )
