import numpy as np
import pytest

from parsenet.inference.drawing import draw_sample
from parsenet.taxonomy import SHAPES, VOC2012, VOID_COLOUR

IMAGE = np.full((200, 300, 3), 120, np.uint8)


def labelled(value, shape=(200, 300)):
    return np.full(shape, value, np.uint8)


def pixels(truth, prediction, image=IMAGE, taxonomy=SHAPES):
    return np.array(draw_sample(image, truth, prediction, taxonomy))


def legend(sheet):
    """The part below the panels of a 200-pixel image, as a set of colours."""
    return {tuple(colour) for colour in sheet[230:].reshape(-1, 3).tolist()}


def test_image_is_shown_as_it_is():
    sheet = pixels(labelled(1), labelled(1))

    np.testing.assert_array_equal(sheet[22:222, 8:308], IMAGE)


def test_right_prediction_looks_like_the_truth():
    sheet = pixels(labelled(1), labelled(1))

    np.testing.assert_array_equal(sheet[22:222, 316:616], sheet[22:222, 624:924])


def test_wrong_prediction_looks_different():
    sheet = pixels(labelled(1), labelled(2))

    assert (sheet[22:222, 316:616] != sheet[22:222, 624:924]).all(axis=-1).all()


def test_void_pixels_are_drawn_as_void_in_the_prediction():
    sheet = pixels(labelled(255), labelled(2))

    np.testing.assert_array_equal(sheet[22:222, 316:616], sheet[22:222, 624:924])


def test_legend_shows_classes_of_truth_and_prediction():
    colours = legend(pixels(labelled(1), labelled(2)))

    assert {SHAPES.palette[1], SHAPES.palette[2]} <= colours


def test_legend_leaves_out_classes_that_do_not_occur():
    colours = legend(pixels(labelled(1), labelled(2)))

    assert {SHAPES.palette[3], SHAPES.palette[4]} & colours == set()


def test_legend_names_void():
    assert VOID_COLOUR in legend(pixels(labelled(255), labelled(2)))


def test_legend_of_many_classes_breaks_into_rows():
    every = (np.arange(200 * 300) % 21).astype(np.uint8).reshape(200, 300)

    sheet = pixels(every, every, taxonomy=VOC2012)

    assert set(VOC2012.palette) <= legend(sheet)


@pytest.mark.parametrize(
    ("shape", "panel"), [((1, 1), (160, 160)), ((1000, 500), (240, 480)), ((3, 4000), (480, 1))]
)
def test_panels_have_a_handy_size(shape, panel):
    image = np.zeros((*shape, 3), np.uint8)

    sheet = draw_sample(image, labelled(1, shape), labelled(1, shape), SHAPES)

    assert (sheet.width - 8) // 3 - 8 == panel[0]
    assert sheet.height == 22 + panel[1] + 8 + 22 + 8
