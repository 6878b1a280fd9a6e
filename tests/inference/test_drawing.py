import numpy as np

from parsenet.inference.drawing import blend, draw_sample, measure_areas
from parsenet.taxonomy import SHAPES, VOID_COLOUR

IMAGE = np.full((200, 300, 3), 120, np.uint8)
LABEL = (np.arange(200 * 300) % 5).astype(np.uint8).reshape(200, 300)


def labelled(value, shape=(200, 300)):
    return np.full(shape, value, np.uint8)


def panels(truth, prediction, image=IMAGE):
    """The three panels of a sheet, cut out from where the first row of the image is."""
    sheet = np.array(draw_sample(image, truth, prediction, SHAPES))
    top = next(y for y in range(60) if (sheet[y, 8:308] == 120).all())
    return [sheet[top : top + 200, 8 + i * 308 : 308 + i * 308] for i in range(3)]


def legend(truth, prediction, taxonomy=SHAPES):
    """The part below the panels, as a set of colours."""
    sheet = np.array(draw_sample(IMAGE, truth, prediction, taxonomy))
    return {tuple(colour) for colour in sheet[240:].reshape(-1, 3).tolist()}


def test_areas_of_a_large_label_are_counted_in_bands():
    label = np.random.default_rng(0).integers(0, 5, (1500, 1500)).astype(np.uint8)

    assert measure_areas(label) == dict(
        sorted(enumerate(np.bincount(label.ravel()).tolist()), key=lambda pair: -pair[1])
    )


def test_full_overlay_shows_the_colours_of_classes_and_the_image_where_they_are_black():
    mixed = blend(IMAGE, LABEL, SHAPES, 1.0)

    np.testing.assert_array_equal(mixed[LABEL > 0], SHAPES.colourise(LABEL)[LABEL > 0])
    np.testing.assert_array_equal(mixed[LABEL == 0], IMAGE[LABEL == 0])


def test_half_an_overlay_lies_half_way():
    mixed = blend(np.full((1, 1, 3), 100, np.uint8), np.ones((1, 1), np.uint8), SHAPES, 0.5)

    assert mixed.tolist() == [[[165, 90, 80]]]


def test_image_is_shown_as_it_is_and_a_right_prediction_as_the_ground_truth():
    image, truth, prediction = panels(labelled(1), labelled(1))

    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(truth, prediction)


def test_wrong_prediction_looks_different_unless_the_ground_truth_is_void():
    _, truth, wrong = panels(labelled(1), labelled(2))
    _, void, ignored = panels(labelled(255), labelled(2))

    assert (truth != wrong).any(axis=-1).all()
    np.testing.assert_array_equal(void, ignored)


def test_legend_shows_the_classes_that_occur_and_void():
    colours = legend(labelled(1), labelled(2))

    assert {SHAPES.palette[1], SHAPES.palette[2]} <= colours
    assert {SHAPES.palette[3], SHAPES.palette[4]} & colours == set()
    assert VOID_COLOUR in legend(labelled(255), labelled(2))
