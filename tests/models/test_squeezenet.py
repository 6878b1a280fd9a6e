import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.squeezenet import Fire as TorchvisionFire

from parsenet.models.squeezenet import Fire, SqueezeNet
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


def test_fire_equals_torchvisions():
    fire, theirs = Fire(12, 4, 6), TorchvisionFire(12, 4, 6, 6)
    theirs.load_state_dict(fire.state_dict())
    x = torch.randn(2, 12, 5, 7)

    assert torch.equal(fire(x), theirs(x))


@pytest.fixture(scope="module")
def maps(theirs, ours):
    """Both networks' maps of one image; torchvision's windows are moved onto ours.

    torchvision pads nothing before its first two windows: 3 pixels, and 1 cell of 2 pixels.
    """
    image = 50 * torch.randn(1, 3, 240, 208)
    with torch.no_grad():
        x, their_maps = F.pad(image, (5, 5, 5, 5)), []
        for layer in theirs.features:
            x = layer(x)
            their_maps.append(x)
        return ours(image), their_maps


def interior(x, margin):
    return x[..., margin:-margin, margin:-margin]


def assert_equal_inside(ours, theirs, margin):
    height, width = ours.shape[2:]
    torch.testing.assert_close(
        interior(ours, margin), interior(theirs[..., :height, :width], margin), rtol=1e-4, atol=1e-4
    )


def test_conv3_equals_torchvisions_fire3(maps):
    assert_equal_inside(maps[0]["conv3"], maps[1][4], margin=4)


def test_conv4_equals_torchvisions_fire5(maps):
    assert_equal_inside(maps[0]["conv4"], maps[1][7], margin=5)


def test_every_second_cell_of_conv5_equals_torchvisions_fire9(maps):
    """The lost pool's window 2i..2i+2 is centred on 2i + 1, and dilation 2 joins such cells."""
    assert_equal_inside(maps[0]["conv5"][..., 1::2, 1::2], maps[1][12], margin=5)


def test_feature_maps_are_fire3_fire5_fire9_and_a_new_fc7():
    assert SqueezeNet.new_layers == ("fc6", "fc7")
    assert SqueezeNet(0.5).feature_maps == {
        "conv3": (128, 4), "conv4": (256, 8), "conv5": (512, 8), "fc7": (256, 8),
    }  # fmt: skip


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
