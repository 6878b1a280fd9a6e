import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from parsenet.data.png import decode_plain_png
from parsenet.data.reading import read_index_label
from parsenet.errors import ImageError
from tests.fakes.images import write_grey_png


def make_label(size=(13, 17)):
    return np.random.default_rng(0).integers(0, 21, size, dtype=np.uint8)


def palette_png(label, **options):
    image = Image.fromarray(label)
    image.putpalette(list(range(256)) * 3)
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 17), (300, 400)])
def test_palette_png_gives_its_indices(size):
    label = make_label(size)

    pixels = decode_plain_png(palette_png(label))

    np.testing.assert_array_equal(pixels, label)
    assert pixels.flags.writeable


def test_data_in_several_parts_are_joined():
    # Pillow begins a part every 64 KiB.
    label = np.random.default_rng(0).integers(0, 256, (600, 600), dtype=np.uint8)
    data = palette_png(label)

    assert data.count(b"IDAT") > 1
    np.testing.assert_array_equal(decode_plain_png(data), label)


def test_grey_png_gives_its_levels(tmp_path):
    write_grey_png(tmp_path / "a.png", make_label(), bits=8)

    np.testing.assert_array_equal(decode_plain_png((tmp_path / "a.png").read_bytes()), make_label())


@pytest.mark.parametrize("bits", [2, 4, 16])
def test_other_depths_are_left_to_pillow(tmp_path, bits):
    write_grey_png(tmp_path / "a.png", make_label() % 4, bits=bits)

    assert decode_plain_png((tmp_path / "a.png").read_bytes()) is None


def test_filtered_rows_are_left_to_pillow(tmp_path):
    # Filter 2: a row is stored as its difference to the one above.
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    raw = b"".join(b"\2" + row.tobytes() for row in np.diff(label, axis=0, prepend=np.uint8(0)))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    (tmp_path / "a.png").write_bytes(data)

    assert decode_plain_png(data) is None
    np.testing.assert_array_equal(read_index_label(tmp_path / "a.png"), label)


@pytest.mark.parametrize("kind", ["rgb", "jpeg", "nothing"])
def test_other_files_are_left_to_pillow(kind):
    file = io.BytesIO()
    if kind != "nothing":
        Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(
            file, "PNG" if kind == "rgb" else "JPEG"
        )

    assert decode_plain_png(file.getvalue()) is None


def test_every_cut_is_left_to_pillow():
    data = palette_png(make_label())

    # The last four bytes are a checksum of nothing, which no one needs.
    assert [n for n in range(len(data) - 4) if decode_plain_png(data[:n]) is not None] == []


def test_a_wrong_bit_is_refused(tmp_path):
    data = bytearray(palette_png(make_label()))
    data[data.index(b"IDAT") + 20] ^= 1
    (tmp_path / "a.png").write_bytes(data)

    assert decode_plain_png(bytes(data)) is None
    with pytest.raises(ImageError, match=r"a\.png' must be a whole image, got "):
        read_index_label(tmp_path / "a.png")
