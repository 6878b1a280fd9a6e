import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from parsenet.reports.charts import (
    COLOURS,
    MOST,
    Line,
    bar_chart,
    line_chart,
    matrix_chart,
    row_chart,
    svg_element,
    write_chart,
)

RATES = [1e-4, 1e-3, 1e-2]
COUNTS = [[7600, 300, 100], [700, 1300, 0], [0, 0, 0]]


def texts_of(chart):
    """Every text of a chart as SVG, which must be well-formed."""
    root = ElementTree.fromstring(svg_element(chart))
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


def panel(chart):
    return chart.axes[0]


def every_chart():
    return [
        line_chart("a < b & c", {"<x>": Line([(0, 1.0), (1, 2.0)], [0.1, 0.2], 1)}, "step"),
        row_chart("<b>", ["fc7 < $a$"], {"<n>": [(30.0, 2.0)]}),
        bar_chart("<b>", {"<ball>": 0.5, "&": None}, "IoU"),
        matrix_chart("<b>", ["<a>", "&", "c"], COUNTS),
    ]


@pytest.mark.parametrize("index", range(4))
def test_text_stays_text_and_names_inject_no_markup(index):
    chart = every_chart()[index]

    assert any("<" in text for text in texts_of(chart))
    assert "<b>" not in svg_element(chart)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_same_chart_has_the_same_bytes(index, kind, tmp_path):
    for name in ("one", "other"):
        write_chart(tmp_path / f"{name}.{kind}", every_chart()[index])

    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_lines_hold_their_points_band_and_ring():
    chart = line_chart("IoU", {"a": Line([(0, 1.0), (10, 3.0)], [0.5, 1.0], 10)}, "step")

    line, ring = panel(chart).get_lines()
    assert line.get_xydata().tolist() == [[0, 1], [10, 3]]
    assert ring.get_xydata().tolist() == [[10, 3]]
    (band,) = panel(chart).collections
    assert band.get_paths()[0].get_extents().get_points().tolist() == [[0, 0.5], [10, 4]]


def test_series_differ_by_more_than_colour():
    lines = {str(index): Line([(0, 1.0), (1, 2.0)]) for index in range(len(COLOURS))}

    drawn = panel(line_chart("IoU", lines, "step")).get_lines()

    looks = {(line.get_linestyle(), line.get_marker()) for line in drawn}
    assert len(looks) == len({line.get_color() for line in drawn}) == len(COLOURS)


def test_long_curve_has_no_marks():
    chart = line_chart("loss", {"a": Line([(x, float(x)) for x in range(100)])}, "step")

    assert panel(chart).get_lines()[0].get_marker() == ""


@pytest.mark.parametrize("lines", [{}, {"a": Line([])}])
def test_chart_of_nothing_is_none(lines):
    assert line_chart("loss", lines, "step") is None
    assert row_chart("IoU", ["fc7"], {"norm": [None]}) is None
    assert bar_chart("IoU", {"ball": None}, "IoU") is None


def test_points_without_a_logarithm_are_left_out():
    points = [(0, 0.0), (1, 1.0), (2, 2.0)]
    chart = line_chart("loss", {"a": Line(points, [1, 2, 3])}, "step", log="y")

    assert panel(chart).get_lines()[0].get_xydata().tolist() == [[1, 1], [2, 2]]
    assert panel(chart).get_yscale() == "log"


@pytest.mark.parametrize(
    ("rates", "labels"),
    [
        ((3e-4,), ["3e-4"]),
        ((3e-4, 1e-3), ["3e-4", "1e-3"]),
        ((1e-3, 1.1e-3, 1e-2), ["1e-3", "0.01"]),  # the middle one would hide the first
    ],
)
def test_rates_are_written_at_their_axis_where_there_is_room(rates, labels):
    chart = line_chart("IoU", {"a": Line([(rate, 50.0) for rate in rates])}, "rate", log="x")

    assert [text for text in texts_of(chart) if text in {"3e-4", "1e-3", "0.01"}] == labels


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_every_range_can_be_drawn(log):
    for points in ([(1e-9, 1e9), (1e9, 1e-9)], [(3, 3)], [(0.1, 1 / 3), (0.1000001, 0.34)]):
        chart = line_chart("norms", {"a": Line(points)}, "rate", log=log)

        assert len(texts_of(chart)) > 5


def test_axes_of_charts_that_cover_the_same_values_are_the_same():
    one, other = (
        line_chart("IoU", {"a": Line([(0, 1.0), (1, top)])}, "step", cover=(0, 40))
        for top in (10, 35.0)
    )

    assert panel(one).get_ylim() == pytest.approx(panel(other).get_ylim())
    assert panel(one).get_ylim()[0] <= 0 < 40 <= panel(one).get_ylim()[1]


def test_rows_are_drawn_with_their_intervals_and_long_names_broken():
    rows = ["pool6 and fc7 and conv5 and conv4 and conv3", *"abcdef"]
    chart = row_chart("IoU", rows, {"norm": [(30.0, 2.0)] * 6 + [None]})

    (container,) = panel(chart).containers
    low, high = container.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == (28, 32)
    assert len(container.lines[0].get_xdata()) == 6
    assert panel(chart).get_xticklabels()[0].get_text() == "pool6 and\nfc7 and\nconv5 and…"


def test_bars_are_in_order_and_a_missing_value_is_a_dash():
    chart = bar_chart("IoU", {"ball": 50.0, "moon": None}, "IoU, %", [(255, 0, 0), (0, 0, 255)])

    assert [bar.get_width() for bar in panel(chart).patches] == [50, 0]
    assert panel(chart).patches[0].get_facecolor() == (1, 0, 0, 1)
    assert {"ball", "50.0", "moon", "-"} <= set(texts_of(chart))


def test_matrix_shows_shares_of_the_rows_in_per_cent():
    chart = matrix_chart("confusions", ["background", "ball", "moon"], COUNTS)

    shares = panel(chart).collections[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shares, [[95, 3.75, 1.25], [35, 65, 0], [np.nan] * 3])
    assert [text.get_text() for text in panel(chart).texts] == ["95", "4", "1", "35", "65"]


def test_459_classes_are_cut_with_a_note(tmp_path):
    names = [f"class {index} of them" for index in range(459)]
    counts = np.diag(np.full(459, 9))
    counts[3, 458] = 5
    lines = {name: Line([(0, 1.0), (1, 2.0)]) for name in names}
    values = {name: float(index) for index, name in enumerate(names)}
    charts = {
        "and 444 more": line_chart("IoU", lines, "step"),
        "IoU (the 20 lowest and 20 highest of 459)": bar_chart("IoU", values, "IoU"),
        f"C (the {MOST} most confused of 459 classes)": matrix_chart("C", names, counts.tolist()),
    }

    for note, chart in charts.items():
        assert note in texts_of(chart)
        write_chart(tmp_path / "chart.png", chart)
        with Image.open(tmp_path / "chart.png") as image:
            assert max(image.size) < 2000
    shown = [label.get_text() for label in panel(chart).get_yticklabels()]
    assert len(shown) == MOST
    assert {"class 3 of them", "class 458 of them"} <= set(shown)
