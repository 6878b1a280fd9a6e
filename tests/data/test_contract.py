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


def fake(name, write, **options):
    """Return what writes a data set into a folder, and returns its config."""

    def build(root):
        write(root)
        fields = {"root": root, "train_split": "train", "crop": (24, 32)}
        return DataConfig(dataset=name, **fields | options)

    return build


FAKES = {
    "voc2012": fake("voc2012", write_voc),
    "sbd": fake("sbd", write_sbd),
    "siftflow": fake("siftflow", write_siftflow, val_split="test"),
    "siftflow_geo": fake("siftflow_geo", write_siftflow, val_split="test"),
    "pascal_context59": fake("pascal_context59", write_pascal_context),
    "pascal_context60": fake("pascal_context60", write_pascal_context),
    "pascal_context459": fake("pascal_context459", write_pascal_context),
    "camvid": fake("camvid", write_camvid),
    "coco": fake("coco", write_coco),
    "folder": fake("folder", write_folder, folder=FolderConfig(taxonomy="classes.yaml")),
    "shapes": fake("shapes", lambda root: None, root=None),
}


@pytest.fixture(params=FAKES)
def config(request, tmp_path):
    return FAKES[request.param](tmp_path)


def test_every_data_set_has_a_fake():
    assert set(FAKES) == set(_TABLE)


def test_items_are_labelled_images_of_the_taxonomy_told_beforehand(config):
    taxonomy = taxonomy_of(config)
    for split in (config.train_split, config.val_split):
        dataset = build_dataset(config, split)

        assert len(dataset) == len(dataset.ids) == len(set(dataset.ids)) > 0
        assert dataset.taxonomy == taxonomy
        item = dataset[1]
        assert item.image.dtype == torch.uint8
        assert item.image.is_contiguous()
        assert item.image.shape == (3, *item.label.shape)
        assert item.label.dtype == (torch.uint8 if taxonomy.num_classes < 256 else torch.int64)
        assert set(item.label.unique().tolist()) <= {*range(taxonomy.num_classes), taxonomy.void}
        check_labels(dataset, progress=False)


def test_parts_of_a_sample_are_those_of_the_whole(config):
    dataset = build_dataset(config, config.val_split)

    path, sample = dataset.image_path(1), dataset.read(1)

    assert (dataset.read_label(1) == sample.label).all()
    assert dataset.ids[1] in dataset.label_name(1)
    assert (path is None) == (config.dataset == "shapes")
    assert path is None or (read_image(path) == sample.image).all()


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
