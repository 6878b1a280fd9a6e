import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from parsenet.reports.charts import (
    MOST,
    Line,
    bar_chart,
    line_chart,
    matrix_chart,
    row_chart,
    svg_element,
    write_chart,
)

COUNTS = [[7600, 300, 100], [700, 1300, 0], [0, 0, 0]]


def texts_of(chart):
    """Every text of a chart as SVG, which must be well-formed."""
    root = ElementTree.fromstring(svg_element(chart))
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


def draw(kind):
    """A chart of each kind, with names that would be markup or mathematics."""
    return {
        "line": lambda: line_chart("a < b & c", {"<x>": Line([(0, 1.0), (10, 3.0)], 10)}, "step"),
        "row": lambda: row_chart("<b>", ["fc7 < $a$"], {"<n>": [(30.0, 2.0)]}),
        "bar": lambda: bar_chart("<b>", {"<ball>": 0.5, "&": None}),
        "matrix": lambda: matrix_chart("<b>", ["<a>", "&", "c"], COUNTS),
    }[kind]()


@pytest.mark.parametrize("kind", ["line", "row", "bar", "matrix"])
def test_text_stays_text_and_the_same_chart_has_the_same_bytes(kind, tmp_path):
    for name in ("1.svg", "2.svg", "1.png", "2.png"):
        write_chart(tmp_path / name, draw(kind))

    assert any("<" in text for text in texts_of(draw(kind)))
    assert "<b>" not in svg_element(draw(kind))
    for end in ("svg", "png"):
        assert (tmp_path / f"1.{end}").read_bytes() == (tmp_path / f"2.{end}").read_bytes()


def test_lines_hold_their_points_and_ring():
    line, ring = draw("line").axes[0].get_lines()

    assert line.get_xydata().tolist() == [[0, 1], [10, 3]]
    assert ring.get_xydata().tolist() == [[10, 3]]


def test_chart_of_nothing_is_none():
    assert line_chart("loss", {"a": Line([])}, "step") is None
    assert line_chart("loss", {"a": Line([(1, 0.0)])}, "step", log="y") is None
    assert row_chart("IoU", ["fc7"], {"norm": [None]}) is None
    assert bar_chart("IoU", {"ball": None}) is None


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_every_range_can_be_drawn(log):
    for points in ([(1e-9, 1e9), (1e9, 1e-9)], [(3, 3)], [(0.1, 1 / 3), (0.1000001, 0.34)]):
        assert len(texts_of(line_chart("norms", {"a": Line(points)}, "rate", log=log))) > 5


def test_rows_are_drawn_with_their_intervals_and_long_names_broken():
    rows = ["pool6 and fc7 and conv5 and conv4 and conv3", *"abcdef"]
    (axes,) = row_chart("IoU", rows, {"norm": [(30.0, 2.0)] * 6 + [None]}).axes

    (container,) = axes.containers
    assert container.lines[2][0].get_segments()[0][:, 1].tolist() == [28, 32]
    assert len(container.lines[0].get_xdata()) == 6
    assert axes.get_xticklabels()[0].get_text() == "pool6 and\nfc7 and\nconv5 and…"


def test_matrix_shows_shares_of_the_rows_in_per_cent():
    (axes,) = draw("matrix").axes

    shares = axes.collections[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shares, [[95, 3.75, 1.25], [35, 65, 0], [np.nan] * 3])
    assert [text.get_text() for text in axes.texts] == ["95", "4", "1", "35", "65"]


def test_459_classes_are_cut_with_a_note(tmp_path):
    names = [f"class {index} of them" for index in range(459)]
    counts = np.diag(np.full(459, 9))
    counts[3, 458] = 5
    values = {name: index / 459 for index, name in enumerate(names)}
    charts = {
        "and 444 more": line_chart("IoU", {name: Line([(0, 1.0)]) for name in names}, "step"),
        f"IoU (the {MOST} lowest of 459)": bar_chart("IoU", values),
        f"C (the {MOST} most confused of 459 classes)": matrix_chart("C", names, counts.tolist()),
    }

    for note, chart in charts.items():
        assert note in texts_of(chart)
        write_chart(tmp_path / "chart.png", chart)
        with Image.open(tmp_path / "chart.png") as image:
            assert max(image.size) < 2000
    shown = [label.get_text() for label in chart.axes[0].get_yticklabels()]
    assert len(shown) == MOST
    assert {"class 3 of them", "class 458 of them"} <= set(shown)
