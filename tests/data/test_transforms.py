import pickle

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.config import RECIPES, Recipe
from parsenet.data.draw import Window
from parsenet.data.sample import Sample
from parsenet.data.transforms import NUM_TRIES, TrainTransform
from parsenet.data.warp import PAD_COLOUR


def make_sample(height=30, width=44, block=11):
    """Label of square blocks; the image shows 20 x class + 10 in every channel."""
    rows, columns = np.mgrid[:height, :width] // block
    label = ((rows + 2 * columns) % 7).astype(np.uint8)
    image = np.repeat(label[..., None] * 20 + 10, 3, axis=2).astype(np.uint8)
    return Sample(image, label, "blocks")


def train_transform(void=255, **recipe):
    return TrainTransform(Recipe(**recipe), void)


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


def test_small_images_lie_anywhere_in_the_crop():
    transform = train_transform(crop=(3, 5), scale=(1.0, 1.0), flip=False)
    sample = make_sample(1, 1)

    places = {
        tuple(np.argwhere(transform(sample, seed).label != 255)[0].tolist()) for seed in range(300)
    }

    assert len(places) == 15


def test_every_crop_of_a_large_image_is_drawn():
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    sample = Sample(np.zeros((3, 4, 3), np.uint8), label, "a")
    transform = train_transform(crop=(2, 2), scale=(1.0, 1.0), flip=False)

    corners = {int(transform(sample, seed).label[0, 0]) for seed in range(200)}

    assert corners == {0, 1, 2, 4, 5, 6}


def test_label_stays_on_the_image():
    # Wherever a 7 x 7 neighbourhood has one class, the image shows exactly that class.
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


def test_half_of_the_images_are_mirrored():
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


def test_colour_jitter_leaves_the_label():
    sample = make_sample()

    out = train_transform(crop=None, scale=(1.0, 1.0), flip=False, colour=0.4)(sample, 0)

    assert not np.array_equal(out.image, sample.image)
    np.testing.assert_array_equal(out.label, sample.label)


def test_colours_are_read_side_by_side_as_tensors_have_them():
    out = train_transform(crop=(20, 24))(make_sample(), 0)

    assert out.image.transpose(2, 0, 1).flags.c_contiguous


def test_paper_recipe_leaves_the_image_as_it_is():
    assert same(TrainTransform(RECIPES["paper"])(make_sample(), 3), make_sample())


def test_standard_recipe_draws_what_it_always_drew():
    # Taken from the first release, which made these of three albumentations steps: a run that is
    # repeated shall see the same crops.
    label = np.zeros((375, 500), np.uint8)
    transform = TrainTransform(RECIPES["standard"])

    draws = [transform.draw(label, seed) for seed in range(4)]

    assert [draw.window for draw in draws] == [
        Window((724, 965), (235, 258), (321, 321)),
        Window((564, 751), (116, 60), (321, 321)),
        Window((626, 834), (44, 362), (321, 321)),
        Window((549, 732), (4, 186), (321, 321)),
    ]
    assert [draw.mirrored for draw in draws] == [True, True, False, False]


def test_other_options_do_not_move_the_crop():
    label = make_sample().label
    plain = train_transform(crop=(20, 20), flip=False)
    rich = train_transform(crop=(20, 20), flip=True, colour=0.4, rotate=30.0)

    for seed in range(20):
        assert plain.draw(label, seed).window == rich.draw(label, seed).window


def test_turns_are_even_to_both_sides():
    transform = train_transform(crop=(8, 8), rotate=20.0)

    degrees = [transform.draw(make_sample().label, seed).degrees for seed in range(500)]

    assert -20 <= min(degrees) < -18
    assert 18 < max(degrees) <= 20
    assert abs(np.mean(degrees)) < 2


def test_turned_label_stays_on_the_turned_image():
    transform = train_transform(crop=(64, 64), scale=(0.7, 2.0), rotate=180.0)
    for seed in range(30):
        out = transform(make_sample(60, 80, block=20), seed)

        framed = np.pad(out.label, 1, constant_values=255)
        least, most = (
            change(framed, np.ones((9, 9)))[1:-1, 1:-1] for change in (cv2.erode, cv2.dilate)
        )
        inner = (least == most) & (out.label != 255)
        assert inner.sum() > 30
        np.testing.assert_array_equal(out.image[inner][:, 0], out.label[inner] * 20 + 10)


def halved_sample():
    """Class 0 on the left, class 1 on the right: many small crops show one alone."""
    label = np.zeros((100, 100), np.uint8)
    label[:, 50:] = 1
    return Sample(np.zeros((100, 100, 3), np.uint8), label, "a")


def shares_of_class_1(**recipe):
    transform = train_transform(crop=(40, 40), scale=(1.0, 1.0), **recipe)
    return np.array([transform(halved_sample(), seed).label.mean() for seed in range(150)])


def test_crops_of_one_class_are_drawn_again():
    assert np.isin(shares_of_class_1(), [0, 1]).mean() > 0.25
    assert np.isin(shares_of_class_1(cat_max_ratio=0.75), [0, 1]).mean() < 0.05


def test_no_class_fills_more_than_its_share_of_a_crop():
    shares = shares_of_class_1(cat_max_ratio=0.75)

    # A trial looks at a sixteenth of the pixels; and one in fifty fails ten times.
    assert ((shares > 0.2) & (shares < 0.8)).mean() > 0.95


def test_a_image_of_one_class_is_cropped_after_the_last_try():
    sample = Sample(np.zeros((50, 50, 3), np.uint8), np.zeros((50, 50), np.uint8), "a")

    out = train_transform(crop=(20, 20), cat_max_ratio=0.5)(sample, 0)

    assert out.label.shape == (20, 20)
    assert NUM_TRIES == 10


def test_a_image_of_void_is_cropped():
    sample = Sample(np.zeros((50, 50, 3), np.uint8), np.full((50, 50), 255, np.uint8), "a")

    assert (train_transform(crop=(20, 20), cat_max_ratio=0.5)(sample, 0).label == 255).all()


def test_labels_of_many_classes_keep_their_values():
    label = np.arange(300, 300 + 40 * 60, dtype=np.uint16).reshape(40, 60)
    sample = Sample(np.zeros((40, 60, 3), np.uint8), label, "a")

    out = train_transform(void=65535, crop=(50, 50), scale=(1.0, 1.0))(sample, 0)

    assert out.label.dtype == np.uint16
    assert out.label.max() == 65535
    assert set(np.unique(out.label)) <= {*np.unique(label), 65535}


def test_small_results_are_averages_and_not_single_pixels():
    # A chequerboard: any result but grey is an alias.
    board = (np.indices((200, 200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    sample = Sample(np.repeat(board[..., None], 3, 2), np.zeros((200, 200), np.uint8), "a")
    transform = train_transform(crop=None, scale=(0.3, 0.3), flip=False)

    out = transform(sample, 0)

    assert out.image.shape == (60, 60, 3)
    assert np.abs(out.image.astype(int) - 127).max() <= 1
