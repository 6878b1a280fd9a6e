import numpy as np
import pytest

from parsenet.data.sampler import repeat_factors
from parsenet.doctor.totals import Totals
from parsenet.doctor.weights import class_repeats, class_weights


@pytest.fixture
def totals():
    """Two images of 100 pixels: class 0 has 150, class 1 has 50 in one of them, class 2 none."""
    return Totals(
        name="train",
        labels=2,
        pixels=np.array([150, 50, 0]),
        around=np.array([200, 100, 0]),
        present=np.array([[True, True, False], [True, False, False]]),
        void=0,
        values={},
        files={},
        is_coloured=False,
    )


def test_inverse_frequency_by_hand(totals):
    weights = class_weights(totals)["inverse_frequency"]

    assert weights.tolist() == pytest.approx([200 / (2 * 150), 200 / (2 * 50), 1.0])


def test_median_frequency_by_hand(totals):
    weights = class_weights(totals)["median_frequency"]

    # Frequencies 0.75 and 0.5, their median 0.625.
    assert weights.tolist() == pytest.approx([0.625 / 0.75, 0.625 / 0.5, 1.0])


def test_enet_by_hand(totals):
    weights = class_weights(totals)["enet"]

    assert weights.tolist() == pytest.approx([1 / np.log(1.77), 1 / np.log(1.27), 1.0])


def test_repeats_are_those_of_the_sampler(totals):
    repeats = class_repeats(totals, 0.8)

    sampled = repeat_factors(totals.present, 0.8)
    assert repeats.tolist() == pytest.approx([1.0, np.sqrt(0.8 / 0.5), 1.0])
    assert sampled[0] == pytest.approx(repeats.max())


def test_no_labels_give_equal_weights(totals):
    empty = Totals("train", 0, np.zeros(3, np.int64), np.zeros(3, np.int64),
                   np.zeros((0, 3), np.bool_), 0, {}, {}, False)  # fmt: skip

    assert all(values.tolist() == [1, 1, 1] for values in class_weights(empty).values())
    assert class_repeats(empty, 0.1).tolist() == [1, 1, 1]
