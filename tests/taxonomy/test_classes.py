import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parsenet.errors import ConfigError, LabelError
from parsenet.taxonomy import (
    PASCAL_CONTEXT459,
    SHAPES,
    TAXONOMIES,
    VOC2012,
    VOID_COLOUR,
    Taxonomy,
    taxonomy_named,
    voc_colour_map,
)

CAT_AND_DOG = Taxonomy("pets", ("background", "cat", "dog"), ((0, 0, 0), (200, 0, 0), (0, 0, 200)))


def exactly(message):
    return f"^{re.escape(message)}$"


def test_voc_colours_are_those_of_the_development_kit():
    # Read off the palette of VOC's own label files.
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}

    assert {index: VOC2012.palette[index] for index in expected} == expected


def test_voc_colour_map_ends_in_the_void_colour():
    assert voc_colour_map(256)[255] == VOID_COLOUR


@pytest.mark.parametrize("taxonomy", TAXONOMIES.values(), ids=list(TAXONOMIES))
def test_built_in_taxonomy_survives_json(taxonomy):
    assert Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict()))) == taxonomy


def test_record_of_lists_makes_an_equal_and_hashable_taxonomy():
    record = {
        "name": "pets",
        "names": ["background", "cat", "dog"],
        "palette": [[0, 0, 0], [200, 0, 0], [0, 0, 200]],
    }

    made = Taxonomy.from_dict(record)

    assert made == CAT_AND_DOG
    assert hash(made) == hash(CAT_AND_DOG)


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


def test_misspelt_name_is_answered_with_the_close_one():
    message = "`taxonomy` must be a known name, got 'voc2021'. Did you mean `voc2012`?"

    with pytest.raises(ConfigError, match=exactly(message)):
        taxonomy_named("voc2021")


def test_more_classes_than_eight_bits_hold_have_16_bit_labels():
    made = Taxonomy.from_dict({"names": [f"class {number}" for number in range(300)]})

    assert (made.void, made.label_type) == (511, "uint16")
    assert VOC2012.label_type == "uint8"


def test_16_bit_labels_are_drawn_in_the_colours_of_their_classes():
    taxonomy = PASCAL_CONTEXT459

    image = taxonomy.colourise(np.array([[0, 458, 511]], np.uint16))

    expected = [taxonomy.palette[0], taxonomy.palette[458], VOID_COLOUR]
    assert [tuple(colour) for colour in image[0].tolist()] == expected


def test_palette_png_of_too_many_classes_is_refused():
    message = (
        "`taxonomy` must have at most 255 classes to be stored as a palette PNG, got 459 of "
        "'pascal_context459'. Store 16-bit indices."
    )

    with pytest.raises(ConfigError, match=exactly(message)):
        PASCAL_CONTEXT459.pillow_palette()


def test_two_classes_of_one_colour_cannot_be_told_apart():
    twins = Taxonomy("twins", ("ground", "castor", "pollux"), ((0, 0, 0), (9, 9, 9), (9, 9, 9)))
    message = (
        "colour (9, 9, 9) stands for both 'castor' and 'pollux' of 'twins'. Give each class a "
        "colour of its own."
    )

    with pytest.raises(LabelError, match=exactly(message)):
        twins.index_colours(np.zeros((2, 2, 3), np.uint8))
