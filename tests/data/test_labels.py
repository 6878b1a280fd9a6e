import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from parsenet.data.labels import read_mask, read_matlab_label, read_stored_label
from parsenet.errors import ImageError, LabelError
from parsenet.taxonomy import PASCAL_CONTEXT459, Recoding
from tests.fakes.folder import CLASSES
from tests.fakes.images import write_grey_png


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


READERS = {
    "stored": read_stored_label,
    "mask": lambda path: read_mask(path, PASCAL_CONTEXT459),
    "recoded": lambda path: read_mask(
        path,
        PASCAL_CONTEXT459,
        Recoding(PASCAL_CONTEXT459, {value: value for value in (*range(459), 511)}),
    ),
    "matlab": lambda path: read_matlab_label(path.with_suffix(".mat"), "S"),
    "record": lambda path: read_matlab_label(path.with_suffix(".mat"), "R", "Segmentation"),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_reader_keeps_459_classes(tmp_path, read):
    label = np.arange(460, dtype=np.uint16).reshape(20, 23)
    label[-1, -1] = PASCAL_CONTEXT459.void
    Image.fromarray(label).save(tmp_path / "a.png")
    savemat(tmp_path / "a.mat", {"S": label, "R": {"Segmentation": label}})

    read_label = read(tmp_path / "a.png")

    assert read_label.dtype == np.uint16
    np.testing.assert_array_equal(read_label, label)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_labels_give_the_stored_numbers(tmp_path, bits):
    label = np.arange(15).reshape(3, 5) % (1 << bits)
    write_grey_png(tmp_path / "a.png", label, bits)

    np.testing.assert_array_equal(read_stored_label(tmp_path / "a.png"), label)


@pytest.mark.parametrize("num_colours", [2, 4, 16, 256])
def test_palette_labels_give_indices(tmp_path, num_colours):
    label = (np.arange(15).reshape(3, 5) % num_colours).astype(np.uint8)
    image = Image.fromarray(label)
    image.putpalette([7] * 3 * num_colours)
    image.save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_stored_label(tmp_path / "a.png"), label)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_masks_give_indices(tmp_path, mode):
    label = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    mask = Image.fromarray(label if mode == "L" else CLASSES.colourise(label))
    mask.convert(mode).save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", CLASSES), label)


def write_high(path):
    values = np.zeros((4, 6), int)
    values[2, 5] = 300
    write_grey_png(path, values, bits=16)


def write_odd_colour(path):
    mask = CLASSES.colourise(np.zeros((3, 4), np.uint8))
    mask[1, 2] = (1, 2, 3)
    Image.fromarray(mask).save(path)


NO_INDEX = (
    "The label 'FILE' must hold one class index per pixel (PNG mode P, L, 1 or I;16), got mode "
    "'{}'. Convert it to indices."
)
LOSSY = (
    "The label 'FILE' must be stored without loss, got a JPEG. Its values are smeared: export it "
    "again as PNG."
)


def read_classes(path):
    return read_mask(path, CLASSES)


@pytest.mark.parametrize(
    ("write", "read", "message"),
    [
        (write_high, read_classes,
         "The label 'FILE' must hold values of 0 to 255, got 300 at row 2, column 5. Map its "
         "values to class indices."),
        (lambda path: Image.new("L", (8, 8)).save(path, "JPEG"), read_stored_label, LOSSY),
        (lambda path: Image.new("RGB", (8, 8)).save(path, "JPEG"), read_classes, LOSSY),
        (write_odd_colour, read_classes,
         "In the mask 'FILE', colour (1, 2, 3) at row 1, column 2 is not in the palette of "
         "'classes'. Add it to the palette or store class indices."),
        (write_odd_colour, read_stored_label, NO_INDEX.format("RGB")),
        (lambda path: Image.new("LA", (3, 2)).save(path), read_classes, NO_INDEX.format("LA")),
        (lambda path: Image.new("RGBA", (3, 2), (0, 0, 0, 128)).save(path), read_classes,
         "The mask 'FILE' must be opaque, got transparent pixels. Store it without alpha."),
    ],
)  # fmt: skip
def test_wrong_label_file_is_refused(tmp_path, write, read, message):
    path = tmp_path / "a.png"
    write(path)

    with refuses((ImageError, LabelError), message.replace("FILE", str(path))):
        read(path)


def test_damaged_png_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(221, dtype=np.uint8).reshape(13, 17)).save(path)
    whole = path.read_bytes()
    turned = bytearray(whole)
    turned[whole.index(b"IDAT") + 20] ^= 1

    for data in (turned, *(whole[:end] for end in range(1, len(whole) - 16, 9))):
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"a\.png' must be an? "):
            read_stored_label(path)


# MATLAB.


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float64, np.bool_])
def test_whole_numbers_of_any_type_are_read_from_matlab(tmp_path, kind):
    stored = np.array([[0, 1, 1], [1, 0, 1]])
    savemat(tmp_path / "a.mat", {"S": stored.astype(kind), "other": np.zeros(3)})

    values = read_matlab_label(tmp_path / "a.mat", "S")

    assert values.dtype.kind in "iu"
    np.testing.assert_array_equal(values, stored)


def save(**variables):
    return lambda path: savemat(path, variables)


NO_MAP = (
    "'FILE' must hold a map of whole numbers, got float64 of shape {}. Is it from this data set?"
)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (save(S=np.array([[0.5]])), NO_MAP.format("(1, 1)")),
        (save(S=np.array([[np.nan]])), NO_MAP.format("(1, 1)")),
        (save(S=np.zeros((2, 2, 2))), NO_MAP.format("(2, 2, 2)")),
        (
            save(LabelMap=np.zeros((2, 2))),
            "'FILE' must hold the variable 'S', got a file without. Is it from this data set?",
        ),
        (lambda path: None, "The label 'FILE' must exist. Check the path."),
        (
            lambda path: path.write_bytes(
                b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512)
            ),
            "'FILE' must be a MATLAB file of version 7 or older, got version 7.3. Save it in MATLAB"
            " with `save -v7`.",
        ),
    ],
)
def test_wrong_matlab_file_is_refused(tmp_path, write, message):
    path = tmp_path / "a.mat"
    write(path)

    with refuses(ImageError, message.replace("FILE", str(path))):
        read_matlab_label(path, "S")


@pytest.mark.parametrize("compressed", [True, False])
def test_matlab_file_that_ends_early_is_refused_wherever_it_ends(tmp_path, compressed):
    path = tmp_path / "a.mat"
    stored = np.random.default_rng(0).integers(0, 33, (16, 16)).astype(np.uint8)
    savemat(path, {"S": stored}, do_compression=compressed)
    whole = path.read_bytes()

    for data in (b"\x89PNG\r\n" * 100, *(whole[:end] for end in range(0, len(whole) - 8, 5))):
        path.write_bytes(data)

        with pytest.raises(ImageError, match=f"^'{re.escape(str(path))}' must "):
            read_matlab_label(path, "S")
