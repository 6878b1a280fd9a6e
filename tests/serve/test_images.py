import io
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.data.reading import read_image
from parsenet.serve.images import (
    decode_image,
    encode_grey,
    encode_label,
    encode_photo,
    formats,
)
from parsenet.serve.limits import Limits, Refusal
from parsenet.taxonomy import SHAPES
from tests.fakes.images import gradient, write_exif_turned
from tests.fakes.uploads import broken_exif, broken_uploads, image_bytes, png_bomb, text_bomb

LIMITS = Limits(megapixels=50)


def refusal(data, limits=LIMITS):
    with pytest.raises(Refusal) as caught:
        decode_image(data, limits)
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_image_of_every_format_is_read(kind):
    image = decode_image(image_bytes(kind, (7, 12)), LIMITS)

    assert (image.shape, image.dtype) == ((7, 12, 3), np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA", "LA", "P"])
def test_image_of_every_mode_is_read_as_from_a_file(mode, tmp_path):
    data = image_bytes("PNG", mode=mode)
    (tmp_path / "a.png").write_bytes(data)

    image = decode_image(data, LIMITS)

    np.testing.assert_array_equal(image, read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_turned_as_its_exif_says(orientation, tmp_path):
    upright = gradient()
    write_exif_turned(tmp_path / "a.png", upright, orientation)

    image = decode_image((tmp_path / "a.png").read_bytes(), LIMITS)

    np.testing.assert_array_equal(image, upright)


def test_rubbish_in_exif_does_not_lose_the_image():
    assert decode_image(broken_exif(), LIMITS).shape in ((10, 20, 3), (20, 10, 3))


@pytest.mark.parametrize("upload", broken_uploads(), ids=lambda upload: upload[0])
def test_broken_upload_is_refused_with_a_sentence(upload):
    error = refusal(upload[1])

    assert 400 <= error.status < 500
    assert re.fullmatch(r"[^\n]+ must [^\n]+, got [^\n]+\.", str(error))


def test_image_above_the_limit_is_refused_before_it_is_decoded():
    # Ten rows of ten thousand are there: decoding would fail with another sentence.
    error = refusal(png_bomb(10_000, 10_000))

    assert (error.status, str(error)) == (
        413,
        "The image must have at most 50 million pixels, got 10000 x 10000. Make it smaller, or "
        "start the server with a larger `--megapixels`.",
    )


def test_image_at_the_limit_is_read():
    assert decode_image(png_bomb(1000, 1000, True), Limits(megapixels=1)).shape[:2] == (1000,) * 2


def test_text_that_unfolds_to_megabytes_is_not_unfolded():
    error = refusal(text_bomb())

    assert error.status in (400, 415)


def test_format_that_runs_another_program_is_not_read():
    assert not {"EPS", "WMF", "PDF"} & set(formats())
    error = refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")

    assert (error.status, str(error)) == (
        415,
        f"The upload must be an image ({', '.join(formats())}), got something else.",
    )


def test_label_keeps_its_indices_and_gets_the_colours():
    label = np.array([[0, 1, 4], [2, 3, 0]], np.uint8)

    with Image.open(io.BytesIO(encode_label(label, SHAPES))) as image:
        np.testing.assert_array_equal(np.array(image), label)
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), SHAPES.colourise(label))


def test_label_of_the_page_is_stored_with_eight_bits():
    # Its own reader of PNG knows no other depth; two classes would fit into one bit.
    data = encode_label(np.zeros((3, 3), np.uint8), SHAPES)

    assert data[24:29] == bytes([8, 3, 0, 0, 0])


def test_numbers_become_grey_values():
    values = np.array([[0, 0.5, 1, 1.2, -0.1]], np.float32)

    with Image.open(io.BytesIO(encode_grey(values))) as image:
        assert np.array(image).tolist() == [[0, 128, 255, 255, 0]]


def test_photo_is_a_jpeg_of_the_same_size():
    with Image.open(io.BytesIO(encode_photo(gradient((9, 17))))) as image:
        assert (image.format, image.size) == ("JPEG", (17, 9))
