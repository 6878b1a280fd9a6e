import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.reports.charts import HEIGHT, WIDTH, line_chart, nice_ticks

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
def test_curves_stay_inside_the_picture(points):
    (line,) = points_of(line_chart("loss", {"a": sorted(points)}, "step"))

    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_long_curve_has_no_dots():
    svg = line_chart("loss", {"a": [(x, float(x)) for x in range(100)]}, "step")

    assert "<circle" not in svg


@pytest.mark.parametrize("curves", [{}, {"a": []}])
def test_chart_of_nothing_is_nothing(curves):
    assert line_chart("loss", curves, "step") == ""
