import re
from typing import final

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.data.base import SegmentationDataset, check_labels
from parsenet.data.sample import Key, Sample
from parsenet.errors import LabelError
from parsenet.taxonomy import Taxonomy, voc_colour_map

PAIR = Taxonomy("pair", ("no", "yes"), voc_colour_map(2))
GOOD = np.array([[0, 1, 255], [1, 0, 0]], np.uint8)
BAD = np.array([[0, 1, 255], [1, 7, 7]], np.uint8)


@final
class InMemory(SegmentationDataset):
    """Labels handed in, images of their size; counts what was read."""

    def __init__(self, labels, transform=None, image_size=None):
        self.taxonomy = PAIR
        self.ids = [f"s{i}" for i in range(len(labels))]
        self.transform = transform
        self.labels = labels
        self.image_size = image_size
        self.num_images_read = 0
        self.path = None

    def read(self, index):
        self.num_images_read += 1
        label = self.labels[index]
        image = np.zeros((*(self.image_size or label.shape), 3), np.uint8)
        image[..., 0] = 200
        return Sample(image, label, self.ids[index])

    def read_label(self, index):
        return self.labels[index]

    def image_path(self, index):
        return self.path

    def label_name(self, index):
        return f"labels/{self.ids[index]}.png"


def refuses_value():
    message = (
        "The label 'labels/s1.png' must hold 0..1 or 255 (void), got 7 at row 1, column 1. Correct "
        "the file, or use a taxonomy with more classes than 'pair'."
    )
    return pytest.raises(LabelError, match=f"^{re.escape(message)}$")


def refuses_size(size):
    message = (
        f"The label 'labels/s0.png' must be as large as its image {size}, got (2, 3). Sizes are "
        "(height, width); an EXIF orientation turns the image but not the label."
    )
    return pytest.raises(LabelError, match=f"^{re.escape(message)}$")


def test_item_is_channels_first_with_void_kept_in_memory_of_its_own():
    label = GOOD.copy()

    item = InMemory([label])[0]

    assert item.image.shape == (3, 2, 3)
    assert item.image[:, 0, 0].tolist() == [200, 0, 0]
    assert item.label.tolist() == GOOD.tolist()
    assert item.label.dtype == torch.uint8
    assert item.id == "s0"
    item.label.fill_(0)
    assert (label == GOOD).all()


def test_labels_of_16_bits_are_int64():
    item = InMemory([np.array([[0, 1]], np.uint16)])[0]

    assert item.label.dtype == torch.int64
    assert item.label.tolist() == [[0, 1]]


def test_transform_gets_the_seed_of_the_key():
    seeds = []

    def remember(label, read, seed):
        seeds.append(seed)
        return read(1), label

    dataset = InMemory([GOOD, GOOD], transform=remember)

    assert dataset[Key(1, 77)].id == "s1"
    assert seeds == [77]


def test_positions_are_those_of_a_list():
    dataset = InMemory([GOOD] * 3)

    assert [item.id for item in dataset] == ["s0", "s1", "s2"]
    assert dataset[-1].id == "s2"


def test_label_must_fit_in_values_and_size():
    with refuses_value():
        InMemory([GOOD, BAD])[1]
    with refuses_size((3, 2)):
        InMemory([GOOD], image_size=(3, 2))[0]


def test_check_of_labels_names_the_first_bad_file_and_reads_no_image(capsys):
    dataset = InMemory([GOOD, BAD, GOOD])
    with refuses_value():
        check_labels(dataset, progress=False)

    dataset = InMemory([GOOD] * 5)
    assert check_labels(dataset, progress=False).all()
    assert capsys.readouterr().out == ""
    check_labels(dataset, progress=True)
    assert "Checking labels" in capsys.readouterr().out
    assert dataset.num_images_read == 0


def in_files(folder, labels, size=(2, 3), taxonomy=PAIR):
    """Give all labels one image file, of which training takes half."""
    dataset = InMemory(labels, lambda label, read, seed: (read(2), label), size)
    dataset.taxonomy = taxonomy
    dataset.path = folder / "a.png"
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(dataset.path)
    return dataset


def test_training_decodes_no_more_than_is_asked_for(tmp_path):
    dataset = in_files(tmp_path, [GOOD, BAD])

    assert dataset[0].image.shape == (3, 1, 2)
    assert dataset.num_images_read == 0
    dataset.path.unlink()  # a wrong label is found before the image is decoded
    with refuses_value():
        dataset[1]


def test_size_of_a_reduced_image_is_checked_at_full_size(tmp_path):
    with refuses_size((5, 3)):
        in_files(tmp_path, [GOOD], (5, 3))[0]


@pytest.mark.parametrize("void", [255, 200, 2])
def test_exactly_the_classes_and_void_are_right(tmp_path, void):
    taxonomy = Taxonomy("pair", ("no", "yes"), voc_colour_map(2), void=void)
    labels = [np.full((2, 3), value, np.uint8) for value in range(256)]
    dataset = in_files(tmp_path, labels, taxonomy=taxonomy)

    right = []
    for value in range(256):
        try:
            dataset[value]
        except LabelError:
            continue
        right.append(value)

    assert right == [0, 1, void]
