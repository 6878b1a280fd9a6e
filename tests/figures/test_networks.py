"""What a figure can be drawn of."""

import pytest

from parsenet.config import NetworkConfig
from parsenet.errors import WeightsError
from parsenet.figures.networks import open_subject
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES


def test_trunk_is_built_as_training_would_start_it():
    subject = open_subject("tiny")

    assert subject.name == "tiny (random weights)"
    assert not subject.network.training
    assert set(subject.network.head.prepare.norm) == {"pool6", "fc7", "conv5", "conv4", "conv3"}


def test_checkpoint_is_what_it_says(tmp_path):
    config = NetworkConfig(trunk="tiny", features=("fc7", "conv3"))
    save_network(tmp_path / "a.safetensors", build_model(config, 5), config, SHAPES)

    subject = open_subject(str(tmp_path / "a.safetensors"))

    assert subject.name == f"{tmp_path.name}/a.safetensors"
    assert set(subject.network.head.prepare.norm) == {"fc7", "conv3"}


def test_neither_is_refused():
    with pytest.raises(WeightsError) as error:
        open_subject("vgg17")

    assert str(error.value) == (
        "`model` must be a checkpoint or a trunk (vgg16_largefov, vgg16_fcn, vgg16_fcn_reduced, "
        "squeezenet, tiny), got 'vgg17'. Check the path."
    )
