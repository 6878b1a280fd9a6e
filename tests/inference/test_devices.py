import re

import pytest
import torch

from parsenet.config import InferenceConfig
from parsenet.errors import ConfigError
from parsenet.inference import devices
from parsenet.inference.devices import Loading, predict_on_devices
from parsenet.inference.folder import Job, RunConfig
from parsenet.inference.frames import ReadConfig
from parsenet.inference.results import SaveConfig
from parsenet.inference.sources import Source
from parsenet.taxonomy import SHAPES

PHOTO = Source("a.jpg", "a")


@pytest.fixture
def refusal(tmp_path):
    """Return a function that asks for devices and checks the sentence of the refusal."""

    def refuse(message, device="auto", num_devices=2, source=PHOTO):
        job = Job((source,), tmp_path / "out", SaveConfig(), ReadConfig(), RunConfig())
        loading = Loading(None, device, "auto", InferenceConfig())

        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            predict_on_devices(loading, job, SHAPES, num_devices)

        assert not (tmp_path / "out").exists()

    return refuse


def test_named_gpu_cannot_be_several(refusal):
    refusal("`device` must be auto, cpu or cuda with `--devices 2`, got 'cuda:1'.", device="cuda:1")


def test_more_gpus_than_there_are_is_refused(refusal, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    refusal(
        "`devices` must be at most 2, the GPUs here, got 3. Add `--device cpu` for processes on "
        "the CPU.",
        num_devices=3,
    )


def test_missing_lightning_is_told(refusal, monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: None)

    refusal(
        "`--devices` needs Lightning, which is not installed. Run `pip install 'parsenet[train]'`."
    )


def test_standard_input_cannot_be_shared(refusal):
    refusal(
        "`-` must be read by one process. Leave out `--devices`.",
        device="cpu",
        source=Source("-", "stdin", "stdin"),
    )
