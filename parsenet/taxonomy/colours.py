"""Colours of classes, and masks that are drawn in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsenet.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Colour = tuple[int, int, int]

VOID_COLOUR: Colour = (224, 224, 192)
"""The colour that PASCAL VOC draws void pixels in."""


def voc_colour_map(num_colours: int) -> tuple[Colour, ...]:
    """Return the first colours of PASCAL VOC's map: the bits of the index spread over R, G, B.

    Source: VOCcolormap.m of the VOC development kit.
    """
    colours = []
    for index in range(num_colours):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)


def index_colours(
    mask: NDArray[np.uint8], known: Mapping[Colour, int], name: str
) -> NDArray[np.int32]:
    """Turn an RGB mask (H, W, 3) into numbers (H, W).

    Args:
        mask: colours in [0, 255].
        known: the number of every colour that may come.
        name: of the palette, for messages.

    Raises:
        LabelError: a colour is not known.
    """
    import numpy as np

    wide = mask.astype(np.int32)
    codes = (wide[..., 0] << 16) + (wide[..., 1] << 8) + wide[..., 2]
    numbers = {(r << 16) + (g << 8) + b: number for (r, g, b), number in known.items()}
    keys = np.array(sorted(numbers), np.int32)
    places = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
    wrong = keys[places] != codes
    if wrong.any():
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        red, green, blue = mask[row, column].tolist()
        raise LabelError(
            f"colour ({red}, {green}, {blue}) at row {row}, column {column} is not in the palette "
            f"of '{name}'. Add it to the palette or store class indices."
        )
    table = np.array([numbers[key] for key in keys.tolist()], np.int32)
    indices: NDArray[np.int32] = table[places]
    return indices
