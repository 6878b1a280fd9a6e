"""The label sets that come with the package."""

from __future__ import annotations

from parsenet.errors import ConfigError, suggest
from parsenet.taxonomy.classes import Taxonomy
from parsenet.taxonomy.colours import VOID_COLOUR, voc_colour_map
from parsenet.taxonomy.pascal_context import NAMES59, NAMES459

_VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

VOC2012 = Taxonomy("voc2012", _VOC_NAMES, voc_colour_map(21))

_SIFTFLOW_NAMES = (
    "awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk",
    "desert", "door", "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole",
    "river", "road", "rock", "sand", "sea", "sidewalk", "sign", "sky", "staircase", "streetlight",
    "sun", "tree", "window",
)  # fmt: skip

# VOC's colours from the second on, here and below: its first one, black, is kept for background.
SIFTFLOW = Taxonomy("siftflow", _SIFTFLOW_NAMES, voc_colour_map(34)[1:])

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

CAMVID = Taxonomy(
    "camvid",
    (
        "sky", "building", "pole", "road", "pavement", "tree", "signsymbol", "fence", "car",
        "pedestrian", "bicyclist",
    ),
    (
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
)  # fmt: skip

SHAPES = Taxonomy(
    "shapes",
    ("background", "ball", "moon", "crate", "tile"),
    ((0, 0, 0), (230, 80, 60), (90, 120, 240), (150, 100, 40), (60, 180, 140)),
)

TAXONOMIES = {
    taxonomy.name: taxonomy
    for taxonomy in (
        VOC2012,
        SIFTFLOW,
        SIFTFLOW_GEO,
        PASCAL_CONTEXT59,
        PASCAL_CONTEXT60,
        PASCAL_CONTEXT459,
        CAMVID,
        SHAPES,
    )
}


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
