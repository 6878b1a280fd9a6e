"""The classes of a data set, their colours, and what the values in a label file stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from parsenet.errors import ConfigError, LabelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    LabelMap = NDArray[np.uint8] | NDArray[np.uint16]

Colour = tuple[int, int, int]

VOID_COLOUR: Colour = (224, 224, 192)
"""The colour that PASCAL VOC draws void pixels in."""

IGNORE_INDEX = 255
"""The void label of every data set of up to 255 classes, after reading."""

HIGHEST = 65535
"""The highest value of a 16-bit label."""

_UNKNOWN = -1


def voc_colour_map(num_colours: int) -> tuple[Colour, ...]:
    """Return the first colours of PASCAL VOC's map: the bits of the index spread over R, G, B.

    Source: VOCcolormap.m of the VOC development kit.
    """

    def channel(index: int, first: int) -> int:
        return sum((index >> (3 * bit + first) & 1) << (7 - bit) for bit in range(8))

    return tuple((channel(n, 0), channel(n, 1), channel(n, 2)) for n in range(num_colours))


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a data set: what index means what, and how it is drawn.

    Args:
        name: short identifier, such as `voc2012`.
        names: class names; the position is the index.
        palette: one RGB colour in [0, 255] per class.
        void: the value of pixels that are neither trained on nor scored; 255; with more
            classes than 8 bits hold, at most the next of 511, 1023 and so on.

    Raises:
        ConfigError: names and colours differ in number, a name repeats, there are more classes
            than a 16-bit label can hold, or `void` is the index of a class.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    void: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise ConfigError(
                f"`palette` must have one colour per class, got {len(self.palette)} colours for "
                f"{len(self.names)} names. Leave it out to use the VOC colours."
            )
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigError(f"`names` must be unique, got '{twice}' twice. Rename one of them.")
        if not 1 <= len(self.names) <= HIGHEST:
            raise ConfigError(
                f"`names` must have 1 to {HIGHEST} entries, got {len(self.names)}. "
                f"Labels are stored with 16 bits at most and {HIGHEST} is void."
            )
        last = void_of(len(self.names))
        if not len(self.names) <= self.void <= last:
            raise ConfigError(
                f"`void` must be in {len(self.names)}..{last} (no class index), got {self.void}. "
                f"Use {last}."
            )

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.names)

    @property
    def label_type(self) -> Literal["uint8", "uint16"]:
        """The numpy type of label maps: 8 bits hold up to 255 classes and void."""
        return "uint8" if self.void <= IGNORE_INDEX else "uint16"

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as checkpoints and JSON files hold them."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Taxonomy:
        """Rebuild a taxonomy from `to_dict`; a missing palette gets the VOC colours."""
        names = tuple(record["names"])
        colours = record.get("palette") or voc_colour_map(len(names))
        palette = tuple((r, g, b) for r, g, b in colours)
        void = record.get("void", void_of(len(names)))
        return cls(record.get("name", "custom"), names, palette, void)

    def pillow_palette(self) -> list[int]:
        """Return the 768 numbers of a palette PNG; unused entries are black, void is drawn.

        Raises:
            ConfigError: there are more classes than such a palette has colours.
        """
        if self.label_type != "uint8":
            raise ConfigError(
                f"`taxonomy` must have at most 255 classes to be stored as a palette PNG, got "
                f"{self.num_classes} of '{self.name}'. Store 16-bit indices."
            )
        colours = list(self.palette) + [(0, 0, 0)] * (256 - self.num_classes)
        colours[self.void] = VOID_COLOUR
        return [channel for colour in colours for channel in colour]

    def colourise(self, label: LabelMap) -> NDArray[np.uint8]:
        """Draw a label map (H, W) as an RGB image (H, W, 3) in [0, 255]."""
        import numpy as np

        table = np.zeros((self.void + 1, 3), np.uint8)
        table[: self.num_classes] = self.palette
        table[self.void] = VOID_COLOUR
        drawn: NDArray[np.uint8] = table[label]
        return drawn

    def index_colours(self, mask: NDArray[np.uint8]) -> LabelMap:
        """Turn an RGB mask (H, W, 3) into a label map (H, W).

        Raises:
            LabelError: a colour is unknown, or two classes share one.
        """
        known: dict[Colour, int] = {}
        for index, colour in enumerate(self.palette):
            if colour in known:
                raise LabelError(
                    f"colour {colour} stands for both '{self.names[known[colour]]}' and "
                    f"'{self.names[index]}' of '{self.name}'. Give each class a colour of its own."
                )
            known[colour] = index
        known.setdefault(VOID_COLOUR, self.void)  # a class drawn in it wins
        return Recoding(self, {}, known).from_colours(mask)


def void_of(num_classes: int) -> int:
    """Return the void of label maps with so many classes: all bits set, but eight at least."""
    return max(IGNORE_INDEX, (1 << num_classes.bit_length()) - 1)


@dataclass(frozen=True)
class Recoding:
    """What stored values and colours stand for; any other one is refused.

    Args:
        taxonomy: the classes that come out.
        values: stored value to class index or void.
        colours: stored RGB colour to class index or void.
        remedy: what to do about an unknown value.
    """

    taxonomy: Taxonomy
    values: Mapping[int, int]
    colours: Mapping[Colour, int] = field(default_factory=dict)
    remedy: str = "Correct the file."

    def __call__(self, stored: NDArray[np.integer], name: str) -> LabelMap:
        """Turn stored values (H, W) into a label map.

        Args:
            stored: values of any integer type.
            name: of the label, for messages.

        Raises:
            LabelError: a value stands for nothing; the first pixel that has it is named.
        """
        import numpy as np

        table = self._table
        if stored.dtype in (np.uint8, np.uint16):
            label = table[stored]
        else:
            # The table's two ends are unknown; beyond them lies nothing that is known.
            label = table[stored.astype(np.int64).clip(-2, HIGHEST + 1)]
        wrong = label == _UNKNOWN
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise LabelError(
                f"The label '{name}' must hold values that '{self.taxonomy.name}' knows, got "
                f"{stored[row, column]} at row {row}, column {column}. {self.remedy}"
            )
        recoded: LabelMap = label.astype(self.taxonomy.label_type)
        return recoded

    def from_colours(self, mask: NDArray[np.uint8]) -> LabelMap:
        """Turn an RGB mask (H, W, 3) into a label map.

        Raises:
            LabelError: a colour stands for nothing.
        """
        import numpy as np

        codes = mask.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        known = {-1: self.taxonomy.void}  # there is always one, if of no pixel
        known |= {(r << 16) + (g << 8) + b: index for (r, g, b), index in self.colours.items()}
        keys = np.array(sorted(known), np.int32)
        places = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
        wrong = keys[places] != codes
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
            red, green, blue = mask[row, column].tolist()
            raise LabelError(
                f"colour ({red}, {green}, {blue}) at row {row}, column {column} is not in the "
                f"palette of '{self.taxonomy.name}'. Add it to the palette or store class indices."
            )
        table = np.array([known[key] for key in keys.tolist()], self.taxonomy.label_type)
        label: LabelMap = table[places]
        return label

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        """Return the class of 0..65535, of two unknown values, and of -1 (SIFT Flow's void)."""
        import numpy as np

        table = np.full(HIGHEST + 4, _UNKNOWN, np.int32)
        table[list(self.values)] = list(self.values.values())
        return table
