import jaxtyping
import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.export.config import ExportConfig
from parsenet.export.run import export
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES


@pytest.fixture(scope="session")
def run_export():
    """Return a function that exports; while tracing, sizes are symbols, which no `int` shape is."""

    def run(checkpoint, out, **options):
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            return export(ExportConfig(out, checkpoint, **{"num_images": 1, **options}))
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    return run


@pytest.fixture(scope="session")
def write_checkpoint(tmp_path_factory):
    """Return a function that writes a network with random weights and returns its file."""

    def write(seed=0, classes=SHAPES, **options):
        torch.manual_seed(seed)
        options = {"trunk": "tiny", "features": ("pool6", "fc7", "conv3"), **options}
        config = NetworkConfig(**options)
        path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
        save_network(path, build_model(config, classes.num_classes), config, classes)
        return path

    return write


@pytest.fixture(scope="session")
def checkpoint(write_checkpoint):
    return write_checkpoint()


@pytest.fixture(scope="session")
def exported(checkpoint, run_export, tmp_path_factory):
    """A network as ONNX; the check has passed, or there would be none."""
    return run_export(checkpoint, tmp_path_factory.mktemp("out") / "tiny.onnx", licence="CC0")
