import threading
import tracemalloc

import numpy as np
import pytest

from parsenet.doctor.examine import MAX_VALUES, count_values
from parsenet.doctor.listing import NUMBERS
from parsenet.doctor.splits import Pair, Reading, Split
from parsenet.doctor.survey import survey


def drawn(count, label, image=None):
    """A split whose samples are drawn in memory."""
    reading = Reading(image or (lambda index: np.full((4, 6, 3), index, np.uint8)), label,
                      NUMBERS, None, is_plain=False)  # fmt: skip
    return Split("drawn", [Pair(f"s{n}", None, None) for n in range(count)], reading)


def test_results_come_in_the_order_of_the_samples():
    split = drawn(50, lambda index: np.full((4, 6), index, np.uint8))

    surveyed = survey([split], workers=4, progress=False)[0]

    assert [list(label.classes) for label in surveyed.labels] == [[n] for n in range(50)]


def test_number_of_threads_changes_nothing():
    split = drawn(20, lambda index: np.full((4, 6), index % 7, np.uint8))

    one, many = (survey([split], workers=n, progress=False)[0] for n in (1, 5))

    assert one.labels == many.labels
    assert one.images == many.images


def test_what_a_reader_raises_costs_one_sample():
    def label(index):
        if index == 2:
            raise MemoryError("too large")
        return np.zeros((4, 6), np.uint8)

    labels = survey([drawn(4, label)], workers=2, progress=False)[0].labels

    assert [label.trouble for label in labels] == ["", "", "refused", ""]
    assert labels[2].error == "'None' failed with MemoryError: too large"


def test_interruption_stops_the_threads():
    def label(index):
        if index == 5:
            raise KeyboardInterrupt
        return np.zeros((4, 6), np.uint8)

    with pytest.raises(KeyboardInterrupt):
        survey([drawn(1000, label)], workers=2, progress=False)

    assert not [x for x in threading.enumerate() if x.name.startswith("doctor")]


def test_few_samples_are_in_hand_at_a_time():
    started, waiting = [], []
    gate = threading.Event()

    def label(index):
        started.append(index)
        if index == 0:  # the others may go on meanwhile, as far as they are allowed to
            gate.wait(0.3)
            waiting.append(len(started))
        return np.zeros((4, 6), np.uint8)

    survey([drawn(500, label)], workers=2, progress=False)

    assert waiting[0] <= 2 * 4
    assert len(started) == 500


def test_depth_maps_are_not_kept_value_by_value():
    label = np.arange(5000, dtype=np.uint16).reshape(50, 100)

    facts = survey([drawn(1, lambda index: label)], progress=False)[0].labels[0]

    assert len(facts.values) == MAX_VALUES
    assert facts.num_wrong == 5000 - 256


def test_counts_are_those_of_numpy():
    generator = np.random.default_rng(0)
    for kind in (np.uint8, np.uint16, np.int32, np.int64):
        values = generator.integers(0, 200, (30, 40)).astype(kind)
        found, numbers = np.unique(values, return_counts=True)

        assert count_values(values) == dict(zip(found.tolist(), numbers.tolist(), strict=True))


@pytest.mark.slow
def test_memory_stays_flat_over_ten_thousand_samples():
    label = np.random.default_rng(0).integers(0, 20, (80, 120), dtype=np.uint8)
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)

    tracemalloc.start()
    surveyed = survey(
        [drawn(10_000, lambda index: label.copy(), lambda index: image.copy())],
        workers=2,
        progress=False,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(surveyed[0].labels) == 10_000
    assert peak < 60 * 2**20  # images and labels alone would be 384 MB
