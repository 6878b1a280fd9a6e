from pathlib import Path

import pytest

from parsenet.config import InferenceConfig
from parsenet.errors import WeightsError
from parsenet.serve.models import load_models, name_apart, summarise


def test_checkpoints_are_loaded_in_their_order(checkpoints):
    models = load_models(checkpoints, "cpu", "32-true", InferenceConfig())

    assert [(model.index, model.name) for model in models] == [
        (0, "context.safetensors"),
        (1, "local.safetensors"),
    ]


def test_missing_checkpoint_answers_with_the_sentence_of_the_predictor(tmp_path):
    with pytest.raises(WeightsError, match=r"^[^\n]*none\.safetensors[^\n]*\.$"):
        load_models([tmp_path / "none.safetensors"], "cpu", "auto", InferenceConfig())


def test_model_tells_how_it_is_built_and_what_its_colours_mean(models):
    described = models[1].describe()

    assert described["summary"] == (
        "global context off, L2Norm off, late fusion of fc7 + conv3, tiny"
    )
    assert described["classes"][1] == {"index": 1, "name": "ball", "colour": "#e6503c"}
    assert (described["features"], described["normalize"]) == (["fc7", "conv3"], False)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (
            {"trunk": "tiny", "features": ["pool6", "fc7"], "head": "early", "normalize": True},
            "global context on, L2Norm on, early fusion of pool6 + fc7, tiny",
        ),
        ({"trunk": "vgg16_fcn", "features": ["fc7"], "head": "fcn8s"}, "vgg16_fcn, fcn8s"),
        ({}, "its file does not say how it is built"),
    ],
)
def test_summary_names_what_tells_networks_apart(network, words):
    assert summarise(network) == words


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a/best.ckpt"], ["best.ckpt"]),
        (["a.ckpt", "b.ckpt"], ["a.ckpt", "b.ckpt"]),
        (["runs/a/best.ckpt", "runs/b/best.ckpt"], ["a/best.ckpt", "b/best.ckpt"]),
        (["a/best.ckpt", "a/best.ckpt"], ["best.ckpt", "best.ckpt"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(paths, names):
    assert name_apart([Path(path) for path in paths]) == names
