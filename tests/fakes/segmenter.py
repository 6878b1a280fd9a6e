"""Segmenters that run nothing: what a pixel scores depends on its colour."""

import torch

from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import Segmenter
from parsenet.taxonomy import SHAPES, Taxonomy

COLOURS = Taxonomy("colours", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


class ColourSegmenter(Segmenter):
    """Scores each pixel by its own colour, plus `pool6` where one is given, in bands of 7 rows.

    The context is the mean colour.
    """

    def __init__(self, has_context=True, taxonomy=COLOURS, stride=4, bytes_per_pixel=1000):
        self.taxonomy, self.device, self.precision = taxonomy, torch.device("cpu"), "32-true"
        self.record, self.stride, self.bytes_per_pixel = {}, stride, bytes_per_pixel
        self.has_context = has_context
        self.seen = []
        """Shape of everything that was scored, and the context given."""

    def bands(self, images, pool6=None):
        self.seen.append((tuple(images.shape), pool6))
        scores = images.float() / 32 + (0 if pool6 is None else pool6)
        yield from scores.split(7, dim=2)

    def pool6_sum(self, image, box):
        rows, columns = torch.arange(image.shape[2]) + 0.5, torch.arange(image.shape[3]) + 0.5
        inside = ((rows >= box.top) & (rows < box.bottom))[:, None]
        inside = inside & (columns >= box.left) & (columns < box.right)
        return (image * inside).sum((2, 3), keepdim=True).float(), int(inside.sum())


class RedSegmenter(ColourSegmenter):
    """Gives a pixel of red value r the class r * K // 256, a score of 4 and others 0."""

    def __init__(self, taxonomy=SHAPES):
        super().__init__(False, taxonomy, 1, 100)

    def bands(self, images, pool6=None):
        self.seen.append((tuple(images.shape), pool6))
        num_classes = self.taxonomy.num_classes
        classes = images[:, 0].long() * num_classes // 256
        yield 4.0 * torch.nn.functional.one_hot(classes, num_classes).permute(0, 3, 1, 2).float()


def red_predictor(taxonomy=SHAPES):
    """Return a predictor whose labels are `red_label` of an image."""
    return Predictor(RedSegmenter(taxonomy), taxonomy)


def red_label(image, num_classes=5):
    """Work out the label of an image by hand."""
    return (image[..., 0].astype(int) * num_classes // 256).astype("uint8")
