import re
from pathlib import Path

import numpy as np
import pytest

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.taxonomy import VOC2012, VOID_COLOUR, label_set_from, taxonomy_from
from parsenet.taxonomy.files import read_label_set


def refuses(message, error=ConfigError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def write(tmp_path, text):
    path = tmp_path / "coast.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("more", ["", "map: {sky: [1]}\n"])
def test_plain_file_is_named_after_itself_and_recodes_nothing(tmp_path, more):
    text = f"names: [sky, sea]\npalette: [[1, 2, 3], [4, 5, 6]]\nvoid: 9\n{more}"

    taxonomy, recoding = read_label_set(write(tmp_path, text))

    assert (taxonomy.name, taxonomy.names, taxonomy.void) == ("coast", ("sky", "sea"), 9)
    assert taxonomy.palette == ((1, 2, 3), (4, 5, 6))
    assert recoding is None


THREE = "names: [road, car, tree]\n"


@pytest.mark.parametrize(
    ("text", "stored", "names", "expected"),
    [
        # Merged and renamed.
        ("classes: [{name: road, from: [3, 7]}, {name: car, from: 1000}]\n",
         [3, 1000, 7, 255], ("road", "car"), [0, 1, 0, 255]),
        (THREE + "reduce_zero_label: true\n",
         [0, 1, 2, 3, 255], ("road", "car", "tree"), [255, 0, 1, 2, 255]),
        ("classes: [{name: background, from: 0}, {name: cell, from: 255}]\n",
         [0, 255], ("background", "cell"), [0, 1]),
        # What is ignored is void, and later classes move up.
        *((f"{THREE}ignore: {ignored}\n", [0, 1, 2, 255], ("road", "tree"), [0, 255, 1, 255])
          for ignored in ("[car]", "car", "[1]", "1")),
        # Values are the stored ones.
        (THREE + "reduce_zero_label: true\nignore: [2]\n",
         [0, 1, 2, 3], ("road", "tree"), [255, 0, 255, 1]),
    ],
)  # fmt: skip
def test_stored_values_become_classes(tmp_path, text, stored, names, expected):
    taxonomy, recoding = read_label_set(write(tmp_path, text))

    assert taxonomy.names == names
    assert recoding(np.array([stored]), "a.png").tolist() == [expected]


@pytest.mark.parametrize(
    ("text", "stored", "expected"),
    [
        ("classes: [{name: road, from: [[1, 1, 1], [2, 2, 2]]},"
         " {name: car, from: [4], colour: [3, 3, 3]}]\nignore: [[8, 8, 8]]\n",
         [(1, 1, 1), (2, 2, 2), (3, 3, 3), (8, 8, 8), VOID_COLOUR], [0, 0, 1, 255, 255]),
        # (128, 0, 0) is VOC's colour of the second class, but nobody gave it.
        ("classes: [{name: road, from: [[128, 0, 0]]}, {name: car, from: 5}]\n",
         [(128, 0, 0)], [0]),
        ("names: [road, car]\nignore: car\n", [(0, 0, 0), (128, 0, 0)], [0, 255]),
    ],
)  # fmt: skip
def test_stored_colours_become_classes(tmp_path, text, stored, expected):
    recoding = read_label_set(write(tmp_path, text)).recoding

    assert recoding.from_colours(np.array([stored], np.uint8)).tolist() == [expected]


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


def test_broken_or_missing_file_is_refused(tmp_path):
    path = write(tmp_path, "names: [road\n")
    with pytest.raises(
        ConfigError, match=f"^'{re.escape(str(path))}' must be a YAML file, got 'while "
    ):
        read_label_set(path)

    path.unlink()
    message = f"'{path}' must be a YAML file, got nothing there. Check the path."
    with refuses(message, DataNotFoundError):
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
