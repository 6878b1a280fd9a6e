"""What every data set promises, run over each line of the table in `parsenet/data/build.py`."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from parsenet.config import DataConfig, FolderConfig
from parsenet.data.base import check_labels
from parsenet.data.build import _TABLE, build_dataset, taxonomy_of
from parsenet.data.reading import read_image
from parsenet.data.sample import Key, TrainSampler, collate
from parsenet.errors import ConfigError, DataNotFoundError
from tests.fakes.camvid import write_camvid
from tests.fakes.coco import write_coco
from tests.fakes.folder import write_folder
from tests.fakes.pascal_context import write_pascal_context
from tests.fakes.sbd import write_sbd
from tests.fakes.siftflow import write_siftflow
from tests.fakes.voc import write_voc


def fake_voc(root):
    write_voc(root)
    return DataConfig(dataset="voc2012", root=root, train_split="train", crop=(24, 32))


def fake_folder(root):
    write_folder(root)
    layout = FolderConfig(taxonomy="classes.yaml")
    return DataConfig(
        dataset="folder", root=root, folder=layout, train_split="train", crop=(24, 32)
    )


def fake_shapes(root):
    return DataConfig(dataset="shapes", train_split="train", crop=(24, 32))


def fake_sbd(root):
    write_sbd(root)
    return DataConfig(dataset="sbd", root=root, train_split="train", crop=(24, 32))


def fake_siftflow(root, name="siftflow"):
    write_siftflow(root)
    return DataConfig(dataset=name, root=root, train_split="train", val_split="test", crop=(24, 32))


def fake_siftflow_geo(root):
    return fake_siftflow(root, "siftflow_geo")


def fake_pascal_context59(root, name="pascal_context59"):
    write_pascal_context(root)
    return DataConfig(dataset=name, root=root, train_split="train", crop=(24, 32))


def fake_pascal_context60(root):
    return fake_pascal_context59(root, "pascal_context60")


def fake_pascal_context459(root):
    return fake_pascal_context59(root, "pascal_context459")


def fake_camvid(root):
    write_camvid(root)
    return DataConfig(dataset="camvid", root=root, train_split="train", crop=(24, 32))


def fake_coco(root):
    write_coco(root)
    return DataConfig(dataset="coco", root=root, train_split="train", crop=(24, 32))


FAKES = {
    "voc2012": fake_voc,
    "sbd": fake_sbd,
    "siftflow": fake_siftflow,
    "siftflow_geo": fake_siftflow_geo,
    "pascal_context59": fake_pascal_context59,
    "pascal_context60": fake_pascal_context60,
    "pascal_context459": fake_pascal_context459,
    "camvid": fake_camvid,
    "coco": fake_coco,
    "folder": fake_folder,
    "shapes": fake_shapes,
}


@pytest.fixture(params=FAKES)
def config(request, tmp_path):
    return FAKES[request.param](tmp_path)


def test_every_data_set_has_a_fake():
    assert set(FAKES) == set(_TABLE)


def test_ids_are_unique_and_counted(config):
    dataset = build_dataset(config, config.train_split)

    assert len(dataset) == len(dataset.ids) == len(set(dataset.ids)) > 0


def test_items_have_the_stated_shapes_and_types(config):
    item = build_dataset(config, config.val_split)[0]

    assert item.image.dtype == torch.uint8
    assert item.label.dtype == (
        torch.uint8 if taxonomy_of(config).num_classes < 256 else torch.int64
    )
    assert item.image.shape == (3, *item.label.shape)
    assert item.image.is_contiguous()


def test_labels_are_classes_or_void(config):
    dataset = build_dataset(config, config.train_split)

    values = torch.unique(torch.cat([dataset[index].label.flatten() for index in range(3)]))

    assert set(values.tolist()) <= {*range(dataset.taxonomy.num_classes), dataset.taxonomy.void}
    check_labels(dataset, progress=False)


def test_label_alone_is_the_label_of_the_sample(config):
    dataset = build_dataset(config, config.val_split)

    assert (dataset.read_label(1) == dataset.read(1).label).all()
    assert dataset.ids[1] in dataset.label_name(1)


def test_image_is_that_of_the_path_told(config):
    dataset = build_dataset(config, config.val_split)

    path = dataset.image_path(1)

    if config.dataset == "shapes":
        assert path is None
    else:
        assert (read_image(path) == dataset.read(1).image).all()


def test_taxonomy_is_the_one_told_beforehand(config):
    assert build_dataset(config, config.val_split).taxonomy == taxonomy_of(config)


def test_training_items_are_crops_that_follow_the_key(config):
    dataset = build_dataset(config, config.train_split, train=True)

    first, again, other = dataset[Key(0, 1)], dataset[Key(0, 1)], dataset[Key(0, 2)]

    assert first.image.shape == (3, 24, 32)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.label, again.label)
    assert not torch.equal(first.image, other.image)


def test_unknown_split_is_refused(config):
    with pytest.raises((ConfigError, DataNotFoundError)):
        build_dataset(config, "tarin")


def test_missing_folder_is_refused(config, tmp_path):
    if config.dataset == "shapes":
        pytest.skip("reads no folder")

    with pytest.raises((ConfigError, DataNotFoundError)):
        build_dataset(replace(config, root=tmp_path / "none"), config.train_split)


def test_data_set_survives_pickling(config):
    dataset = build_dataset(config, config.train_split, train=True)

    copy = pickle.loads(pickle.dumps(dataset))

    assert torch.equal(copy[Key(1, 5)].image, dataset[Key(1, 5)].image)


def test_loader_processes_change_nothing(config):
    dataset = build_dataset(config, config.train_split, train=True)
    dataset.ids = dataset.ids[:3]

    def load(num_workers):
        sampler = TrainSampler(3, seed=1)
        return list(
            DataLoader(dataset, 2, sampler=sampler, num_workers=num_workers, collate_fn=collate)
        )

    for alone, spread in zip(load(0), load(2), strict=True):
        assert alone.id == spread.id
        assert torch.equal(alone.image, spread.image)
        assert torch.equal(alone.label, spread.label)
