import multiprocessing
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from parsenet.data.reading import opencv, read_image, read_reduced, read_size, shrink
from parsenet.errors import ImageError
from tests.fakes.images import (
    ORIENTATION_TAG,
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


@pytest.mark.parametrize(
    ("mode", "colour", "options", "expected"),
    [
        # Transparent images lie over white: 0.2 x 60 + 0.8 x 255 = 216.
        *(("RGBA", (60, 60, 60, a), {}, x) for a, x in ((0, 255), (255, 60), (51, 216))),
        ("LA", (60, 51), {}, 216),
        ("P", 1, {}, (10, 20, 30)),
        ("P", 1, {"transparency": 1}, 255),
    ],
)
def test_colours_are_those_seen_over_white(tmp_path, mode, colour, options, expected):
    image = Image.new(mode, (4, 3), colour)
    if mode == "P":
        image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", **options)

    assert (read_image(tmp_path / "a.png") == expected).all()


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
        (Path.mkdir, "'FILE' must be a whole image, got '[Errno 21] Is a directory: 'FILE''. Copy "
                     "or export it again."),
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
    if suffix != "webp":  # whose header Pillow decodes with the rest
        assert read_size(path) == (64, 64)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_tall_image_is_read_like_any_other(tmp_path, name, monkeypatch):
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)
    expected = read_image(tmp_path / name)
    monkeypatch.setattr("parsenet.data.reading._BAND", 10)

    np.testing.assert_array_equal(read_image(tmp_path / name), expected)


# OpenCV: plain JPEGs, whole and at a fraction of their size.


def lively(size=(50, 71)):
    """Blurred noise: smooth as photographs are, different everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_forked_process_does_without_the_threads_of_opencv():
    opencv()
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    try:
        process = context.Process(target=lambda: theirs.send(cv2.getNumThreads()))
        process.start()
        process.join()
        assert (ours.recv(), cv2.getNumThreads()) == (1, 3)
    finally:
        cv2.setNumThreads(before)


JPEGS = {
    "usual": {"quality": 75},
    "best": {"quality": 100, "subsampling": 0},
    "half": {"subsampling": 1},
    "progressive": {"progressive": True},
    "rgb": {"keep_rgb": True},
    "restarts": {"restart_marker_blocks": 2},
    "comment": {"comment": b"hello"},
    "profile": {"icc_profile": b"x" * 70_000},
    "grey": {},
}


@pytest.mark.parametrize("kind", JPEGS)
def test_plain_jpeg_has_the_pixels_of_pillow(tmp_path, kind, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(lively()[..., 0] if kind == "grey" else lively()).save(path, **JPEGS[kind])
    expected = read_image(path)
    monkeypatch.setattr("parsenet.data.reading.read_image", None)  # Pillow does not decode

    np.testing.assert_array_equal(read_reduced(path, 1), expected)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("reduction", [1, 2])
def test_turned_jpeg_is_upright(tmp_path, orientation, reduction):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(lively() if reduction == 1 else gradient((50, 71))).save(path, exif=exif)

    small = read_reduced(path, reduction).astype(int)

    expected = shrink(read_image(path), reduction)
    assert small.shape == expected.shape
    assert np.abs(small - expected).max() <= (0 if reduction == 1 else 6)


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 96), (61, 93), (9, 17), (1, 1), (8, 3)])
def test_reduced_jpeg_is_the_average_of_its_squares(tmp_path, size, reduction):
    path = tmp_path / "a.jpg"
    rows, columns = np.indices(size)
    smooth = np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)
    Image.fromarray(smooth).save(path, quality=100, subsampling=0)

    small = read_reduced(path, reduction)

    expected = shrink(smooth, reduction).astype(int)
    assert small.shape == expected.shape
    rest = [side % reduction for side in size]  # squares over the edge are filled up by the encoder
    inner = expected[: -1 if rest[0] else None, : -1 if rest[1] else None]
    assert np.abs(small[: inner.shape[0], : inner.shape[1]] - inner).max(initial=0) <= 2


def write_transparent(path):
    alpha = np.random.default_rng(1).integers(0, 256, (50, 71, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([gradient((50, 71)), alpha], -1)).save(path, "PNG")


def write_with_a_tail(path):
    Image.fromarray(gradient((50, 71))).save(path, "JPEG")
    path.write_bytes(path.read_bytes() + b"appended by a camera")


ODD = [
    lambda path: Image.fromarray(gradient((50, 71))).convert("CMYK").save(path),
    lambda path: Image.fromarray(gradient((50, 71))).save(path, "PNG"),
    lambda path: write_grey_png(path, np.arange(50 * 71).reshape(50, 71) * 18, bits=16),
    write_transparent,
    write_with_a_tail,
]


@pytest.mark.parametrize("write", ODD)
@pytest.mark.parametrize("reduction", [1, 4])
def test_odd_images_are_read_as_always(tmp_path, write, reduction):
    path = tmp_path / "a.jpg"
    write(path)

    small = read_reduced(path, reduction).astype(int)

    assert np.abs(small - shrink(read_image(path), reduction)).max() <= (0 if reduction == 1 else 6)


def test_image_over_pillows_limit_is_left_to_pillow(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(lively()).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)

    with pytest.raises(ImageError, match=r"a\.jpg' must be smaller\. "):
        read_reduced(path, 1)


def test_shrinking_repeats_the_last_pixels_over_the_edge():
    image = np.array([[10, 20, 60], [30, 40, 60], [50, 50, 90]], np.uint8)

    small = shrink(np.repeat(image[..., None], 3, axis=2), 2)

    assert small[..., 0].tolist() == [[25, 60], [50, 90]]
