import re

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.errors import DataNotFoundError
from parsenet.export.run import compare, find_images, find_labelled, read_small, score_both
from tests.fakes.segmenter import ColourSegmenter

RED = torch.tensor([200, 10, 10], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 20, 30)


class Changed(ColourSegmenter):
    """Takes a block of 10 x 10 pixels for the class after the right one, or scores nan."""

    def __init__(self, nan=False):
        super().__init__()
        self.nan = nan

    def bands(self, images, pool6=None):
        scores = torch.cat(list(super().bands(images, pool6)), 2)
        scores[:, :, :10, :10] = scores[:, :, :10, :10].roll(1, dims=1)
        yield scores * torch.nan if self.nan else scores


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i in range(10):
        Image.new("RGB", (4, 3), (200, 0, 0)).save(images / f"img{i}.png")
    (images / "notes.txt").write_text("no image")
    return images


def test_equal_segmenters_agree_everywhere():
    images = [torch.zeros(1, 3, *size, dtype=torch.uint8) for size in ((50, 60), (40, 25))]

    found = compare(ColourSegmenter(), ColourSegmenter(), images)

    pixels = {
        "own size": 4000, "97 x 131": 25414, "64 x 200": 25600, "33 x 49": 3234,
        "97 x 131, two at once": 50828, "97 x 131, context given": 25414,
    }  # fmt: skip
    assert {x.what: x.pixels for x in found} == pixels
    assert {(x.share, x.difference) for x in found} == {(1.0, 0.0)}


def test_without_context_none_is_given():
    one = ColourSegmenter(has_context=False)

    found = compare(one, ColourSegmenter(has_context=False), [RED])

    assert "97 x 131, context given" not in [x.what for x in found]
    assert {context for _, context in one.seen} == {None}


@pytest.mark.parametrize(("nan", "same", "difference"), [(False, 500, 190 / 32), (True, 0, np.nan)])
def test_pixels_that_differ_or_are_not_finite_are_counted(nan, same, difference):
    own = compare(ColourSegmenter(), Changed(nan), [RED])[0]

    assert (own.pixels, own.share) == (600, same / 600)
    assert own.difference == pytest.approx(difference, nan_ok=True)


@pytest.mark.parametrize(("num", "found"), [(3, [0, 3, 6]), (20, list(range(10)))])
def test_few_images_are_spread_over_the_folder(folder, num, found):
    assert [path.stem for path in find_images(folder, "images", num)] == [f"img{i}" for i in found]


def test_score_is_that_of_the_images_with_labels(folder, tmp_path):
    (tmp_path / "labels").mkdir()
    Image.new("L", (4, 3), 0).save(tmp_path / "labels" / "img4.png")

    losses = score_both(ColourSegmenter(), Changed(), find_labelled(folder, tmp_path / "labels"))

    assert losses == {"images": 1, "checkpoint": 1.0, "file": 0.0}


def test_labels_of_other_images_are_refused(folder, tmp_path):
    (tmp_path / "labels").mkdir()
    Image.new("L", (4, 3), 0).save(tmp_path / "labels" / "other.png")
    message = (
        f"`labels` must hold label maps named like the images in '{folder}', got none in "
        f"'{tmp_path / 'labels'}'. Check the folders."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        find_labelled(folder, tmp_path / "labels")


@pytest.mark.parametrize(
    ("size", "shape"), [((2000, 1000), (724, 1448)), ((7, 3), (3, 7)), ((2**21, 1), (1, 1482910))]
)
def test_large_image_is_shrunk_to_a_megapixel(tmp_path, size, shape):
    Image.new("RGB", size, (9, 8, 7)).save(tmp_path / "large.png")

    image = read_small(tmp_path / "large.png")

    assert image.shape == (1, 3, *shape)
    assert image[0, :, 0, 0].tolist() == [9, 8, 7]
