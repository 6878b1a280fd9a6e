import os
from pathlib import Path

import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.export.run import ExportConfig, export
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES


@pytest.fixture(scope="session")
def write_checkpoint(tmp_path_factory):
    """Return a function that writes a network with random weights and returns its file."""

    def write(seed=0, num_classes=SHAPES, **options):
        torch.manual_seed(seed)
        config = NetworkConfig(**{
            "trunk": "tiny",
            "features": ("pool6", "fc7", "conv3"),
            **options,
        })
        network = build_model(config, num_classes.num_classes)
        path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
        save_network(path, network, config, num_classes)
        return path

    return write


@pytest.fixture(scope="session")
def checkpoint(write_checkpoint):
    return write_checkpoint()


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    """A network as ONNX; the check has passed, or there would be none."""
    out = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    config = ExportConfig(
        out, "onnx", num_images=1, licence="CC0", command="parsenet export tiny.safetensors"
    )
    return export(checkpoint, config)


@pytest.fixture
def voc_dir():
    """Real images of VOC 2012."""
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA does not name the folder of the real images")
    return Path(os.environ["PARSENET_DATA"]) / "voc2012_subset" / "VOC2012"
