import re

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from parsenet.data.shapes import CUE_DISTANCE, CUE_RADIUS, Shapes, draw
from parsenet.errors import ConfigError

SIZE = (96, 128)


def draw_both(seed):
    """Draw the same image by day and by night."""
    by_day = draw(np.random.default_rng(seed), SIZE, night=False)
    return by_day, draw(np.random.default_rng(seed), SIZE, night=True)


@pytest.mark.parametrize("seed", range(5))
def test_scene_changes_the_classes_and_a_small_cue_far_from_every_object(seed):
    (day, by_day), (night, by_night) = draw_both(seed)

    changed = (day != night).any(-1)
    rows, columns = np.nonzero(changed)

    assert len(rows) > 50
    assert rows.max() - rows.min() <= 2 * CUE_RADIUS
    assert columns.max() - columns.min() <= 2 * CUE_RADIUS
    assert distance_transform_edt(by_day == 0)[changed].min() >= CUE_DISTANCE
    assert set(np.unique(by_day)) <= {0, 1, 3}
    np.testing.assert_array_equal(by_night, np.where(by_day > 0, by_day + 1, 0))


def test_cue_stands_in_every_corner():
    corners = set()
    for seed in range(40):
        (day, _), (night, _) = draw_both(seed)
        row, column = np.argwhere((day != night).any(-1)).mean(0)
        corners.add((row > SIZE[0] / 2, column > SIZE[1] / 2))

    assert len(corners) == 4


def test_cue_tells_the_scene():
    # The sun is yellow and the crescent is not: blue of the brightest corner pixels.
    dataset = Shapes("val")
    told = []
    for index in range(40):
        image = dataset.read(index).image.astype(int)
        corners = np.concatenate([
            image[:22, :22],
            image[:22, -22:],
            image[-22:, :22],
            image[-22:, -22:],
        ]).reshape(-1, 3)
        brightest = corners[corners[:, :2].sum(1).argsort()[-20:]]
        told.append(np.median(brightest[:, 2]) > 150)

    assert told == [index % 2 == 1 for index in range(40)]


@pytest.mark.parametrize("size", [(88, 88), (96, 128), (160, 120)])
def test_every_image_has_an_object(size):
    dataset = Shapes("train", size)

    assert all(dataset.read_label(index).any() for index in range(20))
    assert dataset.read(0).image.shape == (*size, 3)


def test_every_class_is_common_and_no_image_comes_twice():
    train = [Shapes("train").read(index) for index in range(60)]
    val = [Shapes("val", count=7).read(index) for index in range(7)]

    labels = np.stack([sample.label for sample in train])
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size

    assert shares[1:].min() > 0.015
    assert len({sample.image.tobytes() for sample in train + val}) == 67
    assert val[-1].id == "val_0006"
    assert (len(Shapes("train")), len(Shapes("val"))) == (400, 100)


def test_images_are_those_of_the_first_release():
    # Recorded scores depend on every pixel.
    image, label, _ = Shapes("train").read(3)

    assert (int(image.sum()), int(label.sum())) == (4_312_318, 2756)


def test_small_size_is_refused():
    message = (
        "`size` must be at least (88, 88), got (64, 96). Objects would be near the cue; use "
        "(96, 128)."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Shapes("train", (64, 96))
