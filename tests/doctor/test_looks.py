import time

import numpy as np
import pytest

from parsenet.doctor.looks import MAX_DISTANCE, look_at, similar_pairs


def thumbs(count):
    return np.random.default_rng(1).integers(0, 256, (1, 256), dtype=np.uint8).repeat(count, 0)


def test_hash_of_a_image_that_grows_brighter_to_the_right_is_all_ones():
    image = np.repeat(np.tile(np.arange(0, 180, 2, np.uint8), (40, 1))[..., None], 3, axis=2)

    look = look_at(image)

    assert look.hash == 2**64 - 1
    assert look.mirrored == 0
    assert not look.is_constant


def test_mirrored_hash_is_the_hash_of_the_mirrored_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 72, 3), dtype=np.uint8)

    assert look_at(image).mirrored == look_at(np.ascontiguousarray(image[:, ::-1])).hash


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2)])
def test_tiny_images_have_a_look(size):
    assert look_at(np.zeros((*size, 3), np.uint8)).is_constant


@pytest.mark.parametrize(("flipped", "found"), [(0, 1), (MAX_DISTANCE, 1), (MAX_DISTANCE + 1, 0)])
def test_hashes_are_similar_up_to_the_stated_distance(flipped, found):
    one = np.array([0x0123456789ABCDEF], np.uint64)
    other = one ^ np.uint64(sum(1 << 13 * bit for bit in range(flipped)))

    assert len(similar_pairs(one, other, thumbs(1), thumbs(1))) == found


def test_thumbnails_have_the_last_word():
    one = np.array([5], np.uint64)
    others = 255 - thumbs(1)

    assert len(similar_pairs(one, one, thumbs(1), others)) == 0


def test_bands_find_what_comparing_all_finds():
    generator = np.random.default_rng(3)
    hashes = generator.integers(0, 2**63, 60, dtype=np.uint64)
    flips = [
        sum(1 << int(b) for b in generator.choice(64, n % 7, replace=False)) for n in range(60)
    ]
    others = hashes ^ np.array(flips, np.uint64)
    expected = {
        (i, j)
        for i in range(60)
        for j in range(60)
        if int(hashes[i] ^ others[j]).bit_count() <= MAX_DISTANCE
    }

    found = similar_pairs(hashes, others, thumbs(60), thumbs(60))

    assert set(map(tuple, found.tolist())) == expected


def test_ten_thousand_images_take_seconds():
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**64, 12_000, dtype=np.uint64, endpoint=False)
    grey = generator.integers(0, 256, (12_000, 256), dtype=np.uint8)

    start = time.process_time()
    found = similar_pairs(hashes, hashes, grey, grey)

    assert len(found) == 12_000  # each is similar to itself
    assert time.process_time() - start < 10


def test_equal_images_are_found_without_pairing_all():
    hashes = np.full(1_000, 77, np.uint64)

    found = similar_pairs(hashes, hashes, thumbs(1_000), thumbs(1_000))

    assert len(found) == 8 * 1_000
    assert set(found[:, 1].tolist()) == set(range(1_000))
