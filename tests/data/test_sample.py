import re

import pytest
import torch

from parsenet.data.sample import Item, Key, collate
from parsenet.errors import ConfigError


def make_item(height, width, value, name):
    image = torch.full((3, height, width), value, dtype=torch.uint8)
    return Item(image, torch.full((height, width), value), name)


def test_collate_stacks_in_order():
    batch = collate([make_item(4, 5, 1, "a"), make_item(4, 5, 2, "b")])

    assert batch.image.shape == (2, 3, 4, 5)
    assert batch.image.dtype == torch.uint8
    assert batch.label[:, 0, 0].tolist() == [1, 2]
    assert batch.label.dtype == torch.int64
    assert batch.id == ("a", "b")


def test_collate_refuses_different_sizes():
    message = (
        "The images of a batch must have one size, got [(4, 5), (6, 5)]. Set `data.crop`, or "
        "`data.batch_size: 1`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        collate([make_item(4, 5, 1, "a"), make_item(6, 5, 2, "b")])


def test_key_holds_index_and_seed():
    key = Key(index=3, seed=9)

    assert (key.index, key.seed) == (3, 9)
