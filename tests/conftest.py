"""A finished run that many tests look at, and none changes."""

import pytest
import yaml

from parsenet.cli import main
from tests.fakes.voc import write_voc

OPTIONS = {
    "model": {
        "network": {"trunk": "tiny", "features": ["pool6", "fc7", "conv3"]},
        "optim": {"optimizer": "adamw", "lr": 0.01, "loss": "mean"},
    },
    "data": {"batch_size": 2, "num_workers": 0, "crop": [12, 16], "train_split": "train"},
    "trainer": {"accelerator": "cpu", "enable_progress_bar": False, "max_epochs": 2},
}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with the fake VOC data, a config, and `run`, trained on them."""
    root = tmp_path_factory.mktemp("cli")
    write_voc(root / "data", num_images=4, size=(24, 33))
    options = OPTIONS | {"data": OPTIONS["data"] | {"root": str(root / "data")}}
    (root / "voc.yaml").write_text(yaml.safe_dump(options))
    assert main(["fit", "--config", str(root / "voc.yaml"), "--run_dir", str(root / "run")]) == 0
    return root
