import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parsenet.errors import ConfigError, LabelError
from parsenet.taxonomy import (
    CAMVID,
    PASCAL_CONTEXT60,
    PASCAL_CONTEXT459,
    SHAPES,
    SIFTFLOW,
    SIFTFLOW_GEO,
    TAXONOMIES,
    VOC2012,
    VOID_COLOUR,
    Recoding,
    Taxonomy,
    voc_colour_map,
)

CAT_AND_DOG = Taxonomy("pets", ("background", "cat", "dog"), ((0, 0, 0), (200, 0, 0), (0, 0, 200)))


def exactly(message):
    return f"^{re.escape(message)}$"


def test_voc_colours_are_those_of_the_development_kit():
    # Read off the palette of VOC's own label files.
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}

    assert {index: VOC2012.palette[index] for index in expected} == expected


@pytest.mark.parametrize("taxonomy", TAXONOMIES.values(), ids=list(TAXONOMIES))
def test_built_in_taxonomy_survives_json(taxonomy):
    assert Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict()))) == taxonomy


def test_record_without_palette_gets_the_voc_colours():
    made = Taxonomy.from_dict({"names": ["sky", "sea"]})

    assert made == Taxonomy("custom", ("sky", "sea"), ((0, 0, 0), (128, 0, 0)))


def test_pillow_palette_holds_classes_then_black_and_void():
    palette = CAT_AND_DOG.pillow_palette()

    assert len(palette) == 768
    assert palette[:9] == [0, 0, 0, 200, 0, 0, 0, 0, 200]
    assert set(palette[9:765]) == {0}
    assert tuple(palette[765:]) == VOID_COLOUR


def test_label_is_drawn_in_the_colours_of_its_classes():
    label = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)

    image = CAT_AND_DOG.colourise(label)

    red, blue, void = [200, 0, 0], [0, 0, 200], list(VOID_COLOUR)
    assert image.dtype == np.uint8
    assert image.tolist() == [[[0, 0, 0], red, blue], [blue, void, red]]


@pytest.mark.parametrize("taxonomy", [VOC2012, SHAPES, CAT_AND_DOG], ids=lambda it: it.name)
@given(data=st.data())
def test_drawing_a_label_and_reading_it_back_changes_nothing(taxonomy, data):
    values = st.sampled_from([*range(taxonomy.num_classes), taxonomy.void])
    label = data.draw(arrays(np.uint8, (3, 5), elements=values))

    assert np.array_equal(taxonomy.index_colours(taxonomy.colourise(label)), label)


def test_class_that_is_drawn_in_the_void_colour_wins_over_void():
    sand = Taxonomy("beach", ("sea", "sand"), ((0, 0, 255), VOID_COLOUR))

    read = sand.index_colours(np.array([[VOID_COLOUR, (0, 0, 255)]], np.uint8))

    assert read.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("names", "colours", "void", "message"),
    [
        (("sky", "sea"), 1, 255,
         "`palette` must have one colour per class, got 1 colours for 2 names. Leave it out to "
         "use the VOC colours."),
        (("sky", "sea", "sky"), 3, 255,
         "`names` must be unique, got 'sky' twice. Rename one of them."),
        ((), 0, 255,
         "`names` must have 1 to 65535 entries, got 0. Labels are stored with 16 bits at most "
         "and 65535 is void."),
        (tuple(map(str, range(256))), 256, 255,
         "`void` must be in 256..511 (no class index), got 255. Use 511."),
        (("sky", "sea"), 2, 1, "`void` must be in 2..255 (no class index), got 1. Use 255."),
        (("sky", "sea"), 2, 256, "`void` must be in 2..255 (no class index), got 256. Use 255."),
    ],
)  # fmt: skip
def test_contradiction_is_refused(names, colours, void, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        Taxonomy("wrong", names, voc_colour_map(colours), void)


def test_more_classes_than_eight_bits_hold_have_16_bit_labels():
    made = Taxonomy.from_dict({"names": [f"class {number}" for number in range(300)]})

    assert (made.void, made.label_type) == (511, "uint16")
    assert VOC2012.label_type == "uint8"


def test_two_classes_of_one_colour_cannot_be_told_apart():
    twins = Taxonomy("twins", ("ground", "castor", "pollux"), ((0, 0, 0), (9, 9, 9), (9, 9, 9)))
    message = (
        "colour (9, 9, 9) stands for both 'castor' and 'pollux' of 'twins'. Give each class a "
        "colour of its own."
    )

    with pytest.raises(LabelError, match=exactly(message)):
        twins.index_colours(np.zeros((2, 2, 3), np.uint8))


def test_palette_png_of_too_many_classes_is_refused():
    message = (
        "`taxonomy` must have at most 255 classes to be stored as a palette PNG, got 459 of "
        "'pascal_context459'. Store 16-bit indices."
    )

    with pytest.raises(ConfigError, match=exactly(message)):
        PASCAL_CONTEXT459.pillow_palette()


# What stored values stand for.

PETS = Taxonomy("pets", ("cat", "dog"), voc_colour_map(2))
RECODING = Recoding(PETS, {-1: 255, 7: 0, 300: 1, 9: 0}, remedy="Look again.")


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_stored_values_become_classes(kind):
    copy = pickle.loads(pickle.dumps(RECODING))

    for recoding in (RECODING, copy):
        label = recoding(np.array([[-1, 7, 9], [300, 7, 7]], kind), "a.png")

        assert label.dtype == np.uint8
        assert label.tolist() == [[255, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(255, np.uint8), *((n, np.int16) for n in (-2, 0, 8, 10, 299, 301, 30000, -30000))],
)
def test_value_that_stands_for_nothing_is_refused(value, kind):
    stored = np.array([[7, 9], [7, value]], kind)
    message = (
        f"The label 'a.png' must hold values that 'pets' knows, got {value} at row 1, column 1. "
        "Look again."
    )

    with pytest.raises(LabelError, match=exactly(message)):
        RECODING(stored, "a.png")


def test_many_classes_give_16_bit_labels():
    label = Recoding(PASCAL_CONTEXT459, {0: 511, 459: 458})(np.array([[0, 459]]), "a.mat")

    assert label.dtype == np.uint16
    assert label.tolist() == [[511, 458]]


def test_colours_become_classes():
    mask = np.array([[(1, 2, 3), (9, 9, 9)]], np.uint8)

    assert Recoding(PETS, {}, {(1, 2, 3): 1, (9, 9, 9): 255}).from_colours(mask).tolist() == [
        [1, 255]
    ]
    with pytest.raises(LabelError, match=r"^colour \(1, 2, 3\) at row 0, column 0 is not in "):
        Recoding(PETS, {0: 0}).from_colours(mask)


# The known label sets.


def test_known_label_set_has_its_classes_each_in_a_colour_of_its_own():
    counts = {name: taxonomy.num_classes for name, taxonomy in TAXONOMIES.items()}

    assert counts == {
        "voc2012": 21, "siftflow": 33, "siftflow_geo": 3, "pascal_context59": 59,
        "pascal_context60": 60, "pascal_context459": 459, "camvid": 11, "shapes": 5,
    }  # fmt: skip
    assert all(len(set(x.palette)) == x.num_classes for x in TAXONOMIES.values())
    assert (CAMVID.names[0], CAMVID.names[3], CAMVID.names[10]) == ("sky", "road", "bicyclist")


@pytest.mark.realdata
def test_names_are_those_of_the_published_lists():
    lists = Path(os.environ.get("PARSENET_DATA", "")) / "lists"

    def read(name):
        lines = (lists / name).read_text(encoding="utf-8").split("\n")
        return tuple(line.split(": ")[1].strip() for line in lines if ": " in line)

    assert read("data_pascal-context_classes-59.txt") == PASCAL_CONTEXT60.names
    assert read("data_pascal-context_classes-400.txt") == PASCAL_CONTEXT459.names
    text = (lists / "data_sift-flow_classes.txt").read_text(encoding="utf-8")
    assert re.findall(r"^\d\d (.*)$", text, re.MULTILINE) == [*SIFTFLOW.names, *SIFTFLOW_GEO.names]
    voc = (lists / "data_pascal_classes.txt").read_text(encoding="utf-8").split("\n")
    assert tuple(voc[:21]) == VOC2012.names
