import numpy as np
import pytest

from parsenet.check.sheets import WRONG_COLOUR, draw_sheet, overlay, training_keys
from parsenet.config import DataConfig, FolderConfig
from parsenet.data.build import build_dataset
from parsenet.data.sample import Key, TrainSampler, repeat_factors
from tests.fakes.healthy import HEALTHY, label_at, write_healthy

LAYOUT = FolderConfig(taxonomy="taxonomy.yaml")
SHAPES = DataConfig(dataset="shapes", crop=(40, 200))


def test_void_is_striped_and_background_left_alone():
    image = np.full((60, 60, 3), 100, np.uint8)
    label = np.zeros((60, 60), np.uint8)
    label[:, 30:], label[:20] = 1, 255

    shown = overlay(image, label, HEALTHY)

    assert set(np.unique(shown[:20])) == {93, 187}
    assert (shown[20:, :30] == 100).all()
    assert np.abs(shown[20:, 30:] - np.array((119.6, 30, 30))).max() <= 1


def test_wrong_pixels_are_marked_so_that_single_ones_survive_scaling_down():
    image, label = np.zeros((2000, 3000, 3), np.uint8), np.zeros((2000, 3000), np.uint8)
    label[1000, 1500] = 17

    shown = overlay(image, label, HEALTHY)

    assert (shown[991:1010, 1491:1510] == WRONG_COLOUR).all()
    assert not shown[:900].any()


@pytest.mark.parametrize("balance", [0.0, 0.9])
def test_keys_are_those_of_training(balance):
    dataset = build_dataset(SHAPES, "val", train=True)
    present = np.array([np.isin(range(5), dataset.read_label(n)) for n in range(len(dataset))])
    weights = repeat_factors(present, balance) if balance else None
    sampler = TrainSampler(len(dataset), seed=3, weights=weights)
    sampler.set_epoch(2)

    assert training_keys(dataset, seed=3, epoch=2, balance=balance) == list(sampler)


def test_samples_are_those_of_the_loader():
    dataset = build_dataset(DataConfig(dataset="shapes", crop=(232, 232)), "train", train=True)

    sheet, failed = draw_sheet(dataset, [Key(4, 99)])

    image = dataset[Key(4, 99)].image.numpy().transpose(1, 2, 0)
    assert failed == 0
    assert np.array_equal(sheet[8:240, 8:240], image)


@pytest.mark.parametrize("count", [1, 4])
def test_broken_sample_is_shown_with_its_reason(tmp_path, count):
    root = write_healthy(tmp_path)
    label_at(root).write_bytes(b"")
    dataset = build_dataset(DataConfig("folder", root, folder=LAYOUT), "train")

    sheet, failed = draw_sheet(dataset, range(count))

    assert failed == 1
    assert sheet.shape[1] == (2 if count == 1 else 6) * 240 + 8
