import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from parsenet.models.squeezenet import SqueezeNet
from parsenet.models.weights import fill


@pytest.fixture(scope="module")
def theirs():
    """torchvision's network with random weights and biases that show."""
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_0(weights=None).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(scope="module")
def ours(theirs):
    trunk = SqueezeNet(0.5).eval()
    fill(trunk, dict(theirs.state_dict()), "torchvision")
    return trunk


@pytest.mark.parametrize(
    ("name", "layer", "step", "margin"),
    [("conv3", 4, 1, 4), ("conv4", 7, 1, 5), ("conv5", 12, 2, 5)],
)
def test_maps_equal_torchvisions(theirs, ours, name, layer, step, margin):
    """torchvision pads nothing before its first two windows: 3 pixels, and 1 cell of 2 pixels.

    Of conv5 that is every second cell: the lost pool's window 2i..2i+2 is centred on 2i + 1, and
    dilation 2 joins such cells.
    """
    image = 50 * torch.randn(1, 3, 240, 208)

    with torch.no_grad():
        x = ours(image)[name][..., step - 1 :: step, step - 1 :: step]
        expected = theirs.features[: layer + 1](F.pad(image, (5, 5, 5, 5)))

    inside = (..., slice(margin, x.shape[2] - margin), slice(margin, x.shape[3] - margin))
    torch.testing.assert_close(x[inside], expected[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("caffe", "name"),
    [
        ("conv1.bias", "conv1.bias"),
        ("fire2__conv1x1_1.weight", "fire2.squeeze.weight"),
        ("fire5__conv1x1_2.weight", "fire5.expand1x1.weight"),
        ("fire9__conv3x3_2.bias", "fire9.expand3x3.bias"),
    ],
)
def test_caffe_names_become_ours(caffe, name):
    assert SqueezeNet(0.5).translate(caffe, torch.zeros(1))[0] == name
