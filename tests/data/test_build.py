import re

import pytest

from parsenet.config import DataConfig, FolderConfig
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.errors import ConfigError
from parsenet.taxonomy import SHAPES, VOC2012
from tests.fakes.folder import CLASSES, write_folder


def refuses(message):
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}$")


def test_taxonomy_needs_no_data():
    assert taxonomy_of(DataConfig(dataset="voc2012")) == VOC2012
    assert taxonomy_of(DataConfig(dataset="shapes")) == SHAPES


def test_folder_taxonomy_may_be_a_known_name():
    config = DataConfig(dataset="folder", folder=FolderConfig(taxonomy="voc2012"))

    assert taxonomy_of(config) == VOC2012


@pytest.mark.parametrize("relative", [True, False])
def test_folder_taxonomy_may_be_a_file(tmp_path, relative):
    write_folder(tmp_path)
    name = "classes.yaml" if relative else str(tmp_path / "classes.yaml")

    taxonomy = taxonomy_of(
        DataConfig(dataset="folder", root=tmp_path, folder=FolderConfig(taxonomy=name))
    )

    assert taxonomy == CLASSES


def test_folder_without_taxonomy_is_refused():
    with refuses(
        "`data.folder.taxonomy` must be set for `dataset: folder`. Give a YAML file with `names:`,"
        " or a known name (voc2012, siftflow, siftflow_geo, "
        "pascal_context59, pascal_context60, pascal_context459, camvid, shapes)."
    ):
        taxonomy_of(DataConfig(dataset="folder"))


def test_unknown_folder_taxonomy_suggests_the_nearest():
    config = DataConfig(dataset="folder", folder=FolderConfig(taxonomy="voc2021"))

    with refuses("`taxonomy` must be a known name, got 'voc2021'. Did you mean `voc2012`?"):
        taxonomy_of(config)


def test_missing_root_is_refused():
    with refuses(
        "`data.root` must be set for `dataset: voc2012`. Give the folder that holds the data, or "
        "use `dataset: shapes`, which needs none."
    ):
        build_dataset(DataConfig(dataset="voc2012"), "train")


@pytest.mark.parametrize("call", [taxonomy_of, lambda config: build_dataset(config, "train")])
def test_unknown_data_set_suggests_the_nearest(call):
    with refuses("`data.dataset` must be a known name, got 'voc2021'. Did you mean `voc2012`?"):
        call(DataConfig(dataset="voc2021"))


def test_options_reach_the_training_transform():
    config = DataConfig(dataset="shapes", crop=(40, 200), scale=(1.0, 1.0))

    item = build_dataset(config, "train", train=True)[0]

    assert item.image.shape == (3, 40, 200)
    assert (item.label == 255).sum() == 40 * (200 - 128)


def test_evaluation_has_no_transform():
    config = DataConfig(dataset="shapes", crop=(40, 200))

    assert build_dataset(config, "val").transform is None
