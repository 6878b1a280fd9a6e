import logging
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from parsenet.config import DataConfig, FolderConfig
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.data.folder import FolderDataset
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.taxonomy import VOC2012, LabelSet
from tests.fakes.folder import CLASSES, write_folder


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def open_folder(root, split="train", **layout):
    return FolderDataset(root, split, FolderConfig(**layout), LabelSet(CLASSES, None))


@pytest.mark.parametrize("masks", ["palette", "grey", "rgb"])
def test_labels_are_those_drawn(tmp_path, masks):
    labels = write_folder(tmp_path, masks=masks)

    dataset = open_folder(tmp_path, "val")

    assert dataset.ids == ["val0", "val1", "val2"]
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


def test_templates_follow_other_layouts(tmp_path):
    write_folder(tmp_path / "made")
    shutil.move(tmp_path / "made" / "images" / "train", tmp_path / "train")
    shutil.move(tmp_path / "made" / "labels" / "train", tmp_path / "trainannot")

    dataset = open_folder(tmp_path, images="{split}/*.png", labels="{split}annot/{stem}.png")

    assert dataset.ids == ["train0", "train1", "train2"]


def test_mask_without_image_is_told_but_harmless(tmp_path, caplog):
    write_folder(tmp_path)
    (tmp_path / "images" / "train" / "train1.png").unlink()
    (tmp_path / "images" / "train" / "notes.txt").write_text("by hand")  # passed over
    (tmp_path / "images" / "train" / ".hidden.png").write_text("")

    with caplog.at_level(logging.WARNING):
        dataset = open_folder(tmp_path)

    assert dataset.ids == ["train0", "train2"]
    assert caplog.messages == ["1 mask(s) have no image: 'train1.png'."]


def test_wrong_layout_is_refused(tmp_path):
    write_folder(tmp_path, num_images=7)

    with refuses(
        ConfigError,
        "`folder.labels` must use no placeholder but `{split}` and `{stem}`, got '{name}.png'. "
        "Write '{{' for a brace.",
    ):
        open_folder(tmp_path, labels="{name}.png")
    with refuses(
        ConfigError,
        "`folder.images` must be relative to `data.root`, got '/images/*'. Set `data.root` to the "
        "folder above.",
    ):
        open_folder(tmp_path, images="/images/*")
    with refuses(
        DataNotFoundError, f"The folder '{tmp_path / 'none'}' must exist. Check `data.root`."
    ):
        open_folder(tmp_path / "none")
    shutil.rmtree(tmp_path / "labels" / "train")
    with pytest.raises(DataNotFoundError, match=r"7 of 7 without: .*'train4.png' and 2 more\. "):
        open_folder(tmp_path)


def write_masks(root, stored, rules):
    """Write one image for each split with that mask, and the taxonomy file."""
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        image = np.zeros((*stored.shape[:2], 3), np.uint8)
        Image.fromarray(image).save(root / "images" / split / "a.png")
        Image.fromarray(stored).save(root / "labels" / split / "a.png")
    (root / "classes.yaml").write_text(rules)
    return build_dataset(
        DataConfig(dataset="folder", root=root, folder=FolderConfig(taxonomy="classes.yaml")),
        "train",
    )


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_stored_values_are_merged(tmp_path, kind):
    stored = np.array([[3, 7, 5], [0, 5, 3]], kind)

    dataset = write_masks(
        tmp_path,
        stored,
        "classes: [{name: road, from: [3, 7]}, {name: car, from: 5}]\nignore: [0]\n",
    )

    assert dataset.taxonomy.names == ("road", "car")
    assert dataset.read_label(0).tolist() == [[0, 0, 1], [255, 1, 0]]


def test_more_classes_than_eight_bits_hold_are_read_from_16_bit_masks(tmp_path):
    names = ", ".join(f"c{number}" for number in range(300))

    dataset = write_masks(tmp_path, np.array([[0, 299, 511]], np.uint16), f"names: [{names}]\n")

    label = dataset.read_label(0)
    assert label.dtype == np.uint16
    assert label.tolist() == [[0, 299, 511]]
    assert dataset[0].label.tolist() == [[0, 299, 511]]


# The table of names.


def folder_config(taxonomy, root=None):
    return DataConfig(dataset="folder", root=root, folder=FolderConfig(taxonomy=taxonomy))


def test_taxonomy_may_be_a_known_name_or_a_file(tmp_path):
    write_folder(tmp_path)

    assert taxonomy_of(folder_config("voc2012")) == VOC2012
    assert taxonomy_of(folder_config("classes.yaml", tmp_path)) == CLASSES
    assert taxonomy_of(folder_config(str(tmp_path / "classes.yaml"))) == CLASSES


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (folder_config(""),
         "`data.folder.taxonomy` must be set for `dataset: folder`. Give a YAML file with "
         "`names:`, or a known name (voc2012, siftflow, siftflow_geo, pascal_context59, "
         "pascal_context60, pascal_context459, camvid, shapes)."),
        (folder_config("voc2021"),
         "`taxonomy` must be a known name, got 'voc2021'. Did you mean `voc2012`?"),
        (DataConfig(dataset="voc2021"),
         "`data.dataset` must be a known name, got 'voc2021'. Did you mean `voc2012`?"),
        (DataConfig(dataset="voc2012"),
         "`data.root` must be set for `dataset: voc2012`. Give the folder that holds the data, or "
         "use `dataset: shapes`, which needs none."),
    ],
)  # fmt: skip
def test_wrong_choice_is_refused(config, message):
    with refuses(ConfigError, message):
        taxonomy_of(config)
        build_dataset(config, "train")


def test_options_reach_the_transform_of_training_alone():
    config = DataConfig(dataset="shapes", crop=(40, 200), scale=(1.0, 1.0))

    item = build_dataset(config, "train", train=True)[0]

    assert item.image.shape == (3, 40, 200)
    assert (item.label == 255).sum() == 40 * (200 - 128)
    assert build_dataset(config, "val").transform is None
