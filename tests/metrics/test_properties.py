"""What must hold for any label maps: hypothesis looks for an image that breaks it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parsenet.metrics.counting import count
from parsenet.metrics.per_image import ImageCounts
from parsenet.metrics.scores import scores

NUM_CLASSES, VOID = 4, 255
classes = st.integers(0, NUM_CLASSES - 1)
noise = arrays(np.uint8, (6, 8), elements=classes)
blobs = arrays(np.uint8, (2, 2), elements=classes).map(
    lambda blocks: np.kron(blocks, np.ones((15, 20), np.uint8))
)
either = st.one_of(st.tuples(noise, noise), st.tuples(blobs, blobs))
few = settings(deadline=None, max_examples=40)


@few
@given(either)
def test_counts_are_those_of_a_loop(maps):
    prediction, label = maps
    expected = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    np.add.at(expected, (label.ravel(), prediction.ravel()), 1)

    np.testing.assert_array_equal(count(prediction, label, NUM_CLASSES), expected)


@few
@given(either, st.permutations(range(NUM_CLASSES)))
def test_permuting_classes_permutes_counts(maps, order):
    prediction, label = maps
    renamed = np.argsort(order).astype(np.uint8)

    permuted = count(renamed[prediction], renamed[label], NUM_CLASSES)

    expected = count(prediction, label, NUM_CLASSES)[np.ix_(order, order)]
    np.testing.assert_array_equal(permuted, expected)


@few
@given(either, st.data())
def test_void_anywhere_changes_nothing(maps, data):
    """Rows of void go in between: whatever is predicted there, no count moves."""
    prediction, label = maps
    where = data.draw(st.lists(st.integers(0, len(label)), max_size=4))
    guess = data.draw(classes)

    more = np.insert(label, where, VOID, axis=0)
    counts = count(np.insert(prediction, where, guess, axis=0), more, NUM_CLASSES, VOID)

    np.testing.assert_array_equal(counts, count(prediction, label, NUM_CLASSES, VOID))


@few
@given(st.lists(st.tuples(noise, noise), min_size=2, max_size=5), st.randoms())
def test_splitting_and_shuffling_a_set_changes_no_score(images, random):
    named = [
        ImageCounts.of([f"p{index}"], count(*maps, NUM_CLASSES)[None], NUM_CLASSES)
        for index, maps in enumerate(images)
    ]
    shuffled = random.sample(named, len(named))
    cut = random.randint(1, len(named) - 1)
    halves = [ImageCounts.join(part, NUM_CLASSES) for part in (shuffled[:cut], shuffled[cut:])]

    whole = ImageCounts.join(named, NUM_CLASSES)

    assert ImageCounts.join(halves, NUM_CLASSES).ids == whole.ids
    joined = scores(ImageCounts.join(halves, NUM_CLASSES).total())
    assert repr(joined) == repr(scores(whole.total()))  # to the last digit; nan equals nan
