"""The authors' VOC 2012 model, written out from their prototxt, against ours (PAPER 1a).

The reference is plain functions on named weights, one line per layer of the prototxt, sharing
nothing with the package but the numbers.
"""

import pytest
import torch
import torch.nn.functional as F

from parsenet.config import NetworkConfig
from parsenet.models.build import build_model

# Layer of the prototxt -> our parameter.
NAMES = {
    f"conv{block}_{i}": f"trunk.conv{block}.{2 * i - 2}"
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1)
    for i in range(1, depth + 1)
} | {
    "fc6": "trunk.fc6",
    "fc7": "trunk.fc7",
    "fc7_norm_score21": "head.score.fc7",
    "pool6_1x1_norm_score21": "head.score.pool6",
    "upscore21": "upsample.deconv",
}
SCALES = {
    "fc7_norm": "head.prepare.norm.fc7.scale",
    "pool6_1x1_norm": "head.prepare.norm.pool6.scale",
}


@pytest.fixture(scope="module")
def network():
    """The default config, with every parameter moved off its start."""
    torch.manual_seed(0)
    network = build_model(NetworkConfig(), 21)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("trunk") and parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)  # keeps the magnitude through 15 layers
            else:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def released_model(image, weights, train=False):
    """VGG_VOC2012ext.prototxt, top to bottom."""

    def conv(name, x, **options):
        return F.conv2d(
            x, weights[f"{NAMES[name]}.weight"], weights[f"{NAMES[name]}.bias"], **options
        )

    def normalize(name, x):
        length = (x**2).sum(1, keepdim=True).add(1e-10).sqrt()
        return weights[SCALES[name]].view(1, -1, 1, 1) * x / length

    mean = torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)
    x = image.float()[:, [2, 1, 0]] - mean
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1):
        spread = 2 if block == 5 else 1
        for i in range(1, depth + 1):
            x = F.relu(conv(f"conv{block}_{i}", x, padding=spread, dilation=spread))
        late = block > 3  # pool4 and pool5
        x = F.max_pool2d(x, 3, 1, 1) if late else F.max_pool2d(x, 2, 2, ceil_mode=True)
    x = F.dropout(F.relu(conv("fc6", x, padding=12, dilation=12)), 0.5, train)
    fc7 = F.dropout(F.relu(conv("fc7", x)), 0.5, train)
    fc7_norm = normalize("fc7_norm", fc7)
    pool6_1x1 = F.adaptive_avg_pool2d(fc7, 1)
    pool6_1x1_norm = F.dropout(normalize("pool6_1x1_norm", pool6_1x1), 0.3, train)
    fc7_norm_score21 = conv("fc7_norm_score21", fc7_norm)
    pool6_1x1_norm_score21 = conv("pool6_1x1_norm_score21", pool6_1x1_norm)
    height, width = fc7_norm_score21.shape[2:]
    pool6_1x1_norm_upscore21 = pool6_1x1_norm_score21.repeat(1, 1, height, width)
    score21 = fc7_norm_score21 + pool6_1x1_norm_upscore21
    upscore21 = F.conv_transpose2d(
        score21, weights["upsample.deconv.weight"], weights["upsample.deconv.bias"],
        stride=8, padding=4, groups=21,
    )  # fmt: skip
    return upscore21[:, :, : image.shape[2], : image.shape[3]]


def draw_image(*size):
    return torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)


@pytest.mark.parametrize("size", [(64, 80), (51, 37), (1, 1)])
def test_default_network_is_the_released_model(network, size):
    image = draw_image(*size)

    with torch.no_grad():
        ours, theirs = (network.eval()(image), released_model(image, network.state_dict()))

    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_dropouts_sit_where_the_released_models_do(network):
    """Drawn from the same seed, the same units fall in fc6, fc7 and normalized pool6."""
    image = draw_image(48, 40)

    with torch.no_grad():
        torch.manual_seed(5)
        ours = network.train()(image)
        torch.manual_seed(5)
        theirs = released_model(image, network.state_dict(), train=True)

    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_start_is_the_released_models():
    """Scales 10, score biases 0, bilinear deconvolution."""
    with torch.random.fork_rng():
        network = build_model(NetworkConfig(), 21)
    line = torch.tensor([1 - abs(x / 8 - 15 / 16) for x in range(16)])

    state = network.state_dict()

    assert all((state[name] == 10).all() for name in SCALES.values())
    assert all(not state[f"{NAMES[n]}.bias"].any() for n in NAMES if n.endswith("score21"))
    torch.testing.assert_close(
        state["upsample.deconv.weight"], torch.outer(line, line).expand(21, 1, 16, 16)
    )
