"""What every network promises, run over every trunk under every head."""

from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck
from torchvision.models import SqueezeNet1_0_Weights, VGG16_Weights

from parsenet.config import FEATURES, NetworkConfig
from parsenet.errors import ConfigError
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.parsenet import GlobalContext, Preprocess

FUSIONS = ("early", "late")
SKIPS = ("fcn32s", "fcn16s", "fcn8s")
CONFIGS = [
    NetworkConfig(trunk=trunk, head=head, features=FEATURES, norm_scale=30.0)
    for trunk in TRUNKS
    for head in (*FUSIONS, *(SKIPS if trunk.startswith("vgg16_fcn") else ()))
]
EVERY = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.trunk}-{c.head}")
# What runs with numbers: each trunk and each head in some network. `vgg16_fcn` is half a gigabyte,
# and `vgg16_fcn_reduced` but for the size of fc6 and fc7.
FAST = [
    ("tiny", "early"), ("squeezenet", "late"), ("vgg16_largefov", "late"),
    ("vgg16_fcn_reduced", "fcn8s"),
]  # fmt: skip
SLOW = [("vgg16_fcn", "fcn8s")]
SLOW += [("vgg16_fcn_reduced", head) for head in ("fcn16s", "fcn32s", "early")]
ONCE = pytest.mark.parametrize(
    "config",
    [
        pytest.param(c, marks=[pytest.mark.slow] * ((c.trunk, c.head) in SLOW))
        for c in CONFIGS
        if (c.trunk, c.head) in (*FAST, *SLOW)
    ],
    ids=lambda c: f"{c.trunk}-{c.head}",
)
SMALL = NetworkConfig(trunk="squeezenet", features=FEATURES)


@pytest.fixture
def build(make_trunk, monkeypatch):
    """Return a function that builds a network from trunks that are drawn once."""
    for name in TRUNKS:
        monkeypatch.setitem(TRUNKS, name, lambda dropout, name=name: make_trunk(name))
    return build_model


def draw_image(*size, num=1):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num, 3, *size), dtype=torch.uint8, generator=generator)


@EVERY
def test_every_trunk_carries_every_head(config):
    with torch.device("meta"):
        network = build_model(config, 7)

    for size in ((1, 1), (33, 98)):
        scores = network.scores(torch.empty(2, 3, *size, device="meta"))
        assert scores.shape == (2, 7, *(-(-length // network.head.stride) for length in size))


@ONCE
def test_odd_sizes_give_scores_for_every_pixel(config, build):
    network = build(config, 3).eval()

    with torch.no_grad():
        for size in ((1, 1), (7, 2), (33, 50)):
            logits = network(draw_image(*size, num=2))
            assert logits.shape == (2, 3, *size)
            assert logits.isfinite().all()


@ONCE
def test_every_parameter_learns(config, build):
    network = build(config, 2)

    network(draw_image(37, 45)).square().mean().backward()

    assert [n for n, p in network.named_parameters() if not p.grad.isfinite().all()] == []
    silent = [n for n, p in network.named_parameters() if not p.grad.count_nonzero()]
    assert [n for n in silent if "upscore" not in n] == []


@ONCE
@pytest.mark.parametrize("upsample", ["learned", "bilinear"])
def test_bands_are_the_plain_forward(config, upsample, build):
    network = build(replace(config, upsample=upsample), 3).eval()

    with torch.no_grad():
        # Torch has another kernel for outputs of up to 128 rows and columns together.
        for size in ((1, 1), (7, 2), (34, 130)):
            image = draw_image(*size)
            bands = list(network.bands(image, max_bytes=1))
            assert len(bands) == -(-size[0] // network.head.stride)
            assert torch.equal(torch.cat(bands, 2), network(image))


@pytest.mark.parametrize("num_classes", [1, 459])
@pytest.mark.parametrize("head", FUSIONS)
@pytest.mark.parametrize("upsample", ["learned", "bilinear"])
def test_any_number_of_classes_is_scored(num_classes, head, upsample):
    network = build_model(replace(SMALL, head=head, upsample=upsample), num_classes)

    assert network(draw_image(9, 12)).shape == (1, num_classes, 9, 12)


def test_scores_under_bfloat16_autocast_are_enlarged_in_float32():
    network, image = build_model(SMALL, 3).eval(), draw_image(33, 41)

    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(image)

    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, network(image), rtol=0.1, atol=0.3)


def test_shifting_the_image_by_a_stride_shifts_the_scores():
    """Cells sit over their pixels: 8 pixels in, 8 pixels out, away from the edges."""
    config = NetworkConfig(trunk="squeezenet", features=("conv3",), upsample="bilinear")
    network, image = build_model(config, 3).eval(), draw_image(96, 88)

    moved = network(image.roll((8, 8), (2, 3)))

    inside = (..., slice(32, -32), slice(32, -32))
    torch.testing.assert_close(moved[inside], network(image).roll((8, 8), (2, 3))[inside])


@pytest.mark.parametrize(
    ("options", "num_classes", "message"),
    [
        ({}, 0, "`num_classes` must be at least 1, got 0."),
        (
            {"trunk": "squeezent"},
            2,
            "`trunk` must be a known name, got 'squeezent'. Did you mean `squeezenet`?",
        ),
        (
            {"head": "fcn8s"},
            2,
            "`head` 'fcn8s' must sit on a trunk of stride 32 with pool3 and pool4, got `trunk` "
            "'squeezenet'. Use `trunk: vgg16_fcn`, or `head: late`.",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(options, num_classes, message):
    with pytest.raises(ConfigError) as error:
        build_model(replace(SMALL, **options), num_classes)

    assert str(error.value) == message


def test_unknown_preprocessing_is_refused():
    message = r"^`preprocess` must be a known name, got 'cafe'\. Did you mean `caffe`\?$"

    with pytest.raises(ConfigError, match=message):
        Preprocess("cafe")


PIXEL = torch.tensor([255, 100, 0], dtype=torch.uint8).view(1, 3, 1, 1)  # R, G, B


def test_caffes_input_is_blue_first_minus_the_authors_mean():
    x = Preprocess("caffe")(PIXEL)

    assert x.flatten().tolist() == pytest.approx([-104.00699, 100 - 116.66877, 255 - 122.67892])


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("torchvision", VGG16_Weights.IMAGENET1K_V1),
        ("torchvision", SqueezeNet1_0_Weights.IMAGENET1K_V1),
        ("torchvision_features", VGG16_Weights.IMAGENET1K_FEATURES),
    ],
)
def test_torchvisions_input_is_the_transform_of_its_weights(name, weights):
    image = draw_image(224, 224)
    theirs = weights.transforms(crop_size=224, resize_size=224)(image)

    torch.testing.assert_close(Preprocess(name)(image), theirs, rtol=1e-6, atol=3e-5)
    assert torch.equal(Preprocess(name)(PIXEL.float()), Preprocess(name)(PIXEL))
    assert Preprocess(name).state_dict() == {}


def test_context_is_every_channels_mean():
    x = torch.tensor([[[[1.0, 2.0, 6.0]], [[-1.0, 0.0, 4.0]]]])
    large = torch.full((1, 1, 64, 64), 1000.0, dtype=torch.float16)  # sums to 4 million

    assert GlobalContext()(x).tolist() == [[[[3.0]], [[1.0]]]]
    assert GlobalContext()(large).item() == 1000
    assert gradcheck(GlobalContext(), torch.randn(2, 3, 2, 4, dtype=torch.float64).requires_grad_())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_scores_equal_the_cpus():
    network, image = build_model(SMALL, 3).eval(), draw_image(45, 61)

    with torch.no_grad():
        on_cpu = network(image)
        on_cuda = network.cuda()(image.cuda()).cpu()

    torch.testing.assert_close(on_cuda, on_cpu, rtol=1e-3, atol=1e-3)
