import re

import numpy as np
import pytest
from PIL import Image

from parsenet.data.reading import read_mask
from parsenet.errors import ConfigError
from parsenet.inference.drawing import blend
from parsenet.inference.writers import write_label, write_overlay
from parsenet.taxonomy import PASCAL_CONTEXT459, SHAPES, VOC2012

LABEL = (np.arange(7 * 11) % 5).astype(np.uint8).reshape(7, 11)
IMAGE = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)


def test_label_file_holds_class_indices(tmp_path):
    write_label(tmp_path / "a.png", LABEL, SHAPES)

    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.array(image), LABEL)


def test_label_file_is_a_palette_png(tmp_path):
    write_label(tmp_path / "a.png", LABEL, SHAPES)

    with Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")


def test_label_file_shows_the_colours_of_the_taxonomy(tmp_path):
    write_label(tmp_path / "a.png", LABEL, SHAPES)

    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.array(image.convert("RGB")), SHAPES.colourise(LABEL))


def test_void_survives_in_a_label_file(tmp_path):
    write_label(tmp_path / "a.png", np.full((2, 3), 255, np.uint8), VOC2012)

    with Image.open(tmp_path / "a.png") as image:
        assert np.array(image).tolist() == [[255] * 3] * 2


def test_overlay_without_opacity_is_the_image():
    np.testing.assert_array_equal(blend(IMAGE, LABEL, SHAPES, 0.0), IMAGE)


def test_full_overlay_shows_the_colours_of_classes():
    mixed = blend(IMAGE, LABEL, SHAPES, 1.0)

    np.testing.assert_array_equal(mixed[LABEL > 0], SHAPES.colourise(LABEL)[LABEL > 0])


def test_black_background_leaves_the_image_as_it_is():
    mixed = blend(IMAGE, LABEL, SHAPES, 1.0)

    np.testing.assert_array_equal(mixed[LABEL == 0], IMAGE[LABEL == 0])


def test_half_an_overlay_lies_half_way():
    mixed = blend(np.full((1, 1, 3), 100, np.uint8), np.ones((1, 1), np.uint8), SHAPES, 0.5)

    assert mixed.tolist() == [[[165, 90, 80]]]


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")]
)
def test_overlay_is_of_the_kind_its_name_says(tmp_path, name, kind):
    write_overlay(tmp_path / name, IMAGE, LABEL, SHAPES)

    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (11, 7))


@pytest.mark.parametrize("opacity", [-0.1, 1.5])
def test_opacity_out_of_range_is_refused(opacity):
    message = f"`opacity` must be in [0, 1], got {opacity}. Half and half is 0.5."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        blend(IMAGE, LABEL, SHAPES, opacity)


def test_more_classes_than_eight_bits_hold_are_written_with_16(tmp_path):
    label = np.array([[0, 300], [458, 1]], np.uint16)

    write_label(tmp_path / "a.png", label, PASCAL_CONTEXT459)

    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", PASCAL_CONTEXT459), label)
