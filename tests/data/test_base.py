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


def good_label():
    return np.array([[0, 1, 255], [1, 0, 0]], np.uint8)


def bad_label():
    label = good_label()
    label[1, 1:] = 7
    return label


BAD = (
    "The label 'labels/s1.png' must hold 0..1 or 255 (void), got 7 at row 1, column 1. Correct the "
    "file, or use a taxonomy with more classes than 'pair'."
)


SIZES = (
    "The label 'labels/s0.png' must be as large as its image {}, got (2, 3). Sizes are (height, "
    "width); an EXIF orientation turns the image but not the label."
)


def test_item_is_channels_first_with_void_kept():
    item = InMemory([good_label()])[0]

    assert item.image.shape == (3, 2, 3)
    assert item.image[:, 0, 0].tolist() == [200, 0, 0]
    assert item.label.tolist() == good_label().tolist()
    assert item.label.dtype == torch.uint8
    assert item.id == "s0"


def test_item_does_not_share_memory_with_the_reader():
    label = good_label()
    dataset = InMemory([label])

    dataset[0].label.fill_(0)

    assert (label == good_label()).all()


def test_unknown_value_names_file_value_and_first_pixel():
    dataset = InMemory([good_label(), bad_label()])

    with pytest.raises(LabelError, match=f"^{re.escape(BAD)}$"):
        dataset[1]


def test_size_of_label_must_be_that_of_the_image():
    dataset = InMemory([good_label()], image_size=(3, 2))

    with pytest.raises(LabelError, match=f"^{re.escape(SIZES.format('(3, 2)'))}$"):
        dataset[0]


def test_transform_gets_the_seed_of_the_key():
    seeds = []

    def remember(label, read, seed):
        seeds.append(seed)
        return read(1), label

    dataset = InMemory([good_label(), good_label()], transform=remember)

    assert dataset[Key(1, 77)].id == "s1"
    assert seeds == [77]


def test_iteration_ends():
    assert [item.id for item in InMemory([good_label()] * 3)] == ["s0", "s1", "s2"]


def test_last_sample_is_minus_one():
    assert InMemory([good_label()] * 3)[-1].id == "s2"


@pytest.mark.parametrize("progress", [True, False])
def test_check_labels_names_the_first_bad_file(progress):
    dataset = InMemory([good_label(), bad_label(), good_label()])

    with pytest.raises(LabelError, match=f"^{re.escape(BAD)}$"):
        check_labels(dataset, progress=progress)


def test_check_labels_reads_no_image():
    dataset = InMemory([good_label()] * 5)

    check_labels(dataset, progress=False)

    assert dataset.num_images_read == 0


def test_progress_bar_is_only_drawn_when_asked_for(capsys):
    check_labels(InMemory([good_label()]), progress=False)
    silent = capsys.readouterr().out
    check_labels(InMemory([good_label()]), progress=True)

    assert silent == ""
    assert "Checking labels" in capsys.readouterr().out


def test_labels_of_16_bits_are_int64():
    item = InMemory([np.array([[0, 1]], np.uint16)])[0]

    assert item.label.dtype == torch.int64
    assert item.label.tolist() == [[0, 1]]


def halve(label, read, seed):
    """Take half of the image, and the label as it is."""
    return read(2), label


def in_files(folder, labels, size=(2, 3), taxonomy=PAIR):
    """Give all labels one image file."""
    dataset = InMemory(labels, halve, size)
    dataset.taxonomy = taxonomy
    dataset.path = folder / "a.png"
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(dataset.path)
    return dataset


def test_training_decodes_no_more_than_is_asked_for(tmp_path):
    dataset = in_files(tmp_path, [good_label()])

    assert dataset[0].image.shape == (3, 1, 2)
    assert dataset.num_images_read == 0


def test_wrong_label_is_found_before_the_image_is_decoded(tmp_path):
    dataset = in_files(tmp_path, [good_label(), bad_label()])
    dataset.path.unlink()

    with pytest.raises(LabelError, match=f"^{re.escape(BAD)}$"):
        dataset[1]


def test_size_of_a_reduced_image_is_checked_at_full_size(tmp_path):
    with pytest.raises(LabelError, match=f"^{re.escape(SIZES.format('(5, 3)'))}$"):
        in_files(tmp_path, [good_label()], (5, 3))[0]


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
