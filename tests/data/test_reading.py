import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parsenet.data.reading import read_image, read_reduced, read_size
from parsenet.errors import ImageError
from tests.fakes.images import (
    gradient,
    write_exif_turned,
    write_grey_png,
    write_truncated,
)


def refuses(message):
    return pytest.raises(ImageError, match=f"^{re.escape(message)}$")


def test_png_is_read_pixel_for_pixel(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")

    read = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(read, gradient())
    assert read.dtype == np.uint8
    assert read.flags.writeable


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_jpeg_is_red_first(tmp_path, mode):
    red = np.full((16, 16, 3), (250, 10, 10), np.uint8)
    Image.fromarray(red).convert(mode).save(tmp_path / "a.jpg", quality=95)

    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - red).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    image = gradient((12, 20))
    for name in ("a.png", "a.jpg"):
        write_exif_turned(tmp_path / name, image, orientation)
        assert read_size(tmp_path / name) == read_image(tmp_path / name).shape[:2] == (12, 20)

    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_has_three_equal_channels(tmp_path, mode):
    grey = Image.fromarray(gradient()[..., 1]).convert(mode)
    grey.save(tmp_path / "a.png")

    expected = np.asarray(grey.convert("L"))
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), np.repeat(expected[..., None], 3, axis=2)
    )


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 60), (51, 216)])
def test_transparent_images_lie_over_white(tmp_path, alpha, expected):
    # By hand: 0.2 x 60 + 0.8 x 255 = 216.
    Image.new("RGBA", (4, 3), (60, 60, 60, alpha)).save(tmp_path / "rgba.png")
    Image.new("LA", (4, 3), (60, alpha)).save(tmp_path / "la.png")

    assert (read_image(tmp_path / "rgba.png") == expected).all()
    assert (read_image(tmp_path / "la.png") == expected).all()


@pytest.mark.parametrize(("options", "colour"), [({}, (10, 20, 30)), ({"transparency": 1}, 255)])
def test_palette_images_are_coloured(tmp_path, options, colour):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", **options)

    assert (read_image(tmp_path / "a.png") == colour).all()


def test_16_bit_grey_is_scaled_to_8(tmp_path):
    values = np.array([[0, 257, 128, 129], [32896, 65535, 65278, 65406]])
    write_grey_png(tmp_path / "a.png", values, bits=16)

    read = read_image(tmp_path / "a.png")

    np.testing.assert_array_equal(read[..., 0], [[0, 1, 0, 1], [128, 255, 254, 254]])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: Image.fromarray(np.array([[0, 70000]], np.int32)).save(path, "TIFF"),
         "'FILE' must hold 16-bit values, got 0 to 70000. Scale it to 0..65535 or to 8 bits."),
        (lambda path: Image.fromarray(np.zeros((2, 3), np.float32)).save(path, "TIFF"),
         "'FILE' must be grey, RGB, RGBA, CMYK, palette or 16-bit grey, got Pillow mode 'F'. "
         "Convert it to an 8-bit PNG."),
        (lambda path: None, "The image 'FILE' must exist. Check the path."),
        (Path.touch, "'FILE' must be an image, got an empty file. Copy it again."),
        (lambda path: path.write_text("not an image"),
         "'FILE' must be an image, got a file that Pillow does not know. Convert it to PNG or "
         "JPEG."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [read_image, lambda path: read_reduced(path, 2)])
def test_wrong_file_is_refused(tmp_path, write, message, read):
    path = tmp_path / "a.jpg"
    write(path)

    with refuses(message.replace("FILE", str(path))):
        read(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "tif", "webp"])
def test_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_truncated(path, noise)

    for read in (
        read_image,
        lambda path: read_reduced(path, 1),
        lambda path: read_reduced(path, 2),
    ):
        with pytest.raises(ImageError, match=f"^'{re.escape(str(path))}' must be a"):
            read(path)


def test_folder_instead_of_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"must be a whole image, got .*directory"):
        read_image(tmp_path)


def test_size_is_told_without_decoding(tmp_path):
    whole = tmp_path / "a.png"
    Image.fromarray(gradient((12, 20))).save(whole)
    path = tmp_path / "b.png"
    path.write_bytes(whole.read_bytes()[:60])  # the header and a piece of the pixels

    assert read_size(path) == (12, 20)
    with pytest.raises(ImageError, match=r"must exist\. Check the path\.$"):
        read_size(tmp_path / "none.png")
