import numpy as np
import pytest
from PIL import Image

from parsenet.config import DataConfig, FolderConfig
from parsenet.data.build import build_dataset
from parsenet.data.sample import Key
from parsenet.data.sampler import TrainSampler, repeat_factors
from parsenet.doctor.sheets import (
    COLUMNS,
    ROWS,
    Shown,
    draw_sheet,
    load,
    training_keys,
    write_sheets,
)
from tests.fakes.healthy import HEALTHY, label_at, write_healthy

LAYOUT = FolderConfig(taxonomy="taxonomy.yaml")
SHAPES = DataConfig(dataset="shapes", crop=(40, 200))


def shown(name="a", void=False):
    label = np.full((30, 50), 255 if void else 1, np.uint8)
    return Shown(name, np.full((30, 50, 3), 100, np.uint8), label)


def test_keys_are_those_of_training():
    dataset = build_dataset(SHAPES, "train", train=True)
    sampler = TrainSampler(len(dataset), seed=3)
    sampler.set_epoch(2)

    assert training_keys(dataset, 5, seed=3, epoch=2) == list(sampler)[:5]


def test_balance_draws_the_keys_of_balanced_training(tmp_path):
    root = write_healthy(tmp_path)
    dataset = build_dataset(DataConfig("folder", root, folder=LAYOUT), "train")
    present = np.ones((4, 3), np.bool_)
    expected = list(TrainSampler(4, 0, weights=repeat_factors(present, 0.9)))

    assert training_keys(dataset, 9, 0, 0, balance=0.9) == expected


def test_samples_are_those_of_the_loader():
    dataset = build_dataset(SHAPES, "train", train=True)

    sample = next(load(dataset, [Key(4, 99)]))

    item = dataset[Key(4, 99)]
    assert sample.caption == f"{dataset.ids[4]}  seed 99"
    assert np.array_equal(sample.image, item.image.numpy().transpose(1, 2, 0))
    assert np.array_equal(sample.label, item.label.numpy())


def test_broken_sample_is_shown_with_its_reason(tmp_path):
    root = write_healthy(tmp_path)
    label_at(root).write_bytes(b"")
    dataset = build_dataset(DataConfig("folder", root, folder=LAYOUT), "train")

    first, second = load(dataset, [0, 1])

    assert first.image is None
    assert first.error.endswith("got an empty file. Copy it again.")
    assert second.error == ""
    assert draw_sheet([first, second], HEALTHY).size[0] > 1000


def test_padding_is_striped():
    sheet = np.array(draw_sheet([shown(void=True)], HEALTHY))

    panel = sheet[20:100, 260:400]
    assert len(np.unique(panel)) > 1  # the image itself is one grey


def test_pages_hold_a_dozen(tmp_path):
    samples = [shown(f"s{n}") for n in range(COLUMNS * ROWS + 1)]

    paths, failed = write_sheets(iter(samples), len(samples), HEALTHY, tmp_path, "train")

    assert [path.name for path in paths] == ["train_001.png", "train_002.png"]
    assert failed == 0
    with Image.open(paths[0]) as first, Image.open(paths[1]) as second:
        assert first.size[0] == second.size[0]
        assert first.size[1] > 3 * second.size[1] / 2


def test_sheets_of_an_earlier_run_are_replaced(tmp_path):
    write_sheets(iter([shown()] * 13), 13, HEALTHY, tmp_path, "train")

    write_sheets(iter([shown()]), 1, HEALTHY, tmp_path, "train")

    assert [path.name for path in tmp_path.iterdir()] == ["train_001.png"]


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_samples_of_any_size_are_drawn(size):
    sample = Shown("x" * 300, np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))

    assert draw_sheet([sample], HEALTHY).size[0] > 1000
