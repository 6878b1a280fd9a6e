"""Label sets: class names, colours, void, and what the values in a label file stand for.

A label map is an array of class indices 0..C-1, uint8 up to 255 classes; `void` (255) marks pixels
that count nowhere.
"""

from parsenet.taxonomy.classes import (
    IGNORE_INDEX,
    VOID_COLOUR,
    Colour,
    Recoding,
    Taxonomy,
    voc_colour_map,
)
from parsenet.taxonomy.files import LabelSet, label_set_from, taxonomy_from
from parsenet.taxonomy.known import (
    CAMVID,
    PASCAL_CONTEXT59,
    PASCAL_CONTEXT60,
    PASCAL_CONTEXT459,
    SHAPES,
    SIFTFLOW,
    SIFTFLOW_GEO,
    TAXONOMIES,
    VOC2012,
    taxonomy_named,
)

__all__ = [
    "CAMVID", "IGNORE_INDEX", "PASCAL_CONTEXT59", "PASCAL_CONTEXT60", "PASCAL_CONTEXT459", "SHAPES",
    "SIFTFLOW", "SIFTFLOW_GEO", "TAXONOMIES", "VOC2012", "VOID_COLOUR", "Colour", "LabelSet",
    "Recoding", "Taxonomy", "label_set_from", "taxonomy_from", "taxonomy_named", "voc_colour_map",
]  # fmt: skip
