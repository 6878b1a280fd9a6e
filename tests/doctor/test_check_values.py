"""Each fault of values, alone in a data set that is right otherwise."""

import numpy as np
import pytest
from PIL import Image

from parsenet.taxonomy import Taxonomy
from tests.fakes.healthy import HEALTHY, each_label, label_at, read, write_healthy, write_label


def test_value_beyond_the_classes_is_named_with_its_first_pixel(root, only):
    label = read(label_at(root))
    label[5, 7] = label[5, 8] = label[9, 0] = 17
    write_label(root, "train", "train0", label)

    finding = only(root, "value-out-of-range")

    assert finding.severity == "error"
    assert finding.title == (
        "1 label of `train` with values that are neither a class nor void (255): 17 (1 file)."
    )
    assert finding.cases[0].detail == "17 at row 5, column 7 (3 pixels)"
    assert finding.fix == (
        "Correct the files, or say in the taxonomy file what the values stand for: a class "
        "(`{name: NAME, from: 17}` in `classes`) or void (`ignore: [17]`)."
    )


def test_worst_label_comes_first(root, only):
    for number, pixels in ((0, 1), (1, 9), (2, 4)):
        label = read(label_at(root, "train", number))
        label.ravel()[10 : 10 + pixels] = 9
        write_label(root, "train", f"train{number}", label)

    finding = only(root, "value-out-of-range")

    assert [case.file[-5] for case in finding.cases] == ["1", "2", "0"]


def test_16_bit_value_is_out_of_range(root, only):
    label = read(label_at(root)).astype(np.uint16)
    label[1, 2] = 700
    Image.fromarray(label).save(label_at(root))

    assert only(root, "value-out-of-range").cases[0].detail == "700 at row 1, column 2 (1 pixel)"


def test_blended_values_are_told_apart_from_classes(root, only):
    label = np.arange(24 * 36).reshape(24, 36) % 200
    Image.fromarray(label.astype(np.uint8)).save(label_at(root))

    assert only(root, "value-out-of-range").fix.startswith(
        "So many values come from blending: masks that were resized with interpolation"
    )


def test_stretched_values_get_their_taxonomy(root, look):
    each_label(root, lambda label: np.where(label == 255, 0, label * 100).astype(np.uint8))

    findings = look(root).findings

    assert [finding.code for finding in findings[:2]] == ["value-out-of-range"] * 2
    assert findings[0].fix == (
        "All values are multiples of 100, as if stretched for viewing: say so in the taxonomy "
        "file, `classes: [{name: background, from: 0}, {name: tree, from: 100}, "
        "{name: road, from: 200}]`."
    )


def test_labels_counted_from_one(root, look):
    each_label(root, lambda label: np.where(label == 255, 255, label + 1).astype(np.uint8))

    found = {finding.code: finding for finding in look(root).findings}

    assert found["shifted-labels"].fix == (
        "Classes are counted from 1: set `reduce_zero_label: true` in the taxonomy file."
    )
    assert found["value-out-of-range"].fix.endswith(" See also `shifted-labels`.")


def test_labels_with_background_and_names_without(tmp_path, look):
    root = write_healthy(tmp_path, names=("background", "tree", "road"))
    (root / "taxonomy.yaml").write_text("names: [tree, road]\n")

    shifted = next(x for x in look(root).findings if x.code == "shifted-labels")

    assert shifted.title.startswith("Labels hold 0..2 for 2 names, whose indices are 0..1; 33.")
    assert "put `background` before the other names" in shifted.fix


def test_59_names_for_60_values_name_both_protocols(tmp_path, look):
    names = tuple(f"c{n}" for n in range(60))
    root = write_healthy(tmp_path, names=names)
    (root / "taxonomy.yaml").write_text(f"names: [{', '.join(names[1:])}]\n")

    shifted = next(x for x in look(root).findings if x.code == "shifted-labels")

    assert "`pascal_context59` (background is void) and `pascal_context60`" in shifted.fix


def test_59_names_whose_first_is_everywhere_may_hide_background(tmp_path, only):
    names = ("aeroplane", *(f"c{n}" for n in range(1, 59)))
    root = write_healthy(tmp_path, names=names)

    assert only(root, "perhaps-background").severity == "warning"


def test_names_with_background_for_reduced_labels(root, look):
    def reduce(label):
        return np.where(label == 0, 255, label - 1).astype(np.uint8)

    each_label(root, lambda label: np.where(reduce(label) == 254, 255, reduce(label)))
    for number in range(1, 4):  # most labels show no class 0
        for split in ("train", "val"):
            label = read(label_at(root, split, number))
            write_label(root, split, f"{split}{number}", np.where(label == 0, 1, label))

    codes = [finding.code for finding in look(root).findings]

    assert "perhaps-reduced" in codes


def test_binary_masks_with_255_for_the_object(root, look):
    each_label(root, lambda label: np.where(label == 1, 255, 0).astype(np.uint8))

    found = {finding.code: finding for finding in look(root).findings}

    assert found["binary-255"].severity == "error"
    assert found["binary-255"].fix == (
        "Say in the taxonomy file what the values stand for: "
        "`classes: [{name: background, from: 0}, {name: tree, from: 255}]`."
    )


def test_rgb_masks_in_unknown_colours(root, only):
    colours = np.array([(0, 0, 0), (10, 20, 30), (1, 2, 3)], np.uint8)
    label = read(label_at(root))
    label[label == 255] = 0
    Image.fromarray(colours[label]).save(label_at(root))

    finding = only(root, "rgb-label")

    assert "`classes: [{name: NAME, colour: [" in finding.fix
    assert "(10, 20, 30) at row " in finding.cases[0].detail
    assert "(288 pixels)" in finding.cases[0].detail


def test_rgb_masks_in_blended_colours(root, only):
    photo = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
    Image.fromarray(photo).save(label_at(root))

    assert only(root, "rgb-label").fix.startswith("So many colours come from blending")


def test_rgb_masks_in_known_colours_are_a_note(root, only):
    label = read(label_at(root))
    Image.fromarray(HEALTHY.colourise(label)).save(label_at(root))

    finding = only(root, "rgb-label-read")

    assert finding.severity == "note"


def palette(*colours):
    flat = [channel for colour in colours for channel in colour]
    return flat + [0] * (768 - len(flat))


def save_with(path, label, colours):
    image = Image.fromarray(label)
    image.putpalette(palette(*colours))
    image.save(path)


def test_palette_of_each_files_own(root, only):
    label = read(label_at(root))
    label[label == 255] = 0
    black, red, green = HEALTHY.palette
    save_with(label_at(root), label, [green, red, black])

    finding = only(root, "mixed-palettes")

    assert finding.severity == "error"
    assert [case.file for case in finding.cases] == [str(label_at(root))]
    assert "store the masks as RGB" in finding.fix


def test_another_colour_in_one_file_is_a_warning(root, only):
    label = read(label_at(root))
    label[label == 255] = 0
    black, red, _ = HEALTHY.palette
    save_with(label_at(root), label, [black, red, (9, 9, 99)])

    assert only(root, "mixed-palettes").severity == "warning"


def test_taxonomy_colours_at_other_indices(root, only):
    black, red, green = HEALTHY.palette
    for path in sorted((root / "labels").glob("*/*.png")):
        save_with(path, np.minimum(read(path), 2), [green, black, red])

    assert only(root, "permuted-palette").severity == "error"


def test_foreign_palette_is_a_note(root, only):
    for path in sorted((root / "labels").glob("*/*.png")):
        save_with(path, np.minimum(read(path), 2), [(1, 1, 9), (2, 9, 2), (9, 3, 3)])

    finding = only(root, "foreign-palette")

    assert finding.title == (
        "The labels' palette is not that of 'taxonomy': 3 of 3 indices have another colour."
    )


@pytest.mark.parametrize("mode", ["L", "P"])
def test_grey_masks_have_no_palette_to_compare(root, look, mode):
    ramp = [channel for grey in range(256) for channel in (grey, grey, grey)]
    for path in sorted((root / "labels").glob("*/*.png")):
        image = Image.fromarray(read(path))
        if mode == "P":
            image.putpalette(ramp)
        image.save(path)

    assert list(look(root).findings) == []


def test_values_are_listed_where_nobody_told_the_classes(root, look):
    (root / "taxonomy.yaml").unlink()

    diagnosis = look(root)

    assert [finding.code for finding in diagnosis.findings] == ["no-taxonomy"]
    assert diagnosis.names == ("class 0", "class 1", "class 2")


def test_taxonomy_with_a_palette_of_its_own_is_compared(root, look):
    names = Taxonomy("t", ("a", "b", "c"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    (root / "taxonomy.yaml").write_text(
        f"names: [a, b, c]\npalette: {[list(colour) for colour in names.palette]}\n"
    )

    assert [finding.code for finding in look(root).findings] == ["foreign-palette"]


def test_recoded_values_are_no_fault(root, look):
    (root / "taxonomy.yaml").write_text(
        "classes: [{name: background, from: 0}, {name: thing, from: [1, 255]}]\nignore: [2]\n"
    )

    diagnosis = look(root)

    assert list(diagnosis.findings) == []
    assert diagnosis.totals[0].values.keys() == {0, 1, 2, 255}
    assert diagnosis.totals[0].void == diagnosis.totals[0].values[2]


def test_reduced_zero_label_mends_what_was_found(root, look):
    (root / "taxonomy.yaml").write_text("names: [tree, road]\nreduce_zero_label: true\n")

    assert {finding.severity for finding in look(root).findings} <= {"note"}


def test_value_that_a_recoding_does_not_know_is_located(root, only):
    (root / "taxonomy.yaml").write_text(
        "classes: [{name: background, from: 0}, {name: thing, from: [1, 2]}]\n"
    )
    label = read(label_at(root))
    label[4, 6] = 77
    write_label(root, "train", "train0", label)

    assert only(root, "value-out-of-range").cases[0].detail == "77 at row 4, column 6 (1 pixel)"


@pytest.mark.parametrize("code", ["binary-255", "shifted-labels", "value-out-of-range"])
def test_suggested_taxonomy_is_understood_and_mends_the_labels(root, look, code):
    changes = {
        "binary-255": lambda label: np.where(label == 1, 255, 0),
        "shifted-labels": lambda label: np.where(label == 255, 255, label + 1),
        "value-out-of-range": lambda label: np.where(label == 255, 0, label * 100),
    }
    each_label(root, lambda label: changes[code](label).astype(np.uint8))
    fix = next(finding.fix for finding in look(root).findings if finding.code == code)
    written = next(part for part in fix.split("`")[1::2] if ": " in part)
    if code == "shifted-labels":
        written = f"names: [background, tree, road]\n{written}"

    (root / "taxonomy.yaml").write_text(written)

    assert not [finding for finding in look(root).findings if finding.severity == "error"]


def test_colours_are_listed_where_nobody_told_the_classes(root, look):
    (root / "taxonomy.yaml").unlink()
    Image.new("RGB", (36, 24), (7, 7, 7)).save(label_at(root))

    finding = next(x for x in look(root).findings if x.code == "rgb-label")

    assert finding.title == "1 label of `train` stored as colours that nobody gave a class."
    assert "`classes: [{name: NAME, colour: [7, 7, 7]}]`" in finding.fix
