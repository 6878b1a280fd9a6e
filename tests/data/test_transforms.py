import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.data.sample import Sample
from parsenet.data.transforms import PAD_COLOUR, Window, cut, train_transform
from tests.fakes.pictures import gradient


def make_sample(height=30, width=44, block=11):
    """Label of square blocks; the picture shows 20 x class + 10 in every channel."""
    rows, columns = np.mgrid[:height, :width] // block
    label = ((rows + 2 * columns) % 7).astype(np.uint8)
    image = np.repeat(label[..., None] * 20 + 10, 3, axis=2).astype(np.uint8)
    return Sample(image, label, "blocks")


def same(first, second):
    return np.array_equal(first.image, second.image) and np.array_equal(first.label, second.label)


def test_nothing_asked_for_changes_nothing():
    sample = make_sample()

    out = train_transform(crop=(30, 44), scale=(1.0, 1.0), flip=False)(sample, 3)

    assert same(out, sample)
    assert out.id == "blocks"


def test_result_depends_on_the_seed_alone():
    transform = train_transform(crop=(20, 20), colour=0.4)
    fresh = train_transform(crop=(20, 20), colour=0.4)

    first = transform(make_sample(), 5)
    transform(make_sample(), 6)

    assert same(transform(make_sample(), 5), first)
    assert same(fresh(make_sample(), 5), first)
    assert not same(transform(make_sample(), 6), first)


def test_input_is_left_as_it_was():
    sample = make_sample()

    train_transform(crop=(20, 20), colour=0.4)(sample, 1)

    assert same(sample, make_sample())


def test_transform_survives_pickling():
    transform = train_transform(crop=(20, 20), colour=0.2)

    copy = pickle.loads(pickle.dumps(transform))

    assert same(copy(make_sample(), 8), transform(make_sample(), 8))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_crop_has_its_size_and_known_labels(size, crop, seed):
    sample = make_sample(*size, block=3)

    out = train_transform(crop=crop)(sample, seed)

    assert out.image.shape == (*crop, 3)
    assert out.label.shape == crop
    assert set(np.unique(out.label)) <= set(np.unique(sample.label)) | {255}


def test_padding_is_void_and_mean_coloured():
    sample = make_sample(10, 20)

    out = train_transform(crop=(16, 30), scale=(1.0, 1.0), flip=False)(sample, 0)

    void = out.label == 255
    assert void.sum() == 16 * 30 - 10 * 20
    assert (out.image[void] == PAD_COLOUR).all()
    np.testing.assert_array_equal(out.label[~void].reshape(10, 20), sample.label)


def test_void_of_the_padding_can_be_chosen():
    out = train_transform(crop=(40, 60), scale=(1.0, 1.0), void=200)(make_sample(), 0)

    assert (out.label == 200).sum() == 40 * 60 - 30 * 44


def test_small_pictures_lie_anywhere_in_the_crop():
    transform = train_transform(crop=(3, 5), scale=(1.0, 1.0), flip=False)
    sample = make_sample(1, 1)

    places = {
        tuple(np.argwhere(transform(sample, seed).label != 255)[0].tolist()) for seed in range(300)
    }

    assert len(places) == 15


def test_every_crop_of_a_large_picture_is_drawn():
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    sample = Sample(np.zeros((3, 4, 3), np.uint8), label, "a")
    transform = train_transform(crop=(2, 2), scale=(1.0, 1.0), flip=False)

    corners = {int(transform(sample, seed).label[0, 0]) for seed in range(200)}

    assert corners == {0, 1, 2, 4, 5, 6}


def test_label_stays_on_the_picture():
    # Wherever a 7 x 7 neighbourhood has one class, the picture shows exactly that class.
    transform = train_transform(crop=(64, 64), scale=(0.7, 2.0))
    for seed in range(30):
        out = transform(make_sample(60, 80, block=20), seed)

        framed = np.pad(out.label, 1, constant_values=255)
        least, most = (
            change(framed, np.ones((7, 7)))[1:-1, 1:-1] for change in (cv2.erode, cv2.dilate)
        )
        inner = (least == most) & (out.label != 255)
        assert inner.sum() > 100
        np.testing.assert_array_equal(out.image[inner][:, 0], out.label[inner] * 20 + 10)


def test_half_of_the_pictures_are_mirrored():
    sample = make_sample()
    transform = train_transform(crop=None, scale=(1.0, 1.0), flip=True)

    outs = [transform(sample, seed).label for seed in range(400)]

    mirrored = sum(np.array_equal(out, sample.label[:, ::-1]) for out in outs)
    plain = sum(np.array_equal(out, sample.label) for out in outs)
    assert mirrored + plain == 400
    assert 160 < mirrored < 240


def test_mirroring_is_independent_of_the_scale():
    # Top row is dark, left column is white: where the white is tells the mirror.
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 255
    sample = Sample(image, np.zeros((40, 40), np.uint8), "a")
    transform = train_transform(crop=None, scale=(0.5, 2.0))
    outs = [transform(sample, seed).image for seed in range(600)]

    sizes = np.array([out.shape[0] for out in outs])
    mirrored = np.array([out[0, 0, 0] == 0 for out in outs])

    assert abs(np.corrcoef(sizes, mirrored)[0, 1]) < 0.12


def test_scale_is_even_over_its_range():
    transform = train_transform(crop=None, scale=(0.5, 2.0))
    sample = make_sample(40, 40)

    sizes = np.array([transform(sample, seed).label.shape[0] for seed in range(600)])

    assert (sizes.min(), sizes.max()) == (20, 80)
    assert abs(sizes.mean() - 50) < 2


@pytest.mark.parametrize(("height", "width"), [(20, 30), (45, 68), (60, 90), (31, 92)])
def test_window_is_that_of_the_whole_resized_picture(height, width):
    picture = gradient((30, 45))
    whole = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)

    part = cut(picture, Window((height, width), (5, 7), (12, 20)), cv2.INTER_LINEAR, PAD_COLOUR)

    assert np.abs(part.astype(int) - whole[5:17, 7:27]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(22, 31), (44, 67), (62, 91)])
def test_label_of_the_window_is_the_nearest_pixel(height, width):
    # Even heights from 30 rows and any width from 45 columns: never half-way between two pixels.
    label = np.random.default_rng(0).integers(0, 21, (30, 45), dtype=np.uint8)

    part = cut(label, Window((height, width), (4, 6), (15, 22)), cv2.INTER_NEAREST, (255,))

    rows = np.floor((np.arange(4, 19) + 0.5) * 30 / height).astype(int)
    columns = np.floor((np.arange(6, 28) + 0.5) * 45 / width).astype(int)
    np.testing.assert_array_equal(part, label[rows][:, columns])


def test_colour_jitter_leaves_the_label():
    sample = make_sample()

    out = train_transform(crop=None, scale=(1.0, 1.0), flip=False, colour=0.4)(sample, 0)

    assert not np.array_equal(out.image, sample.image)
    np.testing.assert_array_equal(out.label, sample.label)
