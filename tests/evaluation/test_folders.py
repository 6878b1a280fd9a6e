import json
import logging
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main
from parsenet.errors import DataNotFoundError, LabelError
from parsenet.evaluation.folders import MAX_NAMED, find_pairs, score_pairs
from parsenet.metrics.counting import count
from parsenet.metrics.per_image import ImageCounts
from parsenet.taxonomy import PASCAL_CONTEXT459, VOC2012
from tests.fakes.voc import write_palette_png, write_voc


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
        palette = VOC2012.pillow_palette()
        write_palette_png(tmp_path / "gt" / f"{name}.png", label, palette)
        write_palette_png(tmp_path / "pred" / f"{name}.png", predictions[name], palette)
    expected = sum(count(predictions[name], labels[name], 21) for name in ids)
    return tmp_path / "pred", tmp_path / "gt", expected


def score_folders(pred, gt, taxonomy, split=None, **options):
    name = split.stem if split else gt.name
    return score_pairs(find_pairs(pred, gt, split), taxonomy, name, **options)


def scored(folders, **options):
    return score_folders(folders[0], folders[1], VOC2012, progress=False, **options)


def refused(folders, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        scored(folders)


def test_counts_are_those_of_all_files(folders):
    evaluation = scored(folders)

    np.testing.assert_array_equal(evaluation.counts, folders[2])
    assert (evaluation.card.split, evaluation.card.num_images) == ("gt", 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_number_of_readers_changes_nothing(folders, workers):
    one, other = scored(folders), scored(folders, workers=workers)

    assert one.to_dict() == other.to_dict()
    np.testing.assert_array_equal(one.images.pixels, other.images.pixels)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_coloured_maps_score_like_palette_ones(folders, mode):
    expected = scored(folders).to_dict()
    for path in [*folders[0].iterdir(), *folders[1].iterdir()]:
        label = np.array(Image.open(path))
        Image.fromarray(label if mode == "L" else VOC2012.colourise(label)).save(path)

    assert scored(folders).to_dict() == expected


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


def test_missing_predictions_are_named(folders):
    (folders[0] / "2009_000000.png").unlink()
    (folders[0] / "2009_000002.png").unlink()

    refused(
        folders,
        DataNotFoundError,
        f"`predictions` must be complete, got 2 missing in '{folders[0]}': '2009_000000', "
        "'2009_000002'. Names are compared without their ending. To score fewer images, list "
        "them in a file and give `--split FILE`.",
    )


def test_missing_labels_of_a_split_are_named(folders, tmp_path):
    (tmp_path / "val.txt").write_text("2009_000000\n2009_000009\n")
    message = (
        f"`labels` must be complete, got 1 missing in '{folders[1]}': '2009_000009'. Names are "
        "compared without their ending."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        scored(folders, split=tmp_path / "val.txt")


def test_only_so_many_missing_files_are_named(folders):
    for index in range(MAX_NAMED + 2):
        write_palette_png(
            folders[1] / f"more_{index:02d}.png", np.zeros((2, 2), np.uint8), [0, 0, 0]
        )

    with pytest.raises(DataNotFoundError, match=r"got 22 missing .*'more_19' and 2 more\. Names"):
        scored(folders)


def test_extra_predictions_are_named_and_left_out(folders, caplog):
    (folders[1] / "2009_000001.png").unlink()

    with caplog.at_level(logging.WARNING):
        evaluation = scored(folders)

    assert evaluation.images.ids == ("2009_000000", "2009_000002")
    assert caplog.messages == [
        f"1 predictions in '{folders[0]}' are not of the 2 images scored and were left out: "
        "'2009_000001'"
    ]


def test_everything_wrong_is_named_at_once(folders):
    pred = folders[0]
    Image.fromarray(np.zeros((14, 10), np.uint8)).save(pred / "2009_000000.png")
    wrong = np.zeros((10, 14), np.uint8)
    wrong[3, 4:6] = [21, 255]
    Image.fromarray(wrong).save(pred / "2009_000001.png")
    Image.fromarray(np.full((10, 14, 3), 9, np.uint8)).save(pred / "2009_000002.png")

    refused(
        folders,
        LabelError,
        "All 3 predictions must fit their labels, got 3 that do not:\n"
        f"The prediction '{pred / '2009_000000.png'}' must be as large as its label (10, 14), got "
        "(14, 10). Sizes are (height, width); predict at native size.\n"
        f"'{pred / '2009_000001.png'}' must hold classes 0..20, got 21 at row 3, column 4 (2 "
        "pixels in all are wrong). Predict a class everywhere, or use another taxonomy.\n"
        f"In the mask '{pred / '2009_000002.png'}', colour (9, 9, 9) at row 0, column 0 is not in "
        "the palette of 'voc2012'. Add it to the palette or store class indices.",
    )


def test_wrong_value_of_a_label_is_named(folders):
    gt = folders[1] / "2009_000000.png"
    Image.fromarray(np.full((10, 14), 33, np.uint8)).save(gt)

    refused(
        folders,
        LabelError,
        "All 3 predictions must fit their labels, got 1 that do not:\n"
        f"'{gt}' must hold classes 0..20, got 33 at row 0, column 0 (140 pixels in all are wrong). "
        "255 is void, or use another taxonomy.",
    )


def test_damaged_file_is_named(folders):
    (folders[0] / "2009_000001.png").write_bytes(b"")

    with pytest.raises(LabelError, match=r"2009_000001\.png' must be an image, got an empty file"):
        scored(folders)


def test_missing_folder_is_refused(folders):
    message = f"`pred` must be a folder, got '{folders[0] / 'x'}'. Check its name."

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        score_folders(folders[0] / "x", folders[1], VOC2012)


def test_folder_without_label_maps_is_refused(folders, tmp_path):
    (tmp_path / "none").mkdir()
    message = (
        f"`gt` must hold label maps (.png, .tif, .tiff, .bmp), got none in '{tmp_path / 'none'}'. "
        "Check the folder."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        score_folders(folders[0], tmp_path / "none", VOC2012)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "`split` must be a file, got '{path}'. Check its name."),
        ("\n", "'{path}' must name at least one image, got none."),
    ],
)
def test_split_without_names_is_refused(folders, tmp_path, text, message):
    path = tmp_path / "val.txt"
    if text is not None:
        path.write_text(text)

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message.format(path=path))}$"):
        scored(folders, split=path)


def command(folders, *words):
    return main([
        "score",
        "--pred",
        str(folders[0]),
        "--gt",
        str(folders[1]),
        "--taxonomy",
        "voc2012",
        *words,
    ])


def test_command_prints_card_and_tables(folders, capsys):
    code = command(folders)

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith("voc2012 gt, 3 images, native size; void pixels left out of all")
    assert [line for line in lines if line.startswith(("| background", "| tvmonitor"))]


def test_command_prints_json_and_nothing_else(folders, capsys):
    command(folders, "--json")

    assert json.loads(capsys.readouterr().out) == scored(folders).to_dict()


def test_command_writes_scores_counts_worst_images_and_report(folders, tmp_path):
    images = tmp_path / "data" / "VOC2012" / "JPEGImages"

    command(folders, "--out", str(tmp_path / "out"), "--images", str(images))

    out = tmp_path / "out"
    assert json.loads((out / "metrics.json").read_text()) == scored(folders).to_dict()
    np.testing.assert_array_equal(ImageCounts.load(out / "counts.npz").total(), folders[2])
    worst = sorted(path.name for path in (out / "worst").iterdir())
    assert len(worst) == 3
    assert worst[0].startswith("01_2009_000002_iou_")
    assert "Worst images" in (out / "report.html").read_text(encoding="utf-8")


def test_second_scoring_leaves_no_image_of_the_first(folders, tmp_path):
    out = tmp_path / "out"
    (out / "worst").mkdir(parents=True)
    (out / "worst" / "01_old_iou_0.00.png").write_bytes(b"")

    command(folders, "--out", str(out))

    assert not (out / "worst" / "01_old_iou_0.00.png").exists()


def test_command_takes_a_taxonomy_file(folders, tmp_path, capsys):
    names = "".join(f"  - {name}\n" for name in VOC2012.names)
    (tmp_path / "mine.yaml").write_text(f"names:\n{names}")

    code = command(folders, "--json", "--taxonomy", str(tmp_path / "mine.yaml"))

    metrics = json.loads(capsys.readouterr().out)
    assert (code, metrics["card"]["dataset"]) == (0, "mine")
    assert metrics["confusion"] == folders[2].tolist()


def test_command_that_cannot_score_says_why_in_a_sentence(folders, capsys):
    (folders[0] / "2009_000000.png").unlink()

    code = command(folders)

    assert code == 2
    assert capsys.readouterr().err.startswith(
        "error: `predictions` must be complete, got 1 missing"
    )


def test_command_suggests_the_taxonomy(folders, capsys):
    code = main(["score", "--pred", "a", "--gt", "b", "--taxonomy", "voc2021"])

    assert code == 2
    assert capsys.readouterr().err == (
        "error: `taxonomy` must be a known name, got 'voc2021'. Did you mean `voc2012`?\n"
    )


def write_wide(root, value):
    """Write one 16-bit prediction and label, right but in one pixel; the label has that value."""
    label = np.array([[300, value], [0, 458]], np.uint16)
    prediction = np.array([[300, 7], [1, 458]], np.uint16)
    for folder, stored in (("gt", label), ("pred", prediction)):
        (root / folder).mkdir()
        Image.fromarray(stored).save(root / folder / "a.png")
    return root / "pred", root / "gt"


def test_more_classes_than_eight_bits_hold_are_scored(tmp_path):
    pred, gt = write_wide(tmp_path, value=511)

    evaluation = score_folders(pred, gt, PASCAL_CONTEXT459, progress=False)

    assert evaluation.images.total().sum() == 3
    assert evaluation.to_dict()["pixel_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [459, 600])
def test_wrong_value_among_many_classes_is_named(tmp_path, value):
    pred, gt = write_wide(tmp_path, value)

    with pytest.raises(
        LabelError,
        match=re.escape(f"must hold classes 0..458, got {value} at row 0, column 1 (1 pixels in "),
    ):
        score_folders(pred, gt, PASCAL_CONTEXT459, progress=False)
