import pickle
import re
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsenet.config import RECIPES, Recipe
from parsenet.data.reading import shrink
from parsenet.data.transforms import PAD_COLOUR, Augmentation, Draw, ScaleTurnCrop
from parsenet.errors import ConfigError
from tests.fakes.images import gradient

AS_IT_IS = {"scale": (1.0, 1.0), "flip": False}


def blocks(height=30, width=44, block=11):
    """Return a label of square blocks, and an image of 20 x class + 10 in every channel."""
    rows, columns = np.mgrid[:height, :width] // block
    label = ((rows + 2 * columns) % 7).astype(np.uint8)
    return np.repeat(label[..., None] * 20 + 10, 3, axis=2).astype(np.uint8), label


def augment(image, label, seed, void=255, transforms=(), **recipe):
    augmentation = Augmentation(Recipe(**recipe), void, transforms)
    return augmentation(label, partial(shrink, image), seed)


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def warp(draw):
    """Return what warps an image of the draw's size, and its label."""
    transform = ScaleTurnCrop(Recipe(), 255)
    return (
        lambda image: transform.apply(shrink(image, draw.reduction), draw),
        lambda label: transform.apply_to_mask(label, draw),
    )


def test_result_depends_on_the_seed_alone():
    transforms = ["GaussNoise", {"Affine": {"p": 0.5}}]
    make = partial(Augmentation, Recipe(crop=(20, 20), colour=0.4), 255, transforms)
    image, label = blocks()
    used, new = make(), make()

    first = used(label, partial(shrink, image), 5)
    other = used(label, partial(shrink, image), 6)
    copy = pickle.loads(pickle.dumps(used))

    for augmentation in (used, new, copy):
        assert same(augmentation(label, partial(shrink, image), 5), first)
    assert not same(first, other)
    assert same(blocks(), (image, label)), "the input is left as it was"
    paper = Augmentation(RECIPES["paper"])(label, partial(shrink, image), 3)
    assert same(paper, (image, label))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_crop_has_its_size_and_known_labels(size, crop, seed):
    image, label = augment(*blocks(*size, block=3), seed, crop=crop)

    assert image.shape == (*crop, 3)
    assert image.transpose(2, 0, 1).flags.c_contiguous, "as tensors have them"
    assert label.shape == crop
    assert set(np.unique(label)) <= set(range(7)) | {255}


@pytest.mark.parametrize("void", [255, 200])
def test_padding_is_void_and_mean_coloured(void):
    _, stored = blocks(10, 20)

    image, label = augment(*blocks(10, 20), 0, crop=(16, 30), void=void, **AS_IT_IS)

    assert (label == void).sum() == 16 * 30 - 10 * 20
    assert (image[label == void] == PAD_COLOUR).all()
    np.testing.assert_array_equal(label[label != void].reshape(10, 20), stored)


@pytest.mark.parametrize(("degrees", "kernel", "least"), [(0.0, 7, 100), (180.0, 9, 30)])
def test_label_stays_on_the_image(degrees, kernel, least):
    # Wherever a neighbourhood has one class, the image shows exactly that class.
    for seed in range(30):
        image, label = augment(
            *blocks(60, 80, 20), seed, crop=(64, 64), scale=(0.7, 2.0), rotate=degrees
        )

        framed = np.pad(label, 1, constant_values=255)
        low, high = (
            change(framed, np.ones((kernel, kernel)))[1:-1, 1:-1]
            for change in (cv2.erode, cv2.dilate)
        )
        inner = (low == high) & (label != 255)
        assert inner.sum() > least
        np.testing.assert_array_equal(image[inner][:, 0], label[inner] * 20 + 10)


def test_standard_recipe_draws_what_it_always_drew():
    # Taken from the first release, which made these of three albumentations steps: a run that is
    # repeated shall see the same crops.
    label = np.zeros((375, 500), np.uint8)
    transform = ScaleTurnCrop(RECIPES["standard"])

    draws = [transform.draw(label, seed) for seed in range(4)]

    assert [(draw.scaled, draw.corner, draw.crop, draw.mirrored) for draw in draws] == [
        ((724, 965), (235, 258), (321, 321), True),
        ((564, 751), (116, 60), (321, 321), True),
        ((626, 834), (44, 362), (321, 321), False),
        ((549, 732), (4, 186), (321, 321), False),
    ]


def test_other_options_do_not_move_the_crop():
    label = blocks()[1]
    plain = ScaleTurnCrop(Recipe(crop=(20, 20), flip=False))
    rich = ScaleTurnCrop(Recipe(crop=(20, 20), flip=True, colour=0.4, rotate=30.0))

    for seed in range(20):
        assert plain.draw(label, seed)[:4] == rich.draw(label, seed)[:4]


def test_labels_of_many_classes_keep_their_values():
    label = np.arange(300, 300 + 40 * 60, dtype=np.uint16).reshape(40, 60)
    image = np.zeros((40, 60, 3), np.uint8)
    transforms = [{"Rotate": {"p": 1.0}}, "HorizontalFlip"]

    _, out = augment(
        image, label, 0, void=65535, transforms=transforms, crop=(50, 50), scale=(1.0, 1.0)
    )

    assert out.dtype == np.uint16
    assert out.max() == 65535
    assert set(np.unique(out)) <= {*np.unique(label), 65535}


def test_small_results_are_averages_and_not_single_pixels():
    # A chequerboard: any result but grey is an alias.
    board = (np.indices((200, 200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image, label = np.repeat(board[..., None], 3, 2), np.zeros((200, 200), np.uint8)

    out, _ = augment(image, label, 0, crop=None, scale=(0.3, 0.3), flip=False)

    assert out.shape == (60, 60, 3)
    assert np.abs(out.astype(int) - 127).max() <= 1


def test_mirror_and_turn_are_even_whatever_the_scale():
    label = np.zeros((40, 40), np.uint8)
    transform = ScaleTurnCrop(Recipe(crop=None, scale=(0.5, 2.0), rotate=20.0))
    draws = [transform.draw(label, seed) for seed in range(600)]

    sizes, mirrored, degrees = (
        np.array(values)
        for values in zip(*((x.scaled[0], x.mirrored, x.degrees) for x in draws), strict=True)
    )

    assert (sizes.min(), sizes.max()) == (20, 80)
    assert abs(sizes.mean() - 50) < 2
    assert 240 < mirrored.sum() < 360
    assert abs(np.corrcoef(sizes, mirrored)[0, 1]) < 0.12
    assert -20 <= degrees.min() < -18
    assert 18 < degrees.max() <= 20
    assert abs(degrees.mean()) < 2


def test_crops_of_one_class_are_drawn_again():
    # Class 0 on the left, 1 on the right: many small crops show one alone.
    label = np.repeat([[0, 1]], 50, axis=1).repeat(100, axis=0).astype(np.uint8)
    image = np.zeros((100, 100, 3), np.uint8)
    plain, better = (
        np.array([
            augment(image, label, n, crop=(40, 40), cat_max_ratio=ratio, **AS_IT_IS)[1].mean()
            for n in range(150)
        ])
        for ratio in (1.0, 0.75)
    )

    assert np.isin(plain, [0, 1]).mean() > 0.25
    assert np.isin(better, [0, 1]).mean() < 0.05
    # A trial looks at a sixteenth of the pixels; and one in fifty fails ten times.
    assert ((better > 0.2) & (better < 0.8)).mean() > 0.95
    for value in (0, 255):  # cropped after the last try
        one = np.full((50, 50), value, np.uint8)
        out = augment(image[:50, :50], one, 0, crop=(20, 20), cat_max_ratio=0.5)[1]
        assert (out == value).all()


# The warp by hand.


@pytest.mark.parametrize(("height", "width"), [(20, 30), (45, 68), (60, 90), (31, 92)])
def test_window_is_that_of_the_whole_resized_image(height, width):
    image = gradient((30, 45))
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    # Not reduced before: the window itself is looked at.
    draw = Draw((30, 45), (height, width), (5, 7), (12, 20))

    part = warp(draw)[0](image)

    assert np.abs(part.astype(int) - whole[5:17, 7:27]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(22, 31), (44, 67), (62, 91)])
def test_label_of_the_window_is_the_nearest_pixel(height, width):
    # Even heights from 30 rows and any width from 45 columns: never half-way between two pixels.
    label = np.random.default_rng(0).integers(0, 21, (30, 45), dtype=np.uint8)

    part = warp(Draw((30, 45), (height, width), (4, 6), (15, 22)))[1](label)

    rows = np.floor((np.arange(4, 19) + 0.5) * 30 / height).astype(int)
    columns = np.floor((np.arange(6, 28) + 0.5) * 45 / width).astype(int)
    np.testing.assert_array_equal(part, label[rows][:, columns])


@pytest.mark.parametrize("scaled", [(30, 45), (44, 67), (22, 31)])
@pytest.mark.parametrize("corner", [(2, 3), (-6, -9), (-20, 5)])
def test_mirror_within_the_matrix_is_the_mirror_of_the_result(scaled, corner):
    image = gradient((30, 45))
    label = np.random.default_rng(0).integers(0, 21, (30, 45), dtype=np.uint8)
    plain, mirrored = (warp(Draw((30, 45), scaled, corner, (50, 40), m)) for m in (False, True))

    difference = plain[0](image)[:, ::-1].astype(int) - mirrored[0](image)

    assert np.abs(difference).max() <= 1  # of rounding
    np.testing.assert_array_equal(plain[1](label)[:, ::-1], mirrored[1](label))


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 96), (61, 93), (57, 89)])
def test_reduced_image_lies_where_the_whole_one_does(size, reduction):
    # Grey rises evenly along both sides, so a shift by half a pixel shows.
    rows, columns = np.indices(size)
    image = np.repeat((rows + columns)[..., None], 3, axis=2).astype(np.uint8)
    scaled = size[0] // reduction, size[1] // reduction
    draw = Draw(size, scaled, (0, 0), scaled)
    assert draw.reduction == reduction
    matrix = np.array(draw.matrix(1))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(image, matrix, scaled[::-1], flags=flags)

    small = warp(draw)[0](image).astype(int)

    assert np.abs(small - whole)[1:-1, 1:-1].max() <= 1


def test_only_the_needed_part_is_read():
    # Far more than 2^15 pixels a side, where OpenCV's warp ends.
    image = np.zeros((10, 40_000, 3), np.uint8)
    image[:, 39_000:] = 200

    out = warp(Draw((10, 40_000), (20, 80_000), (0, 77_990), (20, 20)))[0](image)

    assert (out[:, :9] == 0).all()
    assert (out[:, 11:] == 200).all()


SAME = Draw((30, 40), (30, 40), (0, 0), (30, 40))


@pytest.mark.parametrize(
    ("draw", "reduction", "pixel", "expected"),
    [
        (SAME, 1, (3, 7), (3, 7)),
        # Two pixels where there was one: their centres lie at -1/4 and 1/4 of the old one.
        (SAME._replace(scaled=(60, 80), crop=(60, 80)), 1, (0, 1), (-0.25, 0.25)),
        (SAME._replace(corner=(5, 10), crop=(20, 8), mirrored=True), 1, (0, 0), (17, 5)),
        (SAME._replace(corner=(5, 10), crop=(20, 8), mirrored=True), 1, (7, 0), (10, 5)),
        (Draw((30, 30), (30, 30), (5, 5), (11, 11), degrees=90.0), 1, (5, 5), (10, 10)),
        (Draw((30, 30), (30, 30), (5, 5), (11, 11), degrees=90.0), 1, (0, 0), (15, 5)),
        # Pixel 3 of the half covers 6 and 7 of the whole, whose middle is 6.5.
        (SAME, 2, (6.5, 6.5), (3, 3)),
    ],
)
def test_matrix_by_hand(draw, reduction, pixel, expected):
    matrix = np.array(draw.matrix(reduction))

    np.testing.assert_allclose(matrix @ (*pixel, 1), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("scaled", "expected"),
    [
        ((200, 300), 1), ((100, 150), 1), ((51, 75), 1), ((50, 75), 2), ((26, 38), 2),
        ((25, 37), 4), ((12, 18), 8), ((1, 1), 8), ((10, 76), 1),
    ],
)  # fmt: skip
def test_reduction_never_makes_an_image_smaller_than_its_target(scaled, expected):
    assert Draw((100, 150), scaled, (0, 0), (1, 1)).reduction == expected


# Transforms of albumentations that a config names.


def test_named_transforms_come_last_on_the_finished_crop():
    stored = gradient((30, 44)), np.zeros((30, 44), np.uint8)

    transforms = [{"InvertImg": {"p": 1.0}}, "NoOp"]
    image, label = augment(*stored, 1, transforms=transforms, crop=(40, 60), **AS_IT_IS)

    padding = label == 255
    assert (image[padding] == 255 - np.array(PAD_COLOUR)).all()
    np.testing.assert_array_equal(image[~padding].reshape(30, 44, 3), 255 - stored[0])


@pytest.mark.parametrize("options", [{}, {"fill_mask": 3}])
def test_turned_labels_are_void_beyond_the_end_unless_told_otherwise(options):
    image, label = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    turn = {"Affine": {"rotate": [45, 45], "p": 1.0, **options}}

    _, out = augment(image, label, 0, void=200, transforms=[turn], crop=None, **AS_IT_IS)

    assert np.unique(out).tolist() == [0, options.get("fill_mask", 200)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("GausNoise",
         "`data.transforms` must name transforms of albumentations, got 'GausNoise'. Did you "
         "mean `GaussNoise`?"),
        ({"os.system": {"command": "true"}},
         "`data.transforms` must name transforms of albumentations, got 'os.system'. "
         "albumentations.ai/docs lists them."),
        ({"Compose": {"transforms": []}},
         "`data.transforms` must name transforms of albumentations, got 'Compose'. "
         "albumentations.ai/docs lists them."),
        ({"GaussNoise": {"pp": 1}},
         "`GaussNoise` of `data.transforms` must have known options, got 'pp'. Did you mean `p`?"),
        ({"GaussNoise": {"p": "often"}},
         "`GaussNoise` of `data.transforms` must work on an image and its label, got '1 "
         "validation error for InitSchema p Input should be a valid number, unable to parse "
         "string as a number'. Correct its options, or leave it out."),
        ({"Lambda": {"image": "os.system"}},
         "`Lambda` of `data.transforms` must work on an image and its label, got ''str' object "
         "is not callable'. Correct its options, or leave it out."),
        ("Normalize",
         "`Normalize` of `data.transforms` must give an RGB image of bytes and a label as large, "
         "got float32 (321, 321, 3). Leave it out: the network normalizes images itself."),
    ],
)  # fmt: skip
def test_wrong_transform_is_refused_in_a_sentence(entry, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Augmentation(transforms=[entry])
