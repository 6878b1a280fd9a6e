import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parsenet.data.reading import (
    read_image,
    read_index_label,
    read_mask,
    read_size,
    read_stored_label,
)
from parsenet.errors import ImageError, LabelError
from tests.fakes.folder import CLASSES
from tests.fakes.images import gradient, write_exif_turned, write_grey_png, write_truncated


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_png_is_read_pixel_for_pixel(tmp_path):
    image = gradient()
    Image.fromarray(image).save(tmp_path / "a.png")

    read = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(read, image)
    assert read.dtype == np.uint8
    assert read.flags.writeable


def test_jpeg_is_red_first(tmp_path):
    red = np.full((16, 16, 3), (250, 10, 10), np.uint8)
    Image.fromarray(red).save(tmp_path / "a.jpg", quality=95)

    read = read_image(tmp_path / "a.jpg")

    assert np.abs(read.astype(int) - red).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    image = gradient()
    write_exif_turned(tmp_path / "a.png", image, orientation)

    read = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_has_three_equal_channels(tmp_path, mode):
    grey = Image.fromarray(gradient()[..., 1]).convert(mode)
    grey.save(tmp_path / "a.png")

    read = read_image(tmp_path / "a.png")

    expected = np.asarray(grey.convert("L"))
    np.testing.assert_array_equal(read, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 60), (51, 216)])
def test_transparent_images_lie_over_white(tmp_path, alpha, expected):
    # By hand: 0.2 x 60 + 0.8 x 255 = 216.
    Image.new("RGBA", (4, 3), (60, 60, 60, alpha)).save(tmp_path / "rgba.png")
    Image.new("LA", (4, 3), (60, alpha)).save(tmp_path / "la.png")

    assert (read_image(tmp_path / "rgba.png") == expected).all()
    assert (read_image(tmp_path / "la.png") == expected).all()


def test_palette_images_are_coloured(tmp_path):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png")

    assert (read_image(tmp_path / "a.png") == (10, 20, 30)).all()


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=1)

    assert (read_image(tmp_path / "a.png") == 255).all()


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    image = np.full((16, 16, 3), (200, 80, 40), np.uint8)
    Image.fromarray(image).convert("CMYK").save(tmp_path / "a.jpg", quality=95)

    read = read_image(tmp_path / "a.jpg")

    assert np.abs(read.astype(int) - image).max() <= 8


def test_16_bit_grey_is_scaled_to_8(tmp_path):
    values = np.array([[0, 257, 128, 129], [32896, 65535, 65278, 65406]])
    write_grey_png(tmp_path / "a.png", values, bits=16)

    read = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(read[..., 0], [[0, 1, 0, 1], [128, 255, 254, 254]])


def test_32_bit_values_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(path)

    with refuses(
        ImageError,
        f"'{path}' must hold 16-bit values, got 0 to 70000. Scale it to 0..65535 or to 8 bits.",
    ):
        read_image(path)


def test_float_images_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((2, 3), np.float32)).save(path)

    with refuses(
        ImageError,
        f"'{path}' must be grey, RGB, RGBA, CMYK, palette or 16-bit grey, got Pillow mode 'F'. "
        "Convert it to an 8-bit PNG.",
    ):
        read_image(path)


def test_missing_image_is_named(tmp_path):
    path = tmp_path / "none.png"

    with refuses(ImageError, f"The image '{path}' must exist. Check the path."):
        read_image(path)


def test_empty_file_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.touch()

    with refuses(ImageError, f"'{path}' must be an image, got an empty file. Copy it again."):
        read_image(path)


def test_text_file_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("not an image")

    with refuses(
        ImageError,
        f"'{path}' must be an image, got a file that Pillow does not know. Convert it to PNG or "
        "JPEG.",
    ):
        read_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "tif", "webp"])
def test_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_truncated(path, noise)

    with pytest.raises(ImageError, match=f"^'{re.escape(str(path))}' must be a"):
        read_image(path)


def test_folder_instead_of_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"must be a whole image, got .*directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_grey_labels_give_the_stored_numbers(tmp_path, bits):
    label = np.arange(15).reshape(3, 5) % (1 << bits)
    write_grey_png(tmp_path / "a.png", label, bits)

    read = read_index_label(tmp_path / "a.png")

    np.testing.assert_array_equal(read, label)
    assert read.dtype == np.uint8


@pytest.mark.parametrize("num_colours", [2, 4, 16, 256])
def test_palette_labels_give_indices(tmp_path, num_colours):
    label = (np.arange(15).reshape(3, 5) % num_colours).astype(np.uint8)
    image = Image.fromarray(label)
    image.putpalette([7] * 3 * num_colours)
    image.save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_index_label(tmp_path / "a.png"), label)


def test_one_bit_labels_are_0_and_1(tmp_path):
    label = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    Image.fromarray(label * 255).convert("1").save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_index_label(tmp_path / "a.png"), label)


def test_label_above_255_names_value_and_pixel(tmp_path):
    path = tmp_path / "a.png"
    values = np.zeros((4, 6), int)
    values[2, 5] = 300
    write_grey_png(path, values, bits=16)

    with refuses(
        LabelError,
        f"The label '{path}' must hold values of 0 to 255, got 300 at row 2, column 5. Map its "
        "values to class indices.",
    ):
        read_index_label(path)


def test_rgb_label_is_refused_where_indices_are_asked_for(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(gradient()).save(path)

    with refuses(
        ImageError,
        f"The label '{path}' must hold one class index per pixel (PNG mode P, L, 1 or I;16), got "
        "mode 'RGB'. Convert it to indices.",
    ):
        read_index_label(path)


@pytest.mark.parametrize("read", [read_index_label, lambda path: read_mask(path, CLASSES)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_label_is_refused(tmp_path, read, mode):
    path = tmp_path / "a.jpg"
    Image.new(mode, (8, 8)).save(path)

    with refuses(
        ImageError,
        f"The label '{path}' must be stored without loss, got a JPEG. Its values are smeared: "
        "export it again as PNG.",
    ):
        read(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_masks_give_indices(tmp_path, mode):
    label = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    Image.fromarray(CLASSES.colourise(label)).convert(mode).save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", CLASSES), label)


def test_masks_may_be_indices(tmp_path):
    label = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    Image.fromarray(label).save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", CLASSES), label)


def test_unknown_colour_names_file_colour_and_pixel(tmp_path):
    path: Path = tmp_path / "a.png"
    mask = CLASSES.colourise(np.zeros((3, 4), np.uint8))
    mask[1, 2] = (1, 2, 3)
    Image.fromarray(mask).save(path)

    with refuses(
        LabelError,
        f"In the mask '{path}', colour (1, 2, 3) at row 1, column 2 is not in the palette of "
        "'classes'. Add it to the palette or store class indices.",
    ):
        read_mask(path, CLASSES)


def test_transparent_mask_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (3, 2), (0, 0, 0, 128)).save(path)

    with refuses(
        ImageError,
        f"The mask '{path}' must be opaque, got transparent pixels. Store it without alpha.",
    ):
        read_mask(path, CLASSES)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_upright_image(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    write_exif_turned(path, gradient((12, 20)), orientation)

    assert read_size(path) == read_image(path).shape[:2] == (12, 20)


def test_size_of_a_missing_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"must exist\. Check the path\.$"):
        read_size(tmp_path / "none.png")


def test_size_is_told_without_decoding(tmp_path):
    whole = tmp_path / "a.png"
    Image.fromarray(gradient((12, 20))).save(whole)
    path = tmp_path / "b.png"
    path.write_bytes(whole.read_bytes()[:60])  # the header and a piece of the pixels

    assert read_size(path) == (12, 20)


def test_stored_label_keeps_16_bits(tmp_path):
    stored = np.array([[0, 300], [65535, 7]], np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")

    np.testing.assert_array_equal(read_stored_label(tmp_path / "a.png"), stored)
