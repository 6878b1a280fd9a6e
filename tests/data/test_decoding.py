"""Images decoded by OpenCV: plain JPEGs at a fraction of their size, and huge files."""

import io
import multiprocessing
import os
import re
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

import parsenet.data.reading
from parsenet.data.reading import read_image, read_reduced, shrink
from parsenet.errors import ImageError
from tests.fakes.images import (
    ORIENTATION_TAG,
    gradient,
    write_exif_turned,
    write_grey_png,
    write_truncated,
)


def lively(size=(50, 71)):
    """Blurred noise: smooth as photographs are, different everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_forked_process_does_without_the_threads_of_opencv():
    parsenet.data.reading.opencv()
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


def _warp():
    for _ in range(2):
        cv2.warpAffine(np.zeros((800, 800, 3), np.uint8), np.eye(2, 3), (800, 800))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_no_forked_process_waits_for_the_threads_of_opencv():
    """On a busy machine one or two of a hundred do so without the hook."""
    parsenet.data.reading.opencv()
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


def test_every_cut_of_a_jpeg_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    whole = io.BytesIO()
    Image.fromarray(lively((20, 30))).save(whole, "JPEG")
    for length in range(0, len(whole.getvalue()), 7):
        path.write_bytes(whole.getvalue()[:length])

        with pytest.raises(ImageError):
            read_reduced(path, 1)


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


@pytest.mark.realdata
@pytest.mark.slow
def test_real_images_have_the_pixels_of_pillow(real_data):
    paths = sorted(real_data.rglob("*.jpg"))[::5]

    different = [x for x in paths if not np.array_equal(read_reduced(x, 1), read_image(x))]

    assert len(paths) > 500
    assert different == []


# Huge images, without copies.


@pytest.fixture
def all_are_huge(monkeypatch):
    """Let the way of huge images be taken by small ones."""
    monkeypatch.setattr(parsenet.data.reading, "HUGE", 10)
    monkeypatch.setattr(parsenet.data.reading, "_BAND", 40)


def decoded(path):
    """Decode as huge images are; None where that is left to Pillow."""
    with Image.open(path) as image:
        return parsenet.data.reading._decode_huge(image, path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_huge_image_has_the_pixels_of_pillow(tmp_path, name):
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)

    with Image.open(tmp_path / name) as image:
        expected = np.array(image)
    np.testing.assert_array_equal(decoded(tmp_path / name), expected)


def write_late_turn(path):
    """Write a PNG whose orientation stands behind the pixels."""
    write_exif_turned(path, gradient(), 6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])


def write_sixteen_bits(path):
    """Write an RGB PNG of 16 bits per channel, which Pillow calls RGB too."""
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(range(12)))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
        )
    )


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", write_late_turn),
        ("a.png", write_sixteen_bits),
        ("a.png", lambda path: write_exif_turned(path, gradient(), 6)),
        ("a.jpg", lambda path: write_exif_turned(path, gradient(), 6)),
        *(
            ("a.tif", lambda path, mode=mode: Image.fromarray(gradient()).convert(mode).save(path))
            for mode in ("L", "P", "RGBA", "CMYK")
        ),
    ],
)  # fmt: skip
def test_other_huge_images_are_left_to_pillow(tmp_path, name, write):
    write(tmp_path / name)

    assert decoded(tmp_path / name) is None


@pytest.mark.usefixtures("all_are_huge")
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_truncated_huge_image_is_named(tmp_path, name):
    write_truncated(tmp_path / name, gradient((50, 60)))

    with pytest.raises(
        ImageError, match=f"^{re.escape(repr(str(tmp_path / name)))} must be a whole image, got "
    ):
        read_image(tmp_path / name)


@pytest.mark.usefixtures("all_are_huge")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
@pytest.mark.parametrize("has_opencv", [True, False])
def test_huge_image_is_read_like_any_other(tmp_path, name, has_opencv, monkeypatch):
    if not has_opencv:
        monkeypatch.setattr(parsenet.data.reading, "find_spec", lambda name: None)
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)

    np.testing.assert_array_equal(read_image(tmp_path / name), gradient((37, 53)))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_huge_image_needs_little_more_than_its_array(tmp_path, name):
    Image.new("RGB", (12_000, 10_000), (1, 2, 3)).save(tmp_path / name, compress_level=1)
    code = (
        "import resource, sys\nfrom pathlib import Path\nimport cv2\n"
        "from parsenet.data.reading import read_image\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\nread_image(Path(sys.argv[1]))\nprint(used() - before)"
    )

    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / name)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(answer.stdout) < 1.15 * 360_000  # kB
