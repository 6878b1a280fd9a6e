import math

import pytest

from parsenet.reports.tables import class_cells, markdown_table, percent
from tests.fakes.run import METRICS


@pytest.mark.parametrize(
    ("share", "text"), [(0.69552, "69.55"), (1.0, "100.00"), (None, "-"), (math.nan, "-")]
)
def test_share_is_printed_in_per_cent(share, text):
    assert percent(share) == text


def test_class_table_holds_pixels_and_marks_absent_classes():
    assert markdown_table(*class_cells(METRICS)) == (
        "| class      |   IoU | accuracy | precision |  Dice | pixels | share |\n"
        "| ---------- | ----: | -------: | --------: | ----: | -----: | ----: |\n"
        "| background | 90.00 |    95.00 |     92.00 | 94.00 |  8,000 | 80.00 |\n"
        "| ball       | 50.00 |    65.00 |     81.00 | 72.00 |  2,000 | 20.00 |\n"
        "| moon       |     - |        - |         - |     - |      0 |  0.00 |\n"
    )


def test_bar_in_a_name_does_not_break_the_table():
    assert markdown_table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
