import pytest
import torch
import torchvision
from torch import nn

from parsenet.models.vgg import VGG16
from parsenet.models.weights import fill


@pytest.fixture(scope="module")
def torchvision_features():
    """torchvision's convolutional layers with random weights."""
    with torch.device("meta"):  # the classifier is half a gigabyte
        features = torchvision.models.vgg16(weights=None, init_weights=False).features
    features.to_empty(device="cpu")
    torch.manual_seed(0)
    for parameter in features.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.normal_(parameter, std=0.1)
    return features.eval()


def torchvision_maps(features, image):
    """Input of each pool, that is the last ReLU of a block, and output of pool3 and pool4."""
    maps, x, pools = {}, image, 0
    for layer in features:
        if isinstance(layer, nn.MaxPool2d):
            pools += 1
            maps[f"conv{pools}"] = x
            maps[f"pool{pools}"] = layer(x)
        x = layer(x)
    return maps


def test_fcn_equals_torchvision_with_the_same_weights(torchvision_features):
    trunk, image = VGG16("fcn", 1024, 0.5).eval(), torch.randn(2, 3, 64, 96)
    state = {f"features.{name}": p for name, p in torchvision_features.state_dict().items()}

    report = fill(trunk, state, "torchvision")

    with torch.no_grad():
        ours, theirs = trunk(image), torchvision_maps(torchvision_features, image)
    assert len(report.loaded) == 26
    for name in ("conv3", "pool3", "conv4", "pool4", "conv5"):
        assert torch.equal(ours[name], theirs[name]), name


@pytest.fixture
def reduced():
    with torch.device("meta"):
        return VGG16("largefov", 1024, 0.5)


NAMES = pytest.mark.parametrize(("fc6", "fc7"), [("classifier.0", "classifier.3"), ("fc6", "fc7")])


@NAMES
def test_decimation_keeps_every_fourth_output(reduced, fc6, fc7):
    outputs = torch.arange(4096).view(4096, 1)
    kept = list(range(0, 4096, 4))

    name6, weight6 = reduced.translate(f"{fc6}.weight", outputs.expand(4096, 512 * 7 * 7))
    name7, weight7 = reduced.translate(f"{fc7}.weight", outputs.expand(4096, 4096))

    assert (name6, tuple(weight6.shape)) == ("fc6.weight", (1024, 512, 3, 3))
    assert (name7, tuple(weight7.shape)) == ("fc7.weight", (1024, 1024, 1, 1))
    assert (weight6 == torch.tensor(kept).view(-1, 1, 1, 1)).all()
    assert weight7[:, 5, 0, 0].tolist() == kept
    _, inputs7 = reduced.translate(f"{fc7}.weight", torch.arange(4096).expand(4096, 4096))
    assert inputs7[9, :, 0, 0].tolist() == kept


@NAMES
def test_decimation_of_fc6_keeps_all_inputs_and_feature_maps_0_3_6(reduced, fc6, fc7):
    """An input's index in the flat row is 49 channel + 7 row + column."""
    rows = torch.arange(512 * 49).expand(4096, 512 * 49)

    _, weight = reduced.translate(f"{fc6}.weight", rows)

    for channel, row, column in ((0, 0, 0), (0, 0, 1), (0, 2, 1), (7, 1, 2), (511, 2, 2)):
        assert weight[9, channel, row, column] == 49 * channel + 7 * (3 * row) + 3 * column


@pytest.mark.parametrize("name", ["classifier.6.weight", "fc8.bias", "features.1.weight", "mean"])
def test_layers_without_a_place_are_not_translated(reduced, name):
    translated = reduced.translate(name, torch.empty(1))

    assert translated is None or translated[0] not in reduced.state_dict()
