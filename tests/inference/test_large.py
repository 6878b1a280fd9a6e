import itertools

import numpy as np
import pytest
import torch

from parsenet.config import InferenceConfig, NetworkConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import NetworkSegmenter
from parsenet.inference.windows import (
    View,
    look_at_part,
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


def test_progress_counts_the_pass_for_the_context_too():
    config = InferenceConfig(window=16, overlap=0, flip=True)
    calls = []

    Predictor(ColourSegmenter(), COLOURS, config=config).predict(
        [drawn((16, 32))], progress=lambda done, total: calls.append((done, total))
    )

    assert calls == [(done, 6) for done in range(1, 7)]


def test_one_window_is_the_plain_forward_to_the_bit():
    network, image = build(), drawn((50, 70))

    plain, cut = predict(network, image), predict(network, image, window=70, overlap=8)

    np.testing.assert_array_equal(cut.label, plain.label)
    np.testing.assert_array_equal(cut.probabilities, plain.probabilities)
    np.testing.assert_array_equal(cut.entropy, plain.entropy)


def test_context_of_the_windows_is_the_images_own(image):
    segmenter = NetworkSegmenter(build(), SHAPES, torch.device("cpu"), "32-true", {})
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    rows, columns = (split(length, 336, 160, 8) for length in SIZE)

    with torch.no_grad():
        fc7 = segmenter.network.trunk(segmenter.network.preprocess(pixels))["fc7"]
    pool6 = share_context(
        segmenter,
        lambda row, column: pixels[:, :, row.start : row.stop, column.start : column.stop],
        (rows, columns),
        View(),
        lambda: None,
    )

    assert len(rows) * len(columns) == 6
    torch.testing.assert_close(pool6, fc7.mean((2, 3), keepdim=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 31), (100, 57)])
@pytest.mark.parametrize("overlap", [0, 8, 24])
def test_every_cell_counts_once(size, overlap):
    segmenter = NetworkSegmenter(build(), SHAPES, torch.device("cpu"), "32-true", {})
    spans = [split(length, 48, overlap, 8) for length in size]
    count = 0

    for row, column in itertools.product(*spans):
        box = look_at_part(row.own, column.own, (row.length, column.length), View())
        count += segmenter.pool6_sum(
            torch.zeros(1, 3, row.length, column.length, dtype=torch.uint8), box
        )[1]

    assert count == -(-size[0] // 8) * -(-size[1] // 8)


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


def test_windows_get_the_context_of_the_whole_image():
    segmenter, image = ColourSegmenter(), drawn((20, 40))

    Predictor(segmenter, COLOURS, config=InferenceConfig(window=16, overlap=4)).predict([image])

    mean = torch.from_numpy(image).float().mean((0, 1)).view(1, 3, 1, 1)
    assert len(segmenter.seen) == 6
    for shape, pool6 in segmenter.seen:
        assert max(shape) <= 16
        torch.testing.assert_close(pool6, mean)


def test_windows_of_every_view_are_averaged_where_they_belong():
    """An image that is the same in any view: bright to the right or left by class."""
    line = np.linspace(0, 255, 128)
    image = (
        np.stack([line, line[::-1], np.full(128, 100.0)], 1).astype(np.uint8)[None].repeat(64, 0)
    )
    plain = Predictor(ColourSegmenter(has_context=False), COLOURS).predict([image], True)[0]
    config = InferenceConfig(window=48, overlap=16, scales=(0.5, 1.0, 2.0), flip=True)

    cut = Predictor(ColourSegmenter(has_context=False), COLOURS, config=config)

    seen = cut.predict([image], probabilities=True)[0].probabilities
    np.testing.assert_allclose(seen, plain.probabilities, atol=0.02)


def test_image_within_the_budget_is_not_cut():
    config = InferenceConfig(memory=1000 * 32 * 32 / 2**30)  # 1000 bytes per pixel

    assert [len(x) for x in place_windows(ColourSegmenter(), config, (30, 30))[:2]] == [1, 1]


def test_image_beyond_the_budget_is_cut_into_windows_of_an_eighth():
    config = InferenceConfig(memory=1000 * 8 * 32 * 32 / 2**30, overlap=8)

    rows, columns, _ = place_windows(ColourSegmenter(), config, (91, 91))

    assert all(span.length <= 32 for span in (*rows, *columns))
    assert min(len(rows), len(columns)) > 1


def test_views_leave_less_of_the_budget():
    plain, flip, large = (
        place_windows(
            ColourSegmenter(), InferenceConfig(memory=0.1, scales=scales, flip=flip), (8, 8)
        )[2]
        for scales, flip in (((1.0,), False), ((1.0,), True), ((1.0, 2.0), True))
    )

    assert plain > flip > 3 * large


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


@pytest.mark.slow
@pytest.mark.parametrize("trunk", ["squeezenet", "vgg16_fcn_reduced"])
def test_windows_of_a_real_trunk_agree_with_the_plain_forward(trunk, image):
    """Their cells see further than the overlap; what differs is at the seams."""
    torch.manual_seed(0)
    network = build_model(NetworkConfig(trunk, norm_scale=30.0), SHAPES.num_classes)

    plain, cut = predict(network, image), predict(network, image, window=320, overlap=128)

    assert (cut.label == plain.label).mean() > 0.9
