import hashlib

import numpy as np
import pytest

from data_tools.voc import main
from parsenet.data.voc import VOC2012
from tests.fakes.archives import pack_tar, read_tree, voc_files

NAME = "VOCtrainval_11-May-2012.tar"


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "site").mkdir()
    return pack_tar(tmp_path / "site" / NAME, voc_files()[0])


def test_folder_is_what_the_loader_reads(tmp_path, archive, publish):
    _, labels = voc_files()

    code = main(["--out", str(tmp_path / "out"), *publish(archive)])

    assert code == 0
    for split in ("train", "val", "trainval"):
        dataset = VOC2012(tmp_path / "out", split)
        for index, name in enumerate(dataset.ids):
            np.testing.assert_array_equal(dataset.read(index).label, labels[name])


def test_only_what_segmentation_needs_is_unpacked(tmp_path, archive, publish):
    files, _ = voc_files()

    main(["--out", str(tmp_path / "out"), *publish(archive)])

    wanted = ("JPEGImages", "SegmentationClass/", "ImageSets/Segmentation")
    base = "VOCdevkit/VOC2012/"
    assert read_tree(tmp_path / "out") == {
        name.removeprefix(base): data
        for name, data in files.items()
        if name.removeprefix(base).startswith(wanted)
    }


def test_last_line_counts(tmp_path, archive, publish, capsys):
    main(["--out", str(tmp_path / "out"), *publish(archive)])

    assert capsys.readouterr().out == (
        f"VOC 2012 in '{tmp_path / 'out'}': train 3, val 3, trainval 6 labels, 9 images.\n"
    )


def test_count_that_is_not_the_published_one_is_told(tmp_path, archive, publish, caplog):
    main(["--out", str(tmp_path / "out"), *publish(archive)])

    assert "`train` has 3, published are 1,464." in caplog.messages


def test_second_run_downloads_and_writes_nothing(tmp_path, archive, publish, server, capsys):
    words = ["--out", str(tmp_path / "out"), *publish(archive)]
    main(words)
    first = capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    main(words)

    assert capsys.readouterr().out == first
    assert len(server.requests) == 1
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == times


def test_archive_at_hand_needs_no_network(tmp_path, archive, publish, server):
    words = publish(archive)

    code = main(["--out", str(tmp_path / "out"), "--from", str(archive), *words])

    assert (code, server.requests) == (0, [])
    assert len(VOC2012(tmp_path / "out", "val")) == 3


def test_archive_at_hand_must_have_the_published_hash(tmp_path, archive, capsys):
    before = archive.read_bytes()

    code = main(["--out", str(tmp_path / "out"), "--from", str(archive)])

    published = "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb"
    assert code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: '{NAME}' must have the SHA256 {published}, got "
        f"{hashlib.sha256(before).hexdigest()}. It is damaged or another file."
    )
    assert archive.read_bytes() == before


def test_users_complete_folder_is_left_alone(tmp_path, archive, publish, server, capsys):
    words = ["--out", str(tmp_path / "out"), *publish(archive)]
    main(words)
    (tmp_path / "out" / ".parsenet" / "voc.json").unlink()

    code = main(words)

    assert (code, len(server.requests)) == (0, 1)


def test_archive_without_a_label_is_refused(tmp_path, publish, capsys):
    files, _ = voc_files()
    del files["VOCdevkit/VOC2012/SegmentationClass/2009_000001.png"]
    path = pack_tar(tmp_path / NAME, files)

    code = main(["--out", str(tmp_path / "out"), *publish(path)])

    assert code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: VOC 2012 in '{tmp_path / 'out'}' must be complete, got one in which 1 of 6 files "
        f"are missing in '{tmp_path / 'out' / 'SegmentationClass'}', the first is "
        "'2009_000001.png'. Get the archive from another source, or move what lies there away and "
        "start again."
    )
