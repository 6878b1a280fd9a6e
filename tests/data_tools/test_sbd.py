import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools.sbd import Conversion, convert, main, trainaug_ids
from parsenet.data.voc import VOC2012
from parsenet.errors import ImageError, LabelError
from tests.fakes.archives import mat_bytes, pack_tar, read_tree, sbd_files, sbd_mat, voc_files

AUG_LIST = Path("ImageSets") / "Segmentation" / "trainaug.txt"


@pytest.fixture
def out(tmp_path):
    """VOC as `voc.py` leaves it."""
    for name, data in voc_files()[0].items():
        if re.search("JPEGImages|SegmentationClass|ImageSets/Segmentation", name):
            path = tmp_path / "out" / name.removeprefix("VOCdevkit/VOC2012/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return tmp_path / "out"


@pytest.fixture
def words(tmp_path, out, publish):
    """The command line."""
    (tmp_path / "site").mkdir()
    archive = pack_tar(tmp_path / "site" / "benchmark.tgz", sbd_files()[0], "w:gz")
    return ["--out", str(out), "--workers", "1", *publish(archive)]


def test_trainaug_is_train_and_sbd_without_val():
    assert trainaug_ids(["b", "a"], ["c", "a", "v"], ["v", "w"]) == ["a", "b", "c"]


def test_trainaug_reads_with_the_right_labels(out, words, capsys):
    _, own = voc_files()
    _, sbd = sbd_files()

    code = main(words)

    dataset = VOC2012(out, "trainaug")
    assert (code, capsys.readouterr().out) == (
        0,
        f"trainaug in '{out}': 6 images (VOC train 3, SBD 3), none of val; 9 labels in "
        "SegmentationClassAug.\n",
    )
    assert dataset.ids == sorted(name for name in own if not name.startswith("2009"))
    for index, name in enumerate(dataset.ids):
        label = dataset.read(index).label
        # VOC's own label where it has one, with its border; SBD's where it has none.
        np.testing.assert_array_equal(label, own[name] if name[:4] == "2007" else sbd[name])
    for name, labels in (("2009_000001", own), ("2011_000000", sbd)):  # val is in DeepLab's lists
        with Image.open(out / "SegmentationClassAug" / f"{name}.png") as image:
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
            np.testing.assert_array_equal(np.array(image), labels[name])


def test_images_of_sbd_are_unpacked_on_demand_and_a_second_run_writes_nothing(out, words, server):
    main(words)
    files = read_tree(out)
    main([*words, "--images"])
    added = set(read_tree(out)) - set(files)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix}

    for more in ([], ["--images"]):
        main([*words, *more])

    assert added == {name for name in sbd_files()[0] if "/img/" in name}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix} == times
    assert len(server.requests) == 1


def test_release_may_be_deleted_afterwards_and_labels_that_lie_there_are_kept(out, words):
    (out / "SegmentationClassAug").mkdir()
    (out / "SegmentationClassAug" / "2011_000000.png").write_bytes(b"mine")
    main(words)
    shutil.rmtree(out / "benchmark_RELEASE")

    assert main(words) == 0
    assert not (out / "benchmark_RELEASE").exists()
    assert (out / "SegmentationClassAug" / "2011_000000.png").read_bytes() == b"mine"


def test_published_list_is_accepted(out, words, tmp_path):
    listed = tmp_path / "train_aug.txt"
    listed.write_text(
        "/JPEGImages/2011_000002.jpg /SegmentationClassAug/2011_000002.png\n"
        "/JPEGImages/2007_000000.jpg /SegmentationClassAug/2007_000000.png\n"
    )

    main([*words, "--list", str(listed)])

    assert (out / AUG_LIST).read_text() == "2011_000002\n2007_000000\n"


LEAK = (
    "must name no image of VOC val, got {}, the first is '2009_000001'. Take them out: scores on "
    "val would be of images seen in training."
)


@pytest.mark.parametrize(
    ("names", "is_option", "message"),
    [
        ("2007_000000 2009_000002 2009_000001", True, "'LIST' " + LEAK.format(2)),
        ("2007_000000 2009_000001", False, "'OUT/LIST' must be the list of 6 names that this tool "
         "makes, got another of 2. Pass it with `--list` to use it, or move it away."),
        ("2007_000000 2012_999999", True, "'OUT/JPEGImages' must hold the 2 files of its list, got "
         "1 missing, the first is '2012_999999.jpg'. Run `python data_tools/voc.py --out OUT` "
         "again."),
        ("2007_000000 2007_000000", True, "'LIST' must name an image once, got '2007_000000' twice."
         " Delete one."),
    ],
)  # fmt: skip
def test_list_that_cannot_be_right_is_refused(
    out, words, tmp_path, capsys, names, is_option, message
):
    path = tmp_path / "list.txt" if is_option else out / AUG_LIST
    path.write_text(names.replace(" ", "\n"))

    code = main([*words, *(["--list", str(path)] if is_option else [])])

    told = capsys.readouterr().err.splitlines()[-1]
    message = message.replace("OUT/LIST", str(path)).replace("LIST", str(path))
    assert (code, told) == (2, f"error: {message.replace('OUT', str(out))}")
    assert path.read_text() == names.replace(" ", "\n")


def test_list_there_that_names_an_image_of_val_is_refused(out, words, capsys):
    main(words)
    (out / AUG_LIST).write_text("2007_000000\n2009_000001\n")

    assert main(words) == 2
    assert LEAK.format(1) in capsys.readouterr().err


def test_folder_without_voc_is_refused(tmp_path, capsys):
    empty = tmp_path / "empty"

    assert main(["--out", str(empty)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: `--out` must be the folder of VOC 2012, with 'JPEGImages' and "
        f"'ImageSets/Segmentation', got '{empty}'. Run `python data_tools/voc.py --out {empty}` "
        "first."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--list", "gone.txt"], "`--list` must name a file that exists, got 'gone.txt'."),
        (["--workers", "0"], "`--workers` must be at least 1, got 0. Leave it out for all cores."),
    ],
)
def test_wrong_option_is_refused(capsys, words, message):
    assert main(["--out", "x", *words]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.fixture
def task(tmp_path):
    """A label to convert, without its `.mat`."""
    Image.new("RGB", (14, 10)).save(tmp_path / "a.jpg")
    return Conversion(tmp_path / "a.mat", tmp_path / "a.jpg", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (
            sbd_mat(np.zeros((14, 10), np.uint8)),
            LabelError,
            r"\(10 x 14\), got 14 x 10\. Unpack VOC",
        ),
        (
            sbd_mat(np.full((10, 14), 21, np.uint8)),
            LabelError,
            r"0 to 20, got 21 as uint8\. Unpack",
        ),
        (b"", ImageError, "must be a whole MATLAB file"),
        (b"MATLAB 5.0 MAT-file", ImageError, "must be a whole MATLAB file"),
        (mat_bytes({"S": np.zeros(3)}), ImageError, "must hold .*GTcls"),
        (sbd_mat(np.zeros((10, 14)))[:-40], ImageError, "must be a whole MATLAB file"),
    ],
)
def test_label_that_cannot_be_right_is_refused_by_name(task, data, kind, message):
    task.mat.write_bytes(data)

    with pytest.raises(
        kind, match=rf"^'{re.escape(str(task.mat))}' must .*{message.removeprefix('must ')}"
    ):
        convert(task)

    assert not task.png.exists()


def read_list(name):
    path = Path(os.environ["PARSENET_DATA"]) / "lists" / name
    return [Path(line.split()[0]).stem for line in path.read_text().splitlines()]


@pytest.mark.realdata
@pytest.mark.skipif("PARSENET_DATA" not in os.environ, reason="PARSENET_DATA is not set")
def test_rule_gives_the_published_list():
    # SBD's own lists are not at hand; what it adds to VOC trainval is.
    train, val = read_list("voc12_train.txt"), read_list("voc12_val.txt")
    added = read_list("voc12_trainval_aug_diff_train.txt")

    ids = trainaug_ids(train, added, val)

    assert len(ids) == 10582
    assert ids == read_list("voc12_train_aug.txt")


@pytest.mark.realdata
@pytest.mark.skipif("PARSENET_DATA" not in os.environ, reason="PARSENET_DATA is not set")
def test_real_labels_survive_the_way_through_the_tool(tmp_path):
    base = Path(os.environ["PARSENET_DATA"]) / "voc2012_subset" / "VOC2012"
    own = {path.name for path in (base / "SegmentationClass").iterdir()}
    names = [path.stem for path in sorted((base / "SegmentationClassAug").iterdir())]
    names = [name for name in names if f"{name}.png" not in own][:200]

    for name in names:
        path = base / "SegmentationClassAug" / f"{name}.png"
        with Image.open(path) as image:
            label = np.array(image)
        (tmp_path / "a.mat").write_bytes(sbd_mat(label))
        convert(
            Conversion(tmp_path / "a.mat", base / "JPEGImages" / f"{name}.jpg", tmp_path / "a.png")
        )
        with Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as image:
            np.testing.assert_array_equal(np.array(image), label)


@pytest.mark.realdata
@pytest.mark.skipif("PARSENET_DATA" not in os.environ, reason="PARSENET_DATA is not set")
def test_published_labels_of_voc_train_are_vocs_own():
    base = Path(os.environ["PARSENET_DATA"]) / "voc2012_subset" / "VOC2012"
    train = (base / "ImageSets" / "Segmentation" / "train.txt").read_text().split()

    for name in train:
        with (
            Image.open(base / "SegmentationClass" / f"{name}.png") as own,
            Image.open(base / "SegmentationClassAug" / f"{name}.png") as published,
        ):
            np.testing.assert_array_equal(np.array(own), np.array(published))
    assert len(train) == 441
