"""Small images of the cases of a finding: the image under its label, wrong pixels marked."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt, UInt8
from PIL import Image

from parsenet.doctor.splits import Split
from parsenet.doctor.stored import read_stored
from parsenet.inference.drawing import blend
from parsenet.taxonomy import Taxonomy

WRONG_COLOUR = (255, 0, 220)
"""Pixels with a value that no class has."""

_SIDE = 320
_OPACITY = 0.7


def draw_case(split: Split, index: int, with_label: bool = True) -> list[Image.Image]:
    """Draw the image of a sample and its label, as far as they can be read.

    Args:
        split: where it belongs.
        index: its position there.
        with_label: draw the label too.

    Returns:
        the image, then the image under the label (or the label alone where the sizes differ).
    """
    image = _image(split, index)
    label, wrong = _label(split, index) if with_label else (None, None)
    drawn = [] if image is None else [shrink(Image.fromarray(image))]
    if label is None or wrong is None:
        return drawn
    taxonomy = split.reading.taxonomy
    if image is not None and image.shape[:2] == label.shape:
        shown = overlay(image, label, taxonomy)
    else:
        shown = taxonomy.colourise(label)
    return [*drawn, shrink(Image.fromarray(_mark(shown, wrong)))]


def overlay(
    image: UInt8[np.ndarray, "h w 3"], label: UInt[np.ndarray, "h w"], taxonomy: Taxonomy
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a label over its image, with stripes where it is void.

    Args:
        image: RGB in [0, 255].
        label: class indices and void.
        taxonomy: gives the colours.
    """
    is_void = label == taxonomy.void
    shown = blend(image, np.where(is_void, 0, label).astype(label.dtype), taxonomy, _OPACITY)
    rows, columns = np.indices(label.shape)
    stripe = np.where((rows + columns) // max(1, max(label.shape) // 60) % 2, 235, 90)
    striped = (0.35 * image + 0.65 * stripe[..., None]).astype(np.uint8)
    return np.where(is_void[..., None], striped, shown)


def shrink(image: Image.Image, side: int = _SIDE) -> Image.Image:
    """Scale an image down to a longer side; small ones are enlarged, pixels kept as squares."""
    factor = side / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.NEAREST
    return image.resize(size, how)


def _image(split: Split, index: int) -> UInt8[np.ndarray, "h w 3"] | None:
    try:
        return split.reading.image(index)
    except Exception:  # it is told of in words
        return None


def _label(
    split: Split, index: int
) -> tuple[UInt[np.ndarray, "h w"] | None, Bool[np.ndarray, "h w"] | None]:
    """Read a label and mark its wrong pixels, which become class 0."""
    taxonomy = split.reading.taxonomy
    path = split.pairs[index].label
    values: np.ndarray | None
    try:
        values = split.reading.label(index)
    except Exception:
        values = None if path is None else read_stored(path)
    if values is None:
        return None, None
    wrong = (values < 0) | ((values >= taxonomy.num_classes) & (values != taxonomy.void))
    return np.where(wrong, 0, values).astype(taxonomy.label_type), wrong


def _mark(
    shown: UInt8[np.ndarray, "h w 3"], wrong: Bool[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Colour wrong pixels, a few more around them, so that single ones survive the scaling."""
    if not wrong.any():
        return shown
    reach = max(wrong.shape) // _SIDE
    marked = wrong.copy()
    for row, column in np.argwhere(wrong)[:2000] if reach else ():
        marked[
            max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
        ] = True
    return np.where(marked[..., None], np.array(WRONG_COLOUR, np.uint8), shown)
