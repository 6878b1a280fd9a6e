import math

import pytest

from parsenet.reports.tables import (
    class_table,
    confusions,
    markdown_table,
    percent,
    protocol_sentence,
    summary_table,
)
from tests.fakes.run import METRICS


@pytest.mark.parametrize(
    ("share", "text"), [(0.69552, "69.55"), (1.0, "100.00"), (None, "-"), (math.nan, "-")]
)
def test_share_is_printed_in_per_cent(share, text):
    assert percent(share) == text


def test_summary_table_holds_the_four_scores():
    assert summary_table(METRICS) == (
        "| pixel accuracy | mean accuracy | mean IoU | frequency-weighted IoU |\n"
        "| -------------: | ------------: | -------: | ---------------------: |\n"
        "|          90.00 |         80.00 |    70.00 |                  85.00 |\n"
    )


def test_class_table_holds_pixels_and_marks_absent_classes():
    assert class_table(METRICS) == (
        "| class      |   IoU | accuracy | precision |  Dice | pixels | share |\n"
        "| ---------- | ----: | -------: | --------: | ----: | -----: | ----: |\n"
        "| background | 90.00 |    95.00 |     92.00 | 94.00 |  8,000 | 80.00 |\n"
        "| ball       | 50.00 |    65.00 |     81.00 | 72.00 |  2,000 | 20.00 |\n"
        "| moon       |     - |        - |         - |     - |      0 |  0.00 |\n"
    )


def test_class_table_of_no_pixels_has_no_shares():
    metrics = {"classes": [{"name": "ball", "iou": None, "accuracy": None, "pixels": 0}]}

    assert class_table(metrics).splitlines()[-1] == (
        "| ball  |   - |        - |         - |    - |      0 |     - |"
    )


def test_bar_in_a_name_does_not_break_the_table():
    assert markdown_table(["a"], [["x|y"]], "l").splitlines()[-1] == "| x\\|y |"


def test_protocol_names_what_the_means_go_over():
    assert protocol_sentence(METRICS) == (
        "shapes, split val, 40 images. Means over the 2 of 3 classes that have ground truth. "
        "Protocol: native size, void left out."
    )


def test_protocol_of_a_card_is_its_line():
    metrics = {"card": {}, "protocol": "shapes val, 40 images"}

    assert protocol_sentence(metrics) == "shapes val, 40 images."


def test_confusions_come_worst_first():
    assert confusions(METRICS) == [
        ["ball", "background", "700", "35.00"],
        ["background", "ball", "300", "3.75"],
        ["background", "moon", "100", "1.25"],
    ]


def test_confusions_are_cut_at_the_count():
    assert len(confusions(METRICS, count=2)) == 2
