"""Config to network: the only place where names become modules."""

from collections.abc import Callable

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, suggest
from parsenet.models.heads import EarlyFusionHead, Head, LateFusionHead, SkipHead
from parsenet.models.parsenet import ParseNet, Preprocess
from parsenet.models.squeezenet import SqueezeNet
from parsenet.models.tiny import Tiny
from parsenet.models.trunk import Trunk
from parsenet.models.upsample import BilinearUpsample, LearnedUpsample, Upsample
from parsenet.models.vgg import VGG16
from parsenet.models.weights import preprocess_of

TRUNKS: dict[str, Callable[[float], Trunk]] = {
    "vgg16_largefov": lambda dropout: VGG16("largefov", 1024, dropout),
    "vgg16_fcn": lambda dropout: VGG16("fcn", 4096, dropout),
    "vgg16_fcn_reduced": lambda dropout: VGG16("fcn", 1024, dropout),
    "squeezenet": SqueezeNet,
    "tiny": Tiny,
}


def build_model(config: NetworkConfig, num_classes: int) -> ParseNet:
    """Build the network of a config, with random weights (`load_weights` fills the trunk).

    Args:
        config: what to build.
        num_classes: score maps, one per class, void not among them.

    Raises:
        ConfigError: `num_classes` is not positive, the trunk is unknown, or no place for the head.
    """
    if num_classes < 1:
        raise ConfigError(f"`num_classes` must be at least 1, got {num_classes}.")
    if config.trunk not in TRUNKS:
        raise ConfigError(
            f"`trunk` must be a known name, got '{config.trunk}'. {suggest(config.trunk, TRUNKS)}"
        )
    trunk = TRUNKS[config.trunk](config.dropout)
    maps = {"pool6": trunk.feature_maps["fc7"], **trunk.feature_maps}  # 1x1, spread over fc7's map
    head: Head
    if config.head.startswith("fcn"):
        if maps["fc7"].stride != 32 or "pool3" not in maps:
            raise ConfigError(
                f"`head` '{config.head}' must sit on a trunk of stride 32 with pool3 and pool4, "
                f"got `trunk` '{config.trunk}'. Use `trunk: vgg16_fcn`, or `head: late`."
            )
        head = SkipHead(maps, num_classes, int(config.head[3:-1]))
    else:
        kind = EarlyFusionHead if config.head == "early" else LateFusionHead
        fused = {name: maps[name] for name in config.features}
        scale = config.norm_scale if config.normalize else None
        head = kind(fused, num_classes, scale, config.context_dropout)
    upsample: Upsample = BilinearUpsample(head.stride)
    if config.upsample == "learned":
        upsample = LearnedUpsample(num_classes, head.stride)
    preprocess = config.preprocess or preprocess_of(config, trunk)
    return ParseNet(Preprocess(preprocess), trunk, head, upsample)
