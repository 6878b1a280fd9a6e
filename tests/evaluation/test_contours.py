import json

import cv2
import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main

NAMES = "names: [ground, cat]\n"


@pytest.fixture
def folders(tmp_path):
    """Two images with a square of cat, predicted two pixels to the right."""
    (tmp_path / "pets.yaml").write_text(NAMES)
    for index, left in enumerate((5, 9)):
        label, prediction = np.zeros((2, 24, 30), np.uint8)
        label[6:16, left : left + 10] = 1
        label[0, 0] = 255
        prediction[6:16, left + 2 : left + 12] = 1
        for folder, array in (("gt", label), ("pred", prediction)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{index}.png")
    return tmp_path


def score(folders, *words):
    names = {"--pred": "pred", "--gt": "gt", "--taxonomy": "pets.yaml"}
    pairs = [word for option, name in names.items() for word in (option, str(folders / name))]
    return main(["score", *pairs, "--boundary", *words])


def test_boundary_iou_is_that_of_erosions_summed_over_images(folders, capsys):
    assert score(folders, "--json") == 0

    both = either = 0
    for index in range(2):
        strips = []
        for folder in ("gt", "pred"):
            mask = (np.array(Image.open(folders / folder / f"{index}.png")) == 1).astype(np.uint8)
            strips.append(mask - cv2.erode(mask, np.ones((3, 3), np.uint8)))
        both += (strips[0] & strips[1]).sum()
        either += (strips[0] | strips[1]).sum()
    record = json.loads(capsys.readouterr().out)["contours"]
    assert record["boundary_iou"]["cat"] == pytest.approx(both / either)


def test_trimap_ends_at_the_score_of_the_whole_images(folders, capsys):
    score(folders, "--json")

    record = json.loads(capsys.readouterr().out)
    curve = record["contours"]["trimap_mean_iou"]
    assert curve["32"] == pytest.approx(record["mean_iou"])
    assert curve["1"] < curve["2"] < curve["8"]


def test_boundary_is_printed_and_kept(folders, capsys):
    score(folders, "--out", str(folders / "out"))

    assert "| boundary mean IoU | trimap 1 px |" in capsys.readouterr().out
    assert "boundary_mean_iou" in json.loads((folders / "out" / "boundary.json").read_text())
