import re
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

import parsenet.data.huge
import parsenet.data.reading
from parsenet.data.huge import copy_pixels, decode_huge
from parsenet.data.reading import read_image
from parsenet.errors import ImageError
from tests.fakes.images import gradient, write_exif_turned, write_truncated


@pytest.fixture
def all_are_huge(monkeypatch):
    """Let the way of huge images be taken by small ones."""
    for module in (parsenet.data.huge, parsenet.data.reading):
        monkeypatch.setattr(module, "HUGE", 10)
    monkeypatch.setattr(parsenet.data.huge, "_BAND", 40)


def decoded(path):
    with Image.open(path) as image:
        return decode_huge(image, path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pixels_are_those_that_pillow_gives(tmp_path, name):
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)

    with Image.open(tmp_path / name) as image:
        expected = np.array(image)
    np.testing.assert_array_equal(decoded(tmp_path / name), expected)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_turned_image_is_left_to_pillow(tmp_path, name):
    write_exif_turned(tmp_path / name, gradient(), 6)

    assert decoded(tmp_path / name) is None


def test_turn_that_stands_behind_the_pixels_is_found(tmp_path):
    write_exif_turned(tmp_path / "a.png", gradient(), 6)
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    (tmp_path / "a.png").write_bytes(moved)

    assert decoded(tmp_path / "a.png") is None


def test_sixteen_bits_are_left_to_pillow(tmp_path):
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(range(12)))
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )

    assert decoded(tmp_path / "a.png") is None


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_modes_are_left_to_pillow(tmp_path, mode):
    Image.fromarray(gradient()).convert(mode).save(tmp_path / "a.tif")

    assert decoded(tmp_path / "a.tif") is None


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
def test_huge_image_is_read_like_any_other(tmp_path, name):
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)

    np.testing.assert_array_equal(read_image(tmp_path / name), gradient((37, 53)))


@pytest.mark.usefixtures("all_are_huge")
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_without_opencv_pillow_reads_it(tmp_path, name, monkeypatch):
    monkeypatch.setattr(parsenet.data.huge, "find_spec", lambda name: None)
    Image.fromarray(gradient((37, 53))).save(tmp_path / name)

    assert decoded(tmp_path / name) is None
    assert read_image(tmp_path / name).shape == (37, 53, 3)


@pytest.mark.usefixtures("all_are_huge")
def test_pixels_are_copied_in_bands():
    image = Image.fromarray(gradient((37, 53)))

    np.testing.assert_array_equal(copy_pixels(image), gradient((37, 53)))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_huge_image_needs_little_more_than_its_array(tmp_path):
    import subprocess

    Image.new("RGB", (12_000, 10_000), (1, 2, 3)).save(tmp_path / "a.png", compress_level=1)
    code = (
        "import resource, sys\nfrom pathlib import Path\nimport cv2\n"
        "from parsenet.data.reading import read_image\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\nread_image(Path(sys.argv[1]))\nprint(used() - before)"
    )

    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(answer.stdout) < 1.15 * 360_000  # kB
