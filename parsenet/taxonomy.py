"""Label sets: class names, colours and the void value, in one small class.

A label map is a uint8 array of class indices 0..C-1; `void` (255) marks pixels that count nowhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from parsenet.errors import ConfigError, LabelError, suggest

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

IGNORE_INDEX = 255
"""The void label of every data set, after reading."""

VOID_COLOUR = (224, 224, 192)
"""The colour that PASCAL VOC draws void pixels in."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a data set: what index means what, and how it is drawn.

    Args:
        name: short identifier, such as `voc2012`.
        names: class names; the position is the index.
        palette: one RGB colour in [0, 255] per class.
        void: the value of pixels that are neither trained on nor scored.

    Raises:
        ConfigError: names and colours differ in number, a name repeats, there are more classes
            than an 8-bit label can hold, or `void` is the index of a class.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    void: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        # JSON and YAML give lists; equality and hashing want tuples.
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "palette", tuple((r, g, b) for r, g, b in self.palette))
        if len(self.names) != len(self.palette):
            raise ConfigError(
                f"`palette` must have one colour per class, got {len(self.palette)} colours for "
                f"{len(self.names)} names. Leave it out to use the VOC colours."
            )
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigError(f"`names` must be unique, got '{twice}' twice. Rename one of them.")
        if not 1 <= len(self.names) <= 255:
            raise ConfigError(
                f"`names` must have 1 to 255 entries, got {len(self.names)}. "
                "Labels are stored with 8 bits and 255 is void."
            )
        if not len(self.names) <= self.void <= 255:
            raise ConfigError(
                f"`void` must be in {len(self.names)}..255 (no class index), got {self.void}. "
                "Use 255."
            )

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, as checkpoints and JSON files hold them."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Taxonomy:
        """Rebuild a taxonomy from `to_dict`; a missing palette gets the VOC colours."""
        names = tuple(record["names"])
        stored = record.get("palette") or voc_colour_map(len(names))
        palette = tuple((r, g, b) for r, g, b in stored)
        return cls(record.get("name", "custom"), names, palette, record.get("void", IGNORE_INDEX))

    @classmethod
    def from_yaml(cls, path: Path) -> Taxonomy:
        """Read a taxonomy file: `names`, and optionally `name`, `palette` and `void`.

        Raises:
            ConfigError: the file is missing or has no `names`.
        """
        import yaml

        if not path.is_file():
            raise ConfigError(f"The taxonomy file '{path}' must exist. Write one with `names:`.")
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or "names" not in record:
            raise ConfigError(f"'{path}' must hold a list called `names`, got {type(record)}.")
        return cls.from_dict({"name": path.stem, **record})

    def pillow_palette(self) -> list[int]:
        """Return the 768 numbers of a palette PNG; unused entries are black, void is drawn."""
        colours = list(self.palette) + [(0, 0, 0)] * (256 - self.num_classes)
        colours[self.void] = VOID_COLOUR
        return [channel for colour in colours for channel in colour]

    def colourise(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw a label map (H, W) as an RGB picture (H, W, 3) in [0, 255]."""
        import numpy as np

        table = np.asarray(self.pillow_palette(), dtype=np.uint8).reshape(256, 3)
        return table[label]

    def index_colours(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an RGB mask (H, W, 3) into a label map (H, W).

        Raises:
            LabelError: a colour is neither in the palette nor the void colour.
        """
        import numpy as np

        codes = (mask.astype(np.uint32) * np.array([65536, 256, 1], np.uint32)).sum(-1)
        known = {(r << 16) + (g << 8) + b: i for i, (r, g, b) in enumerate(self.palette)}
        r, g, b = VOID_COLOUR
        known.setdefault((r << 16) + (g << 8) + b, self.void)
        values, inverse = np.unique(codes, return_inverse=True)
        for value in values.tolist():
            if value not in known:
                y, x = np.argwhere(codes == value)[0].tolist()
                raise LabelError(
                    f"colour ({value >> 16}, {value >> 8 & 255}, {value & 255}) at row {y}, "
                    f"column {x} is not in the palette of '{self.name}'. Add it to the palette or "
                    "store class indices."
                )
        table = np.array([known[value] for value in values.tolist()], dtype=np.uint8)
        return table[inverse.reshape(codes.shape)]


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


_VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

VOC2012 = Taxonomy("voc2012", _VOC_NAMES, voc_colour_map(21))

SHAPES = Taxonomy(
    "shapes",
    ("background", "ball", "moon", "crate", "tile"),
    ((0, 0, 0), (230, 80, 60), (90, 120, 240), (150, 100, 40), (60, 180, 140)),
)

TAXONOMIES = {taxonomy.name: taxonomy for taxonomy in (VOC2012, SHAPES)}


def taxonomy_named(name: str) -> Taxonomy:
    """Look up a built-in taxonomy.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in TAXONOMIES:
        raise ConfigError(
            f"`taxonomy` must be a known name, got '{name}'. {suggest(name, TAXONOMIES)}"
        )
    return TAXONOMIES[name]


def taxonomy_from(name: str) -> Taxonomy:
    """Look up a built-in taxonomy, or read the YAML file of that name.

    Raises:
        ConfigError: there is neither.
    """
    if not name.endswith((".yaml", ".yml")):
        return taxonomy_named(name)
    from pathlib import Path

    return Taxonomy.from_yaml(Path(name))
