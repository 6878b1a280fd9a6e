import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools import sbd
from data_tools.sbd import convert, trainaug_ids
from parsenet.data.voc import VOC2012
from parsenet.errors import ImageError, LabelError
from tests.fakes.archives import mat_bytes, pack_tar, read_tree, sbd_files, sbd_mat, voc_files

AUG_LIST = Path("ImageSets") / "Segmentation" / "trainaug.txt"
LEAK = (
    "error: 'OUT/ImageSets/Segmentation/trainaug.txt' must name no image of VOC val, got 2, the "
    "first is '2009_000001'. Take them out: scores on val would be of images seen in training.\n"
)
DONE = (
    "trainaug in 'OUT': {} images (VOC train {}, SBD {}), none of val; 9 labels in "
    "SegmentationClassAug.\n"
)


@pytest.fixture
def words(tmp_path, out, publish):
    """The command line; the folder holds VOC as `voc.py` leaves it."""
    for name, data in voc_files()[0].items():
        if re.search("JPEGImages|SegmentationClass|ImageSets/Segmentation", name):
            path = out / name.removeprefix("VOCdevkit/VOC2012/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return publish(pack_tar(tmp_path / "benchmark.tgz", sbd_files()[0], "w:gz"))


def test_trainaug_is_train_and_sbd_without_val():
    assert trainaug_ids(["b", "a"], ["c", "a", "v"], ["v", "w"]) == ["a", "b", "c"]


def test_trainaug_reads_with_the_right_labels(out, words, run):
    own, other = voc_files()[1], sbd_files()[1]

    assert run(sbd, words)[:2] == (0, DONE.format(6, 3, 3))

    dataset = VOC2012(out, "trainaug")
    assert dataset.ids == sorted(name for name in own if not name.startswith("2009"))
    for index, name in enumerate(dataset.ids):
        label = dataset.read(index).label
        # VOC's own label where it has one, with its border; SBD's where it has none.
        np.testing.assert_array_equal(label, own[name] if name[:4] == "2007" else other[name])
    for name, labels in (("2009_000001", own), ("2011_000000", other)):  # val: DeepLab's lists
        with Image.open(out / "SegmentationClassAug" / f"{name}.png") as image:
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
            np.testing.assert_array_equal(np.array(image), labels[name])


def test_images_of_sbd_are_unpacked_on_demand_and_a_second_run_writes_nothing(
    out, words, run, server
):
    run(sbd, words)
    files = read_tree(out)
    run(sbd, [*words, "--images"])
    added = set(read_tree(out)) - set(files)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix}

    for more in ([], ["--images"]):
        run(sbd, [*words, *more])

    assert added == {name for name in sbd_files()[0] if "/img/" in name}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix} == times
    assert len(server.requests) == 1


def test_release_may_be_deleted_afterwards_and_labels_that_lie_there_are_kept(out, words, run):
    (out / "SegmentationClassAug").mkdir()
    (out / "SegmentationClassAug" / "2011_000000.png").write_bytes(b"mine")
    run(sbd, words)
    shutil.rmtree(out / "benchmark_RELEASE")

    assert run(sbd, words)[0] == 0
    assert not (out / "benchmark_RELEASE").exists()
    assert (out / "SegmentationClassAug" / "2011_000000.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("/JPEGImages/2011_000002.jpg /SegmentationClassAug/2011_000002.png\n2007_000000\n", None),
        ("2007_000000\n2009_000002\n2009_000001", LEAK),
        ("2007_000000\n2012_999999", "error: trainaug is not complete: 1 of 2 files are missing in "
         "'OUT/JPEGImages', the first is '2012_999999.jpg'. Copy them there or shorten the split's "
         "list.\n"),
    ],
)  # fmt: skip
def test_list_that_lies_there_is_kept_or_refused(out, words, run, names, told):
    (out / AUG_LIST).write_text(names)

    code, done, error = run(sbd, words)

    assert (code, done) == ((2, "") if told else (0, DONE.format(2, 1, 1)))
    assert told is None or error.endswith(told)
    assert (out / AUG_LIST).read_text() == names


def test_folder_without_voc_is_refused(run):
    assert run(sbd, [])[2].splitlines()[-1] == (
        "error: `--out` must be the folder of VOC 2012, with 'JPEGImages' and "
        "'ImageSets/Segmentation', got 'OUT'. Run `python data_tools/voc.py --out OUT` first."
    )


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (sbd_mat(np.zeros((14, 10), np.uint8)), LabelError, r"\(10 x 14\), got 14 x 10\. Unpack V"),
        (sbd_mat(np.full((10, 14), 21, np.uint8)), LabelError, r"0 to 20, got 21 as uint8\. Unp"),
        (b"", ImageError, "a whole MATLAB file"),
        (mat_bytes({"S": np.zeros(3)}), ImageError, "hold .*GTcls"),
        (sbd_mat(np.zeros((10, 14)))[:-40], ImageError, "a whole MATLAB file"),
    ],
)
def test_label_that_cannot_be_right_is_refused_by_name(tmp_path, data, kind, message):
    mat, image, png = (tmp_path / f"a.{suffix}" for suffix in ("mat", "jpg", "png"))
    Image.new("RGB", (14, 10)).save(image)
    mat.write_bytes(data)

    with pytest.raises(kind, match=rf"^'{re.escape(str(mat))}' must .*{message}"):
        convert(mat, image, png)

    assert not png.exists()


@pytest.mark.realdata
@pytest.mark.skipif("PARSENET_DATA" not in os.environ, reason="PARSENET_DATA is not set")
def test_rule_gives_the_published_list_and_labels_of_train_are_vocs_own():
    root = Path(os.environ["PARSENET_DATA"])

    def read_list(name):
        lines = (root / "lists" / name).read_text().splitlines()
        return [Path(line.split()[0]).stem for line in lines]

    # SBD's own lists are not at hand; what it adds to VOC trainval is.
    train, val = read_list("voc12_train.txt"), read_list("voc12_val.txt")
    added = read_list("voc12_trainval_aug_diff_train.txt")
    assert trainaug_ids(train, added, val) == read_list("voc12_train_aug.txt")

    base = root / "voc2012_subset" / "VOC2012"
    for name in (base / "ImageSets/Segmentation/train.txt").read_text().split():
        with (
            Image.open(base / "SegmentationClass" / f"{name}.png") as own,
            Image.open(base / "SegmentationClassAug" / f"{name}.png") as published,
        ):
            np.testing.assert_array_equal(np.array(own), np.array(published))
