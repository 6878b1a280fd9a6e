import re

import numpy as np
import pytest
from PIL import Image

from parsenet.errors import DataNotFoundError
from parsenet.export.images import draw_images, find_in, find_labelled, read_small


@pytest.fixture
def folder(tmp_path):
    for i in range(10):
        Image.new("RGB", (4, 3)).save(tmp_path / f"img{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_few_images_are_spread_over_the_folder(folder):
    assert [path.stem for path in find_in(folder, "images", 3)] == ["img0", "img3", "img6"]


def test_all_images_are_taken_where_there_are_no_more(folder):
    assert len(find_in(folder, "images", 20)) == 10


def test_images_without_labels_are_left_out(folder, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.new("L", (4, 3)).save(labels / "img4.png")

    pairs = find_labelled(folder, labels)

    assert {pair.id for pair in pairs} == {"img4"}
    assert pairs[0].label == labels / "img4.png"


def test_labels_of_other_images_are_refused(folder, tmp_path):
    (tmp_path / "labels").mkdir()
    message = (
        f"`labels` must hold label maps named like the images in '{folder}', got none in "
        f"'{tmp_path / 'labels'}'. Check the folders."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        find_labelled(folder, tmp_path / "labels")


def test_large_image_is_shrunk_to_a_megapixel(tmp_path):
    Image.new("RGB", (2000, 1000), (9, 8, 7)).save(tmp_path / "large.png")

    image = read_small(tmp_path / "large.png")

    assert image.shape == (724, 1448, 3)
    assert (image == (9, 8, 7)).all()


def test_drawn_images_differ_and_are_drawn_the_same_again():
    first, again = draw_images(2, (20, 30)), draw_images(2, (20, 30))

    assert first[0].shape == (20, 30, 3)
    assert (first[0] != first[1]).any()
    np.testing.assert_array_equal(first[1], again[1])
