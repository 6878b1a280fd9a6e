import base64
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from parsenet.doctor.drawings import WRONG_COLOUR, draw_case, overlay, shrink
from parsenet.doctor.page import write_page
from tests.fakes.healthy import HEALTHY, image_at, label_at, read, write_label


class Tags(HTMLParser):
    """Collects sources of images, and fails on a tag that is closed without being open."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def spoil(root):
    label = read(label_at(root))
    label[5:12, 7:20] = 17
    write_label(root, "train", "train0", label)
    image_at(root, "train", 1).write_bytes(b"")
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))


def page_of(root, look):
    return write_page(look(root), root / "out").read_text(encoding="utf-8")


def images(page):
    found = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_page_is_whole_and_needs_no_other_file(root, look):
    spoil(root)

    tags = Tags()
    tags.feed(page_of(root, look))

    assert tags.open == []
    assert tags.sources
    assert all(source.startswith("data:") for source in tags.sources)


def test_each_finding_is_on_the_page(root, look):
    spoil(root)

    page = page_of(root, look)

    for code in ("value-out-of-range", "unreadable-image", "leak"):
        assert f"</span> {code}</h3>" in page


def test_leak_shows_both_images(root, look):
    shutil.copy(image_at(root, "train", 2), image_at(root, "val", 1))

    first, second = images(page_of(root, look))

    assert first.size == second.size == (320, 213)
    assert np.array_equal(np.array(first), np.array(second))


def test_page_of_a_healthy_folder_has_classes_and_no_findings(root, look):
    page = page_of(root, look)

    assert "<h2>Findings</h2>" not in page
    assert "<td>2 road</td>" in page


def test_names_are_escaped(root, look):
    (root / "taxonomy.yaml").write_text("names: ['<b>', '&', road, moon]\n")

    page = page_of(root, look)

    assert "<b></td>" not in page
    assert "0 &lt;b&gt;" in page


def test_wrong_pixels_are_marked(root, look):
    spoil(root)
    diagnosis = look(root)

    image, under_label = draw_case(diagnosis.surveyed[0].split, 0)

    marked = np.array(under_label)[8 * 320 // 36 : 10 * 320 // 36, 9 * 320 // 36 : 18 * 320 // 36]
    assert (marked == WRONG_COLOUR).all()
    assert not (np.array(image) == WRONG_COLOUR).all(axis=-1).any()


def test_broken_image_leaves_the_label_to_draw(root, look):
    spoil(root)
    diagnosis = look(root)

    drawn = draw_case(diagnosis.surveyed[0].split, 1)

    assert [image.size for image in drawn] == [(320, 213)]


def test_label_of_another_size_is_drawn_beside_the_image(root, look):
    write_label(root, "train", "train0", np.zeros((12, 36), np.uint8))
    diagnosis = look(root)

    image, label = draw_case(diagnosis.surveyed[0].split, 0)

    assert (image.size, label.size) == ((320, 213), (320, 107))


def test_single_wrong_pixels_survive_the_scaling_down():
    from parsenet.doctor.drawings import _mark

    shown, wrong = np.zeros((2000, 3000, 3), np.uint8), np.zeros((2000, 3000), np.bool_)
    wrong[1000, 1500] = True

    small = np.array(shrink(Image.fromarray(_mark(shown, wrong))))

    assert small.max() > 200


def test_void_is_striped_and_background_left_alone():
    image = np.full((60, 60, 3), 100, np.uint8)
    label = np.zeros((60, 60), np.uint8)
    label[:, 30:], label[:20] = 1, 255

    shown = overlay(image, label, HEALTHY)

    assert set(np.unique(shown[:20])) == {93, 187}
    assert (shown[20:, :30] == 100).all()
    assert np.abs(shown[20:, 30:] - np.array((119.6, 30, 30))).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (5, 3)])
def test_images_of_any_size_are_shrunk(size):
    image = shrink(Image.new("RGB", size[::-1]))

    assert max(image.size) == 320
    assert min(image.size) >= 1
