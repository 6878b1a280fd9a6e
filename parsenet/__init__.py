"""ParseNet for PyTorch: semantic segmentation that looks wider to see better.

The names below are the whole public surface. Each is imported when it is first used, so that
`import parsenet` and `parsenet --help` never wait for torch.

Source: ParseNet, arXiv:1506.04579.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parsenet.config import DataConfig, InferenceConfig, NetworkConfig, OptimConfig
    from parsenet.errors import ParseNetError
    from parsenet.inference.predictor import Predictor
    from parsenet.metrics.confusion import ConfusionMatrix
    from parsenet.metrics.scores import scores
    from parsenet.models.build import build_model
    from parsenet.models.checkpoint import load_network, save_network
    from parsenet.models.l2norm import L2Norm
    from parsenet.models.parsenet import ParseNet
    from parsenet.taxonomy import Taxonomy
    from parsenet.version import __version__

__all__ = [
    "ConfusionMatrix",
    "DataConfig",
    "InferenceConfig",
    "L2Norm",
    "NetworkConfig",
    "OptimConfig",
    "ParseNet",
    "ParseNetError",
    "Predictor",
    "Taxonomy",
    "__version__",
    "build_model",
    "load_network",
    "save_network",
    "scores",
]

_HOMES = {
    "__version__": "parsenet.version",
    "ConfusionMatrix": "parsenet.metrics.confusion",
    "DataConfig": "parsenet.config",
    "InferenceConfig": "parsenet.config",
    "L2Norm": "parsenet.models.l2norm",
    "NetworkConfig": "parsenet.config",
    "OptimConfig": "parsenet.config",
    "ParseNet": "parsenet.models.parsenet",
    "ParseNetError": "parsenet.errors",
    "Predictor": "parsenet.inference.predictor",
    "Taxonomy": "parsenet.taxonomy",
    "build_model": "parsenet.models.build",
    "load_network": "parsenet.models.checkpoint",
    "save_network": "parsenet.models.checkpoint",
    "scores": "parsenet.metrics.scores",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'parsenet' has no attribute '{name}'")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, also those not imported yet."""
    return sorted(set(globals()) | set(__all__))
