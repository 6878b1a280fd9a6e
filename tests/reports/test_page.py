"""Pages, inlined images and contact sheets."""

import base64
import io

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from parsenet.reports.page import GAP, LINE, contact_sheet, draw_legend, image_uri, render_page

RED, GREEN = (255, 0, 0), (0, 255, 0)


def filled(height, width, colour=RED):
    return np.full((height, width, 3), colour, np.uint8)


def count(sheet, colour):
    return int((sheet == np.array(colour)).all(-1).sum())


def test_value_that_a_page_misses_is_an_error():
    with pytest.raises(UndefinedError, match=r"^'title' is undefined$"):
        render_page("base.html.j2")


def test_array_and_file_are_inlined(tmp_path):
    Image.fromarray(filled(30, 40)).save(tmp_path / "a.png")

    for image in (filled(30, 40), tmp_path / "a.png"):
        content = image_uri(image).partition("data:image/jpeg;base64,")[2]
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
        np.testing.assert_allclose(shown, filled(30, 40), atol=3)


def test_images_are_scaled_to_the_tile_and_stand_in_columns():
    rows = [[filled(10, 20), filled(20, 10, GREEN)], [np.full((400, 800), 7, np.uint8)]]

    sheet = contact_sheet(rows, [["a", "b"], ["c"]], tile=40)

    assert sheet.shape == (GAP + (40 + LINE + GAP) + (20 + LINE + GAP), 2 * (40 + GAP) + GAP, 3)
    assert count(sheet, RED) == count(sheet, GREEN) == 20 * 40  # small ones are enlarged
    assert count(sheet, (7, 7, 7)) == 20 * 40
    assert np.argwhere((sheet == GREEN).all(-1))[:, 1].min() == GAP + 40 + GAP


@pytest.mark.parametrize("text", ["x" * 500, "W" * 500, "many words " * 100, "two\nlines", ""])
def test_captions_never_leave_their_column(text):
    sheet = contact_sheet([[filled(60, 60), filled(60, 60)]], [[text, ""]], tile=60)

    beside = sheet[:, 60 + 2 * GAP :]
    assert count(beside, (255, 255, 255)) + 60 * 60 == beside[..., 0].size
    assert len(sheet) <= GAP + 60 + 6 * LINE + GAP


def test_legend_breaks_into_rows_and_is_cut_after_sixty_of_459_classes():
    colours = {f"class {index}": (index % 256, index // 256, 9) for index in range(459)}
    legend = draw_legend(colours, 600)

    assert len(draw_legend({"a": RED, "b": RED}, 60)) == len(draw_legend({"a": RED}, 60)) + LINE
    assert len(legend) < 400
    assert count(legend, (59, 0, 9)) > 100
    assert count(legend, (60, 0, 9)) == 0
