"""A segmenter that runs nothing: a pixel's score is its colour, its context the mean colour."""

import torch

from parsenet.inference.segmenter import Segmenter
from parsenet.taxonomy import Taxonomy

COLOURS = Taxonomy("colours", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


class ColourSegmenter(Segmenter):
    """Scores each pixel by its own colour, plus `pool6` where one is given, in bands of 7 rows."""

    def __init__(self, has_context=True):
        self.taxonomy, self.device, self.precision = COLOURS, torch.device("cpu"), "32-true"
        self.record, self.stride, self.bytes_per_pixel = {}, 4, 1000
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
