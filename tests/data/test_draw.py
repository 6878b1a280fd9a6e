import numpy as np
import pytest

from parsenet.data.draw import Draw, Window, reduction_for


def test_window_of_the_image_itself_is_the_identity():
    draw = Draw(Window((30, 40), (0, 0), (30, 40)))

    np.testing.assert_allclose(draw.affine((30, 40)).to_numpy(), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_doubling_puts_centres_a_quarter_of_a_pixel_inside():
    # Two pixels where there was one: their centres lie at -1/4 and 1/4 of the old one.
    draw = Draw(Window((60, 80), (0, 0), (60, 80)))

    np.testing.assert_allclose(draw.affine((30, 40)).to_numpy(), [[0.5, 0, -0.25], [0, 0.5, -0.25]])


def test_mirror_swaps_the_first_and_the_last_column():
    draw = Draw(Window((30, 40), (5, 10), (20, 8)), mirrored=True)

    matrix = draw.affine((30, 40)).to_numpy()

    np.testing.assert_allclose(matrix @ [0, 0, 1], [17, 5])
    np.testing.assert_allclose(matrix @ [7, 0, 1], [10, 5])


def test_turn_leaves_the_centre_and_moves_the_corners_round():
    draw = Draw(Window((30, 30), (5, 5), (11, 11)), degrees=90.0)

    matrix = draw.affine((30, 30)).to_numpy()

    np.testing.assert_allclose(matrix @ [5, 5, 1], [10, 10], atol=1e-9)
    np.testing.assert_allclose(matrix @ [0, 0, 1], [15, 5], atol=1e-9)


def test_reduced_pixel_has_its_centre_between_those_it_covers():
    # Pixel 3 of the half covers 6 and 7 of the whole, whose middle is 6.5.
    draw = Draw(Window((30, 40), (0, 0), (30, 40)), reduction=2)

    matrix = draw.affine((30, 40), 2).to_numpy()

    np.testing.assert_allclose(matrix @ [6.5, 6.5, 1], [3, 3])


@pytest.mark.parametrize(
    ("scaled", "expected"),
    [
        ((200, 300), 1),
        ((100, 150), 1),
        ((51, 75), 1),
        ((50, 75), 2),
        ((26, 38), 2),
        ((25, 37), 4),
        ((12, 18), 8),
        ((1, 1), 8),
        ((10, 76), 1),
    ],
)
def test_reduction_never_makes_a_image_smaller_than_its_target(scaled, expected):
    assert reduction_for(scaled, (100, 150)) == expected


def test_inside_is_what_the_window_shows_of_the_image():
    assert Window((20, 30), (-4, 10), (40, 40)).inside() == ((0, 10), (20, 30))


def test_a_pixel_goes_where_the_matrix_says():
    affine = Draw(
        Window((50, 70), (5, 10), (20, 8)), mirrored=True, degrees=30.0, reduction=2
    ).affine((30, 40), 2)

    np.testing.assert_allclose(affine.to_numpy() @ [3, 7, 1], affine.at(3, 7))
