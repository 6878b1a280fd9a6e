"""The label sets that come with the package; long lists of names lie in `names.json`."""

from __future__ import annotations

import json
from pathlib import Path

from parsenet.errors import ConfigError, suggest
from parsenet.taxonomy.classes import VOID_COLOUR, Taxonomy, voc_colour_map

_TEXT = Path(__file__).with_name("names.json").read_text(encoding="utf-8")
_NAMES = {name: tuple(listed) for name, listed in json.loads(_TEXT).items()}

NAMES59 = _NAMES["pascal_context59"]
"""The classes of PASCAL-Context's 59-class task, in the order of the authors' network.

Source: classes-59.txt of FCN (shelhamer/fcn.berkeleyvision.org).
"""

NAMES459 = _NAMES["pascal_context459"]
"""Every label of PASCAL-Context's annotation; the first is stored as 1.

Source: classes-400.txt of FCN.
"""

VOC2012 = Taxonomy("voc2012", _NAMES["voc2012"], voc_colour_map(21))

# VOC's colours from the second on, here and below: its first one, black, is kept for background.
SIFTFLOW = Taxonomy("siftflow", _NAMES["siftflow"], voc_colour_map(34)[1:])

SIFTFLOW_GEO = Taxonomy(
    "siftflow_geo",
    ("sky", "horizontal", "vertical"),
    ((128, 192, 255), (96, 160, 64), (192, 96, 64)),
)

PASCAL_CONTEXT59 = Taxonomy("pascal_context59", NAMES59, voc_colour_map(60)[1:])

PASCAL_CONTEXT60 = Taxonomy("pascal_context60", ("background", *NAMES59), voc_colour_map(60))

PASCAL_CONTEXT459 = Taxonomy(
    "pascal_context459",
    NAMES459,
    tuple(colour for colour in voc_colour_map(461)[1:] if colour != VOID_COLOUR),
    void=511,
)

_CAMVID_COLOURS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
CAMVID = Taxonomy("camvid", _NAMES["camvid"], _CAMVID_COLOURS)

SHAPES = Taxonomy(
    "shapes",
    ("background", "ball", "moon", "crate", "tile"),
    ((0, 0, 0), (230, 80, 60), (90, 120, 240), (150, 100, 40), (60, 180, 140)),
)

_ALL = (
    VOC2012, SIFTFLOW, SIFTFLOW_GEO, PASCAL_CONTEXT59, PASCAL_CONTEXT60, PASCAL_CONTEXT459, CAMVID,
    SHAPES,
)  # fmt: skip
TAXONOMIES = {taxonomy.name: taxonomy for taxonomy in _ALL}
"""By name, as `data.folder.taxonomy` and `score --taxonomy` take them."""


def taxonomy_named(name: str) -> Taxonomy:
    """Look up a built-in taxonomy, or refuse a name that is none."""
    if name not in TAXONOMIES:
        raise ConfigError(
            f"`taxonomy` must be a known name, got '{name}'. {suggest(name, TAXONOMIES)}"
        )
    return TAXONOMIES[name]
