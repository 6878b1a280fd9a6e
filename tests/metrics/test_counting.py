import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parsenet.errors import DataNotFoundError, LabelError
from parsenet.metrics.counting import ImageCounts, count
from parsenet.metrics.scores import scores

VOID = 255
few = settings(deadline=None, max_examples=40)
classes = st.integers(0, 3)
noise = arrays(np.uint8, (6, 8), elements=classes)
blobs = arrays(np.uint8, (2, 2), elements=classes).map(
    lambda blocks: np.kron(blocks, np.ones((15, 20), np.uint8))
)
either = st.one_of(st.tuples(noise, noise), st.tuples(blobs, blobs))


def drawn(seed, num_classes=5, shape=(9, 14), void=VOID):
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, shape)
    label[random.random(shape) < 0.2] = void
    return random.integers(0, num_classes, shape), label


def looped(prediction, label, num_classes, void=VOID):
    expected = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(expected, (label[label != void], prediction[label != void]), 1)
    return expected


def test_counts_of_six_pixels_are_right_by_hand():
    label = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)

    assert count(prediction, label, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("num_classes", "void", "kind"),
    [
        (5, 77, np.uint8),  # void is any value that is no class
        (255, 255, np.uint8),  # the last that fits into 16 bits of codes
        (256, 256, np.uint16),
        (459, 511, np.uint16),
        (459, 511, np.int64),
    ],
)
def test_any_number_of_classes_is_counted(num_classes, void, kind):
    prediction, label = drawn(1, num_classes, (40, 50), void)

    counts = count(prediction.astype(kind), label.astype(kind), num_classes, void)

    np.testing.assert_array_equal(counts, looped(prediction, label, num_classes, void))


@few
@given(either)
def test_counts_are_those_of_a_loop(maps):
    np.testing.assert_array_equal(count(*maps, 4), looped(*maps, 4))


@few
@given(either, st.data())
def test_void_anywhere_changes_nothing(maps, data):
    """Rows of void go in between: whatever is predicted there, no count moves."""
    prediction, label = maps
    where = data.draw(st.lists(st.integers(0, len(label)), max_size=4))
    guess = data.draw(classes)

    more = np.insert(label, where, VOID, axis=0)
    counts = count(np.insert(prediction, where, guess, axis=0), more, 4, VOID)

    np.testing.assert_array_equal(counts, count(prediction, label, 4, VOID))


WRONG_LABEL = "`label` must be a class 0..{} or void {}, got {} in {} pixels. Fix the labels or the taxonomy."  # fmt: skip  # noqa: E501
WRONG_PREDICTION = "`prediction` must be in 0..{}, got {}..{}. Use a network of {} classes."


REFUSED = [
    ([0, 0, 0], [9, 9, 0], 5, WRONG_LABEL.format(4, 255, 9, 2)),
    ([0], [-1], 5, WRONG_LABEL.format(4, 255, "a value outside 0..255", 1)),
    ([0], [70000], 5, WRONG_LABEL.format(4, 255, "a value outside 0..255", 1)),
    ([0, 0], [0, 459], 459, WRONG_LABEL.format(458, 511, 459, 1)),
    ([0, 0], [0, 512], 459, WRONG_LABEL.format(458, 511, "a value outside 0..511", 1)),
    ([0, 5], [0, 0], 5, WRONG_PREDICTION.format(4, 0, 5, 5)),
    ([0, 255], [0, 255], 5, WRONG_PREDICTION.format(4, 0, 255, 5)),
    ([-1, 2], [0, 0], 5, WRONG_PREDICTION.format(4, -1, 2, 5)),
    (
        [0, 0, 0],
        [0, 0],
        5,
        "`label` must be as large as `prediction` (1, 3), got (1, 2). Upsample the prediction "
        "to the label's size.",
    ),
]


@pytest.mark.parametrize(("prediction", "label", "num_classes", "message"), REFUSED)
def test_wrong_values_and_sizes_are_refused(prediction, label, num_classes, message):
    void = 511 if num_classes > 255 else VOID

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        count(np.array([prediction]), np.array([label]), num_classes, void)


def per_image(seed, num_images=6, num_classes=4):
    """Counts of images that show few classes; image 0 has no counted pixel."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 10**12, (num_images, num_classes, num_classes))
    counts *= random.random(counts.shape) < 0.3
    counts[0] = 0
    return [f"p{index}" for index in random.permutation(num_images)], counts


def equal(one, other):
    same = (one.ids, one.num_classes) == (other.ids, other.num_classes)
    return same and np.array_equal(one.entries, other.entries)


def test_total_is_the_sum_even_beyond_what_a_float_holds():
    counts = np.full((2, 1, 1), 2**53 + 1)

    assert ImageCounts.of(["a", "b"], counts, 1).total().tolist() == [[2**54 + 2]]


@few
@given(st.integers(0, 1000), st.integers(0, 6), st.permutations(range(6)))
def test_splitting_and_shuffling_a_data_set_changes_nothing(seed, cut, order):
    ids, counts = per_image(seed)
    shuffled = [ids[index] for index in order]
    parts = [
        ImageCounts.of(shuffled[part], counts[order][part], 4)
        for part in (slice(cut, None), slice(cut))
    ]

    whole = ImageCounts.join([ImageCounts.of(ids, counts, 4)], 4)
    joined = ImageCounts.join(parts, 4)

    assert equal(joined, whole)
    assert whole.ids == tuple(sorted(ids))
    assert repr(scores(joined.total())) == repr(scores(whole.total()))  # nan equals nan


def test_areas_are_the_diagonal_and_the_margins_of_every_image():
    ids, counts = per_image(2)

    right, truth, found = ImageCounts.of(ids, counts, 4).areas()

    np.testing.assert_array_equal(right, counts.diagonal(axis1=1, axis2=2))
    np.testing.assert_array_equal(truth, counts.sum(axis=2))
    np.testing.assert_array_equal(found, counts.sum(axis=1))


@pytest.mark.parametrize(
    "images",
    [
        ImageCounts.of(*per_image(3), 4),
        ImageCounts.of(*per_image(3, num_classes=459), 459),
        ImageCounts.join([], 3),
    ],
)
def test_saved_counts_are_read_back_the_same_and_hold_no_pickle(tmp_path, images):
    images.save(tmp_path / "counts.npz")

    assert equal(ImageCounts.load(tmp_path / "counts.npz"), images)
    with zipfile.ZipFile(tmp_path / "counts.npz") as archive:
        assert not any(b"|O" in archive.read(name)[:128] for name in archive.namelist())


def test_counts_that_version_1_stored_are_read(tmp_path):
    """It kept images in 32 bits and classes in 8."""
    images = ImageCounts.of(*per_image(3), 4)
    image, truth, prediction, pixels = images.entries.T
    np.savez_compressed(
        tmp_path / "counts.npz",
        ids=images.ids,
        num_classes=4,
        images=image.astype(np.int32),
        truth=truth.astype(np.uint8),
        prediction=prediction.astype(np.uint8),
        pixels=pixels,
    )

    assert equal(ImageCounts.load(tmp_path / "counts.npz"), images)


def test_image_counted_twice_is_refused():
    part = ImageCounts.of(*per_image(0), 4)
    message = "Every image must be counted once, got 'p0' twice. Give each a name of its own."

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        ImageCounts.join([part, part], 4)


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
