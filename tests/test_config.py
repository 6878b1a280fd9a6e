"""Options of a run: the authors' defaults, contradictions in one sentence, recipes."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parsenet import config as module
from parsenet.config import (
    RECIPES,
    DataConfig,
    FolderConfig,
    InferenceConfig,
    NetworkConfig,
    OptimConfig,
    Recipe,
)
from parsenet.errors import ConfigError
from parsenet.options import parse_sections

CONFIGS = [NetworkConfig, OptimConfig, DataConfig, FolderConfig, InferenceConfig, Recipe]


def test_defaults_are_the_released_voc_model_and_the_authors_solver():
    # PAPER: late fusion of pool6 and fc7, both normalized to 10, learned upsampling.
    assert NetworkConfig() == NetworkConfig(
        "vgg16_largefov", ("pool6", "fc7"), "late", normalize=True, norm_scale=10.0, dropout=0.5,
        context_dropout=0.3, upsample="learned",
    )  # fmt: skip
    assert OptimConfig() == OptimConfig(
        "sgd", lr=1e-8, momentum=0.9, weight_decay=5e-4, power=0.9, warmup_steps=0,
        score_lr_mult=10.0, bias_lr_mult=2.0, loss="sum",
    )  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_frozen_hashable_and_tells_of_every_field(kind):
    source = Path(module.__file__).read_text(encoding="utf-8")
    config = kind()

    assert hash(config) == hash(kind())
    for field in dataclasses.fields(kind):
        assert re.search(rf'^    {field.name}: [^\n]+\n    """', source, re.MULTILINE), field.name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, None)


WHOLE_IMAGES = (
    "`batch_size` must be 1 when `crop` is null (whole images differ in size), got 8. Set it to 1 "
    "and `trainer.accumulate_grad_batches` to 8."
)
REFUSED = [
    (NetworkConfig, {"features": ("fc7", "conv6")},
     "`features` must be a known name, got 'conv6'. Did you mean `conv5`?"),
    (NetworkConfig, {"features": ("fc7", "input")},
     "`features` must be a known name, got 'input'. Known: `pool6`, `fc7`, `conv5`, `conv4`, "
     "`conv3`."),
    (NetworkConfig, {"features": ("fc7", "fc7")},
     "`features` must be one or more different values, got ['fc7', 'fc7']."),
    (NetworkConfig, {"features": ()}, "`features` must be one or more different values, got []."),
    (NetworkConfig, {"dropout": 1.0}, "`dropout` must be in [0, 1), got 1.0."),
    (NetworkConfig, {"context_dropout": -0.1}, "`context_dropout` must be in [0, 1), got -0.1."),
    (NetworkConfig, {"norm_scale": 0.0}, "`norm_scale` must be in (0, inf), got 0.0."),
    (OptimConfig, {"lr": 0.0}, "`lr` must be in (0, 10), got 0.0."),
    (OptimConfig, {"lr": 10.0}, "`lr` must be in (0, 10), got 10.0."),
    (OptimConfig, {"lr": float("nan")}, "`lr` must be in (0, 10), got nan."),
    (OptimConfig, {"momentum": 1.0}, "`momentum` must be in [0, 1), got 1.0."),
    (OptimConfig, {"weight_decay": -1e-4}, "`weight_decay` must be in [0, inf), got -0.0001."),
    (OptimConfig, {"power": -1.0}, "`power` must be in [0, inf), got -1.0."),
    (OptimConfig, {"warmup_steps": -1}, "`warmup_steps` must be in [0, inf), got -1."),
    (OptimConfig, {"lr": 2e-3},
     "`lr` must be at most 1e-5 with `loss: sum`, got 0.002: the loss is a sum over some 100,000 "
     "pixels. Use `loss: mean`, or `lr: 1e-08`."),
    (DataConfig, {"batch_size": 0}, "`batch_size` must be in [1, inf), got 0."),
    (DataConfig, {"num_workers": -1}, "`num_workers` must be in [0, inf), got -1."),
    (DataConfig, {"balance": -0.1}, "`balance` must be in [0, 1], got -0.1."),
    (DataConfig, {"crop": None}, WHOLE_IMAGES),
    (DataConfig, {"augment": "paper"}, WHOLE_IMAGES),
    (DataConfig, {"crop": (0, 5)},
     "`crop` must be (height, width) of at least 1 pixel, got (0, 5)."),
    (DataConfig, {"scale": (2.0, 0.5)},
     "`scale` must be (low, high) with 0 < low <= high, got (2.0, 0.5)."),
    (DataConfig, {"colour": 1.5}, "`colour` must be in [0, 1], got 1.5."),
    (DataConfig, {"rotate": 190.0}, "`rotate` must be in [0, 180], got 190.0."),
    (DataConfig, {"cat_max_ratio": 0.0}, "`cat_max_ratio` must be in (0, 1], got 0.0."),
    *((DataConfig, {"transforms": ("NoOp", entry)},
       f"`transforms` must list names or {{name: {{option: value}}}}, got {entry}. Write "
       "`- GaussNoise: {p: 0.3}`.")
      for entry in ({}, {"GaussNoise": 1}, {"GaussNoise": None, "p": 0.3})),
    (InferenceConfig, {"memory": 0.0}, "`memory` must be in (0, inf), got 0.0."),
    (InferenceConfig, {"memory": float("nan")}, "`memory` must be in (0, inf), got nan."),
    (InferenceConfig, {"overlap": -1}, "`overlap` must be in [0, inf), got -1."),
    (InferenceConfig, {"window": 200},
     "`window` must be at least 1 and twice `overlap`, got 200 and 128. An overlap of 50 fits."),
    (InferenceConfig, {"window": 0, "overlap": 0},
     "`window` must be at least 1 and twice `overlap`, got 0 and 0. An overlap of 0 fits."),
    (InferenceConfig, {"scales": ()}, "`scales` must be one or more different values, got []."),
    (InferenceConfig, {"scales": (1.0, 1.0)},
     "`scales` must be one or more different values, got [1.0, 1.0]."),
    (InferenceConfig, {"scales": (0.0,)},
     "`scales` must be in [0.1, 8], got 0.0. Native size is 1."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_contradiction_is_refused(kind, options, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        kind(**options)


def test_large_rate_is_right_for_the_mean_loss():
    assert OptimConfig(lr=2e-3, loss="mean").lr == 2e-3


def test_unknown_names_are_refused_where_types_are_not_checked():
    # In a process of its own: here beartype would be first.
    code = """
from parsenet.config import *
CASES = (NetworkConfig, "head"), (DataConfig, "augment"), (InferenceConfig, "context")
for kind, option in CASES:
    try:
        kind(**{option: "lat"})
    except ConfigError as error:
        print(error)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.splitlines() == [
        "`head` must be a known name, got 'lat'. Did you mean `late`?",
        "`augment` must be a known name, got 'lat'. Known: `paper`, `standard`, `strong`.",
        "`context` must be a known name, got 'lat'. Known: `whole`, `window`.",
    ]


def test_recipe_of_the_paper_takes_whole_images_as_they_are():
    # PAPER: no crop, no scale, no mirror.
    untouched = Recipe(
        crop=None, scale=(1.0, 1.0), rotate=0.0, flip=False, colour=0.0, cat_max_ratio=1.0
    )

    assert DataConfig(augment="paper", batch_size=1).recipe == untouched
    assert DataConfig().recipe == RECIPES["standard"] == Recipe()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop", (100, 200)),
        ("scale", (1.0, 1.5)),
        ("rotate", 3.0),
        ("flip", False),
        ("colour", 0.1),
        ("cat_max_ratio", 0.5),
    ],
)
def test_option_overrides_its_recipe_and_follows_another(field, value):
    config = DataConfig(augment="strong", **{field: value})

    assert config.recipe == dataclasses.replace(RECIPES["strong"], **{field: value})
    other = dataclasses.replace(config, augment="standard")
    assert other.recipe == dataclasses.replace(Recipe(), **{field: value})


def test_lists_of_a_yaml_file_become_tuples():
    data = {"augment": "strong", "crop": [9, 8], "rotate": 5}

    made = parse_sections(
        {"network": NetworkConfig, "data": DataConfig},
        {"network": {"features": ["fc7", "conv5"]}, "data": data},
        "'a.yaml'",
    )

    assert made.network == NetworkConfig(features=("fc7", "conv5"))
    assert made.data.recipe == dataclasses.replace(RECIPES["strong"], crop=(9, 8), rotate=5.0)
