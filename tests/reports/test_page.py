import base64
import io

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from parsenet.reports.page import image_uri, render_page


def opened(uri):
    assert uri.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("max_side", [None, 20])
def test_image_is_inlined_and_shrunk(max_side, tmp_path):
    pixels = np.full((30, 40, 3), (200, 10, 10), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")

    for image in (pixels, tmp_path / "a.png"):
        shown = opened(image_uri(image, max_side))

        assert shown.size == ((40, 30) if max_side is None else (20, 15))
        np.testing.assert_allclose(np.asarray(shown)[5, 5], (200, 10, 10), atol=3)


def test_page_is_whole_and_its_text_cannot_inject_html():
    page = render_page("base.html.j2", title="<b>run")

    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "<h1>&lt;b&gt;run</h1>" in page
    assert "<script" not in page


def test_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match=r"^'title' is undefined$"):
        render_page("base.html.j2")
