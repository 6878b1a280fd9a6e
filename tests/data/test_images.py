import io
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from parsenet.data.images import FileImages, shrink
from parsenet.data.reading import read_image
from parsenet.errors import ImageError
from tests.fakes.images import ORIENTATION_TAG, gradient, write_exif_turned, write_truncated


def lively(size=(50, 71)):
    """Blurred noise: smooth as photographs are, different everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


@pytest.fixture
def no_pillow(monkeypatch):
    """Fail where Pillow decodes."""

    def refuse(path):
        raise AssertionError(f"{path} is decoded by Pillow")

    monkeypatch.setattr("parsenet.data.images.read_image", refuse)


def _num_threads(connection):
    connection.send(cv2.getNumThreads())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_forked_process_does_without_the_threads_of_opencv():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    try:
        process = context.Process(target=_num_threads, args=(theirs,))
        process.start()
        process.join()
        assert (ours.recv(), cv2.getNumThreads()) == (1, 3)
    finally:
        cv2.setNumThreads(before)


def _warp():
    for _ in range(2):
        cv2.warpAffine(np.zeros((800, 800, 3), np.uint8), np.eye(2, 3), (800, 800))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_no_forked_process_waits_for_the_threads_of_opencv():
    """On a busy machine one or two of a hundred do so without the hook."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    context = multiprocessing.get_context("fork")
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        for _ in range(300):
            _warp()  # the parent's threads are at work
            process = context.Process(target=_warp)
            process.start()
            process.join(20)
            waits = process.is_alive()
            process.kill()
            assert not waits
    finally:
        cv2.setNumThreads(before)
        for other in others:
            other.kill()
            other.wait()


JPEGS = {
    "usual": {"quality": 75},
    "best": {"quality": 100, "subsampling": 0},
    "half": {"subsampling": 1},
    "progressive": {"progressive": True},
    "rgb": {"keep_rgb": True},
    "restarts": {"restart_marker_blocks": 2},
    "comment": {"comment": b"hello"},
    "profile": {"icc_profile": b"x" * 70_000},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_plain_jpeg_has_the_pixels_of_pillow(tmp_path, options, request):
    path = tmp_path / "a.jpg"
    Image.fromarray(lively()).save(path, **options)
    expected = read_image(path)
    request.getfixturevalue("no_pillow")

    np.testing.assert_array_equal(FileImages().read(path, 1), expected)


def test_grey_jpeg_has_the_pixels_of_pillow(tmp_path, request):
    path = tmp_path / "a.jpg"
    Image.fromarray(lively()[..., 0]).save(path)
    expected = read_image(path)
    request.getfixturevalue("no_pillow")

    np.testing.assert_array_equal(FileImages().read(path, 1), expected)


@pytest.mark.parametrize("orientation", range(10))
def test_turned_jpeg_is_upright(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(lively()).save(path, exif=exif)

    np.testing.assert_array_equal(FileImages().read(path, 1), read_image(path))


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 96), (61, 93), (9, 17), (1, 1), (8, 3)])
def test_reduced_jpeg_is_the_average_of_its_squares(tmp_path, size, reduction):
    path = tmp_path / "a.jpg"
    rows, columns = np.indices(size)
    smooth = np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)
    Image.fromarray(smooth).save(path, quality=100, subsampling=0)

    small = FileImages().read(path, reduction)

    expected = shrink(smooth, reduction).astype(int)
    assert small.shape == expected.shape
    rest = [side % reduction for side in size]  # squares over the edge are filled up by the encoder
    inner = expected[: -1 if rest[0] else None, : -1 if rest[1] else None]
    assert np.abs(small[: inner.shape[0], : inner.shape[1]] - inner).max(initial=0) <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(32, 48), (33, 49)])
def test_reduced_jpeg_is_upright(tmp_path, orientation, size):
    path = tmp_path / "a.jpg"
    upright = gradient(size)
    write_exif_turned(path, upright, orientation)

    small = FileImages().read(path, 2)

    expected = shrink(read_image(path), 2).astype(int)
    assert small.shape == expected.shape
    assert np.abs(small - expected)[:-1, :-1].max() <= 6


def write_cmyk(path):
    Image.fromarray(gradient((50, 71))).convert("CMYK").save(path)


def write_png(path):
    Image.fromarray(gradient((50, 71))).save(path, "PNG")


def write_transparent(path):
    alpha = np.random.default_rng(1).integers(0, 256, (50, 71, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([gradient((50, 71)), alpha], -1)).save(path, "PNG")


def write_16_bits(path):
    Image.fromarray(np.arange(50 * 71, dtype=np.uint16).reshape(50, 71) * 18).save(path, "PNG")


def write_with_a_tail(path):
    write_jpeg = io.BytesIO()
    Image.fromarray(gradient((50, 71))).save(write_jpeg, "JPEG")
    path.write_bytes(write_jpeg.getvalue() + b"appended by a camera")


ODD = [write_cmyk, write_png, write_transparent, write_16_bits, write_with_a_tail]


@pytest.mark.parametrize("write", ODD)
@pytest.mark.parametrize("reduction", [1, 4])
def test_odd_images_are_read_as_always(tmp_path, write, reduction):
    path = tmp_path / "a.jpg"
    write(path)

    small = FileImages().read(path, reduction).astype(int)

    assert np.abs(small - shrink(read_image(path), reduction)).max() <= (0 if reduction == 1 else 6)


@pytest.mark.parametrize("reduction", [1, 2])
def test_truncated_jpeg_is_refused(tmp_path, reduction):
    path = tmp_path / "a.jpg"
    write_truncated(path, lively())

    with pytest.raises(ImageError, match=r"a\.jpg' must be a whole image, got "):
        FileImages().read(path, reduction)


def test_every_cut_of_a_jpeg_is_read_or_refused_as_always(tmp_path):
    path = tmp_path / "a.jpg"
    whole = io.BytesIO()
    Image.fromarray(lively((20, 30))).save(whole, "JPEG")
    for length in range(0, len(whole.getvalue()), 7):
        path.write_bytes(whole.getvalue()[:length])

        with pytest.raises(ImageError):
            FileImages().read(path, 1)


def test_missing_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg' must exist\. Check the path\.$"):
        FileImages().read(tmp_path / "none.jpg", 1)


def test_image_over_pillows_limit_is_left_to_pillow(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(lively()).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)

    with pytest.raises(ImageError, match=r"a\.jpg' must be smaller\. "):
        FileImages().read(path, 1)


def test_shrinking_repeats_the_last_pixels_over_the_edge():
    image = np.array([[10, 20, 60], [30, 40, 60], [50, 50, 90]], np.uint8)

    small = shrink(np.repeat(image[..., None], 3, axis=2), 2)

    assert small[..., 0].tolist() == [[25, 60], [50, 90]]


@pytest.mark.realdata
@pytest.mark.slow
def test_real_images_have_the_pixels_of_pillow():
    root = os.environ.get("PARSENET_DATA")
    if root is None:
        pytest.skip("PARSENET_DATA is not set")
    paths = sorted(Path(root).rglob("*.jpg"))[::5]

    different = [
        path for path in paths if not np.array_equal(FileImages().read(path, 1), read_image(path))
    ]

    assert len(paths) > 500
    assert different == []
