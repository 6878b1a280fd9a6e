import numpy as np
import pytest
from PIL import Image

from parsenet.doctor.stored import colour_of, read_header, read_stored
from tests.fakes.images import gradient, write_exif_turned, write_grey_png, write_truncated

VALUES = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_grey_numbers_are_read_as_stored(tmp_path, bits):
    write_grey_png(tmp_path / "a.png", VALUES, bits)

    assert read_stored(tmp_path / "a.png").tolist() == VALUES.tolist()


def test_numbers_of_one_bit_are_0_and_1(tmp_path):
    Image.fromarray(VALUES > 1).save(tmp_path / "a.png")

    assert read_stored(tmp_path / "a.png").tolist() == [[0, 0, 1], [1, 0, 0]]


def test_colours_come_as_codes(tmp_path):
    Image.new("RGB", (2, 1), (1, 2, 3)).save(tmp_path / "a.png")

    codes = read_stored(tmp_path / "a.png")

    assert codes.tolist() == [[66051, 66051]]
    assert colour_of(66051) == (1, 2, 3)


def test_palette_is_told_and_its_indices_are_read(tmp_path):
    image = Image.fromarray(VALUES)
    image.putpalette([9, 8, 7, 6, 5, 4] + [0] * 762)
    image.save(tmp_path / "a.png")

    header = read_header(tmp_path / "a.png")

    assert header.palette[:2] == ((9, 8, 7), (6, 5, 4))
    assert (header.mode, header.size, header.is_coloured) == ("P", (2, 3), False)
    assert read_stored(tmp_path / "a.png").tolist() == VALUES.tolist()


def test_orientation_is_told(tmp_path):
    write_exif_turned(tmp_path / "a.jpg", gradient((12, 20)), 6)

    header = read_header(tmp_path / "a.jpg")

    assert (header.orientation, header.size, header.format) == (6, (20, 12), "JPEG")


def test_broken_files_give_nothing(tmp_path):
    write_truncated(tmp_path / "a.png", gradient((200, 200)))
    (tmp_path / "b.png").write_bytes(b"nothing")

    assert read_header(tmp_path / "a.png") is not None
    assert read_stored(tmp_path / "a.png") is None
    assert read_header(tmp_path / "b.png") is None
    assert read_header(tmp_path / "none.png") is None
