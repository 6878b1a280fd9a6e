"""Each fault of void and classes, alone in a data set that is right otherwise."""

import numpy as np

from tests.fakes.healthy import each_label, label_at, read, write_healthy, write_label


def test_label_void_all_over(root, only):
    write_label(root, "train", "train1", np.full((24, 36), 255, np.uint8))

    finding = only(root, "all-void")

    assert finding.severity == "warning"
    assert finding.title == "1 label of `train` void all over."


def test_label_almost_void(root, only):
    label = read(label_at(root))
    label[:22] = 255
    write_label(root, "train", "train0", label)

    assert only(root, "mostly-void").severity == "note"


def test_more_void_than_classes(root, look):
    each_label(root, lambda label: np.where(np.arange(24)[:, None] < 14, 255, label))

    findings = look(root).findings

    assert [finding.code for finding in findings] == ["high-void", "high-void"]
    assert findings[0].title == "58.3 % of the pixels of `train` are void."


def test_images_without_objects_are_a_note(root, only):
    write_label(root, "train", "train0", np.zeros((24, 36), np.uint8))

    finding = only(root, "class-0-only")

    assert finding.title == "1 label of `train` show 'background' only."


def test_labels_that_are_all_zero(root, look):
    each_label(root, np.zeros_like)

    finding = next(finding for finding in look(root).findings if finding.code == "only-class-0")

    assert finding.severity == "error"
    assert finding.title == (
        "All 4 labels of `train` show 'background' only: there is nothing to learn."
    )


def test_class_that_only_validation_shows(root, look):
    for number in range(4):
        label = read(label_at(root, "train", number))
        write_label(root, "train", f"train{number}", np.where(label == 2, 1, label))

    findings = look(root).findings

    assert [finding.code for finding in findings] == ["unseen-class"]
    assert findings[0].title == "1 class of `val` never seen in `train`: road (4 images)."


def test_class_that_validation_lacks(root, only):
    for number in range(4):
        label = read(label_at(root, "val", number))
        write_label(root, "val", f"val{number}", np.where(label == 2, 1, label))

    assert only(root, "unscored-class").title == "1 class of `train` in no label of `val`: road."


def test_class_that_no_label_shows(root, only):
    (root / "taxonomy.yaml").write_text("names: [background, tree, road, moon]\n")

    assert only(root, "absent-class").title == "1 class in no label: moon."


def test_class_in_few_images(tmp_path, only):
    root = write_healthy(tmp_path, num_images=12)
    for number in range(3, 12):
        label = read(label_at(root, "train", number))
        write_label(root, "train", f"train{number}", np.where(label == 2, 1, label))

    assert only(root, "rare-class").title == "1 class in fewer than 10 images of `train`: road (3)."


def test_classes_of_labels_with_a_wrong_value_are_counted(root, look):
    def spoil(label):
        label[3, 3] = 9
        return label

    each_label(root, spoil)

    totals = look(root).totals

    assert totals[0].images.tolist() == [4, 4, 4]
