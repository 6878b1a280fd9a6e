import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools import voc
from data_tools.sbd import Conversion, convert, main, trainaug_ids
from parsenet.data.voc import VOC2012
from parsenet.errors import ImageError, LabelError
from tests.fakes.archives import mat_bytes, pack_tar, read_tree, sbd_files, sbd_mat, voc_files

AUG_LIST = Path("ImageSets") / "Segmentation" / "trainaug.txt"


@pytest.fixture
def out(tmp_path):
    """VOC as `voc.py` leaves it."""
    files, _ = voc_files()
    for name, data in files.items():
        written = voc.PICK(name)
        if written is not None:
            path = tmp_path / "out" / written
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return tmp_path / "out"


@pytest.fixture
def words(tmp_path, out, publish):
    """The command line."""
    (tmp_path / "site").mkdir()
    archive = pack_tar(tmp_path / "site" / "benchmark.tgz", sbd_files()[0], "w:gz")
    return ["--out", str(out), "--workers", "1", *publish(archive)]


def last_error(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_trainaug_is_train_and_sbd_without_val():
    assert trainaug_ids(["b", "a"], ["c", "a", "v"], ["v", "w"]) == ["a", "b", "c"]


def test_trainaug_reads_with_the_right_labels(out, words):
    _, own = voc_files()
    _, sbd = sbd_files()

    code = main(words)

    dataset = VOC2012(out, "trainaug")
    assert code == 0
    assert dataset.ids == sorted(name for name in own if not name.startswith("2009"))
    for index, name in enumerate(dataset.ids):
        label = dataset.read(index).label
        # VOC's own label where it has one, with its border; SBD's where it has none.
        np.testing.assert_array_equal(label, own[name] if name[:4] == "2007" else sbd[name])


def test_labels_are_palette_images(out, words):
    main(words)

    with Image.open(out / "SegmentationClassAug" / "2011_000000.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_val_has_its_labels_for_deeplabs_lists(out, words):
    _, own = voc_files()

    main(words)

    with Image.open(out / "SegmentationClassAug" / "2009_000001.png") as image:
        np.testing.assert_array_equal(np.array(image), own["2009_000001"])


def test_last_line_counts(out, words, capsys):
    main(words)

    assert capsys.readouterr().out == (
        f"trainaug in '{out}': 6 images (VOC train 3, SBD 3), none of val; 9 labels in "
        "SegmentationClassAug.\n"
    )


def test_images_of_sbd_are_not_unpacked(out, words):
    main(words)

    assert {path.name for path in (out / "benchmark_RELEASE" / "dataset").iterdir()} == {
        "cls",
        "train.txt",
        "val.txt",
    }


def test_images_of_sbd_are_unpacked_on_demand(out, words, server):
    main(words)
    files = read_tree(out)

    main([*words, "--images"])

    added = set(read_tree(out)) - set(files)
    assert added == {name for name in sbd_files()[0] if "/img/" in name}
    assert len(server.requests) == 1


@pytest.mark.parametrize("more", [[], ["--images"]])
def test_second_run_writes_nothing(out, words, server, more):
    main([*words, *more])
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}

    main([*words, *more])

    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == times
    assert len(server.requests) == 1


def test_release_may_be_deleted_afterwards(out, words, server):
    import shutil

    main(words)
    shutil.rmtree(out / "benchmark_RELEASE")

    assert main(words) == 0
    assert not (out / "benchmark_RELEASE").exists()


def test_labels_that_lie_there_are_kept(out, words):
    (out / "SegmentationClassAug").mkdir()
    (out / "SegmentationClassAug" / "2011_000000.png").write_bytes(b"mine")

    main(words)

    assert (out / "SegmentationClassAug" / "2011_000000.png").read_bytes() == b"mine"


def test_published_list_is_accepted(out, words, tmp_path):
    listed = tmp_path / "train_aug.txt"
    listed.write_text(
        "/JPEGImages/2011_000002.jpg /SegmentationClassAug/2011_000002.png\n"
        "/JPEGImages/2007_000000.jpg /SegmentationClassAug/2007_000000.png\n"
    )

    main([*words, "--list", str(listed)])

    assert (out / AUG_LIST).read_text() == "2011_000002\n2007_000000\n"


def test_list_that_names_a_image_of_val_is_refused(out, words, tmp_path, capsys):
    listed = tmp_path / "leaky.txt"
    listed.write_text("2007_000000\n2009_000002\n2009_000001\n")

    code = main([*words, "--list", str(listed)])

    assert code == 2
    assert last_error(capsys) == (
        f"error: '{listed}' must name no image of VOC val, got 2, the first is '2009_000001'. "
        "Take them out: scores on val would be of images seen in training."
    )
    assert not (out / AUG_LIST).exists()


def test_list_there_that_names_a_image_of_val_is_refused(out, words, capsys):
    main(words)
    (out / AUG_LIST).write_text("2007_000000\n2009_000001\n")

    code = main(words)

    assert code == 2
    assert "must name no image of VOC val, got 1" in last_error(capsys)


def test_list_with_an_unknown_image_is_refused(out, words, tmp_path, capsys):
    listed = tmp_path / "list.txt"
    listed.write_text("2007_000000\n2012_999999\n")

    code = main([*words, "--list", str(listed)])

    assert code == 2
    assert last_error(capsys) == (
        "error: VOC 2012 must have every image of trainaug, got a folder in which 1 of 2 files "
        f"are missing in '{out / 'JPEGImages'}', the first is '2012_999999.jpg'. Run `python "
        f"data_tools/voc.py --out {out}` again."
    )


def test_list_of_another_origin_is_not_replaced(out, words, capsys):
    (out / AUG_LIST).write_text("2007_000000\n2011_000002\n")

    code = main(words)

    assert code == 2
    assert last_error(capsys) == (
        f"error: '{out / AUG_LIST}' must be the list of 6 names that this tool makes, got another "
        "of 2. Pass it with `--list` to use it, or move it away."
    )
    assert (out / AUG_LIST).read_text() == "2007_000000\n2011_000002\n"


def test_folder_without_voc_is_refused(tmp_path, capsys):
    code = main(["--out", str(tmp_path / "empty")])

    assert code == 2
    assert last_error(capsys) == (
        "error: `--out` must be the folder of VOC 2012, with 'JPEGImages' and "
        f"'ImageSets/Segmentation', got '{tmp_path / 'empty'}'. Run `python data_tools/voc.py "
        f"--out {tmp_path / 'empty'}` first."
    )


@pytest.fixture
def task(tmp_path):
    """A label to convert, without its `.mat`."""
    Image.new("RGB", (14, 10)).save(tmp_path / "a.jpg")
    return Conversion(tmp_path / "a.mat", tmp_path / "a.jpg", tmp_path / "a.png")


def test_label_of_another_size_than_its_image_is_refused(task):
    task.mat.write_bytes(sbd_mat(np.zeros((14, 10), np.uint8)))

    with pytest.raises(LabelError, match=r"\(10 x 14\), got 14 x 10\. Unpack VOC 2012 again\.$"):
        convert(task)


def test_label_with_a_value_that_is_no_class_is_refused(task):
    task.mat.write_bytes(sbd_mat(np.full((10, 14), 21, np.uint8)))

    with pytest.raises(
        LabelError, match=r"a\.mat' must hold the classes 0 to 20, got 21 as uint8\. Unpack SBD"
    ):
        convert(task)


@pytest.mark.parametrize(
    "data",
    [b"", b"MATLAB 5.0 MAT-file", mat_bytes({"S": np.zeros(3)}), sbd_mat(np.zeros((10, 14)))[:-40]],
)
def test_damaged_label_is_named(task, data):
    task.mat.write_bytes(data)

    with pytest.raises(ImageError, match=r"a\.mat' must (be a whole MATLAB file|hold .*GTcls)"):
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
