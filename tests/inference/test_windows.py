import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.inference.windows import Span, fade, merge, split

FEW = settings(deadline=None, max_examples=40)


def test_windows_are_right_by_hand():
    """Three of at most 56 pixels would do for 120; 51 each is even, 56 is in whole cells."""
    assert split(120, window=60, overlap=16, stride=8) == [
        Span(0, 56, 0, 16), Span(40, 96, 16, 16), Span(80, 120, 16, 0),
    ]  # fmt: skip


@FEW
@given(
    st.integers(1, 2000), st.integers(8, 700), st.integers(0, 300), st.sampled_from([1, 4, 8, 32])
)
def test_windows_cover_every_pixel_and_share_the_overlap(length, window, overlap, stride):
    spans = split(length, window, overlap, stride)

    shared = -(-overlap // stride) * stride
    assert (spans[0].start, spans[0].head) == (0, 0)
    assert (spans[-1].stop, spans[-1].tail) == (length, 0)
    assert all(span.start % stride == 0 for span in spans)
    assert all(span.length <= max(window, 2 * shared, stride) for span in spans)
    for left, right in itertools.pairwise(spans):
        assert left.stop - right.start == left.tail == right.head == shared
        assert left.stop % stride == 0
        assert right.length > shared
    for left, right in zip(spans, spans[2:], strict=False):
        assert left.stop <= right.start


@FEW
@given(st.integers(1, 2000), st.integers(8, 300), st.integers(0, 100))
def test_weights_add_up_to_one(length, window, overlap):
    total = torch.zeros(length)

    for span in split(length, window, overlap, 8):
        total[span.start : span.stop] += fade(span)

    torch.testing.assert_close(total, torch.ones(length))


def test_weight_changes_over_the_middle_half_of_the_overlap():
    weights = fade(Span(0, 20, 8, 0))

    expected = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    assert weights.tolist() == expected + [1.0] * 12


@FEW
@given(st.integers(1, 2000), st.integers(8, 300), st.integers(0, 100))
def test_every_pixel_lies_deepest_in_one_window(length, window, overlap):
    count = np.zeros(length, int)

    for span in split(length, window, overlap, 8):
        first, last = (float(np.clip(edge, 0, span.length)) for edge in span.own)
        count[span.start + int(first) : span.start + int(last)] += 1

    assert (count == 1).all()


def cut(values):
    """Return a function that gives the windows of a map."""
    return lambda row, column: values[:, :, row.start : row.stop, column.start : column.stop]


@pytest.mark.parametrize("size", [(50, 75), (9, 100), (100, 9), (30, 30)])
@pytest.mark.parametrize("overlap", [0, 8, 16])
def test_windows_of_one_map_become_that_map(size, overlap):
    values = torch.randn(1, 3, *size)
    rows, columns = (split(length, 32, overlap, 8) for length in size)
    result, times = torch.zeros_like(values), torch.zeros(size)

    for top, left, patch in merge(cut(values), rows, columns):
        place = (..., slice(top, top + patch.shape[2]), slice(left, left + patch.shape[3]))
        result[place] = patch
        times[place] += 1

    torch.testing.assert_close(result, values)
    assert (times == 1).all()


def test_windows_that_disagree_fade_into_one_another():
    rows, columns = split(8, 16, 8, 8), split(24, 16, 8, 8)

    def score(row, column):
        return torch.full((1, 1, row.length, column.length), 1.0 if column.start else 0.0)

    line = torch.cat([patch[0, 0, 0] for _, _, patch in merge(score, rows, columns)])

    middle = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    assert line.tolist() == [0.0] * 8 + middle + [1.0] * 8
