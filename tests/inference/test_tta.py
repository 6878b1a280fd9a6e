import numpy as np
import pytest
import torch

from parsenet.config import InferenceConfig, NetworkConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import Box
from parsenet.inference.windows import View, look, look_at_part
from parsenet.models.build import build_model
from parsenet.taxonomy import SHAPES
from tests.fakes.segmenter import COLOURS, ColourSegmenter


def drawn(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def predict(network, image, **options):
    predictor = Predictor(network, SHAPES, "cpu", "32-true", InferenceConfig(**options))
    return predictor.predict([image], probabilities=True)[0]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_model(NetworkConfig(trunk="tiny", norm_scale=30.0), SHAPES.num_classes)


def test_shrunk_view_is_no_sieve():
    """Every second column white, then halved: grey, not white or black."""
    image = torch.tensor([0, 255] * 8, dtype=torch.uint8).expand(1, 3, 16, 16)

    assert ((look(image, View(0.5))[..., 2:-2].float() - 127.5).abs() < 20).all()


def test_part_of_a_view_is_scaled_and_mirrored():
    part = look_at_part((2.0, 6.0), (3.0, 4.0), (10, 20), View(2.0, True))

    assert part == Box(4.0, 12.0, 32.0, 34.0)


def test_average_is_that_of_the_probabilities(network):
    image = drawn((40, 48))
    plain = predict(network, image).probabilities
    mirrored = predict(network, image[:, ::-1]).probabilities[..., ::-1]

    averaged = predict(network, image, flip=True)

    expected = (plain.astype(float) + mirrored) / 2
    np.testing.assert_allclose(averaged.probabilities, expected, atol=1e-3)  # float16
    np.testing.assert_array_equal(averaged.label, averaged.probabilities.argmax(0))


def test_averaging_mirrors_makes_a_symmetric_image_symmetric_for_any_network(network):
    half = drawn((33, 29))
    image = np.concatenate([half, half[:, ::-1]], axis=1)

    plain, flipped = predict(network, image), predict(network, image, flip=True)

    np.testing.assert_array_equal(flipped.probabilities, flipped.probabilities[..., ::-1])
    assert (plain.probabilities != plain.probabilities[..., ::-1]).any()


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0])
def test_scaled_scores_come_back_to_where_they_belong(scale):
    """An image whose colours change so slowly that its size does not matter."""
    across = np.linspace(0, 255, 96)[None].repeat(64, 0)
    down = np.linspace(0, 255, 64)[:, None].repeat(96, 1)
    image = np.stack([across, down, np.full((64, 96), 90.0)], axis=2).astype(np.uint8)
    config = InferenceConfig(scales=(scale,))

    plain = Predictor(ColourSegmenter(), COLOURS).predict([image], True)[0]
    scaled = Predictor(ColourSegmenter(), COLOURS, config=config).predict([image], True)[0]

    np.testing.assert_allclose(scaled.probabilities, plain.probabilities, atol=0.03)
