import pytest
import torch
import torchvision
from torch import nn

from parsenet.models.vgg import VGG16
from parsenet.models.weights import fill

# PAPER 1a. conv: in, out, kernel, padding, dilation; pool: kernel, stride, padding, rounds up.
POOL = ("pool", 2, 2, 0, True)
SHARED = [
    ("conv", 3, 64, 3, 1, 1), ("conv", 64, 64, 3, 1, 1), POOL,
    ("conv", 64, 128, 3, 1, 1), ("conv", 128, 128, 3, 1, 1), POOL,
    ("conv", 128, 256, 3, 1, 1), ("conv", 256, 256, 3, 1, 1), ("conv", 256, 256, 3, 1, 1), POOL,
    ("conv", 256, 512, 3, 1, 1), ("conv", 512, 512, 3, 1, 1), ("conv", 512, 512, 3, 1, 1),
]  # fmt: skip
LATE_POOL = ("pool", 3, 1, 1, False)
TABLES = {
    ("largefov", 1024): [
        *SHARED, LATE_POOL, *[("conv", 512, 512, 3, 2, 2)] * 3, LATE_POOL,
        ("conv", 512, 1024, 3, 12, 12), ("conv", 1024, 1024, 1, 0, 1),
    ],
    ("fcn", 1024): [
        *SHARED, POOL, *[("conv", 512, 512, 3, 1, 1)] * 3, POOL,
        ("conv", 512, 1024, 3, 3, 3), ("conv", 1024, 1024, 1, 0, 1),
    ],
    ("fcn", 4096): [
        *SHARED, POOL, *[("conv", 512, 512, 3, 1, 1)] * 3, POOL,
        ("conv", 512, 4096, 7, 3, 1), ("conv", 4096, 4096, 1, 0, 1),
    ],
}  # fmt: skip


def describe(layer):
    if isinstance(layer, nn.Conv2d):
        assert layer.stride == (1, 1)
        assert layer.groups == 1
        assert layer.bias is not None
        sizes = layer.kernel_size, layer.padding, layer.dilation
        assert all(height == width for height, width in sizes)
        return ("conv", layer.in_channels, layer.out_channels, *(height for height, _ in sizes))
    return ("pool", layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)


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


@pytest.mark.parametrize(("shape", "channels"), TABLES)
def test_layers_are_those_of_the_table_in_the_order_they_run(shape, channels):
    with torch.device("meta"):
        trunk, ran = VGG16(shape, channels, 0.5), []
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda layer, *_: ran.append(describe(layer)))

    trunk(torch.empty(1, 3, 64, 64, device="meta"))

    assert ran == TABLES[shape, channels]


@pytest.mark.parametrize(
    ("shape", "feature_maps"),
    [
        ("largefov", {"conv3": (256, 4), "conv4": (512, 8), "conv5": (512, 8), "fc7": (1024, 8)}),
        ("fcn", {"conv3": (256, 4), "conv4": (512, 8), "conv5": (512, 16), "fc7": (1024, 32)}),
    ],
)
def test_feature_maps_have_the_papers_channels_and_strides(shape, feature_maps):
    with torch.device("meta"):
        stated = VGG16(shape, 1024, 0.5).feature_maps

    assert {name: tuple(stated[name]) for name in feature_maps} == feature_maps


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


@pytest.fixture
def full():
    with torch.device("meta"):
        return VGG16("fcn", 4096, 0.5)


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


@NAMES
def test_decimation_of_fc6_keeps_all_inputs_and_feature_maps_0_3_6(reduced, fc6, fc7):
    """An input's index in the flat row is 49 channel + 7 row + column."""
    rows = torch.arange(512 * 49).expand(4096, 512 * 49)

    _, weight = reduced.translate(f"{fc6}.weight", rows)

    for channel, row, column in ((0, 0, 0), (0, 0, 1), (0, 2, 1), (7, 1, 2), (511, 2, 2)):
        assert weight[9, channel, row, column] == 49 * channel + 7 * (3 * row) + 3 * column


@NAMES
def test_decimation_of_fc7_keeps_every_fourth_input(reduced, fc6, fc7):
    _, weight = reduced.translate(f"{fc7}.weight", torch.arange(4096).expand(4096, 4096))

    assert weight[9, :, 0, 0].tolist() == list(range(0, 4096, 4))


def test_decimation_takes_convolutional_weights_too(reduced):
    """Caffe's fully convolutional VGG has fc6 as (4096, 512, 7, 7)."""
    kernel = torch.arange(49).view(7, 7).expand(4096, 512, 7, 7)

    _, weight = reduced.translate("fc6.weight", kernel)

    assert weight[0, 0].tolist() == [[0, 3, 6], [21, 24, 27], [42, 45, 48]]


@pytest.mark.parametrize("name", ["classifier.6.weight", "fc8.bias", "features.1.weight", "mean"])
def test_layers_without_a_place_are_not_translated(reduced, name):
    translated = reduced.translate(name, torch.empty(1))

    assert translated is None or translated[0] not in reduced.state_dict()
