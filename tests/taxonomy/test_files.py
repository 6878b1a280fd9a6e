import re
from pathlib import Path

import numpy as np
import pytest

from parsenet.errors import ConfigError, DataNotFoundError, LabelError
from parsenet.taxonomy import VOC2012, VOID_COLOUR, label_set_from, taxonomy_from
from parsenet.taxonomy.files import read_label_set


def refuses(message):
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}$")


def write(tmp_path, text):
    path = tmp_path / "coast.yaml"
    path.write_text(text)
    return path


def recode(tmp_path, text, stored):
    """Return the names, and what stored values become."""
    taxonomy, recoding = read_label_set(write(tmp_path, text))
    return taxonomy.names, recoding(np.array([stored]), "a.png")[0].tolist()


def test_plain_file_is_named_after_itself_and_recodes_nothing(tmp_path):
    path = write(tmp_path, "names: [sky, sea]\npalette: [[1, 2, 3], [4, 5, 6]]\nvoid: 9\n")

    taxonomy, recoding = read_label_set(path)

    assert (taxonomy.name, taxonomy.names, taxonomy.void) == ("coast", ("sky", "sea"), 9)
    assert taxonomy.palette == ((1, 2, 3), (4, 5, 6))
    assert recoding is None


def test_values_are_merged_and_renamed(tmp_path):
    text = "classes: [{name: road, from: [3, 7]}, {name: car, from: 1000}]\n"

    names, label = recode(tmp_path, text, [3, 1000, 7, 255])

    assert names == ("road", "car")
    assert label == [0, 1, 0, 255]


def test_value_of_no_class_is_refused(tmp_path):
    path = write(tmp_path, "classes: [{name: road, from: [3, 7]}]\n")

    with pytest.raises(
        LabelError,
        match=re.escape("got 4 at row 0, column 1. Give it to a class with `from`, or add it to"),
    ):
        read_label_set(path).recoding(np.array([[3, 4]]), "a.png")


def test_zero_is_reduced_to_void(tmp_path):
    text = "names: [road, car, tree]\nreduce_zero_label: true\n"

    names, label = recode(tmp_path, text, [0, 1, 2, 3, 255])

    assert names == ("road", "car", "tree")
    assert label == [255, 0, 1, 2, 255]


def test_255_may_be_a_class(tmp_path):
    text = "classes: [{name: background, from: 0}, {name: cell, from: 255}]\n"

    _, label = recode(tmp_path, text, [0, 255])

    assert label == [0, 1]


@pytest.mark.parametrize("ignored", ["[car]", "car", "[1]", "1"])
def test_ignored_class_is_void_and_the_later_ones_move_up(tmp_path, ignored):
    text = f"names: [road, car, tree]\nignore: {ignored}\n"

    names, label = recode(tmp_path, text, [0, 1, 2, 255])

    assert names == ("road", "tree")
    assert label == [0, 255, 1, 255]


def test_ignored_values_count_from_the_stored_zero_where_zero_is_reduced(tmp_path):
    text = "names: [road, car, tree]\nreduce_zero_label: true\nignore: [2]\n"

    names, label = recode(tmp_path, text, [0, 1, 2, 3])

    assert names == ("road", "tree")
    assert label == [255, 0, 255, 1]


def test_colours_are_merged_renamed_and_ignored(tmp_path):
    text = (
        "classes: [{name: road, from: [[1, 1, 1], [2, 2, 2]]},"
        " {name: car, from: [4], colour: [3, 3, 3]}]\nignore: [[8, 8, 8]]\n"
    )

    taxonomy, recoding = read_label_set(write(tmp_path, text))
    mask = np.array([[(1, 1, 1), (2, 2, 2), (3, 3, 3), (8, 8, 8), VOID_COLOUR]], np.uint8)

    assert taxonomy.palette == ((1, 1, 1), (3, 3, 3))
    assert recoding.from_colours(mask).tolist() == [[0, 0, 1, 255, 255]]


def test_colour_that_nobody_gave_clashes_with_none(tmp_path):
    # (128, 0, 0) is VOC's colour of the second class.
    text = "classes: [{name: road, from: [[128, 0, 0]]}, {name: car, from: 5}]\n"

    recoding = read_label_set(write(tmp_path, text)).recoding

    assert recoding.from_colours(np.array([[(128, 0, 0)]], np.uint8)).tolist() == [[0]]


def test_voc_colours_count_where_the_file_gives_none(tmp_path):
    recoding = read_label_set(write(tmp_path, "names: [road, car]\nignore: car\n")).recoding

    label = recoding.from_colours(np.array([[(0, 0, 0), (128, 0, 0)]], np.uint8))

    assert label.tolist() == [[0, 255]]


def test_category_map_is_left_to_its_reader(tmp_path):
    path = write(tmp_path, "names: [person, rest]\nmap: {person: [1]}\n")

    assert read_label_set(path).recoding is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [{name: road, from: [3]}, {name: car, from: [5, 3]}]\n",
         "Every stored value in 'FILE' must belong to one class, got 3 for both 'road' and "
         "'car'. Take it from one of them."),
        ("classes: [{name: road, from: 3}, car]\n",
         "`classes` in 'FILE' must all have `from` or none, got 'car' without. Without `from`, a "
         "class's position is its stored value."),
        ("classes: [{name: road, from: 3}]\nreduce_zero_label: true\n",
         "`reduce_zero_label` and `from` in 'FILE' must not be used together: `from` lists the "
         "values as stored. Put 0 into `ignore` instead."),
        ("classes: [{name: road, from: [3, 4]}]\nignore: [4]\n",
         "`ignore` in 'FILE' must not list what a class is made of, got 4 of 'road'. Take it "
         "from one of them."),
        ("names: [road, car]\nignore: [trees]\n",
         "`ignore` in 'FILE' must name a class, got 'trees'. Known: `road`, `car`."),
        ("names: [road]\nignore: road\n",
         "`ignore` in 'FILE' must leave a class, got all of them."),
        ("names: [road]\nreduce_zero_label: 1\n",
         "`reduce_zero_label` in 'FILE' must be true or false, got 1."),
        ("names: [road]\nclasses: [road]\n",
         "'FILE' must hold `names` or `classes`, got both. Keep one of them."),
        ("classes: [road]\npalette: [[1, 2, 3]]\n",
         "`palette` in 'FILE' must not come with `classes`. Give each class its `colour`."),
        ("names: [road]\npallete: [[1, 2, 3]]\n",
         "'FILE' must hold known keys, got 'pallete'. Did you mean `palette`?"),
        ("classes: [{name: road, color: [1, 2, 3]}]\n",
         "A class in 'FILE' must have known keys, got 'color'. Did you mean `colour`?"),
        ("names: [yes, no]\n", "A class in 'FILE' must have a name, got True. Write it in quotes."),
        ("classes: [{name: road, from: -1}]\n",
         "`from` of 'road' in 'FILE' must be a stored value in 0..65535 or a colour [red, green, "
         "blue] in 0..255, got -1."),
        ("classes: [{name: road, colour: 7}]\n",
         "The colour of 'road' in 'FILE' must be [red, green, blue], got 7."),
        ("names: [road]\nvoid: none\n", "`void` in 'FILE' must be a number, got 'none'. Use 255."),
        ("names: [road, car]\npalette: [[1, 2, 3]]\n",
         "`palette` in 'FILE' must have one colour per class, got 1 colours for 2 names. Leave "
         "it out to use the VOC colours."),
        ("names: road\n", "The classes in 'FILE' must be a list, got 'road'."),
        ("labels: [road]\n",
         "'FILE' must hold a list called `names` (or `classes`), got labels. Write `names: "
         "[road, car]`."),
        ("- road\n",
         "'FILE' must hold named values, got list. Begin with a line such as `names: [road, "
         "car]`."),
    ],
)  # fmt: skip
def test_contradiction_is_refused(tmp_path, text, message):
    path = write(tmp_path, text)

    with refuses(message.replace("FILE", str(path))):
        read_label_set(path)


def test_broken_yaml_is_refused(tmp_path):
    path = write(tmp_path, "names: [road\n")

    with pytest.raises(
        ConfigError, match=f"^'{re.escape(str(path))}' must be a YAML file, got 'while "
    ):
        read_label_set(path)


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "none.yaml"

    message = f"'{path}' must be a YAML file, got nothing there. Check the path."
    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        read_label_set(path)


def test_file_is_looked_for_in_the_folder_too(tmp_path):
    write(tmp_path, "names: [sky, sea]\n")

    assert label_set_from(tmp_path / "coast.yaml") == label_set_from(Path("coast.yaml"), tmp_path)


def test_label_maps_of_classes_are_described_by_plain_files_alone(tmp_path):
    plain, merging = tmp_path / "plain.yaml", tmp_path / "merging.yaml"
    plain.write_text("names: [sky, sea]\n")
    merging.write_text("classes: [{name: sky, from: 3}]\n")

    assert taxonomy_from("voc2012") is VOC2012
    assert taxonomy_from(str(plain)).names == ("sky", "sea")
    with refuses(
        f"`taxonomy` must describe maps of class indices here, got '{merging}', which recodes "
        "stored values. List the classes alone in a file, with `names:`, and give label maps that "
        "hold them; `parsenet validate` scores masks as they are."
    ):
        taxonomy_from(str(merging))
