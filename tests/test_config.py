import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import jsonargparse
import pytest

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

CONFIGS = [NetworkConfig, OptimConfig, DataConfig, FolderConfig, InferenceConfig, Recipe]


def exactly(message):
    return f"^{re.escape(message)}$"


def test_default_network_is_the_released_voc_model():
    # PAPER: late fusion of pool6 and fc7, both normalized to 10, learned upsampling.
    released = NetworkConfig(
        trunk="vgg16_largefov",
        features=("pool6", "fc7"),
        head="late",
        normalize=True,
        norm_scale=10.0,
        dropout=0.5,
        context_dropout=0.3,
        upsample="learned",
    )

    assert NetworkConfig() == released


def test_default_solver_is_the_authors():
    authors = OptimConfig(
        optimizer="sgd",
        lr=1e-8,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
        warmup_steps=0,
        score_lr_mult=10.0,
        bias_lr_mult=2.0,
        loss="sum",
    )

    assert OptimConfig() == authors


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_frozen(kind):
    config = kind()
    field = dataclasses.fields(kind)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, field, None)


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_hashable(kind):
    assert hash(kind()) == hash(kind())


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_has_its_line_of_help(kind):
    source = Path(__import__(kind.__module__, fromlist=["_"]).__file__).read_text(encoding="utf-8")

    for field in dataclasses.fields(kind):
        assert re.search(rf'^    {field.name}: [^\n]+\n    """', source, re.MULTILINE), field.name


def test_features_of_a_yaml_list_are_a_tuple():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=NetworkConfig)

    parsed = parser.parse_args(["--network.features=[fc7, conv5]"])

    assert parser.instantiate(parsed).network == NetworkConfig(features=("fc7", "conv5"))


def test_misspelt_option_is_named():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=NetworkConfig)

    with pytest.raises(jsonargparse.ArgumentError, match=r"network\.fuson"):
        parser.parse_args(["--network.fuson=late"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rescale": {"conv3": 0.0}},
         "`rescale` must hold positive factors, got conv3: 0.0. 1 changes nothing."),
        ({"features": ("fc7", "conv6")},
         "`features` must name known features, got 'conv6'. Did you mean `conv5`?"),
        ({"features": ("fc7", "input")},
         "`features` must name known features, got 'input'. Known: `pool6`, `fc7`, `conv5`, "
         "`conv4`, `conv3`."),
        ({"features": ("fc7", "fc7")},
         "`features` must be one or more different names, got ['fc7', 'fc7']."),
        ({"features": ()}, "`features` must be one or more different names, got []."),
        ({"dropout": 1.0}, "`dropout` must be in [0, 1), got 1.0."),
        ({"context_dropout": -0.1}, "`context_dropout` must be in [0, 1), got -0.1."),
        ({"norm_scale": 0.0}, "`norm_scale` must be positive, got 0.0. The paper's is 10."),
    ],
)  # fmt: skip
def test_network_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        NetworkConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "`lr` must be in (0, 10), got 0.0."),
        ({"lr": float("nan")}, "`lr` must be in (0, 10), got nan."),
        ({"momentum": 1.0}, "`momentum` must be in [0, 1), got 1.0."),
        ({"weight_decay": -1e-4},
         "`weight_decay`, `power` and `warmup_steps` must not be negative."),
        ({"lr": 2e-3},
         "`lr` must be at most 1e-5 with `loss: sum`, got 0.002: the loss is a sum over some "
         "100,000 pixels. Use `loss: mean`, or `lr: 1e-08`."),
    ],
)  # fmt: skip
def test_solver_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        OptimConfig(**options)


def test_large_rate_is_right_for_the_mean_loss():
    assert OptimConfig(lr=2e-3, loss="mean").lr == 2e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0},
         "`batch_size` must be at least 1 and `num_workers` at least 0, got 0 and 2."),
        ({"num_workers": -1},
         "`batch_size` must be at least 1 and `num_workers` at least 0, got 8 and -1."),
        ({"crop": None},
         "`batch_size` must be 1 when `crop` is null (whole images differ in size), got 8. Set "
         "it to 1 and `trainer.accumulate_grad_batches` to 8."),
        ({"scale": (2.0, 0.5)},
         "`scale` must be (low, high) with 0 < low <= high, got (2.0, 0.5)."),
        ({"colour": 1.5}, "`colour` must be in [0, 1], got 1.5."),
        ({"balance": -0.1}, "`balance` must be in [0, 1], got -0.1."),
        ({"rotate": 190.0}, "`rotate` must be in [0, 180] degrees, got 190.0."),
        ({"cat_max_ratio": 0.0},
         "`cat_max_ratio` must be in (0, 1], got 0.0. 0.75 is usual; 1 takes the first crop."),
        ({"crop": (0, 5)}, "`crop` must be (height, width) of at least 1 pixel, got (0, 5)."),
        ({"augment": "paper"},
         "`batch_size` must be 1 when `crop` is null (whole images differ in size), got 8. Set "
         "it to 1 and `trainer.accumulate_grad_batches` to 8."),
    ],
)  # fmt: skip
def test_data_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        DataConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": 0.0}, "`memory` must be positive, got 0.0. It is in GiB."),
        ({"memory": float("nan")}, "`memory` must be positive, got nan. It is in GiB."),
        ({"overlap": -1}, "`overlap` must not be negative, got -1."),
        ({"window": 200},
         "`window` must be at least 1 and twice `overlap`, got 200 and 128. An overlap of 50 "
         "fits."),
        ({"window": 0, "overlap": 0},
         "`window` must be at least 1 and twice `overlap`, got 0 and 0. An overlap of 0 fits."),
        ({"scales": ()}, "`scales` must be one or more different numbers, got []."),
        ({"scales": (1.0, 1.0)}, "`scales` must be one or more different numbers, got [1.0, 1.0]."),
        ({"scales": (0.0,)}, "`scales` must be in [0.1, 8], got 0.0. Native size is 1."),
    ],
)  # fmt: skip
def test_inference_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        InferenceConfig(**options)


def test_default_inference_is_the_image_as_it_is():
    config = InferenceConfig()

    assert (config.window, config.scales, config.flip) == (None, (1.0,), False)


def test_unknown_context_is_refused_where_types_are_not_checked():
    # In a process of its own: here beartype would be first.
    code = "from parsenet.config import InferenceConfig; InferenceConfig(context='all')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    message = "ConfigError: `context` must be `whole` or `window`, got 'all'."
    assert done.stderr.rstrip().endswith(message)


def test_whole_images_are_taken_one_at_a_time():
    assert DataConfig(crop=None, batch_size=1).crop is None


def test_default_recipe_is_the_standard_one():
    assert DataConfig().recipe == RECIPES["standard"] == Recipe()


def test_recipe_of_the_paper_takes_whole_images_as_they_are():
    # PAPER: no crop, no scale, no mirror.
    untouched = Recipe(
        crop=None, scale=(1.0, 1.0), rotate=0.0, flip=False, colour=0.0, cat_max_ratio=1.0
    )

    assert DataConfig(augment="paper", batch_size=1).recipe == untouched


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
def test_option_overrides_its_recipe(field, value):
    options = {field: value}

    recipe = DataConfig(augment="strong", **options).recipe

    assert recipe == dataclasses.replace(RECIPES["strong"], **options)


def test_every_part_of_a_recipe_is_an_option():
    options = {field.name for field in dataclasses.fields(DataConfig)}

    assert {field.name for field in dataclasses.fields(Recipe)} <= options


def test_options_stay_recipe_so_that_another_recipe_counts():
    config = DataConfig(augment="strong", rotate=5.0)

    assert (config.crop, config.rotate, config.colour) == ("recipe", 5.0, "recipe")
    assert dataclasses.replace(config, num_workers=0).recipe == config.recipe
    assert dataclasses.replace(config, augment="standard").recipe == Recipe(rotate=5.0)


@pytest.mark.parametrize("entry", [{}, {"GaussNoise": 1}, {"GaussNoise": None, "p": 0.3}])
def test_transform_of_another_form_is_refused(entry):
    message = (
        f"`transforms` must list names or {{name: {{option: value}}}}, got {entry}. Write "
        "`- GaussNoise: {p: 0.3}`."
    )

    with pytest.raises(ConfigError, match=exactly(message)):
        DataConfig(transforms=("NoOp", entry))


def test_recipe_of_a_yaml_file_is_parsed():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=DataConfig)

    parsed = parser.parse_args(["--data.augment=strong", "--data.crop=[9, 8]", "--data.rotate=5"])

    expected = dataclasses.replace(RECIPES["strong"], crop=(9, 8), rotate=5.0)
    assert parser.instantiate(parsed).data.recipe == expected


def test_unknown_recipe_is_refused_where_types_are_not_checked():
    # In a process of its own: here beartype would be first.
    code = "from parsenet.config import DataConfig; DataConfig(augment='papper')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    message = "ConfigError: `augment` must be a known name, got 'papper'. Did you mean `paper`?"
    assert done.stderr.rstrip().endswith(message)


def test_unknown_head_is_refused_where_types_are_not_checked():
    # In a process of its own: here beartype would be first.
    code = "from parsenet.config import NetworkConfig; NetworkConfig(head='lat')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    message = "ConfigError: `head` must be a known name, got 'lat'. Did you mean `late`?"
    assert done.stderr.rstrip().endswith(message)
