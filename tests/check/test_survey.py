"""The doctor reads as training reads: an error exactly where loading fails."""

import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from parsenet.check.report import diagnose, write_page, write_text
from parsenet.check.survey import survey
from parsenet.config import DataConfig, FolderConfig
from parsenet.data.build import build_dataset
from parsenet.data.shapes import Shapes
from parsenet.errors import ParseNetError
from tests.data.test_contract import FAKES
from tests.fakes.healthy import HEALTHY, image_at, label_at, read, write_healthy, write_label
from tests.fakes.images import gradient, write_exif_turned, write_truncated


def loads(config):
    """Tell whether training and validation load every sample."""
    try:
        for split in (config.train_split, config.val_split):
            dataset = build_dataset(config, split)
            for index in range(len(dataset)):
                dataset[index]
    except ParseNetError:
        return False
    return True


def errors(config):
    return [x.code for x in diagnose(config, progress=False).findings if x.severity == "error"]


def config_of(root):
    layout = FolderConfig(taxonomy="taxonomy.yaml")
    return DataConfig("folder", root, "train", "val", "val", folder=layout)


@pytest.mark.parametrize("name", [name for name in FAKES if name != "shapes"])
def test_every_data_set_is_read_as_its_loader_reads_it(tmp_path, name):
    config = FAKES[name](tmp_path / "data")
    assert loads(config)

    diagnosis = diagnose(config, workers=2, progress=False)

    for split in diagnosis.splits:
        dataset = build_dataset(config, split.name)
        labels = np.concatenate([dataset.read_label(n).ravel() for n in range(len(dataset))])
        counts = np.bincount(labels, minlength=dataset.taxonomy.num_classes)
        assert split.pixels.sum(axis=0).tolist() == counts[: split.taxonomy.num_classes].tolist()
        assert split.values[split.taxonomy.void] == (labels == dataset.taxonomy.void).sum()
    codes = {x.code for x in diagnosis.findings if x.severity == "error"}
    assert codes <= {"leak"}  # VOC's fakes draw one image twice, which loading does not mind
    assert str(dataset.taxonomy.num_classes - 1) in write_text(diagnosis)
    assert dataset.taxonomy.names[-1] in write_page(diagnosis)


def exif(root):
    image_at(root).unlink()
    write_exif_turned(image_at(root).with_suffix(".jpg"), gradient((24, 36)), orientation=6)


def wrong_exif(root):
    image_at(root).unlink()
    write_exif_turned(image_at(root).with_suffix(".jpg"), gradient((36, 24)), orientation=6)


def jpeg_label(root):
    label = read(label_at(root))
    label_at(root).unlink()
    Image.fromarray(label).save(label_at(root), format="JPEG")


def changed_label(value, kind=np.uint8):
    def change(root):
        label = read(label_at(root)).astype(kind)
        label[5, 7:10] = value
        Image.fromarray(label).save(label_at(root))

    return change


def coloured(colours):
    def change(root):
        label = read(label_at(root))
        label[label == 255] = 0
        Image.fromarray(np.array(colours, np.uint8)[label]).save(label_at(root))

    return change


DAMAGES = {
    "nothing": (lambda root: None, None),
    "16 bits": (changed_label(2, np.uint16), None),
    "palette's colours": (coloured(HEALTHY.palette), None),
    "EXIF that fits": (exif, None),
    "text among the images": (lambda root: (root / "images/train/a.txt").write_text("a"), None),
    "missing label": (lambda root: label_at(root).unlink(), "image-without-label"),
    "no label at all": (lambda root: shutil.rmtree(root / "labels/val"), "image-without-label"),
    "no image at all": (lambda root: shutil.rmtree(root / "images" / "val"), "split-refused"),
    "two images of one name": (
        lambda root: shutil.copy(image_at(root), image_at(root).with_suffix(".bmp")),
        "split-refused"),
    "empty image": (lambda root: image_at(root).write_bytes(b""), "unreadable-image"),
    "no image": (lambda root: image_at(root).write_bytes(b"<html>404"), "unreadable-image"),
    "half an image": (lambda root: write_truncated(image_at(root), read(image_at(root))),
        "unreadable-image"),
    "empty label": (lambda root: label_at(root, "val", 3).write_bytes(b""), "unreadable-label"),
    "half a label": (lambda root: write_truncated(label_at(root), read(label_at(root))),
        "unreadable-label"),
    "JPEG label": (jpeg_label, "unreadable-label"),
    "transparent label": (coloured([(0, 0, 0, 0)] * 3), "unreadable-label"),
    "other colours": (coloured([(1, 2, 3)] * 3), "refused-label"),
    "unknown value": (changed_label(17), "value-out-of-range"),
    "large value": (changed_label(700, np.uint16), "refused-label"),
    "other size": (lambda root: write_label(root, "train", "train0", read(label_at(root))[:, :-1]),
        "size-mismatch"),
    "EXIF that turns": (wrong_exif, "size-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_error_is_reported_exactly_where_loading_fails(root, name):
    damage, code = DAMAGES[name]
    damage(root)

    assert errors(config_of(root)) == ([] if code is None else [code])
    assert loads(config_of(root)) == (code is None)


def test_half_an_image_is_found_by_its_pixels(root, only, look):
    write_truncated(image_at(root), np.array(Image.open(image_at(root)).resize((360, 240))))
    write_label(root, "train", "train0", np.kron(read(label_at(root)), np.ones((10, 10), "u1")))

    assert str(only(root, "unreadable-image").cases[0]).startswith(
        f"'{image_at(root)}' must be a whole image, got 'image file is truncated"
    )
    assert list(look(root, fast=True).findings) == []


def test_folder_without_splits_is_read_once(tmp_path, look):
    root = write_healthy(tmp_path, splits=("",))

    words = ["--data.val_split=train", "--data.test_split=train"]
    diagnosis = look(root, overrides=words, images="images/*", labels="labels/{stem}.png")

    assert [(len(x.labels), x.name) for x in diagnosis.splits] == [(4, "train")]
    assert [(x.code, x.title) for x in diagnosis.findings] == [
        ("same-split", "Training and validation both use `train`.")
    ]


def test_459_classes_are_checked(tmp_path, look):
    root = write_healthy(tmp_path, names=tuple(f"c{n}" for n in range(459)), size=(24, 36))

    diagnosis = look(root)

    assert diagnosis.splits[0].pixels.shape == (4, 459)
    assert diagnosis.count("error") == 0
    assert "458 c458" in write_page(diagnosis)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_a_reader_raises_costs_one_sample_and_ctrl_c_stops_the_threads(monkeypatch, error):
    def read_label(self, index):
        if index == 2:
            raise error("too large")
        return np.zeros((4, 6), np.uint8)

    monkeypatch.setattr(Shapes, "read_label", read_label)
    config = DataConfig("shapes", val_split="val", train_split="val")

    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            survey(config, workers=2, progress=False)
    else:
        labels = survey(config, progress=False)[0].labels
        assert [n for n, label in enumerate(labels) if label.error] == [2]
        assert labels[2].error.endswith("failed with MemoryError: too large")
    assert not [x for x in threading.enumerate() if x.name.startswith("doctor")]
