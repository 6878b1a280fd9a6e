import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.errors import DataNotFoundError, LabelError
from parsenet.metrics.per_image import ImageCounts


def drawn(seed, num_images=6, num_classes=4):
    """Counts of images that show few classes; image 0 has no counted pixel."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 10**12, (num_images, num_classes, num_classes))
    counts *= random.random(counts.shape) < 0.3
    counts[0] = 0
    ids = [f"p{index}" for index in random.permutation(num_images)]
    return ids, counts


def equal(one, other):
    return (one.ids, one.num_classes) == (other.ids, other.num_classes) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("images", "truth", "prediction", "pixels")
    )


def test_entries_of_two_images_are_right_by_hand():
    counts = np.array([[[5, 0], [2, 0]], [[0, 0], [0, 7]]])

    images = ImageCounts.of(["a", "b"], counts, 2)

    entries = zip(images.images, images.truth, images.prediction, images.pixels, strict=True)
    assert list(entries) == [(0, 0, 0, 5), (0, 1, 0, 2), (1, 1, 1, 7)]


def test_every_image_gets_its_matrix_back():
    ids, counts = drawn(0)

    images = ImageCounts.of(ids, counts, 4)

    assert [images.dense(index).tolist() for index in range(6)] == counts.tolist()


def test_total_is_the_sum_even_beyond_what_a_float_holds():
    counts = np.full((2, 1, 1), 2**53 + 1)

    assert ImageCounts.of(["a", "b"], counts, 1).total().tolist() == [[2**54 + 2]]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 6), st.permutations(range(6)))
def test_splitting_and_shuffling_a_data_set_changes_nothing(seed, cut, order):
    ids, counts = drawn(seed)
    shuffled = [ids[index] for index in order]
    parts = [
        ImageCounts.of(shuffled[part], counts[order][part], 4)
        for part in (slice(cut, None), slice(cut))
    ]

    whole = ImageCounts.join([ImageCounts.of(ids, counts, 4)], 4)

    assert equal(ImageCounts.join(parts, 4), whole)
    assert whole.ids == tuple(sorted(ids))


def test_images_gathered_one_by_one_are_all_there():
    ids, counts = drawn(5, num_images=150)
    parts = []

    for index in range(150):
        one = ImageCounts.of([ids[index]], counts[index][None], 4)
        parts = ImageCounts.gather(parts, one)

    assert len(parts) < 64
    assert equal(ImageCounts.join(parts, 4), ImageCounts.join([ImageCounts.of(ids, counts, 4)], 4))


def test_nothing_joined_is_no_image():
    images = ImageCounts.join([], 3)

    assert (len(images), images.total().sum()) == (0, 0)


def test_subset_keeps_the_order_asked_for():
    ids, counts = drawn(1)

    images = ImageCounts.of(ids, counts, 4).subset([4, 1])

    assert images.ids == (ids[4], ids[1])
    assert [images.dense(0).tolist(), images.dense(1).tolist()] == counts[[4, 1]].tolist()


def test_class_sums_are_the_margins_of_every_image():
    ids, counts = drawn(2)

    right, truth, predicted = ImageCounts.of(ids, counts, 4).class_sums()

    np.testing.assert_array_equal(right, counts.diagonal(axis1=1, axis2=2))
    np.testing.assert_array_equal(truth, counts.sum(axis=2))
    np.testing.assert_array_equal(predicted, counts.sum(axis=1))


def test_saved_counts_are_read_back_the_same(tmp_path):
    images = ImageCounts.of(*drawn(3), 4)

    images.save(tmp_path / "counts.npz")

    assert equal(ImageCounts.load(tmp_path / "counts.npz"), images)


def test_counts_of_no_image_are_read_back(tmp_path):
    ImageCounts.join([], 3).save(tmp_path / "counts.npz")

    assert equal(ImageCounts.load(tmp_path / "counts.npz"), ImageCounts.join([], 3))


def test_file_holds_no_pickle(tmp_path):
    ImageCounts.of(*drawn(3), 4).save(tmp_path / "counts.npz")

    with zipfile.ZipFile(tmp_path / "counts.npz") as archive:
        heads = [archive.read(name)[:128] for name in archive.namelist()]
    assert not any(b"|O" in head for head in heads)


def test_1449_images_take_little_space(tmp_path):
    ids, counts = drawn(4, num_images=1449, num_classes=21)
    counts[:, 3:] = 0  # three true classes, about 19 entries an image

    ImageCounts.of(ids, counts % 200_000, 21).save(tmp_path / "counts.npz")

    assert (tmp_path / "counts.npz").stat().st_size < 250_000


def test_image_counted_twice_is_refused():
    part = ImageCounts.of(*drawn(0), 4)
    message = "Every image must be counted once, got 'p0' twice. Give each a name of its own."

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        ImageCounts.join([part, part], 4)


def test_counts_of_other_classes_are_refused():
    part = ImageCounts.of(*drawn(0), 4)
    message = "`parts` must have 5 classes, got 4. Join counts of one data set."

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        ImageCounts.join([part], 5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "FileNotFoundError"), (b"PK\x03\x04 nothing", "BadZipFile"), (b"x", "")],
)
def test_file_that_holds_no_counts_is_refused(tmp_path, content, reason):
    path = tmp_path / "counts.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataNotFoundError, match=f"^'{path}' must hold counts per image, got ") as e:
        ImageCounts.load(path)

    assert reason in str(e.value)
    assert str(e.value).endswith("Make it by `parsenet score` or `parsenet validate`.")
