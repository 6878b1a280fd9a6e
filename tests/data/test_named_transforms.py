"""Transforms of albumentations that a config names."""

import re
import warnings
from functools import partial

import albumentations
import numpy as np
import pytest

from parsenet.config import Recipe
from parsenet.data.reading import shrink
from parsenet.data.transforms import PAD_COLOUR, Augmentation
from parsenet.errors import ConfigError
from tests.fakes.images import gradient


def augment(image, label, seed, void=255, transforms=(), **recipe):
    recipe = {"crop": None, "scale": (1.0, 1.0), "flip": False} | recipe
    return Augmentation(Recipe(**recipe), void, transforms)(label, partial(shrink, image), seed)


def test_named_transforms_come_last_on_the_finished_crop():
    stored = gradient((30, 44)), np.zeros((30, 44), np.uint8)

    image, label = augment(
        *stored, 1, transforms=[{"InvertImg": {"p": 1.0}}, "NoOp"], crop=(40, 60)
    )

    padding = label == 255
    assert (image[padding] == 255 - np.array(PAD_COLOUR)).all()
    np.testing.assert_array_equal(image[~padding].reshape(30, 44, 3), 255 - stored[0])


@pytest.mark.parametrize("options", [{}, {"fill_mask": 3}])
def test_turned_labels_are_void_beyond_the_end_unless_told_otherwise(options):
    image, label = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    turn = {"Affine": {"rotate": [45, 45], "p": 1.0, **options}}

    _, out = augment(image, label, 0, void=200, transforms=[turn])

    assert np.unique(out).tolist() == [0, options.get("fill_mask", 200)]


def test_each_transform_of_albumentations_follows_the_seed_or_is_refused():
    kinds = {n: k for n, k in vars(albumentations).items() if isinstance(k, type)}
    image, label = gradient((40, 50)), np.eye(40, 50, dtype=np.uint8)
    works = []
    for name, kind in kinds.items():
        if not issubclass(kind, albumentations.BasicTransform) or "3D" in name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of albumentations, about names and bounding boxes
            entry = {name: {"p": 1.0}}
            try:
                first, second = (
                    augment(image, label, 7, transforms=[entry], crop=(32, 32)) for _ in range(2)
                )
            except ConfigError:
                continue
        assert all(map(np.array_equal, first, second)), name
        works.append(name)

    assert len(works) > 60
    assert {"GaussNoise", "ElasticTransform", "CoarseDropout", "RandomRain"} <= set(works)


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
