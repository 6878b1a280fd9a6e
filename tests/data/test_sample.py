import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parsenet.data.sample import Item, Key, TrainSampler, collate, repeat_factors
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


@pytest.mark.parametrize("weights", [None, np.full(1000, 3.0)])
def test_an_epoch_holds_every_sample_once_with_a_seed_of_its_own(weights):
    keys = list(TrainSampler(1000, weights=weights))

    assert sorted(key.index for key in keys) == list(range(1000))
    assert [key.index for key in keys] != list(range(1000))
    assert len({key.seed for key in keys}) == 1000
    assert isinstance(keys[0], Key)


def test_keys_follow_from_seed_and_epoch():
    def keys(seed, epoch):
        sampler = TrainSampler(20, seed=seed)
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler)
        return list(sampler)

    assert keys(4, 3) == keys(4, 3)
    for other in (keys(4, 4), keys(5, 3)):
        assert [key.index for key in other] != [key.index for key in keys(4, 3)]
        assert {key.seed for key in other}.isdisjoint(key.seed for key in keys(4, 3))


@given(num_samples=st.integers(1, 60), world_size=st.integers(1, 8))
def test_processes_share_an_epoch_evenly(num_samples, world_size):
    shares = [
        [key.index for key in TrainSampler(num_samples, 0, rank, world_size)]
        for rank in range(world_size)
    ]

    together = [index for share in shares for index in share]
    assert {len(share) for share in shares} == {num_samples // world_size}
    assert len(set(together)) == len(together) > num_samples - world_size


def test_processes_take_turns_in_the_order_of_one():
    alone = list(TrainSampler(8))
    shares = [list(TrainSampler(8, 0, rank, 2)) for rank in range(2)]

    assert [key for pair in zip(*shares, strict=True) for key in pair] == alone


def test_skip_goes_on_where_an_epoch_stopped_for_one_pass():
    sampler = TrainSampler(10)
    whole = list(sampler)
    sampler.skip = 4
    sampler.set_epoch(0)

    assert list(sampler) == whole[4:]
    assert len(list(sampler)) == len(sampler) == 10


def test_weighted_samples_come_as_often_as_their_weights_say():
    weights = np.array([1.0, 1.0, 2.0, 4.0])
    sampler = TrainSampler(4, weights=weights)

    drawn = np.zeros(4)
    for epoch in range(400):
        sampler.set_epoch(epoch)
        for key in sampler:
            drawn[key.index] += 1

    np.testing.assert_allclose(drawn / drawn.sum(), weights / 8, atol=0.02)


@pytest.mark.parametrize(
    ("present", "threshold", "expected"),
    [
        # Class 0 is everywhere, class 1 in one sample of four: sqrt(0.5 / 0.25) = sqrt(2).
        ([[1, 0], [1, 0], [1, 0], [1, 1]], 0.5, [1, 1, 1, 2**0.5]),
        ([[1, 0], [0, 1]], 0.0, [1, 1]),
        ([[1, 0], [1, 0]], 0.5, [1, 1]),  # no sample shows class 1
    ],
)
def test_repeat_factors_by_hand(present, threshold, expected):
    factors = repeat_factors(np.array(present, bool), threshold)

    np.testing.assert_allclose(factors, expected)
