import numpy as np
import pytest
import torch

from parsenet.errors import ExportError
from parsenet.export.agreement import Agreement, compare, refuse_disagreement
from parsenet.export.images import draw_images
from tests.fakes.segmenter import ColourSegmenter


class Corner(ColourSegmenter):
    """Takes a block of 10 x 10 pixels for the class after the right one."""

    def bands(self, images, pool6=None):
        scores = torch.cat(list(super().bands(images, pool6)), 2)
        scores[:, :, :10, :10] = scores[:, :, :10, :10].roll(1, dims=1)
        yield scores


def test_equal_segmenters_agree_everywhere():
    images = [draw_images(1, size)[0] for size in ((50, 60), (40, 25))]

    found = compare(ColourSegmenter(), ColourSegmenter(), images)

    assert [x.what for x in found] == [
        "own size", "97 x 131", "64 x 200", "33 x 49", "97 x 131, two at once",
        "97 x 131, context given",
    ]  # fmt: skip
    assert [x.pixels for x in found] == [4000, 25414, 25600, 3234, 50828, 25414]
    assert {(x.share, x.difference) for x in found} == {(1.0, 0.0)}


def test_without_context_none_is_given():
    one = ColourSegmenter(has_context=False)

    found = compare(one, ColourSegmenter(has_context=False), draw_images(1, (20, 30)))

    assert "97 x 131, context given" not in [x.what for x in found]
    assert {context for _, context in one.seen} == {None}


def test_pixels_that_differ_are_counted():
    image = np.full((20, 30, 3), (200, 10, 10), np.uint8)

    found = compare(ColourSegmenter(), Corner(), [image])

    assert (found[0].pixels, found[0].same) == (600, 500)
    assert found[0].difference == pytest.approx(190 / 32)


def test_scores_that_are_not_finite_never_agree():
    class Broken(ColourSegmenter):
        def bands(self, images, pool6=None):
            yield torch.cat(list(super().bands(images, pool6)), 2) * torch.nan

    image = np.full((20, 30, 3), (200, 10, 10), np.uint8)

    (own, *_) = compare(ColourSegmenter(), Broken(), [image])

    assert own.same == 0
    assert np.isnan(own.difference)


def test_least_share_is_the_limit():
    enough = Agreement("own size", 100_000, 99_990, 0.1)
    too_few = Agreement("33 x 49", 100_000, 99_989, 0.1)

    refuse_disagreement([enough], "a.onnx")
    with pytest.raises(
        ExportError,
        match=r"^'a.onnx' must label at least 99.99 % of pixels as the checkpoint does, got "
        r"99.989 % \(33 x 49\)\. It was not written; try another `format`\.$",
    ):
        refuse_disagreement([enough, too_few], "a.onnx")
