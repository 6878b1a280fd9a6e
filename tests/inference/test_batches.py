import numpy as np
import pytest

from parsenet.inference.batches import form_batches
from parsenet.inference.frames import Frame
from parsenet.inference.sources import Source


def frames(*sizes):
    """Frames of 1 x size pixels, named by their place."""
    return [
        Frame(Source(str(index), str(index)), str(index), np.zeros((1, size, 3), np.uint8))
        for index, size in enumerate(sizes)
    ]


def batches(given, size, device_type="cpu"):
    return [[int(x.name) for x in batch] for batch in form_batches(given, size, device_type)]


def test_images_of_equal_size_go_together():
    assert batches(frames(5, 7, 5, 7), 2) == [[0, 2], [1, 3]]


def test_last_batches_may_be_smaller():
    assert batches(frames(5, 7, 5, 5), 2) == [[0, 2], [1], [3]]


def test_image_waits_for_four_batches_at_most():
    given = frames(5, *range(10, 20))

    assert batches(given, 2)[0] == [0]
    seen = []
    next(form_batches((seen.append(x) or x for x in given), 2, "cpu"))
    assert len(seen) == 9


def test_waiting_images_hold_a_bounded_number_of_pixels(monkeypatch):
    monkeypatch.setattr("parsenet.inference.batches.AHEAD_PIXELS", 20)

    assert batches(frames(9, 8, 7, 6), 4) == [[0], [1], [2], [3]]


def test_every_image_comes_once():
    given = frames(*np.random.default_rng(0).integers(1, 6, 200).tolist())

    found = [name for batch in batches(given, 3) for name in batch]

    assert sorted(found) == list(range(200))


def test_frames_of_one_size_keep_their_order():
    assert batches(frames(*[4] * 7), 3) == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(("device_type", "size"), [("cpu", 1), ("cuda", 32)])
def test_size_is_chosen_by_the_device(device_type, size):
    assert len(batches(frames(*[4] * 40), None, device_type)[0]) == size


def test_chosen_size_is_smaller_for_large_images(monkeypatch):
    monkeypatch.setattr("parsenet.inference.batches._AUTO_PIXELS", 12)

    assert batches(frames(*[4] * 6), None, "cuda") == [[0, 1, 2], [3, 4, 5]]
