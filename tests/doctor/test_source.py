import re
from pathlib import Path

import pytest
import yaml

from parsenet.doctor.guess import Hints
from parsenet.doctor.source import find_source
from parsenet.errors import ConfigError, DataNotFoundError


def write_config(path, **sections):
    path.write_text(yaml.safe_dump(sections))
    return path


def refuses(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def test_config_gives_its_data_section_and_its_seed(tmp_path):
    path = write_config(
        tmp_path / "c.yaml",
        seed_everything=7,
        model={"network": {"trunk": "tiny"}},
        data={"dataset": "shapes", "crop": [30, 40], "val_split": "test"},
    )

    source = find_source(path, Hints())

    assert (source.config.dataset, source.config.crop) == ("shapes", (30, 40))
    assert source.config.val_split == "test"
    assert source.seed == 7
    assert source.told == f"Options from '{path}'."


def test_options_win_over_the_config(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"dataset": "voc2012", "root": "a"})

    config = find_source(path, Hints(), ["--data.root", "b", "--data.folder.taxonomy=t"]).config

    assert (config.root, config.folder.taxonomy) == (Path("b"), "t")


def test_named_splits_win_over_the_config(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"dataset": "voc2012", "val_split": "val"})

    config = find_source(path, Hints(train="train", val="trainval")).config

    assert (config.train_split, config.val_split) == ("train", "trainval")


def test_run_folder_means_its_config(tmp_path):
    write_config(tmp_path / "config.yaml", data={"dataset": "shapes"})

    assert find_source(tmp_path, Hints()).config.dataset == "shapes"


def test_every_config_of_the_project_is_understood():
    paths = (Path(__file__).parents[2] / "configs").rglob("*.yaml")
    for path in (x for x in paths if x.parent.name != "ablations"):  # grids of configs
        assert find_source(path, Hints(), ["--data.root", "somewhere"]).config is not None


def test_missing_path_is_refused(tmp_path):
    path = tmp_path / "none.yaml"

    with refuses(
        DataNotFoundError,
        f"'{path}' must be a config or a folder of data, got nothing there. Check the path.",
    ):
        find_source(path, Hints())


def test_unknown_option_is_refused(tmp_path):
    with refuses(
        ConfigError,
        "Options must be those that `--help` lists or begin with `--data.`, got '--fats'. Check "
        "its spelling.",
    ):
        find_source(tmp_path, Hints(), ["--fats"])


def test_second_folder_is_refused(tmp_path):
    with refuses(
        ConfigError,
        "Options must be those that `--help` lists or begin with `--data.`, got 'other'. Check "
        "its spelling.",
    ):
        find_source(tmp_path, Hints(), ["other"])


def test_unknown_field_is_refused(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"datset": "shapes"})

    with refuses(
        ConfigError,
        f"The data options of '{path}' must be right, got: Group 'data' does not accept option "
        "'datset'.",
    ):
        find_source(path, Hints())


def test_config_without_data_is_refused(tmp_path):
    path = write_config(tmp_path / "c.yaml", model={})

    with refuses(
        ConfigError,
        f"'{path}' must have a section `data:`, got none. Give the config of a run, or the folder "
        "of the data.",
    ):
        find_source(path, Hints())


def test_file_that_is_no_yaml_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\x89PNG\r\n\xff")

    with pytest.raises(ConfigError, match=r"must be a YAML file, got '.+'\. Check it\.$"):
        find_source(path, Hints())


def test_layout_hints_beside_a_config_are_refused(tmp_path):
    path = write_config(tmp_path / "c.yaml", data={"dataset": "shapes"})

    with refuses(
        ConfigError,
        f"`--images`, `--labels` and `--taxonomy` must come with a folder, got '{path}'. Use "
        "`--data.folder.images` and so on to change what a config says.",
    ):
        find_source(path, Hints(taxonomy="voc2012"))
