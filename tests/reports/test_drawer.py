import math
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.reports.drawer import (
    HEIGHT,
    WIDTH,
    as_file,
    line_chart,
    log_ticks,
    nice_ticks,
    row_chart,
)

VALUES = st.floats(-1e6, 1e6).map(lambda value: round(value, 4))


def points_of(svg):
    """Positions of every polyline."""
    return [
        [tuple(map(float, pair.split(","))) for pair in line.split()]
        for line in re.findall(r'polyline points="([^"]*)"', svg)
    ]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.12, 0.48, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (0, 20000, [0, 5000, 10000, 15000, 20000]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_ticks_around_a_single_value_are_more_than_one():
    assert nice_ticks(3, 3)[0] < 3 < nice_ticks(3, 3)[-1]


@settings(deadline=None)
@given(VALUES, VALUES)
def test_ticks_cover_their_range(one, other):
    low, high = sorted((one, other))

    ticks = nice_ticks(low, high)

    slack = 1e-6 * max(1, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack


@settings(deadline=None)
@given(VALUES, VALUES)
def test_ticks_are_a_handful(one, other):
    assert 2 <= len(nice_ticks(min(one, other), max(one, other))) <= 8


def test_chart_is_well_formed():
    svg = line_chart("a < b & c", {"train/<loss>": [(0, 1.0), (1, 0.5)]}, "step")

    assert ElementTree.fromstring(svg).tag == "svg"


def test_larger_value_lies_higher():
    (line,) = points_of(line_chart("loss", {"a": [(0, 1.0), (10, 3.0)]}, "step"))

    assert line[1][1] < line[0][1]


def test_curves_share_their_axes():
    first, second = points_of(
        line_chart("loss", {"a": [(0, 1.0), (10, 3.0)], "b": [(5, 2.0), (10, 3.0)]}, "step")
    )

    assert first[1] == second[1]
    assert second[0][0] == pytest.approx((first[0][0] + first[1][0]) / 2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES), min_size=1, max_size=9))
def test_curves_stay_inside_the_image(points):
    (line,) = points_of(line_chart("loss", {"a": sorted(points)}, "step"))

    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_long_curve_has_no_dots():
    svg = line_chart("loss", {"a": [(x, float(x)) for x in range(100)]}, "step")

    assert "<circle" not in svg


@pytest.mark.parametrize("curves", [{}, {"a": []}])
def test_chart_of_nothing_is_nothing(curves):
    assert line_chart("loss", curves, "step") == ""


def test_decades_are_equally_long_on_a_logarithmic_axis():
    points = [(1e-4, 10.0), (1e-3, 100.0), (1e-2, 1000.0)]

    (line,) = points_of(line_chart("norms", {"a": points}, "rate", log="xy"))

    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_logarithmic_axis_is_marked_in_decades():
    svg = line_chart("norms", {"a": [(1e-4, 10.0), (1e-2, 1000.0)]}, "rate", log="xy")

    assert [mark for mark in ("1e-4", "1e-3", "1e-2", "100") if f">{mark}<" not in svg] == []


def test_points_without_a_logarithm_are_left_out():
    (line,) = points_of(line_chart("loss", {"a": [(0, 0.0), (1, 1.0), (2, 2.0)]}, "step", log="y"))

    assert len(line) == 2


def names_of(svg):
    """Place (left, top) and text of every curve's name."""
    found = re.findall(r'<rect x="(\d+)" y="(\d+)".*?\n<text[^>]*>([^<]*)</text>', svg)
    return [(int(left), int(top), text) for left, top, text in found]


@pytest.mark.parametrize("length", [1, 8, 30])
def test_names_of_curves_overlap_neither_one_another_nor_the_axes(length):
    curves = {letter * length: [(0, 1.0), (1, 2.0)] for letter in "abcde"}

    svg = line_chart("norms", curves, "step")

    names = names_of(svg)
    assert [text for _, _, text in names] == list(curves)
    for (left, top, _), (next_left, next_top, _) in pairwise(names):
        assert next_top > top or next_left >= left + 16 + 6 * length
    assert all(left + 16 + 6 * length <= WIDTH for left, _, _ in names)
    assert min(y for line in points_of(svg) for _, y in line) >= max(top for _, top, _ in names) + 6


def test_long_names_of_rows_are_broken_and_cut():
    rows = ["pool6 and fc7 and conv5", *"abcdef"]

    svg = row_chart("IoU", rows, {"norm": [(30.0, 2.0)] * 7})

    shown = re.findall(r'text-anchor="middle">([^<]+)<title>pool6 and', svg)
    assert (len(shown), shown[0], shown[1][-1]) == (2, "pool6 and", "…")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.8, 2.7, [0.5, 1, 2, 5]), (3.0, 3.0, [2, 5]), (2, 900, [1, 10, 100, 1000])],
)
def test_ticks_of_a_short_logarithmic_axis_are_round(low, high, ticks):
    found = log_ticks(math.log10(low), math.log10(high))

    assert [10**tick for tick in found] == pytest.approx(ticks)


def test_axes_of_charts_that_cover_the_same_values_are_the_same():
    one, other = (
        line_chart("IoU", {"a": [(0, 1.0), (1, top)]}, "step", cover=(0, 40)) for top in (10, 35.0)
    )

    assert points_of(one)[0][0] == points_of(other)[0][0]


def test_rows_are_drawn_with_their_intervals():
    series = {"norm": [(30.0, 2.0), (36.0, 1.0)], "no norm": [(31.0, 0.0), None]}

    svg = row_chart("IoU", ["fc7", "+ conv3"], series)

    assert ElementTree.fromstring(svg).tag == "svg"
    assert [len(line) for line in points_of(svg)] == [2, 1]
    bars = re.findall(r'<line stroke="[^"]*" .*?y1="([\d.]+)" y2="([\d.]+)"', svg)
    lengths = [float(low) - float(high) for low, high in bars]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.3)
    assert lengths[2] == 0


def test_rows_without_values_are_nothing():
    assert row_chart("IoU", ["fc7"], {"norm": [None]}) == ""


def test_chart_of_a_file_has_its_own_colours():
    svg = as_file(line_chart("loss", {"a": [(0, 1.0), (1, 2.0)]}, "step"))

    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].tag.endswith("style")


@pytest.mark.parametrize(
    ("rates", "labels"),
    [
        ((3e-4,), ["3e-4"]),
        ((3e-4, 1e-3), ["3e-4", "1e-3"]),
        ((1e-3, 1.1e-3, 1e-2), ["0.001", "0.01"]),  # the middle one would hide the first
    ],
)
def test_rates_are_written_at_their_axis_where_there_is_room(rates, labels):
    svg = line_chart("IoU", {"a": [(rate, 1.0) for rate in rates]}, "learning rate", "x")

    assert re.findall(r'class="tick"[^>]*middle">([\d.e-]+)<', svg) == labels
