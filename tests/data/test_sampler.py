import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsenet.data.sampler import EvalSampler, TrainSampler, repeat_factors


def test_an_epoch_holds_every_sample_once():
    keys = list(TrainSampler(10))

    assert sorted(key.index for key in keys) == list(range(10))
    assert [key.index for key in keys] != list(range(10))


def test_every_key_has_its_own_seed():
    assert len({key.seed for key in TrainSampler(1000)}) == 1000


def test_same_seed_and_epoch_give_the_same_keys():
    first, second = TrainSampler(20, seed=4), TrainSampler(20, seed=4)
    first.set_epoch(3)
    second.set_epoch(3)

    assert list(first) == list(second)


def test_a_second_pass_without_a_new_epoch_is_the_same():
    sampler = TrainSampler(20)

    assert list(sampler) == list(sampler)


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)])
def test_other_seeds_and_epochs_differ(seed, epoch):
    other = TrainSampler(20, seed=seed)
    other.set_epoch(epoch)

    assert [key.index for key in other] != [key.index for key in TrainSampler(20)]
    assert {key.seed for key in other}.isdisjoint(key.seed for key in TrainSampler(20))


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


def test_skip_goes_on_where_an_epoch_stopped():
    sampler = TrainSampler(10)
    whole = list(sampler)
    sampler.skip = 4

    assert list(sampler) == whole[4:]


def test_skip_is_for_one_pass():
    sampler = TrainSampler(10)
    sampler.skip = 4
    list(sampler)

    assert len(list(sampler)) == len(sampler) == 10


def test_skip_survives_the_setting_of_the_epoch():
    sampler = TrainSampler(10)
    sampler.skip = 4
    sampler.set_epoch(2)

    assert len(list(sampler)) == 6


@given(num_samples=st.integers(0, 60), world_size=st.integers(1, 8))
def test_evaluation_sees_every_sample_once(num_samples, world_size):
    samplers = [EvalSampler(num_samples, rank, world_size) for rank in range(world_size)]

    seen = [index for sampler in samplers for index in sampler]

    assert sorted(seen) == list(range(num_samples))
    assert sum(len(sampler) for sampler in samplers) == num_samples


def test_evaluation_is_in_order():
    assert list(EvalSampler(5)) == [0, 1, 2, 3, 4]


def test_weighted_samples_come_as_often_as_their_weights_say():
    weights = np.array([1.0, 1.0, 2.0, 4.0])
    sampler = TrainSampler(4, weights=weights)

    drawn = np.zeros(4)
    for epoch in range(400):
        sampler.set_epoch(epoch)
        for key in sampler:
            drawn[key.index] += 1

    np.testing.assert_allclose(drawn / drawn.sum(), weights / 8, atol=0.02)


def test_equal_weights_show_every_sample_once():
    sampler = TrainSampler(97, weights=np.full(97, 3.0))

    assert sorted(key.index for key in sampler) == list(range(97))


def test_repeat_factors_by_hand():
    # Class 0 is everywhere, class 1 in one sample of four: sqrt(0.5 / 0.25) = sqrt(2).
    present = np.array([[True, False], [True, False], [True, False], [True, True]])

    np.testing.assert_allclose(repeat_factors(present, 0.5), [1, 1, 1, 2**0.5])


def test_repeat_factors_of_threshold_zero_are_one():
    present = np.array([[True, False], [False, True]])

    np.testing.assert_array_equal(repeat_factors(present, 0.0), [1, 1])


def test_class_that_no_sample_shows_changes_nothing():
    present = np.array([[True, False], [True, False]])

    np.testing.assert_array_equal(repeat_factors(present, 0.5), [1, 1])
