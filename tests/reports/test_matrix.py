import re
from xml.etree import ElementTree

from parsenet.reports.matrix import confusion_chart
from tests.fakes.run import METRICS


def test_chart_is_well_formed_and_needs_no_style_sheet():
    root = ElementTree.fromstring(confusion_chart(METRICS))

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"class=|href=", confusion_chart(METRICS))


def test_every_cell_of_a_class_with_ground_truth_names_its_pixels():
    titles = re.findall(r"<title>([^<]*)</title>", confusion_chart(METRICS))

    assert titles == [
        "background taken for background: 7,600 pixels, 95.00 %",
        "background taken for ball: 300 pixels, 3.75 %",
        "background taken for moon: 100 pixels, 1.25 %",
        "ball taken for background: 700 pixels, 35.00 %",
        "ball taken for ball: 1,300 pixels, 65.00 %",
        "ball taken for moon: 0 pixels, 0.00 %",
    ]


def test_class_without_ground_truth_is_one_grey_bar():
    assert confusion_chart(METRICS).count('fill="#eeeeee"') == 1


def test_empty_cell_is_white_and_a_full_one_dark():
    counts = {"classes": METRICS["classes"][:2], "confusion": [[5, 0], [0, 5]]}

    colours = re.findall(r'fill="(#\w+)" stroke', confusion_chart(counts))

    assert colours == ["#174ea6", "#ffffff", "#ffffff", "#174ea6"]


def test_names_cannot_inject_markup():
    counts = {"classes": [{"name": "<b>"}], "confusion": [[1]]}

    assert "<b>" not in confusion_chart(counts)
