import pickle
import re

import numpy as np
import pytest

from parsenet.errors import LabelError
from parsenet.taxonomy import PASCAL_CONTEXT459, Recoding, Taxonomy, voc_colour_map

PETS = Taxonomy("pets", ("cat", "dog"), voc_colour_map(2))
RECODING = Recoding(PETS, {-1: 255, 7: 0, 300: 1, 9: 0}, remedy="Look again.")


def refuses(message):
    return pytest.raises(LabelError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_stored_values_become_classes(kind):
    label = RECODING(np.array([[-1, 7, 9], [300, 7, 7]], kind), "a.png")

    assert label.dtype == np.uint8
    assert label.tolist() == [[255, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("value", [-2, 0, 8, 10, 299, 301, 30000, -30000])
def test_value_that_stands_for_nothing_is_refused(value):
    stored = np.array([[7, 9], [7, value]], np.int16)

    with refuses(
        f"The label 'a.png' must hold values that 'pets' knows, got {value} at row 1, column 1. "
        "Look again."
    ):
        RECODING(stored, "a.png")


def test_unsigned_values_do_not_wrap():
    with refuses(
        "The label 'a.png' must hold values that 'pets' knows, got 255 at row 0, column 0. "
        "Look again."
    ):
        RECODING(np.array([[255]], np.uint8), "a.png")


def test_many_classes_give_16_bit_labels():
    recoding = Recoding(PASCAL_CONTEXT459, {0: 511, 459: 458})

    label = recoding(np.array([[0, 459]], np.uint16), "a.mat")

    assert label.dtype == np.uint16
    assert label.tolist() == [[511, 458]]


def test_recoding_survives_pickling():
    copy = pickle.loads(pickle.dumps(RECODING))

    assert copy(np.array([[300]]), "a.png").tolist() == [[1]]


def test_colours_become_classes():
    recoding = Recoding(PETS, {0: 0}, {(1, 2, 3): 1, (9, 9, 9): 255})

    label = recoding.from_colours(np.array([[(1, 2, 3), (9, 9, 9)]], np.uint8))

    assert label.tolist() == [[1, 255]]
