import numpy as np
import pytest
import torch

from parsenet.config import InferenceConfig, NetworkConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.windows import (
    View,
    place_windows,
    share_context,
    split,
)
from parsenet.models.build import build_model
from parsenet.taxonomy import SHAPES
from tests.fakes.segmenter import COLOURS, ColourSegmenter

# A pixel's scores see 31 + 8 pixels around it; windows count for nothing over the outer 40.
CUT = {"window": 336, "overlap": 160}
SIZE = (420, 530)


def drawn(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def image():
    """An image that is dark and coarse on one side, light and fine on the other."""
    coarse = drawn((SIZE[0] // 10 + 1, SIZE[1] // 10 + 1)).repeat(10, 0).repeat(10, 1)
    image = drawn(SIZE)
    image[:, : SIZE[1] // 2] = coarse[: SIZE[0], : SIZE[1] // 2] // 3
    return image


def build(head="late", upsample="bilinear"):
    torch.manual_seed(0)
    features = ("pool6", "fc7", "conv3")
    config = NetworkConfig("tiny", features, head, norm_scale=30.0, upsample=upsample)
    return build_model(config, SHAPES.num_classes)


def predict(network, image, **options):
    predictor = Predictor(network, SHAPES, "cpu", "32-true", InferenceConfig(**options))
    return predictor.predict([image], probabilities=True, entropy=True)[0]


@pytest.mark.parametrize("head", ["early", "late"])
@pytest.mark.parametrize("upsample", ["learned", "bilinear"])
def test_windows_with_whole_context_are_the_plain_forward(image, head, upsample):
    network = build(head, upsample)
    plain = predict(network, image)

    cut = predict(network, image, **CUT)

    np.testing.assert_allclose(cut.probabilities, plain.probabilities, atol=2e-3)  # float16
    np.testing.assert_allclose(cut.entropy, plain.entropy, atol=1e-4)
    assert (cut.label == plain.label).mean() > 0.9999


@pytest.mark.parametrize("view", [View(), View(1.0, True), View(0.5), View(2.0, True)])
def test_context_of_every_view_is_its_mean(view):
    whole = torch.from_numpy(drawn((96, 160))).permute(2, 0, 1)[None]
    spans = split(96, 64, 16, 4), split(160, 64, 16, 4)

    pool6 = share_context(
        ColourSegmenter(),
        lambda row, column: whole[:, :, row.start : row.stop, column.start : column.stop],
        spans,
        view,
        lambda: None,
    )

    mean = whole.float().mean((2, 3), keepdim=True)
    torch.testing.assert_close(pool6, mean, rtol=0, atol=0.01 if view.scale == 1 else 1.0)


def test_image_beyond_the_budget_is_cut_into_windows_of_an_eighth():
    config = InferenceConfig(memory=1000 * 8 * 32 * 32 / 2**30, overlap=8)

    rows, columns, _ = place_windows(ColourSegmenter(), config, (91, 91))

    assert all(span.length <= 32 for span in (*rows, *columns))
    assert min(len(rows), len(columns)) > 1


def test_batch_is_as_large_as_the_budget():
    segmenter, config = ColourSegmenter(), InferenceConfig(memory=1000 * 300 / 2**30)

    Predictor(segmenter, COLOURS, config=config).batch([drawn((10, 10))] * 5)

    assert [shape[0] for shape, _ in segmenter.seen] == [2, 2, 1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_windows_on_cuda_are_the_plain_forward_on_cpu(image):
    config = InferenceConfig(flip=True, **CUT)
    plain = Predictor(build(), SHAPES, "cpu", "32-true", InferenceConfig(flip=True))(image)

    cut = Predictor(build(), SHAPES, "cuda", "32-true", config)(image)

    assert (cut == plain).mean() > 0.99
