import numpy as np
import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.inference.segmenter import Box, NetworkSegmenter
from parsenet.models.build import build_model
from parsenet.taxonomy import SHAPES

EVERYWHERE = Box(-np.inf, np.inf, -np.inf, np.inf)


def wrap(**options):
    torch.manual_seed(0)
    network = build_model(NetworkConfig(**{"trunk": "tiny", **options}), SHAPES.num_classes)
    return NetworkSegmenter(network, SHAPES, torch.device("cpu"), "32-true", {})


def draw_image(*size):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("options", "has_context"),
    [
        ({"features": ("pool6", "fc7")}, True),
        ({"features": ("fc7", "conv3")}, False),
        ({"features": ("pool6",), "head": "early"}, True),
        ({"trunk": "vgg16_fcn_reduced", "head": "fcn8s"}, False),
    ],
)
def test_context_is_needed_where_pool6_is_fused(options, has_context):
    with torch.device("meta"):
        network = build_model(NetworkConfig(**{"trunk": "tiny", **options}), 3)

    segmenter = NetworkSegmenter(network, SHAPES, torch.device("meta"), "32-true", {})

    assert segmenter.has_context == has_context


def test_sum_counts_the_cells_whose_centres_are_inside():
    """Cells of 8 pixels have their centres at 4, 12, 20, 28, 36."""
    segmenter, image = wrap(), draw_image(40, 40)
    with torch.no_grad():
        fc7 = segmenter.network.trunk(segmenter.network.preprocess(image))["fc7"]

    total, number = segmenter.pool6_sum(image, Box(4.0, 20.0, 4.1, 12.1))

    assert number == 2
    torch.testing.assert_close(total, fc7[:, :, 0:2, 1:2].sum((2, 3), keepdim=True))
