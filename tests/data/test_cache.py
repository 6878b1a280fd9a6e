import os
import re
from typing import final

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from parsenet.config import DataConfig
from parsenet.data.build import build_dataset
from parsenet.data.cache import CachedImages, Stamp, default_dir, open_images
from parsenet.data.images import FileImages, Images
from parsenet.data.memory_store import MemoryStore
from parsenet.data.sample import Key, collate
from parsenet.data.sampler import TrainSampler
from parsenet.errors import ConfigError, ImageError
from tests.fakes.images import gradient
from tests.fakes.voc import write_voc


@final
class Counting(Images):
    """Decodes, and counts how often."""

    def __init__(self):
        self.asked = []

    def read(self, path, reduction):
        self.asked.append((path.name, reduction))
        return FileImages().read(path, reduction)


def write_image(path, size=(12, 20)):
    Image.fromarray(gradient(size)).save(path)
    return path


@pytest.fixture
def source():
    return Counting()


def make_cached(source):
    return CachedImages(source, MemoryStore(2**20))


def test_image_is_decoded_once(tmp_path, source):
    path = write_image(tmp_path / "a.jpg")
    cached = make_cached(source)

    first, second = cached.read(path, 1), cached.read(path, 1)

    assert source.asked == [("a.jpg", 1)]
    np.testing.assert_array_equal(first, second)


def test_reduced_image_does_not_depend_on_the_cache(tmp_path, source):
    path = write_image(tmp_path / "a.jpg")
    cached = make_cached(source)
    cached.read(path, 1)

    small = cached.read(path, 2)

    assert source.asked == [("a.jpg", 1), ("a.jpg", 2)]
    np.testing.assert_array_equal(small, FileImages().read(path, 2))


@pytest.mark.parametrize("change", ["size", "time"])
def test_changed_file_is_decoded_again(tmp_path, source, change):
    path = write_image(tmp_path / "a.png")
    cached = make_cached(source)
    cached.read(path, 1)
    before = path.stat()
    if change == "size":
        write_image(path, (30, 10))
        os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns + 1))

    again = cached.read(path, 1)

    assert len(source.asked) == 2
    np.testing.assert_array_equal(again, FileImages().read(path, 1))


def test_missing_image_is_refused(tmp_path, source):
    with pytest.raises(ImageError, match=r"none\.jpg' must exist\. Check the path\.$"):
        make_cached(source).read(tmp_path / "none.jpg", 1)


def test_stamps_of_different_states_differ():
    stamps = [Stamp("a", 1, 2), Stamp("a", 1, 3), Stamp("a", 2, 2), Stamp("b", 1, 2)]

    assert len({stamp.digest() for stamp in stamps}) == 4


def test_no_cache_is_the_default():
    assert isinstance(open_images(DataConfig()), FileImages)


def test_more_memory_than_there_is_is_refused():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    message = (
        f"`cache_limit` must be at most this machine's memory of {total:.1f} GiB for `cache: "
        "memory`, got 1000000.0. Use `cache: disk`, or a lower limit."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        open_images(DataConfig(cache="memory", cache_limit=1e6))


def test_folder_of_the_disk_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_dir() == tmp_path / "parsenet" / "images"

    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_dir().parts[-3:] == (".cache", "parsenet", "images")


def load(config, num_workers):
    dataset = build_dataset(config, "trainaug", train=True)
    batches = []
    for epoch in range(2):
        sampler = TrainSampler(len(dataset), seed=1)
        sampler.set_epoch(epoch)
        batches += DataLoader(
            dataset, 2, sampler=sampler, num_workers=num_workers, collate_fn=collate
        )
    return batches


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_samples_depend_on_neither_workers_nor_cache(tmp_path, cache, num_workers):
    write_voc(tmp_path / "data")
    options = {"root": tmp_path / "data", "crop": (24, 32), "scale": (0.3, 1.5)}
    cached = DataConfig(cache=cache, cache_limit=0.01, cache_dir=tmp_path / "cache", **options)

    for given, expected in zip(
        load(cached, num_workers), load(DataConfig(**options), 0), strict=True
    ):
        assert given.id == expected.id
        assert (given.image == expected.image).all()
        assert (given.label == expected.label).all()


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_cached_data_set_never_hands_out_its_own_pixels(tmp_path, cache):
    write_voc(tmp_path / "data")
    config = DataConfig(
        root=tmp_path / "data",
        augment="paper",
        batch_size=1,
        cache=cache,
        cache_limit=0.01,
        cache_dir=tmp_path / "cache",
    )
    dataset = build_dataset(config, "train", train=True)
    first = dataset[Key(0, 0)].image.clone()

    dataset[Key(0, 0)].image.fill_(7)

    assert (dataset[Key(0, 0)].image == first).all()
