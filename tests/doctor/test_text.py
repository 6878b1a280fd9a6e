import yaml

from parsenet.doctor.text import (
    class_cells,
    guessed_options,
    histogram,
    weights_yaml,
    write_text,
)
from tests.fakes.healthy import image_at, label_at, read, write_label


def test_healthy_data_say_so_at_the_end(root, look):
    assert write_text(look(root)).endswith("\n\nNothing wrong was found.\n")


def test_errors_stand_below_notes(root, look):
    image_at(root).write_bytes(b"")
    (root / "taxonomy.yaml").write_text("names: [background, tree, road, moon]\n")

    text = write_text(look(root))

    assert text.index("NOTE absent-class") < text.index("ERROR unreadable-image")
    assert text.endswith("\n\n1 error, 0 warnings, 1 note.\n")


def test_only_the_first_files_are_named(root, look):
    for number in range(3):
        label_at(root, "train", number).unlink()

    text = write_text(look(root), show=2)

    assert text.count("expected '") == 2
    assert "\n  and 1 more\n" in text


def test_guessed_options_are_a_section_of_a_config(root, look):
    section = yaml.safe_load(guessed_options(look(root)))["data"]

    assert section == {
        "dataset": "folder",
        "root": str(root),
        "folder": {
            "images": "images/{split}/*",
            "labels": "labels/{split}/{stem}.png",
            "taxonomy": "taxonomy.yaml",
        },
        "train_split": "train",
        "val_split": "val",
    }


def test_weights_are_yaml_of_one_number_per_class(root, look):
    weights = yaml.safe_load(weights_yaml(look(root)))

    assert set(weights) == {"inverse_frequency", "median_frequency", "enet"}
    assert all(len(values) == 3 for values in weights.values())


def test_table_has_shares_images_and_weights(root, look):
    label = read(label_at(root))
    write_label(root, "train", "train0", label)

    heads, rows = class_cells(look(root))

    assert heads == ["class", "train %", "train images", "val %", "val images", "inverse",
                     "median", "ENet", "repeat"]  # fmt: skip
    assert [row[0] for row in rows] == ["0 background", "1 tree", "2 road"]
    assert rows[1][2] == "4"


def test_histogram_names_the_most_frequent_values():
    values = {0: 60, 3: 30, 9: 10}

    assert histogram(values, is_coloured=False) == "0 60.00 %, 3 30.00 %, 9 10.00 %"
    assert histogram(values, False, limit=1) == "0 60.00 % and 2 rarer values"
    assert histogram({66051: 1}, is_coloured=True) == "#010203 100.00 %"
