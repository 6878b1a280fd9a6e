import cv2
import numpy as np
import pytest

from parsenet.data.draw import Draw, Window
from parsenet.data.images import shrink
from parsenet.data.warp import PAD_COLOUR, Warp
from tests.fakes.images import gradient


def warp_image(image, draw, size=None):
    return Warp(draw, size or image.shape[:2]).image(image).transpose(1, 2, 0)


@pytest.mark.parametrize(("height", "width"), [(20, 30), (45, 68), (60, 90), (31, 92)])
def test_window_is_that_of_the_whole_resized_image(height, width):
    image = gradient((30, 45))
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)

    part = warp_image(image, Draw(Window((height, width), (5, 7), (12, 20))))

    assert np.abs(part.astype(int) - whole[5:17, 7:27]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(22, 31), (44, 67), (62, 91)])
def test_label_of_the_window_is_the_nearest_pixel(height, width):
    # Even heights from 30 rows and any width from 45 columns: never half-way between two pixels.
    label = np.random.default_rng(0).integers(0, 21, (30, 45), dtype=np.uint8)

    part = Warp(Draw(Window((height, width), (4, 6), (15, 22))), (30, 45)).label(label, 255)

    rows = np.floor((np.arange(4, 19) + 0.5) * 30 / height).astype(int)
    columns = np.floor((np.arange(6, 28) + 0.5) * 45 / width).astype(int)
    np.testing.assert_array_equal(part, label[rows][:, columns])


@pytest.mark.parametrize("scaled", [(30, 45), (44, 67), (22, 31)])
@pytest.mark.parametrize("corner", [(2, 3), (-6, -9), (-20, 5)])
def test_mirror_within_the_matrix_is_the_mirror_of_the_result(scaled, corner):
    image = gradient((30, 45))
    label = np.random.default_rng(0).integers(0, 21, (30, 45), dtype=np.uint8)
    window = Window(scaled, corner, (50, 40))
    plain, mirrored = (Warp(Draw(window, mirrored=m), (30, 45)) for m in (False, True))

    difference = plain.image(image)[..., ::-1].astype(int) - mirrored.image(image)

    assert np.abs(difference).max() <= 1  # of rounding
    np.testing.assert_array_equal(plain.label(label, 255)[:, ::-1], mirrored.label(label, 255))


def test_padding_is_void_and_mean_coloured():
    warp = Warp(Draw(Window((20, 30), (-3, -2), (30, 40))), (10, 15))

    image = warp.image(gradient((10, 15)))
    label = warp.label(np.zeros((10, 15), np.uint8), 200)

    inside = np.zeros((30, 40), bool)
    inside[3:23, 2:32] = True
    np.testing.assert_array_equal(label != 200, inside)
    assert (image[:, ~inside].T == PAD_COLOUR).all()


def test_half_turn_is_the_image_upside_down():
    image = gradient((20, 30))
    draw = Draw(Window((20, 30), (0, 0), (20, 30)), degrees=180.0)

    turned = warp_image(image, draw)

    assert np.abs(turned.astype(int) - image[::-1, ::-1]).max() <= 1


def test_turn_pads_the_corners():
    draw = Draw(Window((21, 21), (0, 0), (21, 21)), degrees=45.0)
    warp = Warp(draw, (21, 21))

    label = warp.label(np.zeros((21, 21), np.uint8), 255)

    assert label[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [255] * 4
    assert label[10, 10] == 0
    assert (warp.image(gradient((21, 21)))[:, 0, 0] == PAD_COLOUR).all()


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 96), (61, 93), (57, 89)])
def test_reduced_image_lies_where_the_whole_one_does(size, reduction):
    # Grey rises evenly along both sides, so a shift by half a pixel shows.
    rows, columns = np.indices(size)
    image = np.repeat((rows + columns)[..., None], 3, axis=2).astype(np.uint8)
    scaled = size[0] // reduction, size[1] // reduction
    window = Window(scaled, (0, 0), scaled)
    whole = warp_image(image, Draw(window)).astype(int)

    small = warp_image(shrink(image, reduction), Draw(window, reduction=reduction), size)

    assert np.abs(small - whole)[1:-1, 1:-1].max() <= 1


def test_input_is_left_as_it_was_even_if_read_only():
    image, label = gradient((20, 30)), np.zeros((20, 30), np.uint8)
    image.flags.writeable = label.flags.writeable = False
    warp = Warp(Draw(Window((20, 30), (0, 0), (20, 30))), (20, 30))

    warp.image(image)[:] = 0
    warp.label(label, 255)[:] = 1

    assert (image == gradient((20, 30))).all()
    assert not label.any()


def test_only_the_needed_part_is_read():
    # Far more than 2^15 pixels a side, where OpenCV's warp ends.
    image = np.zeros((10, 40_000, 3), np.uint8)
    image[:, 39_000:] = 200

    out = warp_image(image, Draw(Window((20, 80_000), (0, 77_990), (20, 20))))

    assert (out[:, :9] == 0).all()
    assert (out[:, 11:] == 200).all()
