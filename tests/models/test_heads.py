"""Heads on drawn features: what is fused, where, and that the fast early form is the textbook's."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parsenet.models.heads import EarlyFusionHead, LateFusionHead, SkipHead
from parsenet.models.l2norm import L2Norm
from parsenet.models.trunk import FeatureMap as Map

NAMES = ("pool6", "fc7", "conv5", "conv4", "conv3")
SUBSETS = [subset for n in range(1, 6) for subset in combinations(NAMES, n)]
# Each feature alone, each pair, all: what a larger set adds is one more term of the same sum.
FUSED = pytest.mark.parametrize("subset", [s for s in SUBSETS if len(s) in (1, 2, 5)], ids="+".join)
# The strides of the two shapes of VGG-16, few channels, and an odd image.
LARGEFOV = {"pool6": Map(6, 8), "fc7": Map(6, 8), "conv5": Map(5, 8), "conv4": Map(4, 8)}
FCN = {"pool6": Map(6, 32), "fc7": Map(6, 32), "conv5": Map(5, 16), "conv4": Map(4, 8)}
LARGEFOV["conv3"] = FCN["conv3"] = Map(3, 4)
SIZE = (75, 109)
STRIDES = pytest.mark.parametrize("maps", [LARGEFOV, FCN], ids=["largefov", "fcn"])
BOTH = pytest.mark.parametrize("head", [EarlyFusionHead, LateFusionHead])


class TextbookEarlyFusion(nn.Module):
    """Normalize, enlarge to the finest map, concatenate, one 1x1 convolution: the paper's words."""

    def __init__(self, maps, num_classes, scale):
        super().__init__()
        self.maps = maps
        self.norm = nn.ModuleDict({
            name: nn.Identity() if scale is None else L2Norm(each.channels, scale)
            for name, each in maps.items()
        })
        self.classifier = nn.Conv2d(sum(each.channels for each in maps.values()), num_classes, 1)

    def forward(self, features):
        stride = min(each.stride for each in self.maps.values())
        at = [n for n, each in self.maps.items() if n != "pool6" and each.stride == stride]
        finest = at[0] if at else "fc7"
        size = features[finest].shape[2:]
        enlarged = []
        for name, each in self.maps.items():
            x = self.norm[name](features[name])
            if name == "pool6":
                x = x.expand(-1, -1, *size)
            else:
                x = nn.Upsample(scale_factor=each.stride / stride, mode="bilinear")(x)
                x = x[:, :, : size[0], : size[1]]
            enlarged.append(x)
        return self.classifier(torch.cat(enlarged, dim=1))


def draw_features(maps, size=SIZE, dtype=torch.float64, seed=0):
    """Positive maps of very different magnitude; fc7 is always there, as a trunk gives it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(channels, height, width, magnitude):
        x = magnitude * torch.rand(2, channels, height, width, generator=generator, dtype=dtype)
        return x.requires_grad_()

    features = {
        name: draw(each.channels, -(-size[0] // each.stride), -(-size[1] // each.stride), 10.0**i)
        for i, (name, each) in enumerate(maps.items())
        if name != "pool6"
    }
    return features | {"pool6": draw(maps["pool6"].channels, 1, 1, 1.0)}


def scramble(head, seed=1):
    """Give all parameters unequal values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return head


def picked(maps, subset):
    return {name: maps[name] for name in subset}


@STRIDES
@pytest.mark.parametrize("scale", [10.0, None], ids=["norm", "raw"])
@FUSED
def test_early_fusion_is_the_textbooks(maps, scale, subset):
    """Outputs and the gradients of every parameter and every feature."""
    early = scramble(EarlyFusionHead(picked(maps, subset), 3, scale)).double()
    textbook = TextbookEarlyFusion(picked(maps, subset), 3, scale).double()
    with torch.no_grad():
        for own, value in zip(textbook.parameters(), early.parameters(), strict=True):
            own.copy_(value)
    ours, theirs = draw_features(maps), draw_features(maps)

    y, expected = early.eval()(ours), textbook.eval()(theirs)
    weight = torch.randn_like(expected)
    (y * weight).sum().backward()
    (expected * weight).sum().backward()

    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(y, expected, **close)
    for a, b in zip(early.parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, **close)
    for name in subset:
        torch.testing.assert_close(ours[name].grad, theirs[name].grad, **close)


def test_early_fusion_never_makes_the_concatenation():
    """Nothing as large as 24 channels on conv3's map passes through any operation."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.numel = max(self.numel, out.numel())
            return out

    features = draw_features(LARGEFOV, dtype=torch.float32)

    with Largest() as largest:
        EarlyFusionHead(LARGEFOV, 2)(features)

    assert largest.numel <= features["conv3"].numel()


@STRIDES
@FUSED
def test_early_equals_late_with_the_same_weights(maps, subset):
    fused = picked(maps, subset)
    early = scramble(EarlyFusionHead(fused, 3)).double().eval()
    late = LateFusionHead(fused, 3).double().eval()
    late.prepare.load_state_dict(early.prepare.state_dict())
    slices = early.score.weight.split([each.channels for each in fused.values()], dim=1)
    with torch.no_grad():
        for i, (name, weight) in enumerate(zip(fused, slices, strict=True)):
            late.score[name].weight.copy_(weight)
            late.score[name].bias.copy_(early.score.bias if i == 0 else torch.zeros(3))
    features = draw_features(maps)

    torch.testing.assert_close(late(features), early(features), rtol=1e-9, atol=1e-9)


@BOTH
def test_constant_features_give_the_scores_worked_out_by_hand(head):
    """Two channels of 3 and 4 normalize to 10 * (0.6, 0.8); with all weights 1 that is 14 each."""
    maps = {"pool6": Map(2, 8), "fc7": Map(2, 8), "conv3": Map(2, 4)}
    fusion = head(maps, 1).eval()
    layers = [fusion.score] if head is EarlyFusionHead else fusion.score.values()
    for layer in layers:
        nn.init.ones_(layer.weight)
    pair = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    sizes = {"pool6": (1, 1), "fc7": (2, 3), "conv3": (4, 5)}

    scores = fusion({name: pair.expand(-1, -1, *size) for name, size in sizes.items()})

    torch.testing.assert_close(scores, torch.full((1, 1, 4, 5), 42.0))


@pytest.mark.parametrize(
    ("head", "layers", "fan_in"),
    [
        (EarlyFusionHead, lambda head: [head.score], 2048),
        (LateFusionHead, lambda head: list(head.score.values()), 1024),
    ],
)
def test_classifiers_start_with_caffes_xavier(head, layers, fan_in):
    maps = {"pool6": Map(1024, 8), "fc7": Map(1024, 8)}
    bound = (3 / fan_in) ** 0.5

    for layer in layers(head(maps, 21)):
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(fan_in**-0.5, rel=0.02)
        assert layer.bias.count_nonzero() == 0


SKIP_MAPS = {"pool3": Map(3, 8), "pool4": Map(4, 16), "fc7": Map(6, 32)}


def skip_features(size=SIZE, dtype=torch.float32):
    return {
        name: torch
        .rand(2, each.channels, -(-size[0] // each.stride), -(-size[1] // each.stride))
        .to(dtype)
        .requires_grad_()
        for name, each in SKIP_MAPS.items()
    }


def fcn_scores(head, features, stride):
    """net.py of the reference, with crops at the top left: fuse one skip after the other."""
    scores = F.conv2d(features["fc7"], head.score["fc7"].weight, head.score["fc7"].bias)
    for name, until in (("pool4", 16), ("pool3", 8)):
        if stride <= until:
            skip = F.conv2d(features[name], head.score[name].weight, head.score[name].bias)
            double = F.conv_transpose2d(
                scores, head.upscore[name].weight, stride=2, padding=1, groups=3
            )
            scores = double[:, :, : skip.shape[2], : skip.shape[3]] + skip
    return scores


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", [SIZE, (1, 1), (33, 64), (97, 31)])
def test_skip_head_is_fcns_fusion(stride, size):
    head, features = scramble(SkipHead(SKIP_MAPS, 3, stride)), skip_features(size)

    scores = head(features)

    assert scores.shape == (2, 3, -(-size[0] // stride), -(-size[1] // stride))
    torch.testing.assert_close(scores, fcn_scores(head, features, stride))


def test_fcn_8s_starts_as_fcn_32s_enlarged_twice():
    coarse, fine, features = (
        SkipHead(SKIP_MAPS, 3, 32),
        SkipHead(SKIP_MAPS, 3, 8),
        skip_features(),
    )
    fine.score["fc7"].load_state_dict(coarse.score["fc7"].state_dict())

    scores = coarse(features)
    for finer in ("pool4", "pool3"):
        height, width = features[finer].shape[2:]
        scores = F.interpolate(scores, scale_factor=2.0, mode="bilinear")[:, :, :height, :width]

    inside = (..., slice(3, -4), slice(3, -4))  # zeros flow into the edge of a deconvolution
    torch.testing.assert_close(fine(features)[inside], scores[inside])
