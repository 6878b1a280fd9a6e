"""ParseNet for PyTorch: semantic segmentation that looks wider to see better.

The names below are the whole public surface. Each is imported when it is first used, so that
`import parsenet` and `parsenet --help` never wait for torch.

Source: ParseNet, arXiv:1506.04579.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parsenet.config import DataConfig as DataConfig
    from parsenet.config import InferenceConfig as InferenceConfig
    from parsenet.config import NetworkConfig as NetworkConfig
    from parsenet.config import OptimConfig as OptimConfig
    from parsenet.errors import ParseNetError as ParseNetError
    from parsenet.inference.predictor import Predictor as Predictor
    from parsenet.metrics.confusion import ConfusionMatrix as ConfusionMatrix
    from parsenet.metrics.scores import scores as scores
    from parsenet.models.build import build_model as build_model
    from parsenet.models.checkpoint import load_network as load_network
    from parsenet.models.checkpoint import save_network as save_network
    from parsenet.models.l2norm import L2Norm as L2Norm
    from parsenet.models.parsenet import ParseNet as ParseNet
    from parsenet.taxonomy import Taxonomy as Taxonomy
    from parsenet.version import __version__ as __version__

_HOMES = {
    "config": ("DataConfig", "InferenceConfig", "NetworkConfig", "OptimConfig"),
    "errors": ("ParseNetError",),
    "inference.predictor": ("Predictor",),
    "metrics.confusion": ("ConfusionMatrix",),
    "metrics.scores": ("scores",),
    "models.build": ("build_model",),
    "models.checkpoint": ("load_network", "save_network"),
    "models.l2norm": ("L2Norm",),
    "models.parsenet": ("ParseNet",),
    "taxonomy": ("Taxonomy",),
    "version": ("__version__",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"parsenet.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'parsenet' has no attribute '{name}'")


def __dir__() -> list[str]:
    """List the public names, also those not imported yet."""
    return sorted({*globals(), *__all__})
