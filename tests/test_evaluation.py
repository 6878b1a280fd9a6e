import logging
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from parsenet.errors import DataNotFoundError, LabelError
from parsenet.evaluation import MAX_NAMED, find_pairs, score_contours, score_pairs
from parsenet.metrics.counting import count
from parsenet.taxonomy import PASCAL_CONTEXT459, VOC2012, Taxonomy, voc_colour_map
from tests.fakes.voc import write_png, write_voc

PETS = Taxonomy("pets", ("ground", "cat"), voc_colour_map(2))


@pytest.fixture
def folders(tmp_path):
    """Predictions and labels of three images, each shifted by another number of pixels."""
    labels = write_voc(tmp_path / "data", num_images=3)
    ids = [name for name in labels if name.startswith("2009")]
    (tmp_path / "pred").mkdir()
    (tmp_path / "gt").mkdir()
    predictions = {}
    for shift, name in enumerate(ids):
        label = labels[name]
        predictions[name] = np.roll(np.where(label == 255, 0, label), shift, axis=1)
        write_png(tmp_path / "gt" / f"{name}.png", label, VOC2012)
        write_png(tmp_path / "pred" / f"{name}.png", predictions[name], VOC2012)
    expected = sum(count(predictions[name], labels[name], 21) for name in ids)
    return tmp_path / "pred", tmp_path / "gt", expected


def scored(folders, split=None):
    pred, gt, _ = folders
    name = split.stem if split else gt.name
    return score_pairs(find_pairs(pred, gt, split), VOC2012, name)


def test_counts_are_those_of_all_files(folders):
    evaluation = scored(folders)

    np.testing.assert_array_equal(evaluation.images.total(), folders[2])
    assert (evaluation.card.split, evaluation.card.num_images) == ("gt", 3)


def test_split_chooses_images_and_names_itself(folders, tmp_path):
    (tmp_path / "tiny.txt").write_text(
        "2009_000001\n\n/JPEGImages/2009_000002.jpg /x/2009_000002.png\n"
    )

    evaluation = scored(folders, split=tmp_path / "tiny.txt")

    assert evaluation.images.ids == ("2009_000001", "2009_000002")
    assert evaluation.card.split == "tiny"


def test_files_of_subfolders_keep_the_folder_in_their_name(folders):
    for folder in folders[:2]:
        (folder / "a").mkdir()
        (folder / "2009_000001.png").rename(folder / "a" / "2009_000001.png")

    assert scored(folders).images.ids == ("2009_000000", "2009_000002", "a/2009_000001")


def test_extra_predictions_are_named_and_left_out(folders, caplog):
    (folders[1] / "2009_000001.png").unlink()

    with caplog.at_level(logging.WARNING):
        evaluation = scored(folders)

    assert evaluation.images.ids == ("2009_000000", "2009_000002")
    assert caplog.messages == [
        f"1 predictions in '{folders[0]}' are not of the 2 images scored and were left out: "
        "'2009_000001'"
    ]


def save(path, *value, size=(10, 14)):
    Image.fromarray(np.full((*size, *value[1:]), value[0], np.uint8)).save(path)


def wrong_everywhere(pred, gt, split):
    save(pred / "2009_000000.png", 0, size=(14, 10))
    wrong = np.zeros((10, 14), np.uint8)
    wrong[3, 4:6] = [21, 255]
    Image.fromarray(wrong).save(pred / "2009_000001.png")
    save(pred / "2009_000002.png", 9, 3)


REFUSED = {
    "missing predictions": (
        lambda pred, gt, split: [save(gt / f"x{x:02d}.png", 0) for x in range(MAX_NAMED + 2)],
        "`predictions` must be complete, got 22 missing in '{pred}': "
        + ", ".join(f"'x{x:02d}'" for x in range(MAX_NAMED))
        + " and 2 more. Names are compared without their ending. To score fewer images, list them "
        "in a file and give `--split FILE`.",
    ),
    "missing labels of a split": (
        lambda pred, gt, split: split.write_text("2009_000000\n2009_000009\n"),
        "`labels` must be complete, got 1 missing in '{gt}': '2009_000009'. Names are compared "
        "without their ending.",
    ),
    "split without names": (
        lambda pred, gt, split: split.write_text("\n"),
        "'{split}' must name at least one image, got none.",
    ),
    "no folder": (
        lambda pred, gt, split: gt.rename(gt.with_name("x")),
        "`gt` must be a folder, got '{gt}'. Check its name.",
    ),
    "folder without label maps": (
        lambda pred, gt, split: [path.unlink() for path in gt.iterdir()],
        "`gt` must hold label maps (.png, .tif, .tiff, .bmp), got none in '{gt}'. Check the "
        "folder.",
    ),
    "split that is not there": (
        lambda pred, gt, split: split.mkdir(),
        "`split` must be a file, got '{split}'. Check its name.",
    ),
    "damaged file": (
        lambda pred, gt, split: (pred / "2009_000001.png").write_bytes(b""),
        "All 3 predictions must fit their labels, got 1 that do not:\n"
        "'{pred}/2009_000001.png' must be an image, got an empty file. Copy it again.",
    ),
    "wrong label": (
        lambda pred, gt, split: save(gt / "2009_000000.png", 33),
        "All 3 predictions must fit their labels, got 1 that do not:\n"
        "'{gt}/2009_000000.png' must hold classes 0..20, got 33 at row 0, column 0 (140 pixels in "
        "all are wrong). 255 is void, or use another taxonomy.",
    ),
    "everything at once": (
        wrong_everywhere,
        "All 3 predictions must fit their labels, got 3 that do not:\n"
        "The prediction '{pred}/2009_000000.png' must be as large as its label (10, 14), got "
        "(14, 10). Sizes are (height, width); predict at native size.\n"
        "'{pred}/2009_000001.png' must hold classes 0..20, got 21 at row 3, column 4 (2 pixels in "
        "all are wrong). Predict a class everywhere, or use another taxonomy.\n"
        "In the mask '{pred}/2009_000002.png', colour (9, 9, 9) at row 0, column 0 is not in the "
        "palette of 'voc2012'. Add it to the palette or store class indices.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scored_is_named(folders, tmp_path, case):
    prepare, message = REFUSED[case]
    pred, gt, split = *folders[:2], tmp_path / "val.txt"
    prepare(pred, gt, split)
    expected = message.format(pred=pred, gt=gt, split=split)

    with pytest.raises((DataNotFoundError, LabelError), match=f"^{re.escape(expected)}$"):
        scored(folders, split if split.exists() else None)


@pytest.mark.parametrize("value", [511, 459, 600])
def test_more_classes_than_eight_bits_hold_are_scored_and_wrong_values_named(tmp_path, value):
    label = np.array([[300, value], [0, 458]], np.uint16)  # 511 is void
    prediction = np.array([[300, 7], [1, 458]], np.uint16)
    for folder, stored in (("gt", label), ("pred", prediction)):
        (tmp_path / folder).mkdir()
        Image.fromarray(stored).save(tmp_path / folder / "a.png")
    pairs = find_pairs(tmp_path / "pred", tmp_path / "gt")

    if value == 511:
        evaluation = score_pairs(pairs, PASCAL_CONTEXT459, "val")
        assert evaluation.images.total().sum() == 3
        assert evaluation.to_dict()["pixel_accuracy"] == pytest.approx(2 / 3)
    else:
        message = f"must hold classes 0..458, got {value} at row 0, column 1 (1 pixels in "
        with pytest.raises(LabelError, match=re.escape(message)):
            score_pairs(pairs, PASCAL_CONTEXT459, "val")


@pytest.fixture
def squares(tmp_path):
    """Two images with a square of cat, predicted two pixels to the right."""
    for index, left in enumerate((5, 9)):
        label, prediction = np.zeros((2, 24, 30), np.uint8)
        label[6:16, left : left + 10] = 1
        label[0, 0] = 255
        prediction[6:16, left + 2 : left + 12] = 1
        for folder, array in (("gt", label), ("pred", prediction)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{index}.png")
    return find_pairs(tmp_path / "pred", tmp_path / "gt")


def test_boundary_iou_is_that_of_erosions_summed_over_images(squares):
    both = either = 0
    for pair in squares.values():
        masks = ((np.array(Image.open(path)) == 1).astype(np.uint8) for path in pair)
        found, truth = (mask - cv2.erode(mask, np.ones((3, 3), np.uint8)) for mask in masks)
        both += (found & truth).sum()
        either += (found | truth).sum()

    record = score_contours(squares, PETS)

    assert record["boundary_iou"]["cat"] == pytest.approx(both / either)
