"""Heads: named features in, class scores at the finest fused resolution out.

Both fusions classify every feature at its own resolution and enlarge only the class scores. For
early fusion that is the same function as the textbook form (enlarge all features, concatenate,
classify), because a 1x1 convolution and bilinear enlargement commute: the same parameters, one
weight over the concatenation, applied slice by slice. `tests/models/test_heads.py` holds the
textbook form and compares outputs and gradients.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from parsenet.models.l2norm import L2Norm
from parsenet.models.trunk import FeatureMap
from parsenet.models.upsample import bilinear_kernel, enlarge

Features = Mapping[str, Float[Tensor, "n _ _ _"]]
FeatureMaps = Mapping[str, FeatureMap]


class _Prepare(nn.Module):
    """Normalize every fused feature (or not), and drop out pool6."""

    def __init__(self, feature_maps: FeatureMaps, scale: float | None, dropout: float) -> None:
        super().__init__()
        self.norm = nn.ModuleDict({
            name: nn.Identity() if scale is None else L2Norm(each.channels, scale)
            for name, each in feature_maps.items()
        })
        self.dropout = nn.Dropout(dropout)

    def forward(self, name: str, features: Features) -> Float[Tensor, "n c h w"]:
        x = self.norm[name](features[name])
        return self.dropout(x) if name == "pool6" else x  # type: ignore[no-any-return]


class EarlyFusionHead(nn.Module):
    """Concatenate the features, classify once: never with the concatenation in memory.

    Args:
        feature_maps: what to fuse, in the order of the concatenation; `pool6` is 1x1 and spread
            over the map.
        num_classes: score maps to make.
        scale: L2Norm's starting scale; None fuses raw features.
        context_dropout: dropout on pool6, after its normalization.

    Shape:
        output (N, K, h, w) at the stride of the finest feature.

    Source: ParseNet, arXiv:1506.04579, section 3.2 and figure 1; the commuting form is ours.
    """

    def __init__(
        self,
        feature_maps: FeatureMaps,
        num_classes: int,
        scale: float | None = 10.0,
        context_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.feature_maps = dict(feature_maps)
        self.stride = min(each.stride for each in feature_maps.values())
        self.prepare = _Prepare(feature_maps, scale, context_dropout)
        self.channels = [each.channels for each in feature_maps.values()]
        self.score = _score_layer(sum(self.channels), num_classes)

    def forward(self, features: Features) -> Float[Tensor, "n k h w"]:
        """Score the finest map."""
        slices = torch.split(self.score.weight, self.channels, dim=1)
        scores = {
            name: F.conv2d(self.prepare(name, features), weight)
            for name, weight in zip(self.feature_maps, slices, strict=True)
        }
        assert self.score.bias is not None
        return _sum_scores(scores, self.feature_maps, features) + self.score.bias.view(1, -1, 1, 1)


class LateFusionHead(nn.Module):
    """A classifier per feature, scores summed: the released VOC model's. Else as the early one.

    Source: `fc7_norm_score21`, `pool6_1x1_norm_score21` and `score21` of the authors' prototxt.
    """

    def __init__(
        self,
        feature_maps: FeatureMaps,
        num_classes: int,
        scale: float | None = 10.0,
        context_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.feature_maps = dict(feature_maps)
        self.stride = min(each.stride for each in feature_maps.values())
        self.prepare = _Prepare(feature_maps, scale, context_dropout)
        self.score = nn.ModuleDict({
            name: _score_layer(each.channels, num_classes) for name, each in feature_maps.items()
        })

    def forward(self, features: Features) -> Float[Tensor, "n k h w"]:
        """Score the finest map."""
        scores = {name: self.score[name](self.prepare(name, features)) for name in self.score}
        return _sum_scores(scores, self.feature_maps, features)


class SkipHead(nn.Module):
    """FCN-32s, FCN-16s or FCN-8s: fc7's scores, refined by scores of pool4 and pool3.

    Each step enlarges x2 by a learned transposed convolution (bilinear start, no bias) and adds the
    scores of the finer layer, which start at zero, so that FCN-8s starts out as FCN-32s.

    Args:
        feature_maps: those of the trunk; fc7 at stride 32.
        num_classes: score maps to make.
        stride: of these, 32, 16 or 8.

    Source: voc-fcn{32,16,8}s/net.py of shelhamer/fcn.berkeleyvision.org.
    """

    def __init__(self, feature_maps: FeatureMaps, num_classes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.skips = {32: (), 16: ("pool4",), 8: ("pool4", "pool3")}[stride]
        self.score = nn.ModuleDict({"fc7": _score_layer(feature_maps["fc7"].channels, num_classes)})
        self.upscore = nn.ModuleDict()
        for name in self.skips:
            self.score[name] = _score_layer(feature_maps[name].channels, num_classes, start=0.0)
            k = num_classes
            self.upscore[name] = double = nn.ConvTranspose2d(k, k, 4, 2, 1, groups=k, bias=False)
            with torch.no_grad():
                double.weight.copy_(bilinear_kernel(4).expand_as(double.weight))

    def forward(self, features: Features) -> Float[Tensor, "n k h w"]:
        """Score the map of the finest skip."""
        scores: Tensor = self.score["fc7"](features["fc7"])
        for name in self.skips:
            finer = self.score[name](features[name])
            scores = self.upscore[name](scores)[:, :, : finer.shape[2], : finer.shape[3]] + finer
        return scores


Head = EarlyFusionHead | LateFusionHead | SkipHead


def _score_layer(num_channels: int, num_classes: int, start: float = 1.0) -> nn.Conv2d:
    """Make a 1x1 classifier with `start` times Caffe's xavier: uniform, variance 1 / fan_in."""
    layer = nn.Conv2d(num_channels, num_classes, 1)
    bound = start * (3 / num_channels) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _sum_scores(
    scores: Mapping[str, Tensor], feature_maps: FeatureMaps, features: Features
) -> Float[Tensor, "n k h w"]:
    """Add scores of all strides on the finest map; those of one stride are enlarged together."""
    maps = {name: score for name, score in scores.items() if name != "pool6"}
    if not maps:
        return scores["pool6"].expand(-1, -1, *features["fc7"].shape[2:])
    by_stride: dict[int, Tensor] = {}
    for name, score in maps.items():
        stride = feature_maps[name].stride
        by_stride[stride] = by_stride[stride] + score if stride in by_stride else score
    finest = min(by_stride)
    size = (by_stride[finest].shape[2], by_stride[finest].shape[3])
    total = scores.get("pool6", torch.zeros((), device=by_stride[finest].device))  # (N, K, 1, 1)
    for stride, score in by_stride.items():
        total = total + enlarge(score, stride // finest, size)
    return total
